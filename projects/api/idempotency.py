"""The ``Idempotency-Key`` header, on the endpoints that take it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from functools import wraps
from typing import Any

from django.http import HttpResponse
from django.http.response import HttpResponseBase
from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request
from rest_framework.response import Response

from projects.api.base import user_of
from projects.errors import Invalid
from projects.services import idempotency
from projects.services.idempotency import Answer

HEADER = "Idempotency-Key"
IDEMPOTENCY_KEY = OpenApiParameter(
    HEADER,
    str,
    OpenApiParameter.HEADER,
    description=(
        "1 to 255 visible ASCII characters, new for each request. Sent again within 24 hours, the same request answers "
        "what it answered, with `Idempotency-Replayed: true`; another one 422; one that is being worked on 409."
    ),
)

Handler = Callable[..., Response]


def idempotent(handler: Handler) -> Callable[..., HttpResponseBase]:
    """A view's method that does its work once for each ``Idempotency-Key``.

    The answer is kept whatever it says, unless it is ours to mend (5xx). Without the header nothing is done at all.
    """

    @wraps(handler)
    def once(view: Any, request: Request, *args: Any, **kwargs: Any) -> HttpResponseBase:
        key = request.headers.get(HEADER)
        if key is None:
            return handler(view, request, *args, **kwargs)
        if not re.fullmatch(r"[\x21-\x7e]{1,255}", key):
            detail = f"{HEADER} must be 1 to 255 visible ASCII characters."
            raise Invalid(detail, field=HEADER, code="invalid_idempotency_key")
        # No path of ours is longer; the digest tells absurd ones apart.
        path = request.path[:200]
        claimed = idempotency.claim(user_id=user_of(request).id, path=path, key=key, digest=_digest(request))
        if isinstance(claimed, Answer):
            return _replayed(claimed)
        return _done(view, claimed, handler, request, *args, **kwargs)

    return once


def _digest(request: Request) -> bytes:
    """What was asked: method, path, query and body."""
    asked = f"{request.method} {request.get_full_path()}\n"
    return hashlib.sha256(asked.encode() + request._request.body).digest()


def _done(view: Any, number: int, handler: Handler, request: Request, *args: Any, **kwargs: Any) -> HttpResponseBase:
    """The handler's own answer, or that of the error it raised, kept under the key."""
    try:
        try:
            response = handler(view, request, *args, **kwargs)
        except Exception as error:
            response = view.handle_exception(error)
        # Rendered here, since what is kept are the bytes that go out.
        view.finalize_response(request, response).render()
    except BaseException:
        idempotency.abandon(number=number)
        raise
    if response.status_code < 500:
        idempotency.keep(number=number, answer=Answer(response.status_code, response.content))
    else:
        idempotency.abandon(number=number)
    return response


def _replayed(answer: Answer) -> HttpResponse:
    headers = {"Content-Type": "application/json", "Idempotency-Replayed": "true"}
    return HttpResponse(answer.body, status=answer.status, headers=headers)
