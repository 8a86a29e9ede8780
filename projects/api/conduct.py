"""Rules about annotators, and what was done about them."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from django.db.models.functions import Now
from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from projects.access import MANAGER, access_annotator, access_member, access_project
from projects.api.base import checked, user_of
from projects.api.idempotency import IDEMPOTENCY_KEY, idempotent
from projects.api.paging import PARAMETERS, page_schema, paginated
from projects.errors import NotFound
from projects.models import Action, Project, Rule, Sanction
from projects.serializers import LiftIn, RuleIn, RuleOut, SanctionIn, SanctionOut
from projects.services import sanctions
from projects.services.projects import request_refit


class RulesView(APIView):
    @extend_schema(operation_id="rules", parameters=PARAMETERS, responses=page_schema("RulePage", RuleOut))
    def get(self, request: Request, project_id: int) -> Response:
        """Rules about annotators, also those that were ended."""
        project = access_project(user_of(request), project_id, MANAGER)
        return paginated(request, Rule.objects.filter(project=project), lambda rule: RuleOut(rule).data)

    @extend_schema(operation_id="create_rule", parameters=[IDEMPOTENCY_KEY], request=RuleIn, responses={201: RuleOut})
    @idempotent
    def post(self, request: Request, project_id: int) -> Response:
        """A rule that judges every annotator after each refit and acts once on each; it is ended, never changed."""
        project = access_project(user_of(request), project_id, MANAGER)
        rule = Rule.objects.create(project=project, **checked(RuleIn, request))
        rule.refresh_from_db()
        request_refit(project_id=project.id)
        return Response(RuleOut(rule).data, status=status.HTTP_201_CREATED)


class RuleView(APIView):
    @extend_schema(operation_id="end_rule", responses={204: None})
    def delete(self, request: Request, project_id: int, rule_id: int) -> Response:
        """The rule judges nobody any more; what it did stays until it is lifted."""
        project = access_project(user_of(request), project_id, MANAGER)
        if not Rule.objects.filter(project=project, id=rule_id, ended_at__isnull=True).update(ended_at=Now()):
            raise NotFound("This project has no such rule.")
        return Response(status=status.HTTP_204_NO_CONTENT)


def _sanctions_of(project: Project) -> QuerySet[Sanction]:
    return Sanction.objects.filter(project=project).select_related("annotator", "by", "lifted_by")


class SanctionsView(APIView):
    @extend_schema(operation_id="sanctions", parameters=PARAMETERS, responses=page_schema("SanctionPage", SanctionOut))
    def get(self, request: Request, project_id: int) -> Response:
        """Everything that was done about annotators, by rules and by managers, newest first."""
        project = access_project(user_of(request), project_id, MANAGER)
        return paginated(request, _sanctions_of(project), lambda row: SanctionOut(row).data, newest_first=True)


class MemberSanctionsView(APIView):
    @extend_schema(
        operation_id="sanction", parameters=[IDEMPOTENCY_KEY], request=SanctionIn, responses={201: SanctionOut}
    )
    @idempotent
    def post(self, request: Request, project_id: int, member_id: int) -> Response:
        """Warn, pause, block or discard, from now on.

        warn: on record, and shown to the annotator. pause: no new tasks. block: no votes either, and what they hold
        goes to others. discard: blocked, and their votes are collected from others anew.
        """
        annotator = access_annotator(user_of(request), project_id, member_id)
        by = access_member(user_of(request), project_id, MANAGER)
        given = checked(SanctionIn, request)
        done = sanctions.sanction(
            annotator=annotator,
            by=by,
            action=Action(given["action"]),
            reason=given["reason"],
            hours=given["pause_hours"],
        )
        assert done is not None  # only a rule acts just once
        return _shown(by.project, done)


class LiftView(APIView):
    @extend_schema(
        operation_id="lift_sanction", parameters=[IDEMPOTENCY_KEY], request=LiftIn, responses={201: SanctionOut}
    )
    @idempotent
    def post(self, request: Request, project_id: int, sanction_id: int) -> Response:
        """Take a sanction back; the votes that it discarded count again. The rule behind it lets this person be."""
        by = access_member(user_of(request), project_id, MANAGER)
        found = _sanctions_of(by.project).filter(id=sanction_id).first()
        if found is None:
            raise NotFound("This project has no such sanction.")
        return _shown(by.project, sanctions.lift(sanction=found, by=by, reason=checked(LiftIn, request)["reason"]))


def _shown(project: Project, done: Sanction) -> Response:
    shown: Any = SanctionOut(_sanctions_of(project).get(id=done.id)).data
    return Response(shown, status=status.HTTP_201_CREATED)
