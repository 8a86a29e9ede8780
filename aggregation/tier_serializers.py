"""Shapes of the three tiers: handover and certificates."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from aggregation.models import CertificateKind, ConsensusSource
from projects.serializers.fields import StrictSerializer

#: Tasks in one request of a system in production.
MOST_TASKS = 100


class PredictIn(StrictSerializer):
    tasks = serializers.ListField(
        child=serializers.JSONField(),
        min_length=1,
        max_length=MOST_TASKS,
        help_text='As in an upload: {"data": {…}, "key"?}. With a key the request can be repeated.',
    )


class AnswerOut(serializers.Serializer[Any]):
    task = serializers.IntegerField()
    key = serializers.CharField(allow_null=True, help_text="Ask by this for what becomes of it.")
    status = serializers.ChoiceField(["answered", "asked"], help_text="Asked: people have it before all other tasks.")
    label = serializers.CharField(allow_null=True)
    confidence = serializers.FloatField(allow_null=True)
    source = serializers.ChoiceField(
        ConsensusSource.choices, allow_null=True, help_text="`machine`: nobody has looked at it."
    )
    run = serializers.IntegerField(allow_null=True)
    votes = serializers.IntegerField()
    held_up = serializers.CharField(allow_null=True, help_text="Why nobody answers for the time being, if nobody does.")


class PredictOut(serializers.Serializer[Any]):
    results = AnswerOut(many=True)


class CertificateOut(serializers.Serializer[Any]):
    """That the machine alone may answer from a threshold on, or that it may no longer."""

    id = serializers.IntegerField()
    kind = serializers.ChoiceField(CertificateKind.choices)
    learner_run = serializers.IntegerField(source="learner_run_id")
    threshold = serializers.FloatField(help_text="The machine's probability of its label from which it holds.")
    error = serializers.FloatField(help_text="At most this share of its labels is wrong, …")
    confidence = serializers.FloatField(help_text="… with this confidence.")
    before_task = serializers.IntegerField(
        allow_null=True, help_text="Of tasks before this one alone: the machine has become worse since. Null: of all."
    )
    figures = serializers.JSONField(help_text="What that was concluded from.")
    reason = serializers.CharField(help_text="The same in words.")
    created_at = serializers.DateTimeField()
    ended_at = serializers.DateTimeField(allow_null=True, help_text="Null: in force. Replaced or revoked otherwise.")
