"""Files to download: streamed, in one form."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from django.http import StreamingHttpResponse
from rest_framework.request import Request
from rest_framework.views import APIView

from projects.access import access_project
from projects.api.base import user_of
from projects.models import Project, Role


class ExportView(APIView):
    name: str
    media_type: str
    suffix: str
    roles: frozenset[Role]

    def perform_content_negotiation(self, request: Request, force: bool = False) -> Any:
        """There is one form of an export: `Accept: text/csv` must not be refused because errors are JSON."""
        return super().perform_content_negotiation(request, force=True)

    def _export(self, request: Request, project_id: int, rows: Callable[..., Iterator[bytes]]) -> StreamingHttpResponse:
        project: Project = access_project(user_of(request), project_id, self.roles)
        response = StreamingHttpResponse(rows(project=project), content_type=f"{self.media_type}; charset=utf-8")
        response["Content-Disposition"] = f'attachment; filename="{self.name}-{project.id}.{self.suffix}"'
        response["X-Content-Type-Options"] = "nosniff"
        return response
