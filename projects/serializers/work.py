"""Tasks in, assignments out, votes in."""

from __future__ import annotations

from collections import Counter
from typing import Any

from rest_framework import serializers

from projects.models import (
    MOST_LEASES,
    SkipReason,
    Stage,
    Standing,
)
from projects.queries import UNLIMITED
from projects.serializers.fields import (
    AmountField,
    StrictSerializer,
)


class TaskOut(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    key = serializers.CharField(allow_null=True)
    data = serializers.JSONField()
    votes = serializers.IntegerField(source="state.votes")
    open_leases = serializers.IntegerField(source="state.leases")
    redundancy = serializers.SerializerMethodField()
    label = serializers.SerializerMethodField()
    confidence = serializers.FloatField(source="state.confidence", allow_null=True)
    retired = serializers.CharField(source="state.retired", allow_null=True)
    priority = serializers.IntegerField(source="queue.priority")
    pool = serializers.SerializerMethodField()
    gold = serializers.SerializerMethodField()
    gold_origin = serializers.SerializerMethodField()
    explored = serializers.FloatField(
        allow_null=True,
        help_text="The share that was left to chance when chance first gave it to an annotator; null: it never did.",
    )
    skips = serializers.SerializerMethodField()
    uncounted_votes = serializers.SerializerMethodField()

    def _name(self, index: int | None) -> str | None:
        return None if index is None else self.context["labels"][index]

    def get_redundancy(self, task: Any) -> int | None:
        """Votes wanted at most; null: any number, of gold that is injected."""
        wanted: int = task.state.redundancy
        return None if wanted >= UNLIMITED else wanted

    def get_label(self, task: Any) -> str | None:
        return self._name(task.state.label)

    def get_gold(self, task: Any) -> str | None:
        return self._name(task.gold.label) if hasattr(task, "gold") else None

    def get_pool(self, task: Any) -> str:
        """Only members with this tag may have it; "" = everybody."""
        return str(task.queue.pool).lstrip("\x01")

    def get_gold_origin(self, task: Any) -> str | None:
        return task.gold.origin if hasattr(task, "gold") else None

    def get_skips(self, task: Any) -> dict[str, int]:
        """How many annotators skipped it, by reason."""
        given = Counter(skip.skip_reason or SkipReason.NOT_FOR_ME for skip in task.skips)
        return {reason: given[reason] for reason in SkipReason.values}

    def get_uncounted_votes(self, task: Any) -> int:
        """Votes that came late and found no room."""
        return len(task.uncounted)


class UploadOut(serializers.Serializer[Any]):
    created = serializers.IntegerField()
    already_there = serializers.IntegerField()
    gold = serializers.IntegerField()


class ImportOut(serializers.Serializer[Any]):
    imported = serializers.IntegerField()
    repeated = serializers.IntegerField(help_text="Votes of a (task, worker) that had voted already: the first stays.")
    annotators = serializers.IntegerField(help_text="Annotators not seen before.")


#: Votes in one request.
MAX_VOTES = 100
#: Assignments that may come with the answer to votes.
MAX_NEXT = 100
#: Why a lease gave no more than it did (``services.leases.lease_tasks``).
LEASE_STATUSES = [
    "ok",
    "retry",
    "waiting",
    "finished",
    "budget_spent",
    "target_reached",
    "quota_reached",
    "not_qualified",
]


class LeaseIn(StrictSerializer):
    count = serializers.IntegerField(min_value=1, max_value=MOST_LEASES, default=1)


class AssignmentOut(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    data = serializers.JSONField()
    expires_at = serializers.DateTimeField()
    suggestion = serializers.CharField(
        required=False, help_text="What the machine says, to be confirmed or corrected. Only where it is shown."
    )


class QualificationProgress(serializers.Serializer[Any]):
    """How far I have come with training and test."""

    stage = serializers.ChoiceField(Stage.choices)
    answered = serializers.IntegerField()
    of = serializers.IntegerField()
    right = serializers.IntegerField(required=False, help_text="With the stage `failed` only.")


class LeaseOut(serializers.Serializer[Any]):
    assignments = AssignmentOut(many=True)
    status = serializers.ChoiceField(LEASE_STATUSES)
    resets_at = serializers.DateTimeField(
        required=False, allow_null=True, help_text="With `quota_reached`: when there is more for me; null: never."
    )
    qualification = QualificationProgress(required=False, help_text="While I have yet to qualify.")


class VoteIn(StrictSerializer):
    assignment = serializers.UUIDField()
    label = serializers.CharField(max_length=1000)
    seconds = serializers.FloatField(min_value=0, max_value=1_000_000, allow_null=True, required=False)


class VotesIn(StrictSerializer):
    votes = serializers.ListField(child=VoteIn(), min_length=1, max_length=MAX_VOTES)


class FeedbackOut(serializers.Serializer[Any]):
    right = serializers.BooleanField()
    label = serializers.CharField(help_text="The right one.")


class VoteResult(serializers.Serializer[Any]):
    assignment = serializers.UUIDField()
    status = serializers.ChoiceField(["counted", "qualification", "error"])
    feedback = FeedbackOut(required=False, help_text="In training only.")
    error = serializers.DictField(required=False)


class VotesOut(serializers.Serializer[Any]):
    results = VoteResult(many=True)
    assignments = AssignmentOut(many=True, required=False, help_text="With `next` only.")
    status = serializers.ChoiceField(LEASE_STATUSES, required=False, help_text="With `next` only.")
    resets_at = serializers.DateTimeField(required=False, allow_null=True, help_text="With `next` only.")
    qualification = QualificationProgress(required=False, help_text="With `next` only.")


class SkipIn(StrictSerializer):
    reason = serializers.ChoiceField(SkipReason.choices, default=SkipReason.NOT_FOR_ME)
    comment = serializers.CharField(max_length=1000, allow_null=True, allow_blank=True, required=False)


class GivenBackOut(serializers.Serializer[Any]):
    assignment = serializers.UUIDField()
    status = serializers.CharField()


class RenewedOut(serializers.Serializer[Any]):
    assignment = serializers.UUIDField()
    expires_at = serializers.DateTimeField()


class ProgressOut(serializers.Serializer[Any]):
    standing = serializers.ChoiceField(Standing.choices)
    paused_until = serializers.DateTimeField(
        allow_null=True, help_text="Null: not paused, or until a manager lifts it."
    )
    votes = serializers.IntegerField()
    votes_today = serializers.IntegerField()
    skipped = serializers.IntegerField()
    open_leases = serializers.IntegerField()
    daily_quota = serializers.IntegerField(allow_null=True)
    total_quota = serializers.IntegerField(allow_null=True)
    earned = AmountField(allow_null=True, help_text="Null where votes earn nothing.")
    price_per_vote = AmountField(allow_null=True)
    currency = serializers.CharField()
