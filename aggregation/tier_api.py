"""The three tiers: handover and certificates. Shape and HTTP only."""

from __future__ import annotations

from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from aggregation.models import Certificate
from aggregation.services import handover
from aggregation.tier_serializers import AnswerOut, CertificateOut, PredictIn, PredictOut
from projects.access import READERS, access_project
from projects.api.base import checked, user_of
from projects.api.paging import PARAMETERS, page_schema, paginated


class PredictView(APIView):
    @extend_schema(
        operation_id="predict", request=PredictIn, responses={200: PredictOut, 202: PredictOut, 207: PredictOut}
    )
    def post(self, request: Request, project_id: int) -> Response:
        """Hand tasks over from a system in production: 200 all answered, 202 people are asked, 207 some of each.

        The machine answers at once what it is sure enough of by the certificate in force; without one it never does.
        People get the rest before all other tasks; ask for the result by its key.
        """
        project = access_project(user_of(request), project_id, READERS)
        answers = handover.predict(project=project, items=checked(PredictIn, request)["tasks"])
        kinds = {answer.status for answer in answers}
        mixed = status.HTTP_207_MULTI_STATUS
        code = mixed if len(kinds) > 1 else CODES[kinds.pop()]
        return Response({"results": AnswerOut(answers, many=True).data}, status=code)


class CertificatesView(APIView):
    @extend_schema(
        operation_id="certificates", parameters=PARAMETERS, responses=page_schema("CertificatePage", CertificateOut)
    )
    def get(self, request: Request, project_id: int) -> Response:
        """What the machine was and is certified for, and when that was taken back: newest first."""
        project = access_project(user_of(request), project_id, READERS)
        rows = Certificate.objects.filter(project=project)
        return paginated(request, rows, lambda row: CertificateOut(row).data, newest_first=True)


class PredictedView(APIView):
    @extend_schema(operation_id="predicted", responses={200: AnswerOut, 202: AnswerOut})
    def get(self, request: Request, project_id: int, which: str) -> Response:
        """What has become of a task, by its key or, where no task has this key, its id: 200 a label, 202 not yet."""
        project = access_project(user_of(request), project_id, READERS)
        answer = handover.answer_of(project=project, which=which)
        return Response(AnswerOut(answer).data, status=CODES[answer.status])


CODES = {"answered": status.HTTP_200_OK, "asked": status.HTTP_202_ACCEPTED}
