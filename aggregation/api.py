"""Statistics, annotators, consensus, runs: shape and HTTP only."""

from __future__ import annotations

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from aggregation import selectors
from aggregation.models import AccuracyCertificate
from aggregation.outlook_serializers import AccuracyCertificateOut, OutlookOut
from aggregation.serializers import (
    AnnotatorDetail,
    AnnotatorOut,
    FeedOut,
    LearningCurveOut,
    PredictionOut,
    RequestedOut,
    RunOut,
    StatisticsOut,
)
from aggregation.services import consensus
from aggregation.services.calibrating import says
from aggregation.services.learner_runs import cancel_run, restore_run
from projects.access import MANAGER, READERS, access_annotator, access_project
from projects.api.base import user_of
from projects.api.exports import ExportView
from projects.api.paging import PARAMETERS, decode_cursor, encode_cursor, limit_of, page_schema, paginated
from projects.errors import NotFound
from projects.services.projects import request_refit, request_retraining


class StatisticsView(APIView):
    @extend_schema(operation_id="statistics", responses=StatisticsOut)
    def get(self, request: Request, project_id: int) -> Response:
        """How the campaign stands."""
        project = access_project(user_of(request), project_id, MANAGER)
        return Response(StatisticsOut(selectors.statistics_of(project)).data)


class AnnotatorsView(APIView):
    @extend_schema(
        operation_id="annotators", parameters=PARAMETERS, responses=page_schema("AnnotatorPage", AnnotatorOut)
    )
    def get(self, request: Request, project_id: int) -> Response:
        """Everybody who has voted, with what is known of their skill."""
        project = access_project(user_of(request), project_id, MANAGER)
        limit = limit_of(request)
        (after,) = decode_cursor(request, 1) or (0,)
        rows = selectors.annotators_of(project, after=after, limit=limit + 1)
        following = encode_cursor(rows[limit - 1]["id"]) if len(rows) > limit else None
        return Response({"results": rows[:limit], "next": following})


class AnnotatorView(APIView):
    @extend_schema(operation_id="annotator", responses=AnnotatorDetail)
    def get(self, request: Request, project_id: int, annotator_id: int) -> Response:
        """One annotator, with the confusion matrix."""
        annotator = access_annotator(user_of(request), project_id, annotator_id)
        project = access_project(user_of(request), project_id, MANAGER)
        rows = selectors.annotators_of(project, only=annotator.id)
        if not rows:
            raise NotFound("This member has not voted yet.")
        return Response({**rows[0], "labels": project.labels, "confusion": selectors.confusion_of(project, annotator)})


class ConsensusView(APIView):
    @extend_schema(operation_id="consensus_feed", parameters=PARAMETERS, responses=FeedOut)
    def get(self, request: Request, project_id: int) -> Response:
        """The incremental feed: published labels in the order of their last change.

        Keep `next` and ask again with it: you get every later change, none twice for the same change, none left out.
        """
        project = access_project(user_of(request), project_id, READERS)
        limit = limit_of(request)
        revision, task = decode_cursor(request, 2) or (0, 0)
        rows = consensus.read_feed(project=project, revision=revision, task=task, limit=limit + 1)
        page = rows[:limit]
        if page:
            revision, task = page[-1].revision, page[-1].task
        return Response(
            {
                "results": [row.as_json(project.labels) for row in page],
                "next": encode_cursor(revision, task),
                "more": len(rows) > limit,
            }
        )


class ConsensusCsvView(ExportView):
    name, media_type, suffix, roles = "consensus", "text/csv", "csv", READERS

    @extend_schema(operation_id="consensus_csv", responses={(200, "text/csv"): OpenApiTypes.STR})
    def get(self, request: Request, project_id: int) -> Any:
        """All published labels as CSV, streamed."""
        return self._export(request, project_id, consensus.export_csv)


class ConsensusJsonlView(ExportView):
    name, media_type, suffix, roles = "consensus", "application/x-ndjson", "jsonl", READERS

    @extend_schema(operation_id="consensus_jsonl", responses={(200, "application/x-ndjson"): OpenApiTypes.STR})
    def get(self, request: Request, project_id: int) -> Any:
        """All published labels as JSON lines, streamed."""
        return self._export(request, project_id, consensus.export_jsonl)


