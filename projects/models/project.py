"""A project: one labelling campaign and its settings."""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from aggregation.core.label_models import DEFAULT_LABEL_MODEL


class ProjectStatus(models.TextChoices):
    ACTIVE = "active"
    PAUSED = "paused"


class LabelType(models.TextChoices):
    CHOICE = "choice"


class Acquisition(models.TextChoices):
    ENTROPY = "entropy"
    MARGIN = "margin"
    LEAST_CONFIDENCE = "least_confidence"
    ACTIVELAB = "activelab"
    VOTE_ENTROPY = "vote_entropy"
    NEW_OR_RELABEL = "new_or_relabel"
    SEARCH = "search"  # the most probable to have one label
    INFORMATION_GAIN = "information_gain"  # that of which the annotator who asks can tell most


class Order(models.TextChoices):
    """Which open task is handed out first."""

    PRIORITY = "priority"  # the most uncertain
    BREADTH_FIRST = "breadth_first"  # that with the fewest votes
    DEPTH_FIRST = "depth_first"  # that with the most votes
    SEQUENTIAL = "sequential"  # the one uploaded first
    RANDOM = "random"


class Learner(models.TextChoices):
    TEXT = "text"
    SENTENCES = "sentences"  # needs a package: aggregation.core.packages
    NUMERIC = "numeric"
    EMBEDDINGS = "embeddings"
    IMAGES = "images"
    REMOTE = "remote"  # a Label Studio ML backend, somewhere else


#: No project lets one annotator hold more tasks at a time.
MOST_LEASES = 1000


