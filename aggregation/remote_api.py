"""Where a project's remote learner is: shape and HTTP only."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from aggregation.models import RemoteLearner
from aggregation.services.remote import set_remote_learner
from projects.access import MANAGER, access_project
from projects.api.base import checked, user_of
from projects.serializers.fields import StrictSerializer


def checked_address(url: str) -> str:
    """The address, if a guarded request may be sent to such a one. Raises ValidationError."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        raise serializers.ValidationError("This is no address.") from None
    if parts.scheme not in ("http", "https") or not parts.hostname or not url.isascii() or not url.isprintable():
        raise serializers.ValidationError("Give an address that begins with http:// or https://.")
    if "@" in parts.netloc or parts.fragment:
        raise serializers.ValidationError("Give the address without user and fragment.")
    return url


class RemoteLearnerIn(StrictSerializer):
    url = serializers.CharField(max_length=500, help_text="Of a Label Studio ML backend.")
    username = serializers.CharField(max_length=200, required=False, allow_blank=True, default="")
    password = serializers.CharField(
        max_length=500,
        required=False,
        allow_blank=True,
        trim_whitespace=False,
        help_text="Never shown again; left out, the one that is stored stays with its address.",
    )

    def validate_url(self, url: str) -> str:
        if urlsplit(checked_address(url)).query:
            raise serializers.ValidationError("Give the address without query.")
        return url.rstrip("/")


class RemoteLearnerOut(serializers.Serializer[Any]):
    url = serializers.CharField(allow_null=True, help_text="Null before one is named.")
    username = serializers.CharField()
    has_password = serializers.BooleanField(help_text="Whether one is stored.")
    answered_at = serializers.DateTimeField(allow_null=True, help_text="The last time that it did as it was asked.")
    failures = serializers.IntegerField(help_text="In a row.")
    rests_until = serializers.DateTimeField(allow_null=True, help_text="After failures it is left alone for a while.")
    last_error = serializers.CharField()


NOT_NAMED = {
    "url": None,
    "username": "",
    "has_password": False,
    "answered_at": None,
    "failures": 0,
    "rests_until": None,
    "last_error": "",
}


class RemoteLearnerView(APIView):
    @extend_schema(operation_id="remote_learner", responses=RemoteLearnerOut)
    def get(self, request: Request, project_id: int) -> Response:
        """Where the project's remote learner is, and how it does. Its password is never shown."""
        project = access_project(user_of(request), project_id, MANAGER)
        stored = RemoteLearner.objects.filter(project=project).first()
        return Response(RemoteLearnerOut(stored or NOT_NAMED).data)

    @extend_schema(operation_id="set_remote_learner", request=RemoteLearnerIn, responses=RemoteLearnerOut)
    def put(self, request: Request, project_id: int) -> Response:
        """Name a Label Studio ML backend; it learns once the project's `learner` is `remote`."""
        project = access_project(user_of(request), project_id, MANAGER)
        wanted = checked(RemoteLearnerIn, request)
        stored = set_remote_learner(
            project=project, url=wanted["url"], username=wanted["username"], password=wanted.get("password")
        )
        return Response(RemoteLearnerOut(stored).data)
