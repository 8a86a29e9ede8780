"""Shapes of requests and answers: strict, and nothing but shape."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from typing import Any

from rest_framework import serializers

from aggregation.core import choice
from aggregation.core.label_models import DEFAULT_LABEL_MODEL, OURS
from projects.models import (
    MOST_LEASES,
    TAG,
    TAG_RULE,
    Acquisition,
    LabelType,
    Learner,
    Order,
    Role,
    SkipReason,
    Stage,
    Standing,
)
from projects.queries import UNLIMITED

#: More than anybody votes: the bound of a quota.
MOST_VOTES = 10_000_000


class StrictSerializer(serializers.Serializer[Any]):
    """Refuses fields that it does not know: a misspelt setting is an error, not a silence."""

    def to_internal_value(self, data: Any) -> Any:
        unknown = set(data) - set(self.fields) if isinstance(data, dict) else set()
        if unknown:
            raise serializers.ValidationError(
                {
                    str(name)[:100]: [serializers.ErrorDetail("This field is not known.", "unknown_field")]
                    for name in unknown
                }
            )
        return super().to_internal_value(data)


class LabelsField(serializers.ListField):
    """2 to 200 different names."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(child=serializers.CharField(trim_whitespace=True, max_length=1000, allow_blank=True), **kwargs)

    def to_internal_value(self, data: Any) -> list[str]:
        problems = choice.check_labels(data)
        if problems:
            raise serializers.ValidationError([serializers.ErrorDetail(text, "invalid_labels") for text in problems])
        return [label.strip() for label in data]


class AmountField(serializers.DecimalField):
    """An exact amount, at most 4 digits after the point: a decimal text such as "0.05" (a number is read, too)."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(max_digits=16, decimal_places=4, coerce_to_string=True, normalize_output=True, **kwargs)


class TagField(serializers.CharField):
    """The name of a pool, and of those who may have its tasks."""

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str) or not TAG.fullmatch(data):
            raise serializers.ValidationError(f"A tag {TAG_RULE}.", "invalid_tag")
        return data

    def run_validation(self, data: Any = "") -> Any:
        return super(serializers.CharField, self).run_validation(data)


class TagsField(serializers.ListField):
    """Different tags, 20 at most; in a pool's task the tag that opens it."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(child=TagField(), max_length=20, **kwargs)

    def to_internal_value(self, data: Any) -> list[str]:
        return list(dict.fromkeys(super().to_internal_value(data)))


class ProjectSettings(StrictSerializer):
    """What a manager sets."""

    name = serializers.CharField(max_length=200)
    instructions = serializers.CharField(max_length=50_000, allow_blank=True, required=False, trim_whitespace=False)
    label_type = serializers.ChoiceField(LabelType.choices, required=False)
    labels = LabelsField()
    redundancy = serializers.IntegerField(min_value=1, max_value=1000, required=False)
    lease_seconds = serializers.IntegerField(min_value=10, max_value=86400, required=False)
    max_leases = serializers.IntegerField(min_value=1, max_value=MOST_LEASES, required=False)
    order = serializers.ChoiceField(Order.choices, required=False)
    max_skips = serializers.IntegerField(min_value=1, max_value=1000, allow_null=True, required=False)
    daily_quota = serializers.IntegerField(
        min_value=1,
        max_value=MOST_VOTES,
        allow_null=True,
        required=False,
        help_text="Votes that one annotator may give in a day (UTC); null: as many as they like.",
    )
    total_quota = serializers.IntegerField(
        min_value=1,
        max_value=MOST_VOTES,
        allow_null=True,
        required=False,
        help_text="Votes that one annotator may give in all; null: as many as they like.",
    )
    training_tasks = serializers.IntegerField(
        min_value=0, max_value=1000, required=False, help_text="Answered first, with feedback; 0: no training."
    )
    test_tasks = serializers.IntegerField(
        min_value=0, max_value=1000, required=False, help_text="Answered then, and marked; 0: no test."
    )
    pass_mark = serializers.FloatField(
        min_value=0, max_value=1, required=False, help_text="Share of a test's answers that must be right."
    )
    test_attempts = serializers.IntegerField(min_value=1, max_value=100, required=False)
    target_confidence = serializers.FloatField(min_value=0.5, max_value=0.9999, allow_null=True, required=False)
    min_votes = serializers.IntegerField(min_value=1, max_value=1000, required=False)
    newcomer_votes = serializers.IntegerField(
        min_value=0,
        max_value=1000,
        required=False,
        help_text="Whoever has fewer votes weighs what somebody unknown weighs: the crowd's average.",
    )
    price_per_vote = AmountField(min_value=Decimal("0.0001"), max_value=1_000_000, allow_null=True, required=False)
    budget = AmountField(min_value=0, allow_null=True, required=False)
    currency = serializers.CharField(max_length=12, allow_blank=True, required=False)
    flag_below = serializers.FloatField(
        min_value=0.01,
        max_value=0.9999,
        allow_null=True,
        required=False,
        help_text="A task that has all its votes and is less sure than this goes to an expert; null: none does.",
    )
    gold_share = serializers.FloatField(
        min_value=0,
        max_value=1,
        allow_null=True,
        required=False,
        help_text="The chance that a new assignment is gold; null: gold is handed out as any other task.",
    )
    gold_exposures = serializers.IntegerField(
        min_value=1,
        max_value=1_000_000,
        allow_null=True,
        required=False,
        help_text="To how many annotators one gold task goes while gold is injected; null: to any number.",
    )
    label_model = serializers.ChoiceField(sorted(OURS), default=DEFAULT_LABEL_MODEL)
    acquisition = serializers.ChoiceField(Acquisition.choices, required=False)
    learner = serializers.ChoiceField(Learner.choices, allow_null=True, required=False)
    learner_fields = serializers.ListField(
        child=serializers.CharField(max_length=200), max_length=1000, required=False, allow_empty=True
    )
    retrain_after_votes = serializers.IntegerField(min_value=1, max_value=10_000_000, required=False)
    retrain_after_minutes = serializers.IntegerField(min_value=1, max_value=100_000, required=False)


