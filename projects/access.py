"""The only ways to get an object on behalf of a user. What a person may not see does not exist: NotFound, never 403."""

from __future__ import annotations

import hashlib

from projects.errors import NotFound
from projects.models import ApiToken, Member, Project, Role, User

MANAGER = frozenset({Role.MANAGER})
ANNOTATORS = frozenset({Role.MANAGER, Role.ANNOTATOR})
REVIEWERS = frozenset({Role.MANAGER, Role.REVIEWER})
READERS = frozenset({Role.MANAGER, Role.CONSUMER})
ANYONE = frozenset(Role)


def digest(secret: str) -> bytes:
    """SHA-256 of a random secret, as tokens and links are stored."""
    return hashlib.sha256(secret.encode()).digest()


def user_by_api_token(token: str) -> User | None:
    found = ApiToken.objects.select_related("user").filter(
        digest=digest(token), revoked_at__isnull=True, user__is_active=True
    )
    return getattr(found.first(), "user", None)


def access_member(user: User, project_id: int, roles: frozenset[Role] = ANYONE) -> Member:
    """The user's membership (with its project) if it has one of these roles.

    Raises NotFound both when there is no such project and when the role is not enough.
    """
    member = Member.objects.select_related("project").filter(project=project_id, user=user, role__in=roles).first()
    if member is None:
        raise NotFound("There is no such project, or your role in it does not allow this.")
    return member


def access_project(user: User, project_id: int, roles: frozenset[Role]) -> Project:
    """As ``access_member``, when only the project matters."""
    return access_member(user, project_id, roles).project


def access_annotator(user: User, project_id: int, annotator_id: int) -> Member:
    """One annotator of a project that the user manages."""
    access_member(user, project_id, MANAGER)
    annotator = Member.objects.filter(project=project_id, id=annotator_id).first()
    if annotator is None:
        raise NotFound("This project has no such annotator.")
    return annotator
