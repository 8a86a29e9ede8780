"""One error format for the whole API: ``{"code", "detail", "errors": [{"field", "code", "detail"}]}``."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, JsonResponse
from rest_framework import exceptions
from rest_framework.response import Response
from rest_framework.views import set_rollback

from projects.errors import DomainError, FieldError, Invalid, NotFound


def exception_handler(exc: Exception, context: dict[str, Any]) -> Response | None:
    """Domain errors, Django's and REST framework's, in one shape; anything else stays a 500."""
    if isinstance(exc, Http404):
        exc = NotFound()
    elif isinstance(exc, PermissionDenied):
        exc = exceptions.PermissionDenied()
    if isinstance(exc, exceptions.ValidationError):
        exc = Invalid(errors=list(_flatten(exc.get_full_details(), "")))
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
        yield FieldError(path or "body", str(details["code"]), str(details["message"]))
    elif isinstance(details, dict):
        for name, inner in details.items():
            yield from _flatten(inner, path if name == "non_field_errors" else f"{path}.{name}".lstrip("."))
    elif isinstance(details, list):
        # A list of messages belongs to one field; a list of dictionaries to its numbered entries.
        for index, inner in enumerate(details):
            leaf = isinstance(inner, dict) and set(inner) == {"message", "code"}
            yield from _flatten(inner, path if leaf else f"{path}.{index}".lstrip("."))


def not_found(request: HttpRequest, exception: Exception) -> JsonResponse:
    return JsonResponse(NotFound("There is no such page.").as_dict(), status=404)


def server_error(request: HttpRequest) -> JsonResponse:
    detail = "Something went wrong on our side. It was logged; nothing was half-stored."
    return JsonResponse({"code": "server_error", "detail": detail, "errors": []}, status=500)
