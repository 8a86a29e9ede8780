"""Runs, and what consumers read: published consensus."""

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from projects.models import Project, Task


class RunKind(models.TextChoices):
    REFIT = "refit"
    RETRAINING = "retraining"


class RunStatus(models.TextChoices):
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


class RunStage(models.TextChoices):
    """How far a running retraining is. Until it is applied nothing that it made steers, and it can be cancelled."""

    TRAINING = "training"
    PREDICTING = "predicting"
    APPLYING = "applying"


class Run(models.Model):
    """One persisted fit of the label model or the learner."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="runs", db_index=False)
    kind = models.CharField(max_length=12, choices=RunKind.choices)
    status = models.CharField(max_length=9, choices=RunStatus.choices, default=RunStatus.RUNNING)
    stage = models.CharField(max_length=10, choices=RunStage.choices, null=True)  # of a retraining
    progress = models.FloatField(null=True)  # of a retraining: the share of its tasks that is done, 0..1
    attempts = models.PositiveSmallIntegerField(default=0)  # of a retraining: how often it was begun, or went on
    parameters = models.JSONField(default=dict)
    counts = models.JSONField(default=dict)
    metrics = models.JSONField(default=dict)
    error = models.TextField(blank=True, default="")
    started_at = models.DateTimeField(db_default=Now())
    finished_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            # One retraining of a project at a time. Read by the sweeper: is there one that was killed?
            models.UniqueConstraint(
                fields=["project"], condition=Q(kind="retraining", status="running"), name="one_retraining_at_a_time"
            ),
        ]
        indexes = [models.Index(fields=["project", "kind", "-id"], name="run_latest")]  # lists; "when was the last?"


class LearnerArtefact(models.Model):
    """A trained learner: arrays as npz, never pickle, and its SHA-256."""

    run = models.OneToOneField(Run, on_delete=models.CASCADE, primary_key=True, related_name="artefact")
    content = models.BinaryField()
    sha256 = models.CharField(max_length=64)
    # services.artefacts.HeldOut: what it predicted of the tasks it was taught, without having seen them
    held_out = models.BinaryField(null=True)


class RemoteLearner(models.Model):
    """Where a project's remote learner is. The password is never shown; failures in a row make it rest until then."""

    project = models.OneToOneField(Project, on_delete=models.CASCADE, primary_key=True, related_name="remote_learner")
    url = models.CharField(max_length=500)
    username = models.CharField(max_length=200, blank=True, default="")
    password = models.CharField(max_length=500, blank=True, default="")
    failures = models.IntegerField(default=0)
    rests_until = models.DateTimeField(null=True)
    last_error = models.TextField(blank=True, default="")
    answered_at = models.DateTimeField(null=True)  # the last time that it did as it was asked

    @property
    def has_password(self) -> bool:
        return self.password != ""


class PredictedChunk(models.Model):
    """Predictions of a running retraining that don't steer yet, a thousand tasks a row: killed, it goes on
    from here."""

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="+", db_index=False)
    last_task = models.BigIntegerField()
    tasks = models.BinaryField()  # i8[n], ascending
    proba = models.BinaryField()  # f4[n, K], NaN where the learner can't read the task

    class Meta:
        # Read by whoever applies them, in order.
        constraints = [models.UniqueConstraint(fields=["run", "last_task"], name="predicted_chunk_once")]


class ConsensusSource(models.TextChoices):
    VOTES = "votes"
    GOLD = "gold"
    VOTES_AND_MACHINE = "votes+machine"
    REVIEW = "review"
    MACHINE = "machine"  # nobody has looked at it; a certificate bounds the share of such labels that is wrong
    REVOKED = "revoked"  # it was the machine's, whose certificate has ended: there is no label until people give one


class Consensus(models.Model):
    """A task's published label: whole rows that name their run. ``revision`` is the feed's order."""

    task = models.OneToOneField(Task, on_delete=models.CASCADE, primary_key=True, related_name="consensus")
    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="+", db_index=False)
    # All three null: revoked.
    label = models.SmallIntegerField(null=True)
    confidence = models.FloatField(null=True)
    votes = models.IntegerField()
    posterior = models.JSONField(null=True)  # core.live.encode_posterior
    source = models.CharField(max_length=14, choices=ConsensusSource.choices)
    retired = models.CharField(max_length=12, null=True)
    run = models.ForeignKey(Run, on_delete=models.PROTECT, related_name="+", db_index=False)
    # The transaction that wrote the row (pg_current_xact_id): with the task id, the feed's cursor.
    revision = models.BigIntegerField()
    updated_at = models.DateTimeField(db_default=Now())

    class Meta:
        indexes = [
            models.Index(fields=["project", "revision", "task"], name="consensus_feed"),  # feed and export
        ]


