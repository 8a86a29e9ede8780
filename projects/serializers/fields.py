"""What several shapes are made of: strict, and nothing but shape."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from aggregation.core import choice
from projects.models import (
    TAG,
    TAG_RULE,
)

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
