"""Work: tasks in three places (wide payload, narrow hot state, indexed queue), assignments, votes, gold, events.

What is written with every lease, vote and task has no foreign keys in the database: each would be looked up once more,
and its row locked and logged, at the end of every transaction (that of the project by all of them). The statements that
write it find what they name under the annotator's and the task's locks; a task, a member or an assignment that votes
or assignments name can't be deleted (migration 15).
"""

import uuid

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from projects.models.people import TAG_LENGTH, Member
from projects.models.project import Project


class Task(models.Model):
    """The payload: written once, never changed."""

    project = models.ForeignKey(
        Project, on_delete=models.CASCADE, db_constraint=False, related_name="tasks", db_index=False
    )
    key = models.CharField(max_length=200, null=True)  # the caller's own, for idempotent uploads
    data = models.JSONField()
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            # Read by uploads and vote imports, which know tasks by the caller's key.
            models.UniqueConstraint(fields=["project", "key"], name="task_key_once_per_project"),
        ]
        indexes = [
            models.Index(fields=["project", "id"], name="task_by_project"),  # lists, exports, a learner's pool
        ]


class TaskState(models.Model):
    """The hot row: scalars that change with every vote. No column of it is indexed, so every update can be HOT."""

    task = models.OneToOneField(
        Task, on_delete=models.CASCADE, db_constraint=False, primary_key=True, related_name="state"
    )
    project = models.ForeignKey(
        Project, on_delete=models.CASCADE, db_constraint=False, related_name="+", db_index=False
    )
    votes = models.IntegerField(default=0)  # counted votes
    leases = models.IntegerField(default=0)  # open assignments
    redundancy = models.IntegerField()  # votes wanted
    own_redundancy = models.IntegerField(null=True)  # as uploaded with this task, whatever the project wants
    version = models.IntegerField(default=0)  # grows whenever the counted votes or the gold change
    label = models.SmallIntegerField(null=True)  # index of the winning label
    runner_up = models.SmallIntegerField(null=True)
    confidence = models.FloatField(null=True)
    retired = models.CharField(max_length=12, null=True)  # why it collects no more votes; null = open
    run = models.BigIntegerField(null=True)  # the current refit when the above last changed

    class Meta:
        constraints = [
            # Redundancy is never exceeded, counting open leases: by the database, under any concurrency.
            models.CheckConstraint(
                condition=Q(votes__gte=0) & Q(leases__gte=0) & Q(redundancy__gte=F("votes") + F("leases")),
                name="task_redundancy_not_exceeded",
            ),
        ]


#: The pool of tasks for training and tests. No tag begins like this, so nobody gets them otherwise.
QUALIFICATION_POOL = "#qualification"


#: Before all others come what production waits for, and then what audits the machine.
HANDOVER_PRIORITY, AUDIT_PRIORITY = 2000, 1500


class TaskQueue(models.Model):
    """What the lease statement scans: apart from the hot row because an update of an indexed column is never HOT."""

    task = models.OneToOneField(
        Task, on_delete=models.CASCADE, db_constraint=False, primary_key=True, related_name="queue"
    )
    project = models.ForeignKey(
        Project, on_delete=models.CASCADE, db_constraint=False, related_name="+", db_index=False
    )
    # Only members with this tag may have it; "" = everybody. A mark before it: gold that is injected there.
    pool = models.CharField(max_length=TAG_LENGTH + 1, default="")
    open = models.BooleanField(default=True)
    # 0..1000, the highest first; by the project's order. What is above that stays so: before all others (a trigger).
    priority = models.SmallIntegerField(default=1000)
    review = models.BooleanField(db_default=False)  # retired for an expert to look at
    doubt = models.SmallIntegerField(db_default=0)  # of such a task: 10000 * (1 - confidence), kept by a trigger
    lot = models.IntegerField(null=True)  # where a share is left to chance: by which this task is drawn

    class Meta:
        indexes = [
            # Read by the experts' queue.
            models.Index("project", F("doubt").desc(), "task", name="queue_review", condition=Q(review=True)),
            # Read by the lease statement: open tasks, the highest priority first, then in upload order. Negated and not
            # descending, so that a row comparison can begin a scan anywhere.
            models.Index("project", "pool", F("priority") * -1, "task", name="queue_next", condition=Q(open=True)),
            # Read by the lease statement for what is left to chance.
            models.Index(
                fields=["project", "pool", "lot", "task"],
                name="queue_by_lot",
                condition=Q(open=True, lot__isnull=False),
            ),
        ]