class CertificateKind(models.TextChoices):
    ISSUED = "issued"
    REVOKED = "revoked"


class Certificate(models.Model):
    """That the machine alone may answer from a threshold on, or no longer: append-only, but for ``ended_at``.

    figures: what it was concluded from (``services.tiers``).
    """

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="certificates", db_index=False)
    kind = models.CharField(max_length=7, choices=CertificateKind.choices)
    learner_run = models.ForeignKey(Run, on_delete=models.PROTECT, related_name="+", db_index=False)
    threshold = models.FloatField()  # the machine's probability of its label
    error = models.FloatField()  # at most this share of what it answers is wrong, with this confidence
    confidence = models.FloatField()
    figures = models.JSONField(default=dict)
    reason = models.TextField()  # the same in words
    # Null: of all tasks; else, as the machine has become worse since, only of those before this one.
    before_task = models.BigIntegerField(null=True)
    created_at = models.DateTimeField(db_default=Now())
    ended_at = models.DateTimeField(null=True)  # of one issued: replaced or revoked

    class Meta:
        constraints = [
            # Whoever issues one ends the one before, however many jobs look at once. Read by whoever hands over a task.
            models.UniqueConstraint(
                fields=["project"], condition=Q(kind="issued", ended_at__isnull=True), name="certificate_one_in_force"
            ),
        ]
        indexes = [models.Index(fields=["project", "-id"], name="certificate_by_project")]  # the record


class Scored(models.Model):
    """What the champion says of a task, in numbers that SQL can count; written once for each champion."""

    task = models.OneToOneField(
        Task, on_delete=models.CASCADE, db_constraint=False, primary_key=True, related_name="scored"
    )
    project = models.ForeignKey(
        Project, on_delete=models.CASCADE, db_constraint=False, related_name="+", db_index=False
    )
    run = models.BigIntegerField()
    score = models.FloatField()  # the probability of its label
    label = models.SmallIntegerField()
    lot = models.FloatField()  # the smallest share with which the task is drawn for audits
    taught = models.BooleanField()  # the champion was taught this task: it neither audits it nor is it its to label

    class Meta:
        indexes = [models.Index(fields=["project", "lot"], name="scored_by_lot")]  # draws; counts of a project


class Auditing(models.Model):
    """How far audits of a project's machine have come; written by one job at a time."""

    project = models.OneToOneField(Project, on_delete=models.CASCADE, primary_key=True, related_name="auditing")
    learner_run = models.BigIntegerField(null=True)  # whose learner the plan is for
    champions = models.IntegerField(default=0)  # plans so far, and the truth of votes: each has its part of alpha
    # core.tiers.ThresholdPlan, and the shares of tasks at or above each threshold that were drawn, and answered in turn
    plan = models.JSONField(null=True)
    scored_run = models.BigIntegerField(null=True)  # whose predictions `Scored` holds, all of them
    sharpness = models.FloatField(default=0.0)  # the power to which they were taken
    figures = models.JSONField(default=dict)  # of the last look: tasks by tier, and audits
    # What that look has seen, and when the next one may be.
    seen_run = models.BigIntegerField(default=0)
    seen_version = models.IntegerField(default=0)
    rests_until = models.DateTimeField(db_default=Now())


