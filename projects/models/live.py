"""The live model: what a vote's transaction reads to recompute its task's posterior.

The numbers are made by refits and retrainings (the ``aggregation`` app), which replace these tables' contents; nothing
here knows them. Runs are named by number, not by foreign key, because ``projects`` lies below ``aggregation``.
"""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from projects.models.people import Member
from projects.models.project import Project
from projects.models.work import Task


class LiveModel(models.Model):
    """One row a project: the parameters that all its tasks share."""

    project = models.OneToOneField(Project, on_delete=models.CASCADE, primary_key=True, related_name="live_model")
    run = models.BigIntegerField(null=True)  # the current refit
    label_prior = ArrayField(models.FloatField())  # K label frequencies, sum 1
    # D x K frequencies of kinds of tasks and labels, sum 1; null: tasks of one kind (``core.fit.Kinds``)
    kind_prior = ArrayField(ArrayField(models.FloatField()), null=True)
    pooled_accuracy = models.FloatField()  # of an annotator nobody knows yet
    # How far a task's prediction replaces the label prior, 0..2: measured out of fold, 0 without a held-out gain.
    prediction_weight = models.FloatField(default=0.0)
    # What one more task to learn from tells of all that the learner answers, in nats; 0 where nobody asks.
    teaching = models.FloatField(db_default=0.0, default=0.0)
    learner_run = models.BigIntegerField(null=True)  # the current retraining
    # core.calibration.Calibration, and how well it does on held-out gold; null: confidence is uncalibrated
    calibration = models.JSONField(null=True)
    updated_at = models.DateTimeField(db_default=Now())


class PooledError(models.Model):
    """How people err when they err: P(voted | true, wrong) for one voted label, over all true labels.

    ``confusion``: P(voted | true) of an annotator nobody knows yet, as in Confusion; null where the pooled accuracy and
    these errors are it.
    """

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="+", db_index=False)
    voted = models.SmallIntegerField()
    vector = ArrayField(models.FloatField())
    confusion = ArrayField(models.FloatField(), null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["project", "voted"], name="pooled_error_once")]


class Skill(models.Model):
    """An annotator's accuracy (which beyond 16 labels stands for the whole confusion) and skill."""

    annotator = models.OneToOneField(Member, on_delete=models.CASCADE, primary_key=True, related_name="skill")
    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="+")
    accuracy = models.FloatField()
    skill = models.FloatField()  # expected accuracy under the label prior
    run = models.BigIntegerField()


class Confusion(models.Model):
    """P(voted | true) of one annotator for one voted label, over all true labels: a vote reads one short vector.

    With kinds of tasks, over the true labels of the first kind, then of the second: D * K values.
    """

    annotator = models.ForeignKey(Member, on_delete=models.CASCADE, related_name="confusions", db_index=False)
    voted = models.SmallIntegerField()
    vector = ArrayField(models.FloatField())

    class Meta:
        constraints = [models.UniqueConstraint(fields=["annotator", "voted"], name="confusion_once")]


class ConfirmConfusion(models.Model):
    """P(voted | true) of people who were shown what the machine says, for one label shown; of all of them together.

    As ``Confusion`` and ``Skill`` for an annotator; vector is null where confusions are structured.
    """

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="+", db_index=False)
    shown = models.SmallIntegerField()
    voted = models.SmallIntegerField()
    vector = ArrayField(models.FloatField(), null=True)
    accuracy = models.FloatField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["project", "shown", "voted"], name="confirm_confusion_once")]


class TaskPosterior(models.Model):
    """A task's posterior in a row of its own, since it can be wide (``core.live.encode_posterior``)."""

    task = models.OneToOneField(Task, on_delete=models.CASCADE, primary_key=True, related_name="posterior")
    posterior = models.JSONField()


class Prediction(models.Model):
    """What the learner thinks of a task: out of fold where the task has votes."""

    task = models.OneToOneField(
        Task, on_delete=models.CASCADE, db_constraint=False, primary_key=True, related_name="prediction"
    )
    posterior = models.JSONField()  # as the learner gives it, not yet weighed
    run = models.BigIntegerField()


class Audit(models.Model):
    """A task drawn by lot to audit the machine: people answer it blind, and no learner is ever taught on it."""

    task = models.OneToOneField(Task, on_delete=models.CASCADE, primary_key=True, related_name="audit")
    project = models.ForeignKey(
        Project, on_delete=models.CASCADE, related_name="audits"
    )  # index: a look reads them all
    # With which it was to be an audit, among those that the machine was as sure of; drawn if its lot is below it.
    probability = models.FloatField()
    run = models.BigIntegerField()  # whose learner it was drawn for
    drawn_at = models.DateTimeField(db_default=Now())


class LabelAudit(models.Model):
    """A task drawn at random so that an expert's answer tells whether its label, as it was frozen, is right.

    An answer (``services.reviews``) is gold of origin "audit": it was drawn, so it tells of all tasks.
    """

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="+", db_index=False)
    task = models.ForeignKey(Task, on_delete=models.CASCADE, related_name="label_audits", db_index=False)
    freeze = models.BigIntegerField()  # which labels were frozen (``aggregation`` knows)
    number = models.IntegerField()  # 0, 1, … in the order drawn
    label = models.SmallIntegerField()  # as it was frozen
    probability = models.FloatField()  # that it had at its draw, as all tasks then left had
    open = models.BooleanField(default=True)  # an expert is asked about it, until the answer is known
    drawn_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["freeze", "number"], name="label_audit_in_turn"),
            # Read by a review: is this an audit?
            models.UniqueConstraint(fields=["task", "freeze"], name="label_audit_once"),
        ]
        indexes = [
            # Read by the experts' queue.
            models.Index(fields=["project", "number"], name="label_audit_open", condition=Q(open=True)),
        ]