class PredictionsView(APIView):
    @extend_schema(
        operation_id="predictions", parameters=PARAMETERS, responses=page_schema("PredictionPage", PredictionOut)
    )
    def get(self, request: Request, project_id: int) -> Response:
        """The learner's own answers: out of fold for tasks with votes. No person has confirmed them."""
        project = access_project(user_of(request), project_id, MANAGER)

        def shape(prediction: Any) -> dict[str, Any]:
            label, confidence = selectors.prediction_summary(project, prediction)
            task = prediction.task
            return {
                "task": task.id,
                "key": task.key,
                "label": label,
                "confidence": confidence,
                "calibration": says(None),
                "run": prediction.run,
            }

        return paginated(request, selectors.predictions_of(project), shape)


class RunsView(APIView):
    @extend_schema(operation_id="runs", parameters=PARAMETERS, responses=page_schema("RunPage", RunOut))
    def get(self, request: Request, project_id: int) -> Response:
        """Refits and retrainings, newest first."""
        project = access_project(user_of(request), project_id, MANAGER)
        return paginated(request, selectors.runs_of(project), lambda run: RunOut(run).data, newest_first=True)


class RunView(APIView):
    @extend_schema(operation_id="run", responses=RunOut)
    def get(self, request: Request, project_id: int, run_id: int) -> Response:
        project = access_project(user_of(request), project_id, MANAGER)
        run = selectors.runs_of(project).filter(id=run_id).first()
        if run is None:
            raise NotFound("This project has no such run.")
        return Response(RunOut(run).data)


class LearningCurveView(APIView):
    @extend_schema(operation_id="learning_curve", responses=LearningCurveOut)
    def get(self, request: Request, project_id: int) -> Response:
        """How good the learner is by the votes it was taught, and what the next votes will buy."""
        project = access_project(user_of(request), project_id, MANAGER)
        return Response(LearningCurveOut(selectors.learning_curve_of(project)).data)


class OutlookView(APIView):
    @extend_schema(operation_id="forecast", responses=OutlookOut)
    def get(self, request: Request, project_id: int) -> Response:
        """How right all labels are, what is certified of them, and what the target accuracy takes or the budget buys.

        As of the last look, which follows a refit. For projects with a `target_accuracy` or a `budget`.
        """
        project = access_project(user_of(request), project_id, MANAGER)
        return Response(OutlookOut(selectors.outlook_of(project)).data)


class AccuracyCertificatesView(APIView):
    @extend_schema(
        operation_id="accuracy_certificates",
        parameters=PARAMETERS,
        responses=page_schema("AccuracyCertificatePage", AccuracyCertificateOut),
    )
    def get(self, request: Request, project_id: int) -> Response:
        """On what grounds the project stopped at its target accuracy, and why it went on: newest first."""
        project = access_project(user_of(request), project_id, READERS)
        rows = AccuracyCertificate.objects.filter(project=project)
        return paginated(request, rows, lambda row: AccuracyCertificateOut(row).data, newest_first=True)


class CancelView(APIView):
    @extend_schema(operation_id="cancel_run", request=None, responses=RunOut)
    def post(self, request: Request, project_id: int, run_id: int) -> Response:
        """Cancel a retraining that is running. The learner in force stays."""
        project = access_project(user_of(request), project_id, MANAGER)
        cancel_run(project=project, run_id=run_id)
        return Response(RunOut(selectors.runs_of(project).get(id=run_id)).data)


class RestoreView(APIView):
    @extend_schema(operation_id="restore_run", request=None, responses={202: RunOut})
    def post(self, request: Request, project_id: int, run_id: int) -> Response:
        """Bring an earlier learner back into force, as a run of its own that predicts every task by it."""
        project = access_project(user_of(request), project_id, MANAGER)
        run = restore_run(project=project, run_id=run_id)
        return Response(RunOut(selectors.runs_of(project).get(id=run.id)).data, status=status.HTTP_202_ACCEPTED)


class RefitView(APIView):
    @extend_schema(operation_id="request_refit", request=None, responses={202: RequestedOut})
    def post(self, request: Request, project_id: int) -> Response:
        """Refit the label model as soon as a worker is free."""
        request_refit(project_id=access_project(user_of(request), project_id, MANAGER).id)
        return Response({"requested": True}, status=status.HTTP_202_ACCEPTED)


class RetrainView(APIView):
    @extend_schema(operation_id="request_retraining", request=None, responses={202: RequestedOut})
    def post(self, request: Request, project_id: int) -> Response:
        """Retrain the learner as soon as a worker is free."""
        request_retraining(project_id=access_project(user_of(request), project_id, MANAGER).id)
        return Response({"requested": True}, status=status.HTTP_202_ACCEPTED)