class Cursor(models.Model):
    """How far down the queue an annotator has had everything, for some minutes: a lease need not look there again."""

    annotator = models.ForeignKey(Member, on_delete=models.CASCADE, related_name="+", db_index=False)
    pool = models.CharField(max_length=TAG_LENGTH)
    rank = models.IntegerField()  # -priority
    task_id = models.BigIntegerField()
    begun_at = models.DateTimeField()

    class Meta:
        # Read by a lease that finds too little at the head of the queue.
        constraints = [models.UniqueConstraint(fields=["annotator", "pool"], name="cursor_once")]


class AssignmentStatus(models.TextChoices):
    OPEN = "open"
    VOTED = "voted"
    SKIPPED = "skipped"
    RELEASED = "released"
    EXPIRED = "expired"


class SkipReason(models.TextChoices):
    UNCLEAR = "unclear"  # the task can't be decided
    BROKEN = "broken"  # there is nothing to decide: no picture, wrong language
    NOT_FOR_ME = "not_for_me"  # says nothing of the task


class Assignment(models.Model):
    """A task reserved for an annotator until its lease ends. Its id is random: it tells an annotator nothing."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    project = models.ForeignKey(
        Project, on_delete=models.CASCADE, db_constraint=False, related_name="+", db_index=False
    )
    task = models.ForeignKey(
        Task, on_delete=models.CASCADE, db_constraint=False, related_name="assignments", db_index=False
    )
    annotator = models.ForeignKey(
        Member, on_delete=models.CASCADE, db_constraint=False, related_name="assignments", db_index=False
    )
    status = models.CharField(max_length=8, choices=AssignmentStatus.choices, default=AssignmentStatus.OPEN)
    leased_at = models.DateTimeField(db_default=Now())
    expires_at = models.DateTimeField()
    closed_at = models.DateTimeField(null=True)
    skip_reason = models.CharField(max_length=12, choices=SkipReason.choices, null=True)
    skip_comment = models.CharField(max_length=1000, null=True)
    price = models.DecimalField(max_digits=12, decimal_places=4, null=True)  # of its vote, as leased; null = nothing
    # What the machine said of the task, null if it was not sure enough; and whether the annotator is shown it, null
    # where that was never asked. Decided once, when it is leased.
    suggestion = models.SmallIntegerField(null=True)
    shown = models.BooleanField(null=True)
    explored = models.FloatField(null=True)  # its task was left to chance, which was so probable; null: it was chosen

    class Meta:
        constraints = [
            # Nobody gets the same task twice; an expired or released one may come back. Read by the lease statement and
            # by whoever counts a task's skips.
            models.UniqueConstraint(
                fields=["task", "annotator"],
                condition=~Q(status__in=["expired", "released"]),
                name="assignment_once_per_annotator",
            ),
        ]
        indexes = [
            # Read by the sweeper, which ends leases.
            models.Index(fields=["expires_at"], name="assignment_due", condition=Q(status="open")),
            # Read by the lease endpoint (what do I hold already?) and by an annotator's own progress.
            models.Index(fields=["annotator", "status"], name="assignment_of_annotator"),
            # Read by whoever asks what of a budget open leases hold.
            models.Index(
                fields=["project"],
                include=["price"],
                name="assignment_reserved",
                condition=Q(status="open", price__isnull=False),
            ),
            # Read by the lease statement where gold is injected: what has come back from an annotator.
            models.Index(
                fields=["annotator", "task"],
                name="assignment_given_back",
                condition=Q(status__in=["expired", "released"]),
            ),
        ]


class VoteStatus(models.TextChoices):
    COUNTED = "counted"
    UNCOUNTED = "uncounted"  # came late and found no room, budget or quota; or was no ordinary vote
    DISCARDED = "discarded"
    SUPERSEDED = "superseded"


class UncountedReason(models.TextChoices):
    ROOM = "room"
    BUDGET = "budget"
    QUOTA = "quota"


class VoteMode(models.TextChoices):
    LABEL = "label"
    QUALIFICATION = "qualification"  # in training or a test: says something of the annotator alone, is never counted


class Vote(models.Model):
    """One annotator's answer to one task: append-only, with a status."""

    project = models.ForeignKey(
        Project, on_delete=models.CASCADE, db_constraint=False, related_name="+", db_index=False
    )
    task = models.ForeignKey(Task, on_delete=models.CASCADE, db_constraint=False, related_name="votes", db_index=False)
    annotator = models.ForeignKey(
        Member, on_delete=models.CASCADE, db_constraint=False, related_name="votes", db_index=False
    )
    assignment = models.OneToOneField(
        Assignment, on_delete=models.CASCADE, db_constraint=False, null=True, related_name="vote"
    )
    answer = models.JSONField()  # canonical, by the label type
    label = models.SmallIntegerField(null=True)  # index of the label: the fast path of choice
    status = models.CharField(max_length=10, choices=VoteStatus.choices, default=VoteStatus.COUNTED)
    uncounted_for = models.CharField(max_length=6, choices=UncountedReason.choices, null=True)  # want of what
    mode = models.CharField(max_length=13, choices=VoteMode.choices, default=VoteMode.LABEL, db_default=VoteMode.LABEL)
    seconds = models.FloatField(null=True)  # time taken, as the page measured it
    discarded_by = models.ForeignKey(
        "projects.Sanction", on_delete=models.SET_NULL, null=True, related_name="+", db_index=False
    )
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            # One vote per task and annotator, beside late ones. Read by the posterior of a task (leading column: task).
            models.UniqueConstraint(
                fields=["task", "annotator"],
                condition=~Q(status__in=["superseded", "uncounted"]),
                name="vote_once_per_task_and_annotator",
            ),
        ]
        indexes = [
            models.Index(fields=["project", "id"], name="vote_by_project"),  # a refit loads a project's votes
            models.Index(fields=["annotator", "created_at"], name="vote_of_annotator"),  # an annotator's progress
        ]


