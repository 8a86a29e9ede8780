"""Shapes of what the aggregation side answers."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from aggregation.models import ConsensusSource, RunStage, RunStatus
from projects.serializers import BudgetOut


class LearnerSummary(serializers.Serializer[Any]):
    run = serializers.IntegerField()
    accuracy_gold = serializers.FloatField(allow_null=True)
    out_of_fold_agreement = serializers.FloatField(allow_null=True)
    prediction_weight = serializers.FloatField(allow_null=True)


class CalibrationOut(serializers.Serializer[Any]):
    state = serializers.ChoiceField(
        ["calibrated", "uncalibrated"],
        help_text="Uncalibrated: confidence is the label model's own word, since too few tasks have gold.",
    )
    says = serializers.CharField(help_text="The same in words.")
    gold = serializers.IntegerField(help_text="Gold tasks that it was learnt from.")
    ece = serializers.FloatField(allow_null=True, help_text="Expected calibration error on held-out gold.")
    ece_interval = serializers.ListField(
        child=serializers.FloatField(), allow_null=True, help_text="Within these bounds with about 95 % probability."
    )


class PoolOut(serializers.Serializer[Any]):
    pool = serializers.CharField()
    open = serializers.IntegerField(help_text="Tasks that still collect votes.")
    members = serializers.IntegerField(help_text="With this tag. Without any nobody is ever given these tasks.")


class QualificationOut(serializers.Serializer[Any]):
    tasks = serializers.IntegerField(help_text="For training and tests.")
    wanted = serializers.IntegerField(help_text="By somebody who trains and needs all attempts.")
    members = serializers.DictField(child=serializers.IntegerField(), help_text="By stage.")


class AuditForecast(serializers.Serializer[Any]):
    """What a first certificate still needs, if the machine goes on to be wrong as often as now."""

    audits = serializers.IntegerField(allow_null=True, help_text="About how many more; null: it can't be reached.")
    error = serializers.FloatField(help_text="The share that seems to be wrong where the machine is surest.")
    left = serializers.IntegerField(help_text="How many more the project's `audit_share` allows.")


class TiersOut(serializers.Serializer[Any]):
    """How many tasks that are not finished by people lie in each tier, as of the last look."""

    auto = serializers.IntegerField(help_text="The machine's alone.")
    confirm = serializers.IntegerField(help_text="People see what it says.")
    label = serializers.IntegerField(help_text="People label from scratch.")
    certificate = serializers.IntegerField(allow_null=True, help_text="In force.")
    threshold = serializers.FloatField(allow_null=True, help_text="The machine's probability from which it holds.")
    audits = serializers.IntegerField(help_text="Looked at, of labels that might be certified.")
    wrong = serializers.IntegerField(help_text="Of these, on which the machine was wrong.")
    waiting = serializers.IntegerField(help_text="Audits that are not decided yet.")
    forecast = AuditForecast(allow_null=True, help_text="Null where there is a certificate, or nothing to audit.")
    says = serializers.CharField(help_text="What was concluded, and why.")


class ConfirmingOut(serializers.Serializer[Any]):
    """Votes on tasks of which the machine is sure enough, by whether people were shown what it says."""

    shown = serializers.IntegerField()
    shown_agreed = serializers.IntegerField(help_text="Of these, with what they were shown.")
    blind = serializers.IntegerField()
    blind_agreed = serializers.IntegerField(help_text="Of these, with what they would have been shown.")
    anchoring = serializers.FloatField(
        allow_null=True, help_text="In points: how much more often people agree who see what the machine says."
    )
    anchoring_interval = serializers.ListField(
        child=serializers.FloatField(), allow_null=True, help_text="Within these bounds with about 95 % probability."
    )


class StatisticsOut(serializers.Serializer[Any]):
    tasks = serializers.IntegerField()
    open = serializers.IntegerField(help_text="Tasks that still collect votes.")
    retired = serializers.DictField(child=serializers.IntegerField(), help_text="Tasks by the reason they stopped.")
    votes = serializers.IntegerField()
    uncounted_votes = serializers.IntegerField(help_text="Late votes for which there was no room: recorded only.")
    open_leases = serializers.IntegerField()
    votes_wanted = serializers.IntegerField(help_text="If every task took its full redundancy.")
    annotators = serializers.IntegerField()
    mean_confidence = serializers.FloatField(allow_null=True)
    confidence_histogram = serializers.ListField(child=serializers.IntegerField(), help_text="Tenths from 0 to 1.")
    calibration = CalibrationOut()
    votes_per_minute = serializers.FloatField(help_text="Over the last five minutes.")
    pools = PoolOut(many=True)
    qualification = QualificationOut(allow_null=True, help_text="Null where nobody is asked to qualify.")
    progress = serializers.FloatField(help_text="Share of tasks that collect no more votes.")
    run = serializers.IntegerField(allow_null=True, help_text="The current refit.")
    notes = serializers.ListField(
        child=serializers.CharField(), help_text="What the label model has to say about it: what it chose, and why."
    )
    refits = serializers.IntegerField()
    retrainings = serializers.IntegerField()
    refit_pending = serializers.BooleanField()
    budget = BudgetOut(allow_null=True, help_text="Null where votes cost nothing.")
    confirming = ConfirmingOut(allow_null=True, help_text="Null where nobody was ever shown what the machine says.")
    tiers = TiersOut(allow_null=True, help_text="Null where people label everything.")
    learner = LearnerSummary(allow_null=True)


class AnnotatorOut(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    name = serializers.CharField()
    votes = serializers.IntegerField()
    skill = serializers.FloatField(allow_null=True, help_text="Expected accuracy, from the current refit.")
    accuracy_gold = serializers.FloatField(allow_null=True)
    gold_votes = serializers.IntegerField()


class AnnotatorDetail(AnnotatorOut):
    labels = serializers.ListField(child=serializers.CharField())
    confusion = serializers.ListField(
        child=serializers.ListField(child=serializers.FloatField()), allow_null=True, help_text="confusion[true][voted]"
    )


class ConsensusOut(serializers.Serializer[Any]):
    task = serializers.IntegerField()
    key = serializers.CharField(allow_null=True)
    label = serializers.CharField(allow_null=True, help_text="Null where the machine's label was revoked.")
    confidence = serializers.FloatField(allow_null=True)
    calibration = serializers.CharField(help_text="Whether the run that published it had calibrated its confidence.")
    votes = serializers.IntegerField()
    posterior = serializers.DictField(child=serializers.FloatField(), allow_null=True)
    source = serializers.ChoiceField(
        ConsensusSource.choices,
        help_text="`machine`: nobody has looked at it. `revoked`: it was, and the task is with people now.",
    )
    run = serializers.IntegerField()
    retired = serializers.CharField(allow_null=True)
    updated_at = serializers.DateTimeField()


class FeedOut(serializers.Serializer[Any]):
    results = ConsensusOut(many=True)
    next = serializers.CharField(help_text="Ask again with this cursor, now or later.")
    more = serializers.BooleanField()


class PredictionOut(serializers.Serializer[Any]):
    task = serializers.IntegerField()
    key = serializers.CharField(allow_null=True)
    label = serializers.CharField()
    confidence = serializers.FloatField()
    calibration = serializers.CharField(help_text="A learner's own confidence is never calibrated.")
    run = serializers.IntegerField()


class RunOut(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    kind = serializers.CharField()
    status = serializers.ChoiceField(RunStatus.choices)
    stage = serializers.ChoiceField(
        RunStage.choices, allow_null=True, help_text="Of a retraining; until it is applied it can be cancelled."
    )
    progress = serializers.FloatField(allow_null=True, help_text="Of a retraining: share of the work done, 0 to 1.")
    parameters = serializers.JSONField()
    counts = serializers.JSONField()
    metrics = serializers.JSONField()
    seconds = serializers.SerializerMethodField()
    started_at = serializers.DateTimeField()
    finished_at = serializers.DateTimeField(allow_null=True)
    error = serializers.CharField()
    restorable = serializers.BooleanField(help_text="Whether its learner is kept and can be brought back into force.")

    def get_seconds(self, run: Any) -> float | None:
        return (run.finished_at - run.started_at).total_seconds() if run.finished_at else None


class CurvePoint(serializers.Serializer[Any]):
    tasks = serializers.IntegerField(help_text="That a learner was taught.")
    votes = serializers.IntegerField(help_text="That these tasks took, about.")
    accuracy = serializers.FloatField(help_text="Share of tasks held out on which it agrees with consensus.")
    error = serializers.FloatField(help_text="Standard error of that share.")
    log_loss = serializers.FloatField(help_text="On the same tasks, in nats.")


class CurvePlace(serializers.Serializer[Any]):
    votes = serializers.IntegerField()
    accuracy = serializers.FloatField(help_text="By the fitted curve.")
    low = serializers.FloatField(help_text="Lower end of its 90 % band.")
    high = serializers.FloatField()


class ForecastOut(serializers.Serializer[Any]):
    votes = serializers.IntegerField(help_text="The next so many.")
    gain = serializers.FloatField(help_text="In accuracy: 0.01 is a point.")
    low = serializers.FloatField(help_text="Lower end of its 90 % band.")
    high = serializers.FloatField()


class LearningCurveOut(serializers.Serializer[Any]):
    run = serializers.IntegerField(allow_null=True, help_text="The retraining that drew it; null before the first.")
    points = CurvePoint(many=True)
    curve = CurvePlace(many=True, help_text="Up to twice the votes that there are.")
    forecast = ForecastOut(allow_null=True, help_text="Null while too few tasks have votes.")
    stop = serializers.BooleanField(help_text="More votes teach the learner nothing.")
    says = serializers.CharField(help_text="The forecast in words.")


class RequestedOut(serializers.Serializer[Any]):
    requested = serializers.BooleanField()