class ProjectEdit(ProjectSettings):
    """Changed settings, and the version that they were read at."""

    version = serializers.IntegerField(min_value=1)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, partial=True, **kwargs)
        self.fields["version"].required = True

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, dict) and "version" not in data:
            missing = serializers.ErrorDetail(
                "Send the version that you read, so that nobody's edit is lost.", "required"
            )
            raise serializers.ValidationError({"version": [missing]})
        return super().to_internal_value(data)


class ProjectOut(serializers.Serializer[Any]):
    """A project as its managers see it; other roles see fewer of these fields."""

    id = serializers.IntegerField()
    name = serializers.CharField()
    labels = serializers.ListField(child=serializers.CharField())
    status = serializers.CharField()
    role = serializers.CharField()
    instructions = serializers.CharField(required=False)
    label_type = serializers.CharField(required=False)
    redundancy = serializers.IntegerField(required=False)
    lease_seconds = serializers.IntegerField(required=False)
    max_leases = serializers.IntegerField(required=False)
    order = serializers.CharField(required=False)
    max_skips = serializers.IntegerField(required=False, allow_null=True)
    daily_quota = serializers.IntegerField(required=False, allow_null=True)
    total_quota = serializers.IntegerField(required=False, allow_null=True)
    training_tasks = serializers.IntegerField(required=False)
    test_tasks = serializers.IntegerField(required=False)
    pass_mark = serializers.FloatField(required=False)
    test_attempts = serializers.IntegerField(required=False)
    target_confidence = serializers.FloatField(required=False, allow_null=True)
    min_votes = serializers.IntegerField(required=False)
    price_per_vote = AmountField(required=False, allow_null=True, help_text="What a counted vote earns.")
    budget = AmountField(
        required=False, allow_null=True, help_text="Never exceeded. In the price's money; without a price, in votes."
    )
    currency = serializers.CharField(required=False, help_text="A name for people.")
    flag_below = serializers.FloatField(required=False, allow_null=True)
    newcomer_votes = serializers.IntegerField(required=False)
    gold_share = serializers.FloatField(required=False, allow_null=True)
    gold_exposures = serializers.IntegerField(required=False, allow_null=True)
    label_model = serializers.CharField(required=False)
    acquisition = serializers.CharField(required=False)
    learner = serializers.CharField(required=False, allow_null=True)
    learner_fields = serializers.ListField(child=serializers.CharField(), required=False)
    retrain_after_votes = serializers.IntegerField(required=False)
    retrain_after_minutes = serializers.IntegerField(required=False)
    version = serializers.IntegerField(required=False)
    created_at = serializers.DateTimeField(required=False)


#: What each role sees of a project: an annotator nothing that would tell how answers are judged.
PROJECT_FIELDS = {
    Role.MANAGER: tuple(ProjectOut().fields),
    Role.ANNOTATOR: ("id", "name", "labels", "status", "role", "instructions", "label_type"),
    Role.CONSUMER: ("id", "name", "labels", "status", "role"),
    Role.REVIEWER: ("id", "name", "labels", "status", "role", "instructions", "label_type"),
}


