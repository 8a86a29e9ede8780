"""People: users, their ways in, and their membership of projects."""

import re

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.postgres.fields import ArrayField
from django.core.validators import RegexValidator
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

#: What people call themselves, spaces and all; nothing that could not be seen or printed.
NAME = RegexValidator(
    r"^[^\x00-\x20\x7f]([^\x00-\x1f\x7f]*[^\x00-\x20\x7f])?\Z", "A name holds no control characters or outer spaces."
)


class User(AbstractBaseUser):
    """A person who can sign in, by password, one-time link or API token."""

    name = models.CharField(max_length=100, unique=True, validators=[NAME])
    may_create_projects = models.BooleanField(default=False)
    is_active = models.BooleanField(default=True)
    created_at = models.DateTimeField(db_default=Now())

    USERNAME_FIELD = "name"
    objects = BaseUserManager["User"]()

    def __str__(self) -> str:
        return self.name


class ApiToken(models.Model):
    """A key for scripts: shown once, stored as a SHA-256 (it has 256 random bits, so a slow hash buys nothing)."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="api_tokens")
    name = models.CharField(max_length=100)
    prefix = models.CharField(max_length=16)
    digest = models.BinaryField(max_length=32, unique=True)  # read by every request that carries a token
    created_at = models.DateTimeField(db_default=Now())
    revoked_at = models.DateTimeField(null=True)


class SignInLink(models.Model):
    """A one-time link into an account."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="sign_in_links")
    digest = models.BinaryField(max_length=32, unique=True)
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True)


class Role(models.TextChoices):
    MANAGER = "manager"  # configures, uploads, watches; may also vote
    ANNOTATOR = "annotator"  # votes
    CONSUMER = "consumer"  # reads consensus only
    REVIEWER = "reviewer"  # decides what is flagged or disputed


class Standing(models.TextChoices):
    """What an annotator may do, as the sanctions in force have it."""

    ACTIVE = "active"
    WARNED = "warned"  # all that others may
    PAUSED = "paused"  # vote on what they hold, lease nothing
    BLOCKED = "blocked"  # neither


#: Of a tag, and of the pool that it opens.
TAG_LENGTH = 50
TAG = re.compile(rf"(?!#)[^\x00-\x20\x7f](?:[^\x00-\x1f\x7f]{{0,{TAG_LENGTH - 2}}}[^\x00-\x20\x7f])?")
TAG_RULE = f"must be 1 to {TAG_LENGTH} characters, without control characters, outer spaces, or # at the beginning"


class Stage(models.TextChoices):
    """How far an annotator has come in a project that asks for qualification."""

    TRAINING = "training"  # answers tasks and is told what is right
    TEST = "test"
    QUALIFIED = "qualified"
    FAILED = "failed"


class Member(models.Model):
    """A person in a project. Annotators of imported votes have a name and no user."""

    project = models.ForeignKey("projects.Project", on_delete=models.CASCADE, related_name="members")
    user = models.ForeignKey(User, on_delete=models.CASCADE, null=True, related_name="memberships")
    name = models.CharField(max_length=200)
    role = models.CharField(max_length=12, choices=Role.choices)
    standing = models.CharField(max_length=7, choices=Standing.choices, db_default=Standing.ACTIVE)
    paused_until = models.DateTimeField(null=True)  # when the sweeper ends a pause; null = a manager does
    tags = ArrayField(models.CharField(max_length=TAG_LENGTH), default=list, db_default=[])  # pools that they may have
    stage = models.CharField(max_length=9, choices=Stage.choices, null=True)  # null = never asked to qualify
    # In this training or test; at the end of all, in the last one.
    stage_answers = models.PositiveIntegerField(default=0, db_default=0)
    stage_right = models.PositiveIntegerField(default=0, db_default=0)
    tests = models.PositiveIntegerField(default=0, db_default=0)  # begun
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        indexes = [
            models.Index(fields=["paused_until"], name="member_paused", condition=Q(standing="paused")),  # the sweeper
        ]
        constraints = [
            models.UniqueConstraint(fields=["project", "user"], name="member_once_per_project"),
            # An import finds its annotators by name.
            models.UniqueConstraint(
                fields=["project", "name"], condition=Q(user__isnull=True), name="member_imported_name_once"
            ),
            models.CheckConstraint(condition=Q(role__in=Role.values), name="member_role_known"),
        ]


class Tally(models.Model):
    """How many votes somebody had cast until a moment that is past for good: a quota need not count them again."""

    annotator = models.OneToOneField(Member, on_delete=models.CASCADE, primary_key=True, related_name="tally")
    until = models.DateTimeField()
    votes = models.PositiveIntegerField()


class Invite(models.Model):
    """A link by which people join a project in one role."""

    project = models.ForeignKey("projects.Project", on_delete=models.CASCADE, related_name="invites")
    role = models.CharField(max_length=12, choices=Role.choices)
    tags = ArrayField(models.CharField(max_length=TAG_LENGTH), default=list, db_default=[])  # of those who join by it
    digest = models.BinaryField(max_length=32, unique=True)
    uses = models.PositiveIntegerField(default=0)
    max_uses = models.PositiveIntegerField(null=True)
    created_by = models.ForeignKey(User, on_delete=models.CASCADE, related_name="+")
    created_at = models.DateTimeField(db_default=Now())
    expires_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(max_uses__isnull=True) | Q(uses__lte=F("max_uses")), name="invite_not_overused"
            ),
        ]