class Freeze(models.Model):
    """The labels of all of a project's tasks, as consumers read them at one moment, which experts then audit."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="+", db_index=False)
    number = models.IntegerField()  # 1, 2, … of its project: each has its part of alpha
    run = models.BigIntegerField()  # the refit then
    confidence = models.FloatField()  # that the project asked for
    alpha = models.FloatField()  # of that, this one's part
    seed = models.BigIntegerField()  # of the order in which its tasks are audited
    tasks = models.BinaryField()  # i8[N], ascending, those whose answer was not known; empty once it has ended
    labels = models.BinaryField()  # i2[N]
    size = models.IntegerField()  # N
    votes = models.BigIntegerField()  # of the project then
    created_at = models.DateTimeField(db_default=Now())
    ended_at = models.DateTimeField(null=True)
    ended_for = models.TextField(blank=True, default="")
    ended_wishes = models.JSONField(null=True)  # what the manager wished then (``freezing.wishes_of``)

    class Meta:
        constraints = [
            # Two jobs that freeze at once are one too many. Read by whoever looks for the last one.
            models.UniqueConstraint(fields=["project", "number"], name="freeze_in_turn"),
            # Audits are about one set of labels at a time.
            models.UniqueConstraint(
                fields=["project"], condition=Q(ended_at__isnull=True), name="one_freeze_at_a_time"
            ),
        ]


class AccuracyCertificate(models.Model):
    """That so large a share of all tasks has a right label, on which the project stopped, or no longer: append-only,
    but for ``ended_at``. figures: what it was concluded from (``services.target``)."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="+", db_index=False)
    kind = models.CharField(max_length=7, choices=CertificateKind.choices)
    freeze = models.ForeignKey(Freeze, on_delete=models.PROTECT, null=True, related_name="+", db_index=False)
    accuracy = models.FloatField()  # at least this share is right, with this confidence
    confidence = models.FloatField()
    figures = models.JSONField(default=dict)
    reason = models.TextField()
    created_at = models.DateTimeField(db_default=Now())
    ended_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            # A project stops on one certificate, however many jobs look at once.
            models.UniqueConstraint(
                fields=["project"], condition=Q(kind="issued", ended_at__isnull=True), name="one_accuracy_certificate"
            ),
        ]
        indexes = [models.Index(fields=["project", "-id"], name="accuracy_certificates")]  # the record


class Outlook(models.Model):
    """What the last look at a project's target found, and what it has seen; written by one job at a time."""

    project = models.OneToOneField(Project, on_delete=models.CASCADE, primary_key=True, related_name="outlook")
    figures = models.JSONField(default=dict)
    seen_run = models.BigIntegerField(default=0)
    seen_version = models.IntegerField(default=0)
    seen_task = models.BigIntegerField(default=0)
    seen_at = models.DateTimeField(db_default=Now())
    rests_until = models.DateTimeField(db_default=Now())


class BacktestStatus(models.TextChoices):
    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


class Backtest(models.Model):
    """What other settings would have made of a project's own votes."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="backtests", db_index=False)
    settings = models.JSONField()  # that are asked about, where they differ from the project's
    status = models.CharField(max_length=7, choices=BacktestStatus.choices, default=BacktestStatus.WAITING)
    attempts = models.PositiveSmallIntegerField(default=0)
    progress = models.FloatField(default=0.0)  # 0..1, of the replays
    result = models.JSONField(null=True)
    error = models.TextField(blank=True, default="")
    requested_at = models.DateTimeField(db_default=Now())
    finished_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            # Asking again before there is an answer is refused by this. Read by the sweeper: which are due?
            models.UniqueConstraint(
                fields=["project"], condition=Q(finished_at__isnull=True), name="one_backtest_at_a_time"
            ),
        ]
        indexes = [models.Index(fields=["project", "-id"], name="backtest_latest")]  # lists


class Webhook(models.Model):
    """Where a project's consensus is sent as it changes: a cursor of the feed that a job pushes along."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="webhooks", db_index=False)
    url = models.CharField(max_length=500)
    # They sign, and are never shown again; the one before goes on signing for a while.
    secret = models.CharField(max_length=100)
    old_secret = models.CharField(max_length=100, blank=True, default="")
    old_secret_until = models.DateTimeField(null=True)
    active = models.BooleanField(default=True)
    stopped = models.TextField(blank=True, default="")  # why it was switched off, if not by a manager
    # The feed up to here was acknowledged.
    revision = models.BigIntegerField(default=0)
    task = models.BigIntegerField(default=0)
    # What is being sent, up to there: the same message, byte for byte, until it is acknowledged.
    message = models.CharField(max_length=40, blank=True, default="")
    body = models.TextField(null=True)
    body_revision = models.BigIntegerField(null=True)
    body_task = models.BigIntegerField(null=True)
    due_at = models.DateTimeField(db_default=Now())
    failures = models.IntegerField(default=0)  # in a row
    failing_since = models.DateTimeField(null=True)
    last_status = models.IntegerField(null=True)  # of HTTP; null: no answer
    last_error = models.TextField(blank=True, default="")
    last_attempt_at = models.DateTimeField(null=True)
    delivered_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(message="", body__isnull=True) | (~Q(message="") & Q(body__isnull=False)),
                name="webhook_message_has_a_body",
            )
        ]
        indexes = [models.Index(fields=["project", "id"], name="webhook_by_project")]  # lists, and what is due
