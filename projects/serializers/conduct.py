"""Shapes of rules about annotators and of what was done about them."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from projects.models import Action, Condition
from projects.serializers.fields import StrictSerializer

#: What a rule or a manager can do; lifting has an address of its own.
ACTIONS = [choice for choice in Action.choices if choice[0] != Action.LIFT]


class HoursField(serializers.IntegerField):
    """How long a pause lasts, up to a year; null: until a manager lifts it."""

    def __init__(self) -> None:
        super().__init__(min_value=1, max_value=8760, allow_null=True, default=None, help_text=self.__doc__)


class _PausesAlone(StrictSerializer):
    """Only a pause has an end."""

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if attrs["pause_hours"] is not None and attrs["action"] != Action.PAUSE:
            only = serializers.ErrorDetail('Only the action "pause" has an end.', "only_for_pause")
            raise serializers.ValidationError({"pause_hours": [only]})
        return attrs


class RuleIn(_PausesAlone):
    condition = serializers.ChoiceField(Condition.choices)
    limit = serializers.FloatField(
        min_value=0,
        max_value=3600,
        help_text="A share, 0 to 1: an accuracy, or a margin over chance; for speed, seconds.",
    )
    minimum = serializers.IntegerField(
        min_value=1, max_value=100_000, default=20, help_text="Answers that must be there to judge by."
    )
    confidence = serializers.FloatField(min_value=0.5, max_value=0.999999, default=0.95)
    action = serializers.ChoiceField(ACTIONS)
    pause_hours = HoursField()

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if attrs["condition"] != Condition.SPEED and attrs["limit"] > 1:
            share = serializers.ErrorDetail("This is a share: send a number from 0 to 1.", "max_value")
            raise serializers.ValidationError({"limit": [share]})
        return super().validate(attrs)


class RuleOut(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    condition = serializers.ChoiceField(Condition.choices)
    limit = serializers.FloatField()
    minimum = serializers.IntegerField()
    confidence = serializers.FloatField()
    action = serializers.ChoiceField(ACTIONS)
    pause_hours = serializers.IntegerField(allow_null=True)
    created_at = serializers.DateTimeField()
    ended_at = serializers.DateTimeField(allow_null=True, help_text="It judges nobody any more.")


class SanctionIn(_PausesAlone):
    action = serializers.ChoiceField(ACTIONS)
    pause_hours = HoursField()
    reason = serializers.CharField(max_length=1000)


class LiftIn(StrictSerializer):
    reason = serializers.CharField(max_length=1000, allow_blank=True, default="")


class SanctionOut(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    annotator = serializers.IntegerField(source="annotator_id")
    name = serializers.CharField(source="annotator.name")
    action = serializers.ChoiceField(Action.choices)
    rule = serializers.IntegerField(source="rule_id", allow_null=True, help_text="null: a manager did it.")
    by = serializers.CharField(source="by.name", allow_null=True, default=None, help_text="null: a rule did it.")
    reason = serializers.CharField(help_text="The evidence in words.")
    evidence = serializers.JSONField(help_text="The figures.")
    until = serializers.DateTimeField(allow_null=True)
    lifts = serializers.IntegerField(source="lifts_id", allow_null=True, help_text='What a "lift" takes back.')
    lifted = serializers.SerializerMethodField()
    pending = serializers.BooleanField(help_text="Its votes and leases are still being dealt with.")
    created_at = serializers.DateTimeField()

    def get_lifted(self, sanction: Any) -> bool:
        """Whether it was taken back."""
        return hasattr(sanction, "lifted_by")
