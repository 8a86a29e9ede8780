"""Budget and pay."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from projects.serializers.fields import (
    AmountField,
)


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
