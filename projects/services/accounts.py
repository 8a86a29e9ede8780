"""People's ways in: one-time links, passwords, invites, API tokens."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import timedelta

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models import F, Q
from django.utils import timezone

from projects.access import digest
from projects.errors import Conflict, FieldError, Invalid, InvalidLink
from projects.models import ApiToken, Invite, Member, Project, Role, SignInLink, Stage, User
from projects.services import qualification

SIGN_IN_LINK_HOURS = 24


def make_sign_in_link(*, username: str = "manager", base_url: str) -> str:
    """A one-time link into this account, which is made (as somebody who may create projects) if there is none.

    Only for whoever runs the service: the link is the account.
    """
    user, _ = User.objects.get_or_create(name=username, defaults={"may_create_projects": True, "password": "!"})
    token = secrets.token_urlsafe(32)
    SignInLink.objects.create(
        user=user, digest=digest(token), expires_at=timezone.now() + timedelta(hours=SIGN_IN_LINK_HOURS)
    )
    return f"{base_url}/sign-in#{token}"


def use_sign_in_link(*, token: str) -> User:
    """The account behind a one-time link. Used up by a conditional update: of two that race, one gets in."""
    now = timezone.now()
    link = SignInLink.objects.filter(digest=digest(token)).select_related("user").first()
    usable = SignInLink.objects.filter(digest=digest(token), used_at__isnull=True, expires_at__gt=now)
    if link is None or not link.user.is_active or usable.update(used_at=now) == 0:
        raise InvalidLink(field="link")
    return link.user


def create_user(*, name: str, password: str = "") -> User:
    """A person who joins. Without a password the account lives in this browser's session (and its API tokens)."""
    user = User(name=name)
    try:
        user.full_clean(exclude=["password"])
        if password:
            validate_password(password, user)
    except ValidationError as error:
        raise Invalid(errors=_field_errors(error)) from error
    if password:
        user.set_password(password)
    else:
        user.set_unusable_password()
    try:
        with transaction.atomic():
            user.save()
    except IntegrityError as error:
        raise Conflict("This name is taken: choose another.", field="name", code="name_taken") from error
    return user


def _field_errors(error: ValidationError) -> list[FieldError]:
    if hasattr(error, "error_dict"):
        taken = any(inner.code == "unique" for inner in error.error_dict.get("name", []))
        if taken:
            raise Conflict("This name is taken: choose another.", field="name", code="name_taken")
        return [FieldError(field, "invalid", message) for field, all_ in error.message_dict.items() for message in all_]
    return [FieldError("password", "invalid", message) for message in error.messages]


def create_invite(
    *, project: Project, role: Role, created_by: User, days: int, max_uses: int | None, tags: Sequence[str] = ()
) -> tuple[Invite, str]:
    """An invite and its token, which is not stored."""
    token = secrets.token_urlsafe(32)
    invite = Invite.objects.create(
        project=project,
        role=role,
        tags=list(tags),
        digest=digest(token),
        created_by=created_by,
        max_uses=max_uses,
        expires_at=timezone.now() + timedelta(days=days),
    )
    return invite, token


@transaction.atomic
def join_project(*, token: str, user: User | None, name: str = "", password: str = "") -> Member:
    """Follow an invite: as ``user``, or as a new person of this name. Joining again changes nothing."""
    # Locked: of somebody who follows it twice at once, the second waits and finds the first's membership.
    invite = (
        Invite.objects.select_for_update(of=("self",)).select_related("project").filter(digest=digest(token)).first()
    )
    if invite is None:
        raise InvalidLink(field="invite")
    if user is not None:
        member = Member.objects.filter(project=invite.project, user=user).first()
        if member is not None:
            return member
    usable = Invite.objects.filter(
        Q(max_uses__isnull=True) | Q(uses__lt=F("max_uses")),
        id=invite.id,
        revoked_at__isnull=True,
        expires_at__gt=timezone.now(),
    )
    if usable.update(uses=F("uses") + 1) == 0:
        raise InvalidLink(field="invite")
    if user is None:
        user = create_user(name=name, password=password)
    who = {"name": user.name, "role": invite.role, "tags": invite.tags}
    return Member.objects.get_or_create(project=invite.project, user=user, defaults=who)[0]


def create_api_token(*, user: User, name: str) -> tuple[ApiToken, str]:
    """A token and its secret, which is shown once and stored only as a digest."""
    secret = "crowd_" + secrets.token_urlsafe(32)
    return ApiToken.objects.create(user=user, name=name, prefix=secret[:12], digest=digest(secret)), secret


def revoke_api_token(*, user: User, token_id: int) -> bool:
    """Whether there was such a token of this user to revoke."""
    mine = ApiToken.objects.filter(user=user, id=token_id, revoked_at__isnull=True)
    return mine.update(revoked_at=timezone.now()) > 0


@transaction.atomic
def remove_member(*, project: Project, member_id: int) -> bool:
    """End somebody's membership; False if there is none. Their votes stay, under their name.

    Open leases run out by themselves. The member's row stays (votes hang on it) without its user. Raises Conflict for
    the last manager.
    """
    member = _member_to_change(project, member_id, stays_manager=False)
    if member is None:
        return False
    Member.objects.filter(id=member.id).update(user=None, name=f"{member.name} (removed {member.id})")
    return True


@transaction.atomic
def edit_member(
    *,
    project: Project,
    member_id: int,
    role: str | None = None,
    tags: Sequence[str] | None = None,
    stage: str | None = None,
) -> bool:
    """Change what is given of a member; False if there is none. Raises Conflict for the last manager's role."""
    # In the order of locks: the annotator's comes first.
    found = stage is None or qualification.set_stage(project=project, member_id=member_id, stage=Stage(stage))
    if found and tags is not None:
        members = Member.objects.filter(project=project, id=member_id, user__isnull=False)
        found = members.update(tags=list(tags)) > 0
    return found and (role is None or change_role(project=project, member_id=member_id, role=Role(role)))


@transaction.atomic
def change_role(*, project: Project, member_id: int, role: Role) -> bool:
    """Give a member another role; False if there is no such member. Raises Conflict for the last manager."""
    member = _member_to_change(project, member_id, stays_manager=role == Role.MANAGER)
    return member is not None and Member.objects.filter(id=member.id).update(role=role) > 0


def _member_to_change(project: Project, member_id: int, *, stays_manager: bool) -> Member | None:
    """The member, with the project's managers locked, so that two who leave at once don't leave nobody."""
    # no_key: whoever votes as one of them need not wait, nor be waited for.
    locked = Member.objects.select_for_update(no_key=True)
    managers = list(locked.filter(project=project, role=Role.MANAGER, user__isnull=False).order_by("id"))
    member = Member.objects.filter(project=project, id=member_id, user__isnull=False).first()
    if member is not None and not stays_manager and [manager.id for manager in managers] == [member.id]:
        raise Conflict("This is the project's last manager: make somebody else manager first.", code="last_manager")
    return member
