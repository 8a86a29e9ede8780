"""The ledger, for managers."""

from __future__ import annotations

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from projects.access import MANAGER, access_project
from projects.api.base import user_of
from projects.api.exports import ExportView
from projects.api.paging import PARAMETERS, page_schema, paginated
from projects.selectors import earnings_of, payments_of
from projects.serializers import EarningsOut, PaymentOut
from projects.services.exports import export_payments


class PaymentsView(APIView):
    @extend_schema(operation_id="payments", parameters=PARAMETERS, responses=page_schema("PaymentPage", PaymentOut))
    def get(self, request: Request, project_id: int) -> Response:
        """The ledger: a line for each counted vote that cost something, oldest first. Lines never change."""
        project = access_project(user_of(request), project_id, MANAGER)
        return paginated(request, payments_of(project), lambda payment: PaymentOut(payment).data)


class EarningsView(APIView):
    @extend_schema(operation_id="earnings", parameters=PARAMETERS, responses=page_schema("EarningsPage", EarningsOut))
    def get(self, request: Request, project_id: int) -> Response:
        """What each annotator has earned: the sums of the ledger."""
        project = access_project(user_of(request), project_id, MANAGER)
        return paginated(request, earnings_of(project), lambda member: EarningsOut(member).data)


class PaymentsCsvView(ExportView):
    name, media_type, suffix, roles = "payments", "text/csv", "csv", MANAGER

    @extend_schema(operation_id="payments_csv", responses={(200, "text/csv"): OpenApiTypes.STR})
    def get(self, request: Request, project_id: int) -> Any:
        """The whole ledger as CSV, streamed."""
        return self._export(request, project_id, export_payments)
