"""What all endpoints share: shape in, domain error out."""

from __future__ import annotations

from typing import Any

from rest_framework.request import Request
from rest_framework.serializers import Serializer

from projects.access import access_member, in_role
from projects.errors import Invalid, LengthRequired
from projects.models import Member, Role, User


def checked(serializer: type[Serializer[Any]], request: Request) -> dict[str, Any]:
    """The request's body, if it has the serializer's shape. Raises ValidationError naming the fields otherwise."""
    if "HTTP_TRANSFER_ENCODING" in request.META:
        raise LengthRequired()  # Django would take the body for empty
    if not isinstance(request.data, dict):
        raise Invalid("Send a JSON object.", code="not_an_object")
    shape = serializer(data=request.data)
    shape.is_valid(raise_exception=True)
    return dict(shape.validated_data)


def member_of(request: Request, project_id: int, roles: frozenset[Role]) -> Member:
    """As ``access_member``: with an API token the membership has come with the user."""
    if isinstance(request.auth, Member):
        return in_role(request.auth, roles)
    return access_member(user_of(request), project_id, roles)


def user_of(request: Request) -> User:
    """The signed-in person; endpoints that call this require one."""
    assert isinstance(request.user, User)
    return request.user
