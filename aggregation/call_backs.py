"""What a remote learner asks back while it trains: a project and its tasks, as Label Studio answers them.

``/learner`` is the host name that a backend is told. Its token reads one project and nothing else.
"""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, JsonResponse
from django.urls import path
from django.views.decorators.http import require_safe

from aggregation.models import LearnerArtefact
from aggregation.remote.contract import as_task, label_config, project_of_token
from aggregation.services.artefacts import HeldOut
from projects.models import Project, Task

MOST_A_PAGE = 1000


def _allowed(request: HttpRequest) -> Project | None:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    project = project_of_token(token.strip()) if scheme.lower() in ("token", "bearer") else None
    return Project.objects.filter(id=project, learner="remote").first() if project else None


def _refused(status: int, detail: str) -> JsonResponse:
    return JsonResponse({"detail": detail, "status_code": status}, status=status)


@require_safe
def project(request: HttpRequest, project_id: int) -> JsonResponse:
    mine = _allowed(request)
    if mine is None:
        return _refused(401, "This token is unknown or too old.")
    if mine.id != project_id:
        return _refused(404, "Not found.")
    config = label_config(mine.labels, mine.learner_fields[0])
    return JsonResponse({"id": mine.id, "title": mine.name, "label_config": config, "is_published": True})


@require_safe
def tasks(request: HttpRequest) -> JsonResponse:
    """A page of tasks with consensus from votes alone as annotations; 404 past the last page."""
    mine = _allowed(request)
    if mine is None:
        return _refused(401, "This token is unknown or too old.")
    asked = {
        name: request.GET.get(name, default) for name, default in (("project", ""), ("page", "1"), ("page_size", "100"))
    }
    if not all(each.isascii() and each.isdecimal() and len(each) < 12 for each in asked.values()):
        return _refused(400, "project, page and page_size are numbers.")
    number, page, size = (int(each) for each in asked.values())
    if number != mine.id:
        return _refused(404, "Not found.")
    size = min(max(size, 1), MOST_A_PAGE)
    # Not what trains and tests annotators, which is no part of what is to be labelled.
    found = Task.objects.filter(project=mine).exclude(gold__origin="qualification").order_by("id")
    first, total = (max(page, 1) - 1) * size, found.count()
    if first >= total and first > 0:
        return _refused(404, "Invalid page.")
    labels = _taught(mine)
    rows = [
        as_task(id_, data, labels.get(id_), mine.id)
        for id_, data in found.values_list("id", "data")[first : first + size]
    ]
    return JsonResponse({"tasks": rows, "total": total, "total_annotations": len(labels), "total_predictions": 0})


def _taught(project: Project) -> dict[int, str]:
    """The labels that the newest retraining teaches: consensus from votes, without the machine's and without audits."""
    stored = LearnerArtefact.objects.filter(run__project=project, held_out__isnull=False).order_by("-run_id").first()
    if stored is None:
        return {}
    held_out: Any = HeldOut.load(bytes(stored.held_out or b""))
    pairs = zip(held_out.tasks.tolist(), held_out.consensus.tolist(), strict=True)
    return {task: project.labels[label] for task, label in pairs}


urlpatterns = [path("projects/<int:project_id>", project), path("tasks", tasks)]