class GoldOrigin(models.TextChoices):
    UPLOADED = "uploaded"
    AUDIT = "audit"
    REVIEW = "review"
    QUALIFICATION = "qualification"


class Gold(models.Model):
    """A known answer, its origin, and the probability with which its task was drawn (null: not drawn at random)."""

    task = models.OneToOneField(Task, on_delete=models.CASCADE, primary_key=True, related_name="gold")
    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="gold")
    label = models.SmallIntegerField()
    origin = models.CharField(max_length=14, choices=GoldOrigin.choices, default=GoldOrigin.UPLOADED)
    inclusion_probability = models.FloatField(null=True)
    created_at = models.DateTimeField(db_default=Now())


class ReviewAction(models.TextChoices):
    LABEL = "label"  # the expert's answer
    REOPEN = "reopen"  # more votes, please
    UNDO = "undo"  # of the review before


class Review(models.Model):
    """What an expert decided about a task: append-only. The last one is in force."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="+", db_index=False)
    task = models.ForeignKey(Task, on_delete=models.CASCADE, related_name="reviews", db_index=False)
    number = models.IntegerField()  # 1, 2, … of its task
    reviewer = models.ForeignKey(Member, on_delete=models.CASCADE, related_name="+", db_index=False)
    action = models.CharField(max_length=6, choices=ReviewAction.choices)
    label = models.SmallIntegerField(null=True)  # after it: the expert's answer, if there is one
    label_before = models.SmallIntegerField(null=True)
    votes = models.IntegerField(null=True)  # asked for by "reopen"
    own_redundancy_before = models.IntegerField(null=True)  # of the task, for undoing a "reopen"
    comment = models.CharField(max_length=1000, blank=True, default="")
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            # Of two experts who decide at once, one is told. Read by whoever shows a task's reviews.
            models.UniqueConstraint(fields=["task", "number"], name="review_in_turn"),
        ]


class PlacesDue(models.Model):
    """Tasks from ``first`` on wait for the places, and the predictions, that settings and learner give them now.

    Append-only for whoever asks; the job that answers moves ``first`` along, and deletes the row at the end.
    """

    project = models.ForeignKey(
        Project, on_delete=models.CASCADE, db_constraint=False, related_name="+"
    )  # the sweeper: who waits?
    first = models.BigIntegerField()


class EventKind(models.TextChoices):
    VOTE = "vote"
    IMPORT = "import"
    GOLD = "gold"
    FLAG = "flag"
    REVIEW = "review"
    DISCARD = "discard"  # of votes, or its undoing


class Event(models.Model):
    """Something that a refit has not seen yet. Append-only; the refit that saw it deletes it."""

    project = models.ForeignKey(
        Project, on_delete=models.CASCADE, db_constraint=False, related_name="+"
    )  # the sweeper: who has news?
    kind = models.CharField(max_length=8, choices=EventKind.choices)
    task = models.BigIntegerField(null=True)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        indexes = [
            # Read by the sweeper and by whoever publishes what experts decided.
            models.Index(fields=["project"], name="event_review", condition=Q(kind="review")),
        ]
