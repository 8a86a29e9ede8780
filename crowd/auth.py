"""Who is asking: an API token or a session."""

from __future__ import annotations

from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import BaseAuthentication
from rest_framework.authentication import SessionAuthentication as DrfSessionAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from projects.access import who_by_api_token
from projects.models import Member, User


class TokenAuthentication(BaseAuthentication):
    """``Authorization: Bearer crowd_…`` (RFC 6750)."""

    def authenticate(self, request: Request) -> tuple[User, Member | None] | None:
        """The user and, as ``request.auth``, their membership of the project that the address names, if any."""
        scheme, _, token = request.META.get("HTTP_AUTHORIZATION", "").partition(" ")
        if scheme.lower() != "bearer":
            return None
        found = who_by_api_token(token.strip(), (request.parser_context or {})["kwargs"].get("project_id"))
        if found is None:
            raise AuthenticationFailed("This API token is unknown or was revoked.", code="invalid_token")
        return found

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="crowd"'


class SessionAuthentication(DrfSessionAuthentication):
    """Pages: the session cookie, with CSRF checked on every unsafe method."""

    def authenticate_header(self, request: Request) -> str:
        # A header here makes "not signed in" a 401, which the pages tell from "may not" (404).
        return "Session"


class TokenScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]  # untyped base class
    target_class = "crowd.auth.TokenAuthentication"
    name = "token"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer"}


class SessionScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]  # untyped base class
    target_class = "crowd.auth.SessionAuthentication"
    name = "session"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {"type": "apiKey", "in": "cookie", "name": "crowd_session"}
