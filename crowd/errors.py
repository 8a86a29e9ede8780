"""One error format for the whole API: ``{"code", "detail", "errors": [{"field", "code", "detail"}]}``."""

from __future__ import annotations

from itertools import islice
from typing import Any

from django.core.exceptions import PermissionDenied, RequestDataTooBig, SuspiciousOperation
from django.http import Http404, HttpRequest, JsonResponse
from rest_framework import exceptions
from rest_framework.response import Response
from rest_framework.views import set_rollback

from projects.errors import DomainError, FieldError, Invalid, NotFound, TooLarge

#: So many wrong fields are named: an answer is not many times larger than its request.
MAX_ERRORS = 100


def exception_handler(exc: Exception, context: dict[str, Any]) -> Response | None:
    """Domain errors, Django's and REST framework's, in one shape; anything else stays a 500."""
    if isinstance(exc, Http404):
        exc = NotFound()
    elif isinstance(exc, PermissionDenied):
        exc = exceptions.PermissionDenied()
    elif isinstance(exc, RequestDataTooBig):
        exc = TooLarge()
    elif isinstance(exc, SuspiciousOperation):
        exc = Invalid("This request can't be read.", code="bad_request")
    if isinstance(exc, exceptions.ValidationError):
        exc = Invalid(errors=list(islice(_flatten(exc.get_full_details(), ""), MAX_ERRORS)))
    if isinstance(exc, DomainError):
        set_rollback()
        return Response(exc.as_dict(), status=exc.status)
    if isinstance(exc, exceptions.APIException):
        set_rollback()
        headers = {}
        if getattr(exc, "auth_header", None):
            headers["WWW-Authenticate"] = exc.auth_header  # type: ignore[attr-defined]  # set by APIView for 401
        body = {"code": _code(exc), "detail": str(exc.detail), "errors": []}
        return Response(body, status=exc.status_code, headers=headers)
    return None


def _code(exc: exceptions.APIException) -> str:
    codes = exc.get_codes()
    return codes if isinstance(codes, str) else "error"


def _flatten(details: Any, path: str) -> Any:
    """REST framework's nested details as field paths: ``votes.0.label``."""
    if isinstance(details, dict) and set(details) == {"message", "code"}:
        yield FieldError(_text(path or "body"), str(details["code"]), _text(details["message"]))
    elif isinstance(details, dict):
        for name, inner in details.items():
            yield from _flatten(inner, path if name == "non_field_errors" else f"{path}.{name}".lstrip("."))
    elif isinstance(details, list):
        # A list of messages belongs to one field; a list of dictionaries to its numbered entries.
        for index, inner in enumerate(details):
            leaf = isinstance(inner, dict) and set(inner) == {"message", "code"}
            yield from _flatten(inner, path if leaf else f"{path}.{index}".lstrip("."))


def _text(text: Any) -> str:
    """What a caller sent, as we can send it back: lone surrogates are no UTF-8."""
    return str(text).encode(errors="replace").decode()


def not_found(request: HttpRequest, exception: Exception) -> JsonResponse:
    return JsonResponse(NotFound("There is no such page.").as_dict(), status=404)


def server_error(request: HttpRequest) -> JsonResponse:
    detail = "Something went wrong on our side. It was logged; nothing was half-stored."
    return JsonResponse({"code": "server_error", "detail": detail, "errors": []}, status=500)
