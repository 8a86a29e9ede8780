"""The only ways to get an object on behalf of a user. What a person may not see does not exist: NotFound, never 403."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from weakref import WeakValueDictionary

from django.db.models import Model

from projects.errors import NotFound
from projects.models import Member, Project, Role, User
from projects.queries import MEMBERSHIP, MEMBERSHIP_BY_TOKEN, REQUIRE_SEEN, USER_BY_TOKEN, Statement, fetch_together

MANAGER = frozenset({Role.MANAGER})
ANNOTATORS = frozenset({Role.MANAGER, Role.ANNOTATOR})
REVIEWERS = frozenset({Role.MANAGER, Role.REVIEWER})
READERS = frozenset({Role.MANAGER, Role.CONSUMER})
ANYONE = frozenset(Role)


NO_PROJECT = "There is no such project, or your role in it does not allow this."
#: Of a bigint: an address may name more.
LARGEST_ID = 2**63 - 1


def _columns(model: type[Model]) -> list[str]:
    return [field.attname for field in model._meta.concrete_fields]


# Every request asks for these rows: composing the same SQL anew each time would cost more than running it.
USER_COLUMNS, MEMBER_COLUMNS, PROJECT_COLUMNS = _columns(User), _columns(Member), _columns(Project)
_USER = ", ".join(f"u.{name}" for name in USER_COLUMNS)
_MEMBER = ", ".join([f"m.{name}" for name in MEMBER_COLUMNS] + [f"p.{name}" for name in PROJECT_COLUMNS])
WHO_BY_TOKEN = USER_BY_TOKEN.format(columns=_USER)
MEMBER_BY_TOKEN = MEMBERSHIP_BY_TOKEN.format(columns=_MEMBER)
MEMBER_BY_USER = MEMBERSHIP.format(columns=_MEMBER)


def digest(secret: str) -> bytes:
    """SHA-256 of a random secret, as tokens and links are stored."""
    return hashlib.sha256(secret.encode()).digest()


def who_by_api_token(token: str, project_id: int | None = None) -> tuple[User, Member | None] | None:
    """The person behind a token, and their membership of this project in whatever role, if they have one."""
    known: dict[str, Any] = {"digest": digest(token)}
    if project_id is None or project_id > LARGEST_ID:
        asked, users, members = known, *fetch_together((WHO_BY_TOKEN, known)), []
    else:
        asked = {**known, "project": project_id}
        users, members = fetch_together((WHO_BY_TOKEN, known), (MEMBER_BY_TOKEN, asked))
    if not users:
        return None
    user = User.from_db("default", USER_COLUMNS, users[0])
    if not members:
        return user, None
    version, *row = members[0]
    member = _member(row)
    if member.role in ANNOTATORS:
        _remember(member.project_id, Seen(_member(row), asked["digest"], version))
    return user, member


@dataclass(frozen=True)
class Seen:
    """Somebody's membership (with its project) as it was read by an API token. Not to be changed: threads share it."""

    member: Member
    digest: bytes
    version: str


_seen: OrderedDict[tuple[bytes, int], Seen] = OrderedDict()
#: By id and version: annotators of one project share it.
_projects: WeakValueDictionary[tuple[int, str], Project] = WeakValueDictionary()
#: Memberships that a process remembers: those of annotators at work.
REMEMBERED = 1000


def _remember(project_id: int, seen: Seen) -> None:
    version = " ".join(seen.version.split(" ")[4:])
    seen.member.project = _projects.setdefault((project_id, version), seen.member.project)
    _seen[seen.digest, project_id] = seen
    with suppress(KeyError):  # another thread may be at it, too
        _seen.move_to_end((seen.digest, project_id))
        if len(_seen) > REMEMBERED:
            _seen.popitem(last=False)


def seen_by_api_token(token: str, project_id: int) -> Seen | None:
    """The membership that this token had of this project when it was last asked for, if this process remembers."""
    key = digest(token), project_id
    with suppress(KeyError):
        _seen.move_to_end(key)
    return _seen.get(key)


def forget(project_id: int, seen: Seen) -> None:
    """Remember this no more: it was no longer so, or may not be."""
    _seen.pop((seen.digest, project_id), None)


def require_seen(project_id: int, seen: Sequence[Seen]) -> Statement:
    """The statement that fails if what was seen of people in a project is no more."""
    digests, versions = [each.digest for each in seen], [each.version for each in seen]
    return REQUIRE_SEEN, {"digests": digests, "project": project_id, "versions": versions}


def access_member(user: User, project_id: int, roles: frozenset[Role] = ANYONE) -> Member:
    """The user's membership (with its project) if it has one of these roles.

    Raises NotFound both when there is no such project and when the role is not enough.
    """
    if project_id > LARGEST_ID:
        raise NotFound(NO_PROJECT)
    (rows,) = fetch_together((MEMBER_BY_USER, {"project": project_id, "user": user.id}))
    return in_role(_member(rows[0]) if rows else None, roles)


def in_role(member: Member | None, roles: frozenset[Role]) -> Member:
    """The membership if there is one in one of these roles. Raises NotFound otherwise."""
    if member is None or member.role not in roles:
        raise NotFound(NO_PROJECT)
    return member


def _member(row: Sequence[Any]) -> Member:
    member = Member.from_db("default", MEMBER_COLUMNS, row[: len(MEMBER_COLUMNS)])
    member.project = Project.from_db("default", PROJECT_COLUMNS, row[len(MEMBER_COLUMNS) :])
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