class SignIn(StrictSerializer):
    """A name and password, or the token of a one-time link."""

    name = serializers.CharField(max_length=100, required=False)
    password = serializers.CharField(max_length=1000, required=False, trim_whitespace=False)
    link = serializers.CharField(max_length=200, required=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if ("link" in attrs) == ("name" in attrs and "password" in attrs):
            raise serializers.ValidationError('Send "name" and "password", or "link" alone.')
        return attrs


class UserOut(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    name = serializers.CharField()
    may_create_projects = serializers.BooleanField()


class SessionOut(serializers.Serializer[Any]):
    user = UserOut(allow_null=True)
    csrf_token = serializers.CharField()


class Join(StrictSerializer):
    """An invite's token; the name of a new person, and a password if they want to come back from elsewhere."""

    invite = serializers.CharField(max_length=200)
    name = serializers.CharField(max_length=100, required=False)
    password = serializers.CharField(max_length=1000, required=False, allow_blank=True, trim_whitespace=False)


class JoinOut(SessionOut):
    project = serializers.IntegerField()
    role = serializers.CharField()


class TokenIn(StrictSerializer):
    name = serializers.CharField(max_length=100)


class TokenOut(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    name = serializers.CharField()
    prefix = serializers.CharField()
    created_at = serializers.DateTimeField()
    revoked_at = serializers.DateTimeField(allow_null=True)


class NewTokenOut(TokenOut):
    token = serializers.CharField(help_text="Shown this once.")


class InviteIn(StrictSerializer):
    role = serializers.ChoiceField(Role.choices)
    max_uses = serializers.IntegerField(min_value=1, max_value=1_000_000, allow_null=True, default=None)
    days = serializers.IntegerField(min_value=1, max_value=365, default=30)
    tags = TagsField(default=list, help_text="Of those who join by it.")


class InviteOut(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    role = serializers.CharField()
    tags = serializers.ListField(child=serializers.CharField())
    uses = serializers.IntegerField()
    max_uses = serializers.IntegerField(allow_null=True)
    created_at = serializers.DateTimeField()
    expires_at = serializers.DateTimeField()


class NewInviteOut(InviteOut):
    link = serializers.CharField(help_text="Shown this once.")


class MemberOut(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    name = serializers.CharField()
    role = serializers.CharField()
    standing = serializers.ChoiceField(Standing.choices, help_text="As the sanctions in force have it.")
    paused_until = serializers.DateTimeField(allow_null=True, help_text="null: until a manager lifts it.")
    created_at = serializers.DateTimeField()
    tags = serializers.ListField(child=serializers.CharField(), help_text="Pools whose tasks they may have.")
    stage = serializers.ChoiceField(Stage.choices, allow_null=True, help_text="Null: never asked to qualify.")
    stage_answers = serializers.IntegerField(help_text="In this training or test; at the end, in the last one.")
    stage_right = serializers.IntegerField(help_text="Of these.")
    tests = serializers.IntegerField(help_text="Begun.")
    votes = serializers.IntegerField(source="vote_count")
    uncounted_votes = serializers.IntegerField(source="uncounted_count", help_text="Came late and found no room.")


class MemberEdit(StrictSerializer):
    """What is to be another: each by itself."""

    role = serializers.ChoiceField(Role.choices, required=False)
    tags = TagsField(required=False)
    stage = serializers.ChoiceField(
        Stage.choices, required=False, help_text="Qualified or failed by hand; training or test: from its beginning."
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if not attrs:
            raise serializers.ValidationError('Send "role", "tags" or "stage".')
        return attrs


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
LEASE_STATUSES = ["ok", "retry", "waiting", "finished", "budget_spent", "quota_reached", "not_qualified"]


class LeaseIn(StrictSerializer):
    count = serializers.IntegerField(min_value=1, max_value=MOST_LEASES, default=1)


class AssignmentOut(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    data = serializers.JSONField()
    expires_at = serializers.DateTimeField()


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
    votes = serializers.IntegerField()
    votes_today = serializers.IntegerField()
    skipped = serializers.IntegerField()
    open_leases = serializers.IntegerField()
    daily_quota = serializers.IntegerField(allow_null=True)
    total_quota = serializers.IntegerField(allow_null=True)
    earned = AmountField(allow_null=True, help_text="Null where votes earn nothing.")
    price_per_vote = AmountField(allow_null=True)
    currency = serializers.CharField()


class BudgetOut(serializers.Serializer[Any]):
    """Of one moment, exactly: `budget` = `spent` + `reserved` + `available`."""

    budget = AmountField(allow_null=True)
    spent = AmountField(help_text="The sum of the ledger.")
    reserved = AmountField(help_text="By open leases.")
    available = AmountField(allow_null=True)
    unit = serializers.ChoiceField(["votes", "money"])
    price_per_vote = AmountField(allow_null=True)
    currency = serializers.CharField()


class PaymentOut(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    annotator = serializers.IntegerField(source="annotator_id")
    name = serializers.CharField(source="annotator.name")
    vote = serializers.IntegerField(source="vote_id")
    task = serializers.IntegerField(source="vote.task_id")
    key = serializers.CharField(source="vote.task.key", allow_null=True)
    amount = AmountField()
    created_at = serializers.DateTimeField()


class EarningsOut(serializers.Serializer[Any]):
    annotator = serializers.IntegerField(source="id")
    name = serializers.CharField()
    votes = serializers.IntegerField(source="paid_votes")
    amount = AmountField(source="paid")
