"""Webhooks: shape and HTTP only."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from aggregation.models import Webhook
from aggregation.remote_api import checked_address
from aggregation.services import webhooks
from projects.access import MANAGER, access_project
from projects.api.base import checked, user_of
from projects.api.paging import PARAMETERS, page_schema, paginated
from projects.errors import NotFound
from projects.serializers.fields import StrictSerializer

FROM = ["beginning", "now"]


class WebhookIn(StrictSerializer):
    url = serializers.CharField(max_length=500, help_text="Messages are posted to it.")
    start = serializers.ChoiceField(
        FROM, default="beginning", help_text="`now`: without what has been published already."
    )

    def validate_url(self, url: str) -> str:
        return checked_address(url)


class WebhookChanges(StrictSerializer):
    url = serializers.CharField(max_length=500, required=False)
    active = serializers.BooleanField(required=False, help_text="Switched on it goes on where it was.")

    def validate_url(self, url: str) -> str:
        return checked_address(url)


class WebhookOut(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    url = serializers.CharField()
    active = serializers.BooleanField()
    stopped = serializers.CharField(help_text="Why it was switched off, if no manager did.")
    failures = serializers.IntegerField(help_text="In a row.")
    last_status = serializers.IntegerField(allow_null=True, help_text="Of the last attempt's answer; null: no answer.")
    last_error = serializers.CharField(help_text="Of the last attempt; empty: it was acknowledged.")
    last_attempt_at = serializers.DateTimeField(allow_null=True)
    next_attempt_at = serializers.DateTimeField(source="due_at", help_text="At the earliest: later after failures.")
    delivered_at = serializers.DateTimeField(allow_null=True, help_text="Of the last message acknowledged.")
    waiting = serializers.SerializerMethodField(
        help_text=f"Published rows that it has not acknowledged; {webhooks.MOST_COUNTED}: so many or more."
    )
    created_at = serializers.DateTimeField()

    def get_waiting(self, webhook: Webhook) -> int:
        return webhooks.backlog_of(webhook)


class WebhookWithSecret(WebhookOut):
    secret = serializers.CharField(help_text="Messages are signed by it. Shown this once.")


class WebhooksView(APIView):
    @extend_schema(operation_id="webhooks", parameters=PARAMETERS, responses=page_schema("WebhookPage", WebhookOut))
    def get(self, request: Request, project_id: int) -> Response:
        """Where this project's consensus is sent as it changes, and how that goes."""
        project = access_project(user_of(request), project_id, MANAGER)
        rows = Webhook.objects.defer("body").filter(project=project)
        return paginated(request, rows, lambda row: WebhookOut(row).data)

    @extend_schema(operation_id="register_webhook", request=WebhookIn, responses={201: WebhookWithSecret})
    def post(self, request: Request, project_id: int) -> Response:
        """Have the rows of the consensus feed posted to an address as they come: in order, signed, at least once.

        Signatures are those of the Standard Webhooks specification; the secret is shown in this answer alone.
        """
        project = access_project(user_of(request), project_id, MANAGER)
        wanted = checked(WebhookIn, request)
        webhook = webhooks.register_webhook(project=project, url=wanted["url"], from_now=wanted["start"] == "now")
        return Response(WebhookWithSecret(webhook).data, status=status.HTTP_201_CREATED)


class WebhookView(APIView):
    @extend_schema(operation_id="webhook", responses=WebhookOut)
    def get(self, request: Request, project_id: int, webhook_id: int) -> Response:
        """How one webhook does."""
        project = access_project(user_of(request), project_id, MANAGER)
        webhook = Webhook.objects.defer("body").filter(project=project, id=webhook_id).first()
        if webhook is None:
            raise NotFound("This project has no such webhook.")
        return Response(WebhookOut(webhook).data)

    @extend_schema(operation_id="change_webhook", request=WebhookChanges, responses=WebhookOut)
    def patch(self, request: Request, project_id: int, webhook_id: int) -> Response:
        """Switch it on or off, or give it another address. Nothing is lost meanwhile."""
        project = access_project(user_of(request), project_id, MANAGER)
        webhook = webhooks.change_webhook(project=project, webhook_id=webhook_id, **checked(WebhookChanges, request))
        return Response(WebhookOut(webhook).data)

    @extend_schema(operation_id="remove_webhook", responses={204: None})
    def delete(self, request: Request, project_id: int, webhook_id: int) -> Response:
        """Send nothing more."""
        project = access_project(user_of(request), project_id, MANAGER)
        webhooks.remove_webhook(project=project, webhook_id=webhook_id)
        return Response(status=status.HTTP_204_NO_CONTENT)


class SecretView(APIView):
    @extend_schema(operation_id="change_webhook_secret", request=None, responses=WebhookWithSecret)
    def post(self, request: Request, project_id: int, webhook_id: int) -> Response:
        """A new secret, shown this once. For a day messages are signed by the one before, too."""
        project = access_project(user_of(request), project_id, MANAGER)
        webhook = webhooks.change_secret(project=project, webhook_id=webhook_id)
        return Response(WebhookWithSecret(webhook).data)
