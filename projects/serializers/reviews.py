"""Shapes of expert review."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from projects.models import ReviewAction, SkipReason, VoteStatus
from projects.serializers.fields import StrictSerializer

#: Why a task waits for an expert.
REVIEW_REASONS = ["audit", "disputed", "flagged"]


class ReviewedVote(serializers.Serializer[Any]):
    annotator = serializers.IntegerField()
    name = serializers.CharField()
    label = serializers.CharField()
    status = serializers.ChoiceField(VoteStatus.choices)
    seconds = serializers.FloatField(allow_null=True)


class ReviewedSkip(serializers.Serializer[Any]):
    annotator = serializers.IntegerField()
    name = serializers.CharField()
    reason = serializers.ChoiceField(SkipReason.choices)
    comment = serializers.CharField(allow_null=True)


class ReviewOut(serializers.Serializer[Any]):
    number = serializers.IntegerField(help_text="1, 2, … of its task.")
    reviewer = serializers.CharField()
    action = serializers.ChoiceField(ReviewAction.choices)
    label = serializers.CharField(allow_null=True, help_text="The expert's answer after it, if there is one.")
    label_before = serializers.CharField(allow_null=True)
    votes = serializers.IntegerField(allow_null=True, help_text='Asked for by "reopen".')
    comment = serializers.CharField()
    created_at = serializers.DateTimeField()


class ReviewableTask(serializers.Serializer[Any]):
    task = serializers.IntegerField()
    key = serializers.CharField(allow_null=True)
    data = serializers.JSONField()
    retired = serializers.CharField(
        allow_null=True,
        help_text='"flagged": skipped as broken or unclear; "disputed": all votes in, and still not sure; "reviewed".',
    )
    reason = serializers.ChoiceField(
        REVIEW_REASONS,
        allow_null=True,
        help_text="Why it waits for an expert. `audit`: drawn at random; answer it as if you saw no votes.",
    )
    label = serializers.CharField(allow_null=True, help_text="The most probable one.")
    confidence = serializers.FloatField(allow_null=True)
    posterior = serializers.DictField(child=serializers.FloatField(), allow_null=True)
    votes = ReviewedVote(many=True)
    skips = ReviewedSkip(many=True)
    reviews = ReviewOut(many=True, help_text="The last one, which is in force, first.")


class ReviewIn(StrictSerializer):
    action = serializers.ChoiceField(ReviewAction.choices, default=ReviewAction.LABEL)
    label = serializers.CharField(max_length=1000, required=False)
    votes = serializers.IntegerField(min_value=1, max_value=100, default=1, help_text='How many more, for "reopen".')
    after = serializers.IntegerField(
        min_value=0, max_value=2**31 - 2, default=0, help_text="Number of the last review that you have seen; 0: none."
    )
    comment = serializers.CharField(max_length=1000, allow_blank=True, default="")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if attrs["action"] == ReviewAction.LABEL and "label" not in attrs:
            missing = serializers.ErrorDetail('Send the "label", or another "action".', "required")
            raise serializers.ValidationError({"label": [missing]})
        return attrs
