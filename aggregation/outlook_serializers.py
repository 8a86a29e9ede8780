"""Shapes of a project's outlook: its target accuracy, its budget, and the certificates that it stopped on."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from aggregation.models import CertificateKind
from aggregation.serializers import CurvePlace


class ExpectedAccuracy(serializers.Serializer[Any]):
    """Of all labels; a task without one counts as wrong."""

    expected = serializers.FloatField()
    low = serializers.FloatField(allow_null=True, help_text="Lower end of its 90 % interval; null: uncalibrated.")
    high = serializers.FloatField(allow_null=True)


class BoughtAccuracy(serializers.Serializer[Any]):
    """Of all labels, after so many more votes. Null while too few tasks have several votes to tell."""

    votes = serializers.IntegerField(help_text="So many more.")
    accuracy = serializers.FloatField(allow_null=True)
    low = serializers.FloatField(allow_null=True, help_text="Lower end of its 90 % band.")
    high = serializers.FloatField(allow_null=True)


class BudgetOutlook(BoughtAccuracy):
    """What the rest of the budget buys."""

    spent = serializers.FloatField(help_text="Share of the budget, 0 to 1.")


class AuditsOutlook(serializers.Serializer[Any]):
    """Of random labels, by experts."""

    asked = serializers.BooleanField(help_text="Labels are frozen and experts are asked about them.")
    answered = serializers.IntegerField(help_text="In the order drawn, up to the first that waits.")
    right = serializers.IntegerField(help_text="Of these, as they were when they were frozen.")
    waiting = serializers.IntegerField()
    left = serializers.IntegerField(help_text="How many more `audit_share` allows.")
    needed = serializers.IntegerField(
        allow_null=True, help_text="About how many more certify the target; null: too many."
    )
    least = serializers.IntegerField(allow_null=True, help_text="If labels are as right as they may be (90 % band).")
    most = serializers.IntegerField(allow_null=True, help_text="If they are as wrong as they may be.")


class VotesOutlook(serializers.Serializer[Any]):
    """Until labels are right enough for experts to be asked; null: more than redundancy allows."""

    votes = serializers.IntegerField(allow_null=True, help_text="About how many more.")
    low = serializers.IntegerField(allow_null=True, help_text="Lower end of its 90 % band.")
    high = serializers.IntegerField(allow_null=True)


class OutlookPoint(serializers.Serializer[Any]):
    votes = serializers.IntegerField()
    accuracy = serializers.FloatField(help_text="With only so many of the votes that there are.")


class OutlookOut(serializers.Serializer[Any]):
    target_accuracy = serializers.FloatField(allow_null=True)
    target_accuracy_confidence = serializers.FloatField()
    stopped_at = serializers.DateTimeField(allow_null=True, help_text="Null: the project goes on.")
    tasks = serializers.IntegerField(allow_null=True, help_text="Null, as all below, before the first look.")
    votes = serializers.IntegerField(allow_null=True)
    known = serializers.IntegerField(allow_null=True, help_text="Tasks whose answer is known: right by definition.")
    unlabelled = serializers.IntegerField(allow_null=True, help_text="Tasks without a published label.")
    machine = serializers.IntegerField(allow_null=True, help_text="Labels that nobody has looked at.")
    accuracy = ExpectedAccuracy(allow_null=True)
    certified = serializers.FloatField(
        allow_null=True, help_text="At least this share of all labels is right, by audits; null without a target."
    )
    audits = AuditsOutlook(allow_null=True, help_text="Null without a target.")
    aim = serializers.FloatField(
        allow_null=True,
        help_text="The accuracy from which on experts are asked; null once they are, or if none would do.",
    )
    needed = VotesOutlook(allow_null=True, help_text="Null where experts are asked, or votes are too few to tell.")
    full = BoughtAccuracy(allow_null=True, help_text="With all votes that redundancy still allows.")
    budget = BudgetOutlook(allow_null=True)
    points = OutlookPoint(many=True)
    curve = CurvePlace(many=True)
    says = serializers.CharField(help_text="All of this in words.")


class AccuracyCertificateOut(serializers.Serializer[Any]):
    """A project stopped as so large a share of all tasks has a right label; or that was so, and is no longer."""

    id = serializers.IntegerField()
    kind = serializers.ChoiceField(CertificateKind.choices)
    accuracy = serializers.FloatField(help_text="At least this share of all labels is right, …")
    confidence = serializers.FloatField(help_text="… with this confidence, at all looks together.")
    figures = serializers.JSONField(help_text="What that was concluded from.")
    reason = serializers.CharField(help_text="The same in words.")
    created_at = serializers.DateTimeField()
    ended_at = serializers.DateTimeField(allow_null=True, help_text="Null: in force. Replaced or revoked otherwise.")
