"""How annotators behave, the rules about it, and what was done: an append-only record."""

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from projects.models.people import Member
from projects.models.project import Project


class Condition(models.TextChoices):
    """What a rule looks at (docs/rules.md)."""

    GOLD_UPPER_BOUND = "gold_upper_bound"  # surely less often right on gold than the limit
    GOLD_LOWER_BOUND = "gold_lower_bound"  # not surely as often right on gold as the limit
    SPEED = "speed"  # half of the last votes took fewer seconds than the limit
    CHANCE = "chance"  # does not surely agree with others more often than by chance
    COPYING = "copying"  # so large a share of wrong answers is somebody else's


class Action(models.TextChoices):
    WARN = "warn"
    PAUSE = "pause"
    BLOCK = "block"
    DISCARD = "discard"  # block, and recollect what they voted on
    LIFT = "lift"  # take another one back


class Rule(models.Model):
    """What happens to an annotator of whom a condition holds. It acts once on each; it is ended, never changed."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="rules")
    condition = models.CharField(max_length=16, choices=Condition.choices)
    limit = models.FloatField()  # an accuracy or a share, 0..1, or seconds
    minimum = models.PositiveIntegerField()  # answers to judge by
    confidence = models.FloatField(default=0.95)
    action = models.CharField(max_length=7, choices=Action.choices)
    pause_hours = models.PositiveIntegerField(null=True)  # null = until a manager lifts it
    created_at = models.DateTimeField(db_default=Now())
    ended_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(confidence__gte=0.5) & Q(confidence__lt=1) & Q(limit__gte=0) & Q(minimum__gte=1),
                name="rule_makes_sense",
            ),
        ]


class Sanction(models.Model):
    """What was done about an annotator, by a rule or by a manager, and why. Nothing of it changes but ``pending``."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="sanctions", db_index=False)
    annotator = models.ForeignKey(Member, on_delete=models.CASCADE, related_name="sanctions")
    rule = models.ForeignKey(Rule, on_delete=models.CASCADE, null=True, related_name="sanctions", db_index=False)
    by = models.ForeignKey(Member, on_delete=models.SET_NULL, null=True, related_name="+", db_index=False)
    action = models.CharField(max_length=7, choices=Action.choices)
    lifts = models.OneToOneField("self", on_delete=models.CASCADE, null=True, related_name="lifted_by")
    evidence = models.JSONField(default=dict)  # the figures
    reason = models.TextField()  # the same in words
    until = models.DateTimeField(null=True)
    pending = models.BooleanField(default=False)  # votes or leases are still being dealt with
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            # A rule acts once on each annotator, however many jobs look at once.
            models.UniqueConstraint(fields=["rule", "annotator"], name="sanction_once_by_rule"),
            models.CheckConstraint(
                condition=Q(action=Action.LIFT, lifts__isnull=False) | (~Q(action=Action.LIFT) & Q(lifts__isnull=True)),
                name="sanction_lifts_or_acts",
            ),
            models.CheckConstraint(condition=Q(lifts__isnull=True) | ~Q(lifts=F("id")), name="sanction_lifts_another"),
        ]
        indexes = [
            models.Index(fields=["project", "id"], name="sanction_by_project"),  # the record
            models.Index(fields=["id"], name="sanction_pending", condition=Q(pending=True)),  # the sweeper
        ]


class Conduct(models.Model):
    """What a refit has found out about an annotator for rules to judge by: agreement with others, and copying."""

    annotator = models.OneToOneField(Member, on_delete=models.CASCADE, primary_key=True, related_name="conduct")
    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="+")
    compared = models.IntegerField()  # votes on tasks where the others have a clear favourite
    agreed = models.IntegerField()  # of them, with it
    chance = models.FloatField()  # share of agreement if the votes had nothing to do with the tasks
    # Of the pairs found copying, the plainest (``core.copying``): with whom, the share of wrong answers, of so many.
    partner = models.ForeignKey(Member, on_delete=models.SET_NULL, null=True, related_name="+", db_index=False)
    copied = models.FloatField(null=True)
    wrong = models.IntegerField(null=True)
    p_value = models.FloatField(null=True)  # adjusted for the false discovery rate
    run = models.BigIntegerField()
