"""Cursor pagination: the same two lines in every list, constant in cost however far one reads."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from typing import Any, TypeVar

from django.db.models import Model, QuerySet
from drf_spectacular.utils import OpenApiParameter, inline_serializer
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from projects.errors import Invalid

M = TypeVar("M", bound=Model)

DEFAULT_LIMIT, MAX_LIMIT = 50, 1000

PARAMETERS = [
    OpenApiParameter("cursor", str, description="`next` of the page before; leave out for the first page."),
    OpenApiParameter("limit", int, description=f"Rows a page, 1 to {MAX_LIMIT}; {DEFAULT_LIMIT} by default."),
]


def page_schema(name: str, row: type[serializers.Serializer[Any]]) -> Any:
    """The schema of one page of rows."""
    return inline_serializer(name, {"results": row(many=True), "next": serializers.CharField(allow_null=True)})


def encode_cursor(*position: int) -> str:
    return base64.urlsafe_b64encode(",".join(map(str, position)).encode()).decode().rstrip("=")


def decode_cursor(request: Request, parts: int) -> tuple[int, ...] | None:
    """The position behind ``?cursor=``; None where there is none. Raises Invalid for one that we did not make."""
    cursor = request.query_params.get("cursor")
    if not cursor:
        return None
    try:
        position = tuple(int(part) for part in base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).split(b","))
    except (ValueError, binascii.Error):
        position = ()
    ours = len(position) == parts and all(0 <= part < 2**63 for part in position)
    if not ours or encode_cursor(*position) != cursor:
        raise Invalid("This cursor is not one of ours: start without one.", field="cursor", code="invalid_cursor")
    return position


def limit_of(request: Request) -> int:
    text = request.query_params.get("limit", str(DEFAULT_LIMIT))
    if not text.isdecimal() or len(text) > 9 or not 1 <= int(text) <= MAX_LIMIT:
        raise Invalid(f"limit must be a whole number from 1 to {MAX_LIMIT}.", field="limit", code="invalid_limit")
    return int(text)


def paginated(
    request: Request, rows: QuerySet[M], shape: Callable[[M], Any], *, newest_first: bool = False, key: str = "pk"
) -> Response:
    """One page of a queryset by its key."""
    limit = limit_of(request)
    position = decode_cursor(request, 1)
    if position is not None:
        rows = rows.filter(**{f"{key}__{'lt' if newest_first else 'gt'}": position[0]})
    found = list(rows.order_by(f"-{key}" if newest_first else key)[: limit + 1])
    following = encode_cursor(getattr(found[limit - 1], key)) if len(found) > limit else None
    return Response({"results": [shape(row) for row in found[:limit]], "next": following})
