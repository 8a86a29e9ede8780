"""Shapes of backtests."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from aggregation.core.label_models import OURS
from aggregation.models import BacktestStatus
from projects.models import Acquisition, Learner, Order
from projects.serializers.fields import StrictSerializer

#: What a remote one would have said, nobody knows.
LOCAL_LEARNERS = [choice for choice in Learner.choices if choice[0] != Learner.REMOTE]


class BacktestIn(StrictSerializer):
    """Settings to ask about; those left out are the project's own."""

    redundancy = serializers.IntegerField(
        min_value=1, max_value=1000, required=False, help_text="No more votes of a task than it has can be replayed."
    )
    target_confidence = serializers.FloatField(min_value=0.5, max_value=0.9999, allow_null=True, required=False)
    min_votes = serializers.IntegerField(min_value=1, max_value=1000, required=False)
    order = serializers.ChoiceField(Order.choices, required=False)
    acquisition = serializers.ChoiceField(Acquisition.choices, required=False)
    label_model = serializers.ChoiceField(sorted(OURS), required=False)
    flag_below = serializers.FloatField(min_value=0.01, max_value=0.9999, allow_null=True, required=False)
    newcomer_votes = serializers.IntegerField(min_value=0, max_value=1000, required=False)
    explore_share = serializers.FloatField(min_value=0.001, max_value=1, allow_null=True, required=False)
    learner = serializers.ChoiceField(
        LOCAL_LEARNERS,
        allow_null=True,
        required=False,
        help_text="Null: people alone.",
    )
    learner_fields = serializers.ListField(
        child=serializers.CharField(max_length=200), max_length=1000, required=False, allow_empty=True
    )
    auto_label_error = serializers.FloatField(min_value=0.001, max_value=0.5, allow_null=True, required=False)
    auto_label_confidence = serializers.FloatField(min_value=0.5, max_value=0.9999, required=False)
    audit_share = serializers.FloatField(min_value=0.001, max_value=1, required=False)


class BacktestPoint(serializers.Serializer[Any]):
    votes_share = serializers.FloatField(help_text="Of the recorded votes.")
    accuracy = serializers.FloatField(help_text="Mean of the replays.")
    low = serializers.FloatField(help_text="Nine tenths of the replays lie between this")
    high = serializers.FloatField(help_text="and this.")


class VotesToReach(serializers.Serializer[Any]):
    accuracy = serializers.FloatField()
    votes_share = serializers.FloatField(
        allow_null=True, help_text="After which the mean curve never again falls below it; null: it ends below."
    )


class RetiredWrongly(serializers.Serializer[Any]):
    task = serializers.IntegerField()
    key = serializers.CharField(allow_null=True)
    true_label = serializers.CharField(help_text="By what scores.")
    replays = serializers.IntegerField(help_text="In how many of them it retired with another.")


class FiguresOut(serializers.Serializer[Any]):
    settings = serializers.DictField(help_text="All that were replayed; gold: known answers that calibrated.")
    votes_used = serializers.FloatField(help_text="The share of the votes that was spent in the end.")
    curve = BacktestPoint(many=True)
    votes_to_majority = serializers.FloatField(
        help_text="The share of the votes after which accuracy never again falls below majority vote's; 1: never."
    )
    votes_to_full = serializers.FloatField(help_text="The same for the default label model's, less half a point.")
    retired_accuracy = serializers.FloatField(allow_null=True, help_text="Of the tasks that reached the target.")
    retired_share = serializers.FloatField(help_text="How many these were of all that are scored.")
    disputed_share = serializers.FloatField(default=0.0, help_text="Of all tasks those that end as an expert's.")
    unreadable = serializers.IntegerField(default=0, help_text="Tasks that the learner can't read.")
    auto_share = serializers.FloatField(
        required=False, help_text="Of all tasks those that the machine labels alone in the end, if it ever may."
    )
    auto_wrong = serializers.FloatField(required=False, allow_null=True, help_text="How many of these are wrong.")
    auto_worst = serializers.FloatField(required=False, help_text="The largest share wrong at any look of any replay.")
    auto_audits = serializers.FloatField(required=False, help_text="Tasks that audited the machine, on average.")
    votes_to = VotesToReach(many=True)
    retired_wrongly = RetiredWrongly(many=True, help_text="Of these the tasks that were wrong most often, at most 20.")


class BacktestResult(serializers.Serializer[Any]):
    tasks = serializers.IntegerField()
    votes = serializers.IntegerField()
    sampled = serializers.BooleanField(help_text="Whether these are the votes of tasks drawn at random, not of all.")
    scored_by = serializers.ChoiceField(
        ["gold", "consensus"], help_text="Consensus of all votes, where too few answers are known: it may be wrong."
    )
    scored_tasks = serializers.IntegerField(
        help_text="With known labels that a replay was not told, so that they score it."
    )
    seeds = serializers.IntegerField(help_text="Replays.")
    not_followed = serializers.ListField(
        child=serializers.CharField(), default=list, help_text="Settings that the project uses and a replay leaves out."
    )
    majority_accuracy = serializers.FloatField(help_text="Majority vote's with all votes, on the same tasks.")
    full_accuracy = serializers.FloatField(help_text="The default label model's with all votes, on the same tasks.")
    now = FiguresOut(help_text="The project as it is.")
    what_if = FiguresOut(help_text="With the settings asked about.")


class BacktestOut(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    settings = serializers.DictField(help_text="As asked.")
    status = serializers.ChoiceField(BacktestStatus.choices)
    progress = serializers.FloatField(help_text="0..1, of its replays.")
    error = serializers.CharField(help_text="Why it failed.")
    requested_at = serializers.DateTimeField()
    finished_at = serializers.DateTimeField(allow_null=True)
    result = BacktestResult(allow_null=True)