class Project(models.Model):
    """Settings only: nothing here changes with a vote."""

    name = models.CharField(max_length=200)
    instructions = models.TextField(blank=True, default="")
    status = models.CharField(max_length=12, choices=ProjectStatus.choices, default=ProjectStatus.ACTIVE)
    label_type = models.CharField(max_length=20, choices=LabelType.choices, default=LabelType.CHOICE)
    labels = ArrayField(models.CharField(max_length=200))

    redundancy = models.PositiveIntegerField(default=3)
    lease_seconds = models.PositiveIntegerField(default=600)
    max_leases = models.PositiveIntegerField(default=100)  # tasks that one annotator may hold
    order = models.CharField(max_length=16, choices=Order.choices, default=Order.PRIORITY)
    # Votes of one annotator: in a day (UTC), and in all; null = as many as they like.
    daily_quota = models.PositiveIntegerField(null=True)
    total_quota = models.PositiveIntegerField(null=True)
    # What annotators do before they get the ordinary tasks: so many with feedback, then so many to be marked; 0 = none.
    training_tasks = models.PositiveIntegerField(default=0)
    test_tasks = models.PositiveIntegerField(default=0)
    pass_mark = models.FloatField(default=0.8)  # share of a test's answers that must be right
    test_attempts = models.PositiveIntegerField(default=1)
    # Flag a task for an expert once so many annotators have skipped it as broken or unclear; null = never.
    max_skips = models.PositiveIntegerField(null=True)
    # Stop collecting votes for a task at this confidence; null = never before its redundancy is reached.
    target_confidence = models.FloatField(null=True)
    min_votes = models.PositiveIntegerField(default=1)
    # Ask an expert about a task that has all its votes and is less sure than this; null = never.
    flag_below = models.FloatField(null=True)
    # The chance that a new assignment is gold, and to how many annotators one gold task goes; null = gold is handed out
    # as any other task; to any number.
    gold_share = models.FloatField(null=True)
    gold_exposures = models.PositiveIntegerField(null=True)

    # Whoever has fewer counted votes weighs what somebody weighs whom nobody knows.
    newcomer_votes = models.PositiveIntegerField(db_default=0)

    # What a counted vote earns; null = nothing. The budget is in the same money, without a price in votes; null = none.
    price_per_vote = models.DecimalField(max_digits=12, decimal_places=4, null=True)
    budget = models.DecimalField(max_digits=16, decimal_places=4, null=True)
    currency = models.CharField(max_length=12, blank=True, default="")  # a name for people, no more

    label_model = models.CharField(max_length=40, default=DEFAULT_LABEL_MODEL)
    acquisition = models.CharField(max_length=20, choices=Acquisition.choices, default=Acquisition.ENTROPY)
    learner = models.CharField(max_length=20, choices=Learner.choices, null=True)
    learner_fields = ArrayField(models.CharField(max_length=200), default=list)
    retrain_after_votes = models.PositiveIntegerField(default=200)
    retrain_after_minutes = models.PositiveIntegerField(default=60)
    # Retrain once so great a share of the labels that the learner was taught has changed; null = whatever changes.
    retrain_after_moved = models.FloatField(null=True)

    # What "search" looks for; and the share of assignments that are left to chance, null = none.
    search_label = models.CharField(max_length=200, null=True)
    explore_share = models.FloatField(null=True)

    # Stop once experts' audits, of at most `audit_share` of the tasks, prove with this confidence that so large a share
    # of all tasks has a right label; null = never. Stopped: nothing is leased any more.
    target_accuracy = models.FloatField(null=True)
    target_accuracy_confidence = models.FloatField(db_default=0.95, default=0.95)
    stopped_at = models.DateTimeField(null=True)

    # The three tiers (docs/learning-loop.md). The machine alone answers while at most this share of what it answers is
    # wrong, with this confidence, by audits of so large a share of the tasks; null = it never does.
    auto_label_error = models.FloatField(null=True)
    auto_label_confidence = models.FloatField(db_default=0.95, default=0.95)
    audit_share = models.FloatField(db_default=0.05, default=0.05)
    # From this probability on, people are shown what the machine says, but for a share of them; null = never.
    confirm_above = models.FloatField(null=True)
    blind_share = models.FloatField(db_default=0.2, default=0.2)
    has_confirmed = models.BooleanField(db_default=False, default=False)  # people were ever shown what the machine says

    # What the rows say is due on request; the sweeper re-sends the hint until it is done.
    refit_requested_at = models.DateTimeField(null=True)
    retrain_requested_at = models.DateTimeField(null=True)

    # Grows with every edit: two managers editing at once are told, not merged.
    version = models.PositiveIntegerField(default=1)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(labels__len__gte=2) & Q(labels__len__lte=200), name="project_2_to_200_labels"
            ),
            models.CheckConstraint(
                condition=Q(redundancy__gte=1) & Q(redundancy__lte=1000), name="project_redundancy_1_to_1000"
            ),
            models.CheckConstraint(
                condition=Q(lease_seconds__gte=10) & Q(lease_seconds__lte=86400), name="project_lease_10s_to_1d"
            ),
            models.CheckConstraint(
                condition=Q(max_leases__gte=1) & Q(max_leases__lte=MOST_LEASES), name="project_leases_1_to_1000"
            ),
            models.CheckConstraint(
                condition=Q(max_skips__isnull=True) | (Q(max_skips__gte=1) & Q(max_skips__lte=1000)),
                name="project_skips_1_to_1000",
            ),
            models.CheckConstraint(
                condition=Q(target_confidence__isnull=True)
                | (Q(target_confidence__gte=0.5) & Q(target_confidence__lt=1)),
                name="project_target_half_to_one",
            ),
            models.CheckConstraint(condition=Q(min_votes__gte=1), name="project_min_votes_positive"),
            models.CheckConstraint(
                condition=(Q(price_per_vote__isnull=True) | Q(price_per_vote__gt=0))
                & (Q(budget__isnull=True) | Q(budget__gte=0)),
                name="project_money_positive",
            ),
            models.CheckConstraint(
                condition=(Q(daily_quota__isnull=True) | Q(daily_quota__gte=1))
                & (Q(total_quota__isnull=True) | Q(total_quota__gte=1)),
                name="project_quotas_positive",
            ),
            models.CheckConstraint(
                condition=Q(pass_mark__gte=0) & Q(pass_mark__lte=1) & Q(test_attempts__gte=1),
                name="project_test_possible",
            ),
            models.CheckConstraint(
                condition=Q(flag_below__isnull=True) | (Q(flag_below__gt=0) & Q(flag_below__lt=1)),
                name="project_flag_below_0_to_1",
            ),
            models.CheckConstraint(
                condition=(Q(gold_share__isnull=True) | (Q(gold_share__gte=0) & Q(gold_share__lte=1)))
                & (Q(gold_exposures__isnull=True) | Q(gold_exposures__gte=1)),
                name="project_gold_share_0_to_1",
            ),
            models.CheckConstraint(
                condition=(Q(auto_label_error__isnull=True) | (Q(auto_label_error__gt=0) & Q(auto_label_error__lt=1)))
                & (Q(auto_label_confidence__gte=0.5) & Q(auto_label_confidence__lt=1))
                & (Q(audit_share__gt=0) & Q(audit_share__lte=1)),
                name="project_auto_label_possible",
            ),
            models.CheckConstraint(
                condition=(Q(confirm_above__isnull=True) | (Q(confirm_above__gte=0) & Q(confirm_above__lt=1)))
                & (Q(blind_share__gt=0) & Q(blind_share__lte=1)),
                name="project_confirm_possible",
            ),
            models.CheckConstraint(
                condition=(Q(target_accuracy__isnull=True) | (Q(target_accuracy__gte=0.5) & Q(target_accuracy__lt=1)))
                & (Q(target_accuracy_confidence__gte=0.5) & Q(target_accuracy_confidence__lt=1)),
                name="project_target_accuracy_possible",
            ),
            models.CheckConstraint(
                condition=Q(stopped_at__isnull=True) | Q(target_accuracy__isnull=False),
                name="project_stops_at_a_target",
            ),
            models.CheckConstraint(
                condition=Q(explore_share__isnull=True) | (Q(explore_share__gt=0) & Q(explore_share__lte=1)),
                name="project_explore_share_0_to_1",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def costs(self) -> bool:
        """Whether a vote takes something out of a budget or earns somebody something."""
        return self.budget is not None or self.price_per_vote is not None

    @property
    def has_quotas(self) -> bool:
        return self.daily_quota is not None or self.total_quota is not None

    @property
    def qualifies(self) -> bool:
        """Whether annotators train or pass a test before they get the ordinary tasks."""
        return self.training_tasks > 0 or self.test_tasks > 0
