"""Backtests of a running project: shape and HTTP only."""

from __future__ import annotations

from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from aggregation.backtest_serializers import BacktestIn, BacktestOut
from aggregation.models import Backtest
from aggregation.services.backtests import request_backtest
from projects.access import MANAGER, access_project
from projects.api.base import checked, user_of
from projects.api.paging import PARAMETERS, page_schema, paginated
from projects.errors import NotFound


class BacktestsView(APIView):
    @extend_schema(operation_id="backtests", parameters=PARAMETERS, responses=page_schema("BacktestPage", BacktestOut))
    def get(self, request: Request, project_id: int) -> Response:
        """What was asked, and what came of it: newest first."""
        project = access_project(user_of(request), project_id, MANAGER)
        rows = Backtest.objects.filter(project=project)
        return paginated(request, rows, lambda row: BacktestOut(row).data, newest_first=True)

    @extend_schema(operation_id="request_backtest", request=BacktestIn, responses={202: BacktestOut})
    def post(self, request: Request, project_id: int) -> Response:
        """Ask what other settings would have made of the project's own votes; ask for the result by its id.

        The recorded votes are replayed a few times under the project's settings and under those asked about, by the
        functions that the project itself runs, with its learner unless that is remote.
        """
        project = access_project(user_of(request), project_id, MANAGER)
        backtest = request_backtest(project=project, settings=checked(BacktestIn, request))
        return Response(BacktestOut(backtest).data, status=status.HTTP_202_ACCEPTED)


class BacktestView(APIView):
    @extend_schema(operation_id="backtest", responses=BacktestOut)
    def get(self, request: Request, project_id: int, backtest_id: int) -> Response:
        """What came of one."""
        project = access_project(user_of(request), project_id, MANAGER)
        backtest = Backtest.objects.filter(project=project, id=backtest_id).first()
        if backtest is None:
            raise NotFound("This project has no such backtest.")
        return Response(BacktestOut(backtest).data)
