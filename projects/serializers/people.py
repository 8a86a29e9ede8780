"""People and their ways in."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from projects.models import (
    Role,
    Stage,
    Standing,
)
from projects.serializers.fields import (
    StrictSerializer,
    TagsField,
)


class SignIn(StrictSerializer):
    """A name and password, or the token of a one-time link."""

    name = serializers.CharField(max_length=100, required=False)
    password = serializers.CharField(max_length=1000, required=False, trim_whitespace=False)
    link = serializers.CharField(max_length=200, required=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if ("link" in attrs) == ("name" in attrs and "password" in attrs):
            raise serializers.ValidationError('Send "name" and "password", or "link" alone.')
        return attrs


class UserOut(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    name = serializers.CharField()
    may_create_projects = serializers.BooleanField()


class SessionOut(serializers.Serializer[Any]):
    user = UserOut(allow_null=True)
    csrf_token = serializers.CharField()


class Join(StrictSerializer):
    """An invite's token; the name of a new person, and a password if they want to come back from elsewhere."""

    invite = serializers.CharField(max_length=200)
    name = serializers.CharField(max_length=100, required=False)
    password = serializers.CharField(max_length=1000, required=False, allow_blank=True, trim_whitespace=False)


class JoinOut(SessionOut):
    project = serializers.IntegerField()
    role = serializers.CharField()


class TokenIn(StrictSerializer):
    name = serializers.CharField(max_length=100)


class TokenOut(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    name = serializers.CharField()
    prefix = serializers.CharField()
    created_at = serializers.DateTimeField()
    revoked_at = serializers.DateTimeField(allow_null=True)


class NewTokenOut(TokenOut):
    token = serializers.CharField(help_text="Shown this once.")


class InviteIn(StrictSerializer):
    role = serializers.ChoiceField(Role.choices)
    max_uses = serializers.IntegerField(min_value=1, max_value=1_000_000, allow_null=True, default=None)
    days = serializers.IntegerField(min_value=1, max_value=365, default=30)
    tags = TagsField(default=list, help_text="Of those who join by it.")


class InviteOut(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    role = serializers.CharField()
    tags = serializers.ListField(child=serializers.CharField())
    uses = serializers.IntegerField()
    max_uses = serializers.IntegerField(allow_null=True)
    created_at = serializers.DateTimeField()
    expires_at = serializers.DateTimeField()


class NewInviteOut(InviteOut):
    link = serializers.CharField(help_text="Shown this once.")


class MemberOut(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    name = serializers.CharField()
    role = serializers.CharField()
    standing = serializers.ChoiceField(Standing.choices, help_text="As the sanctions in force have it.")
    paused_until = serializers.DateTimeField(allow_null=True, help_text="null: until a manager lifts it.")
    created_at = serializers.DateTimeField()
    tags = serializers.ListField(child=serializers.CharField(), help_text="Pools whose tasks they may have.")
    stage = serializers.ChoiceField(Stage.choices, allow_null=True, help_text="Null: never asked to qualify.")
    stage_answers = serializers.IntegerField(help_text="In this training or test; at the end, in the last one.")
    stage_right = serializers.IntegerField(help_text="Of these.")
    tests = serializers.IntegerField(help_text="Begun.")
    votes = serializers.IntegerField(source="vote_count")
    uncounted_votes = serializers.IntegerField(source="uncounted_count", help_text="Came late and found no room.")


class MemberEdit(StrictSerializer):
    """What is to be another: each by itself."""

    role = serializers.ChoiceField(Role.choices, required=False)
    tags = TagsField(required=False)
    stage = serializers.ChoiceField(
        Stage.choices, required=False, help_text="Qualified or failed by hand; training or test: from its beginning."
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if not attrs:
            raise serializers.ValidationError('Send "role", "tags" or "stage".')
        return attrs
