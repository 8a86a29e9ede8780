"""A campaign and its settings."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from rest_framework import serializers

from aggregation.core.label_models import DEFAULT_LABEL_MODEL, OURS
from projects.models import (
    MOST_LEASES,
    Acquisition,
    LabelType,
    Learner,
    Order,
    Role,
)
from projects.serializers.fields import (
    MOST_VOTES,
    AmountField,
    LabelsField,
    StrictSerializer,
)


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
    search_label = serializers.CharField(
        max_length=200, allow_null=True, required=False, help_text="The label that the acquisition `search` looks for."
    )
    explore_share = serializers.FloatField(
        min_value=0.001,
        max_value=1,
        allow_null=True,
        required=False,
        help_text="The chance that a new assignment is of any open task, whatever is known of it; null: none is.",
    )
    learner = serializers.ChoiceField(Learner.choices, allow_null=True, required=False)
    learner_fields = serializers.ListField(
        child=serializers.CharField(max_length=200), max_length=1000, required=False, allow_empty=True
    )
    retrain_after_votes = serializers.IntegerField(min_value=1, max_value=10_000_000, required=False)
    retrain_after_minutes = serializers.IntegerField(min_value=1, max_value=100_000, required=False)
    target_accuracy = serializers.FloatField(
        min_value=0.5,
        max_value=0.999,
        allow_null=True,
        required=False,
        help_text="The project stops once experts' audits prove that so large a share of all tasks has a right label; "
        "null: it never does for that.",
    )
    target_accuracy_confidence = serializers.FloatField(
        min_value=0.5, max_value=0.9999, required=False, help_text="How sure that has to be."
    )
    auto_label_error = serializers.FloatField(
        min_value=0.001,
        max_value=0.5,
        allow_null=True,
        required=False,
        help_text="The machine alone answers while at most this share of what it answers is wrong; null: never.",
    )
    auto_label_confidence = serializers.FloatField(
        min_value=0.5, max_value=0.9999, required=False, help_text="How sure that has to be."
    )
    audit_share = serializers.FloatField(
        min_value=0.001,
        max_value=1,
        required=False,
        help_text="The largest share of tasks for audits: of the machine, by people, which never teach it; and as many "
        "for the target accuracy, by experts.",
    )
    confirm_above = serializers.FloatField(
        min_value=0,
        max_value=0.9999,
        allow_null=True,
        required=False,
        help_text="From this probability on annotators see what the machine says, and confirm or correct; null: never.",
    )
    blind_share = serializers.FloatField(
        min_value=0.01, max_value=1, required=False, help_text="The chance that they don't see it: the comparison."
    )
    retrain_after_moved = serializers.FloatField(
        min_value=0.001,
        max_value=1,
        allow_null=True,
        required=False,
        help_text="Retrain once so great a share of the labels that were taught has changed since; null: never for it.",
    )


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
    search_label = serializers.CharField(required=False, allow_null=True)
    explore_share = serializers.FloatField(required=False, allow_null=True)
    learner = serializers.CharField(required=False, allow_null=True)
    learner_fields = serializers.ListField(child=serializers.CharField(), required=False)
    retrain_after_votes = serializers.IntegerField(required=False)
    retrain_after_minutes = serializers.IntegerField(required=False)
    target_accuracy = serializers.FloatField(required=False, allow_null=True)
    target_accuracy_confidence = serializers.FloatField(required=False)
    stopped_at = serializers.DateTimeField(
        required=False,
        allow_null=True,
        help_text="Since when the target accuracy is certified: nothing more is leased.",
    )
    auto_label_error = serializers.FloatField(required=False, allow_null=True)
    auto_label_confidence = serializers.FloatField(required=False)
    audit_share = serializers.FloatField(required=False)
    confirm_above = serializers.FloatField(required=False, allow_null=True)
    blind_share = serializers.FloatField(required=False)
    retrain_after_moved = serializers.FloatField(required=False, allow_null=True)
    version = serializers.IntegerField(required=False)
    created_at = serializers.DateTimeField(required=False)


#: What each role sees of a project: an annotator nothing that would tell how answers are judged.
PROJECT_FIELDS = {
    Role.MANAGER: tuple(ProjectOut().fields),
    Role.ANNOTATOR: ("id", "name", "labels", "status", "role", "instructions", "label_type"),
    Role.CONSUMER: ("id", "name", "labels", "status", "role"),
    Role.REVIEWER: ("id", "name", "labels", "status", "role", "instructions", "label_type"),
}
