"""The only ways to get an object on behalf of a user. What a person may not see does not exist: NotFound, never 403."""

from __future__ import annotations

import hashlib

from django.db.models import Model

from projects.errors import NotFound
from projects.models import Member, Project, Role, User
from projects.queries import MEMBERSHIP, USER_BY_TOKEN, fetch_together

MANAGER = frozenset({Role.MANAGER})
ANNOTATORS = frozenset({Role.MANAGER, Role.ANNOTATOR})
REVIEWERS = frozenset({Role.MANAGER, Role.REVIEWER})
READERS = frozenset({Role.MANAGER, Role.CONSUMER})
ANYONE = frozenset(Role)


def _columns(model: type[Model]) -> list[str]:
    return [field.attname for field in model._meta.concrete_fields]


# Every request asks for these rows: composing the same SQL anew each time would cost more than running it.
USER_COLUMNS, MEMBER_COLUMNS, PROJECT_COLUMNS = _columns(User), _columns(Member), _columns(Project)
WHO_BY_TOKEN = USER_BY_TOKEN.format(columns=", ".join(f"u.{name}" for name in USER_COLUMNS))
MEMBERSHIP_WITH_PROJECT = MEMBERSHIP.format(
    columns=", ".join([f"m.{name}" for name in MEMBER_COLUMNS] + [f"p.{name}" for name in PROJECT_COLUMNS])
)


def digest(secret: str) -> bytes:
    """SHA-256 of a random secret, as tokens and links are stored."""
    return hashlib.sha256(secret.encode()).digest()


def user_by_api_token(token: str) -> User | None:
    (rows,) = fetch_together((WHO_BY_TOKEN, {"digest": digest(token)}))
    return User.from_db("default", USER_COLUMNS, rows[0]) if rows else None


def access_member(user: User, project_id: int, roles: frozenset[Role] = ANYONE) -> Member:
    """The user's membership (with its project) if it has one of these roles.

    Raises NotFound both when there is no such project and when the role is not enough.
    """
    who = {"project": project_id, "user": user.id, "roles": [role.value for role in roles]}
    (rows,) = fetch_together((MEMBERSHIP_WITH_PROJECT, who))
    if not rows:
        raise NotFound("There is no such project, or your role in it does not allow this.")
    member = Member.from_db("default", MEMBER_COLUMNS, rows[0][: len(MEMBER_COLUMNS)])
    member.project = Project.from_db("default", PROJECT_COLUMNS, rows[0][len(MEMBER_COLUMNS) :])
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
