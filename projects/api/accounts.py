"""Sign-in, invites' other end, API tokens."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

from django.contrib.auth import authenticate, login, logout
from django.middleware.csrf import get_token
from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.throttling import SimpleRateThrottle
from rest_framework.views import APIView

from projects.api.base import checked, user_of
from projects.api.paging import PARAMETERS, page_schema, paginated
from projects.errors import Invalid, NotFound
from projects.models import ApiToken, User
from projects.serializers import Join, JoinOut, NewTokenOut, SessionOut, SignIn, TokenIn, TokenOut, UserOut
from projects.services import accounts


def _session(request: Request) -> dict[str, Any]:
    user = request._request.user
    return {
        "user": UserOut(user).data if user.is_authenticated else None,
        "csrf_token": get_token(request._request),
    }


def _sign_in(request: Request, user: User) -> None:
    login(request._request, user, backend="django.contrib.auth.backends.ModelBackend")


class PasswordThrottle(SimpleRateThrottle):
    """Passwords can't be guessed by the thousand: so many tries a minute for one name (per web process)."""

    rate = "10/min"

    def get_cache_key(self, request: Request, view: APIView) -> str | None:
        name = request.data.get("name") if request.method == "POST" and isinstance(request.data, dict) else None
        # None: not throttled. One-time links are too long to guess.
        return None if name is None else "password:" + sha256(repr(name).encode(errors="replace")).hexdigest()


class SessionView(APIView):
    permission_classes = [AllowAny]
    throttle_classes = [PasswordThrottle]

    @extend_schema(operation_id="session", responses=SessionOut)
    def get(self, request: Request) -> Response:
        """Who am I? Also sets the CSRF cookie that unsafe methods need."""
        return Response(_session(request))

    @extend_schema(operation_id="sign_in", request=SignIn, responses=SessionOut)
    def post(self, request: Request) -> Response:
        """Sign in by name and password, or by a one-time link."""
        given = checked(SignIn, request)
        if "link" in given:
            user = accounts.use_sign_in_link(token=given["link"])
        else:
            found = authenticate(request._request, username=given["name"], password=given["password"])
            if not isinstance(found, User):
                raise Invalid("This name and password do not belong together.", field="password", code="wrong_password")
            user = found
        _sign_in(request, user)
        return Response(_session(request))

    @extend_schema(operation_id="sign_out", responses={204: None})
    def delete(self, request: Request) -> Response:
        logout(request._request)
        return Response(status=status.HTTP_204_NO_CONTENT)


class JoinView(APIView):
    permission_classes = [AllowAny]

    @extend_schema(operation_id="join", request=Join, responses={201: JoinOut})
    def post(self, request: Request) -> Response:
        """Follow an invite into a project, as the person signed in or as a new one."""
        given = checked(Join, request)
        user = request.user if isinstance(request.user, User) else None
        if user is None and not given.get("name"):
            raise Invalid("Choose a name.", field="name", code="required")
        member = accounts.join_project(
            token=given["invite"], user=user, name=given.get("name", ""), password=given.get("password", "")
        )
        if user is None and member.user is not None:
            _sign_in(request, member.user)
        body = {**_session(request), "project": member.project_id, "role": member.role}
        return Response(body, status=status.HTTP_201_CREATED)


class TokensView(APIView):
    @extend_schema(operation_id="tokens", parameters=PARAMETERS, responses=page_schema("TokenPage", TokenOut))
    def get(self, request: Request) -> Response:
        """My API tokens, without their secrets."""
        return paginated(request, ApiToken.objects.filter(user=user_of(request)), lambda token: TokenOut(token).data)

    @extend_schema(operation_id="create_token", request=TokenIn, responses={201: NewTokenOut})
    def post(self, request: Request) -> Response:
        """A new API token: `Authorization: Bearer <token>`. It is shown this once."""
        token, secret = accounts.create_api_token(user=user_of(request), name=checked(TokenIn, request)["name"])
        token.refresh_from_db()
        return Response({**TokenOut(token).data, "token": secret}, status=status.HTTP_201_CREATED)


class TokenView(APIView):
    @extend_schema(operation_id="revoke_token", responses={204: None})
    def delete(self, request: Request, token_id: int) -> Response:
        """Revoke a token: it opens nothing from now on."""
        if not accounts.revoke_api_token(user=user_of(request), token_id=token_id):
            raise NotFound("You have no such token.")
        return Response(status=status.HTTP_204_NO_CONTENT)
