"""What a remote learner asks back while it trains: a project and its tasks, as Label Studio answers them.

``/learner`` is the host name that a backend is told, with a token that reads one project and nothing else. Backends
that take both from their environment are given a manager's API token.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from django.db.models import QuerySet
from django.http import HttpRequest, JsonResponse
from django.urls import path
from django.views.decorators.http import require_safe
from numpy.typing import NDArray

from aggregation.models import LearnerArtefact, RemoteLearner
from aggregation.remote.contract import as_task, backend_mark, label_config, read_token
from aggregation.services.artefacts import HeldOut
from projects.access import MANAGER, who_by_api_token
from projects.models import Project, Task

MOST_A_PAGE = 1000


def _asked_by(request: HttpRequest, project_id: int) -> Project | None:
    """The project with this number, if who asks may read it. Raises PermissionError without a token that is known."""
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    token = given.strip() if scheme.lower() in ("token", "bearer") else ""
    mine = _backends(token)
    if mine is None:
        found = who_by_api_token(token, project_id)
        if found is None:
            raise PermissionError("This token is unknown or too old.")
        member = found[1]
        mine = member.project_id if member is not None and member.role in MANAGER else None
    return Project.objects.filter(id=project_id, learner="remote").first() if mine == project_id else None


def _backends(token: str) -> int | None:
    """The project whose backend was given this token, if it still is that backend."""
    given = read_token(token)
    stored = None if given is None else RemoteLearner.objects.filter(project=given[0]).first()
    if given is None or stored is None or backend_mark(stored.url, stored.username, stored.password) != given[1]:
        return None
    return given[0]


def _refused(status: int, detail: str) -> JsonResponse:
    return JsonResponse({"detail": detail, "status_code": status}, status=status)


@require_safe
def project(request: HttpRequest, project_id: int) -> JsonResponse:
    try:
        mine = _asked_by(request, project_id)
    except PermissionError as error:
        return _refused(401, str(error))
    if mine is None:
        return _refused(404, "Not found.")
    config = label_config(mine.labels, mine.learner_fields[0])
    return JsonResponse({"id": mine.id, "title": mine.name, "label_config": config, "is_published": True})


@require_safe
def tasks(request: HttpRequest) -> JsonResponse:
    """A page of tasks with consensus from votes alone as annotations; 404 past the last page."""
    asked = {
        name: request.GET.get(name, default) for name, default in (("project", ""), ("page", "1"), ("page_size", "100"))
    }
    if not all(each.isascii() and each.isdecimal() and len(each) < 12 for each in asked.values()):
        return _refused(400, "project, page and page_size are numbers.")
    number, page, size = (int(each) for each in asked.values())
    try:
        mine = _asked_by(request, number)
    except PermissionError as error:
        return _refused(401, str(error))
    if mine is None:
        return _refused(404, "Not found.")
    size = min(max(size, 1), MOST_A_PAGE)
    newest = Task.objects.filter(project=mine).order_by("-id").values_list("id", flat=True).first()
    first, total = _pages(mine.id, newest, size)
    place = max(page, 1) - 1
    if place >= len(first) and place > 0:
        return _refused(404, "Invalid page.")
    found = _listed(mine.id).filter(id__gte=first[place]).values_list("id", "data")[:size] if first else []
    taught, labels = _newest_taught(mine.id)
    rows = [as_task(id_, data, _label(mine, id_, taught, labels), mine.id) for id_, data in found]
    return JsonResponse({"tasks": rows, "total": total, "total_annotations": len(taught), "total_predictions": 0})


def _listed(project: int) -> QuerySet[Task]:
    """Not what trains and tests annotators, which is no part of what is to be labelled."""
    return Task.objects.filter(project=project).exclude(gold__origin="qualification").order_by("id")


@lru_cache(maxsize=4)
def _pages(project: int, newest: int | None, size: int) -> tuple[list[int], int]:
    """The task that each page begins with, and how many tasks there are, up to the newest: read once, so that no page
    has to count its way through those before it."""
    ids = np.fromiter(_listed(project).filter(id__lte=newest or 0).values_list("id", flat=True).iterator(), np.int64)
    return ids[::size].tolist(), len(ids)


def _newest_taught(project: int) -> tuple[NDArray[np.int64], NDArray[np.int16]]:
    stored = LearnerArtefact.objects.filter(run__project=project, held_out__isnull=False).order_by("-run_id")
    newest = stored.values_list("run_id", flat=True).first()
    return (np.empty(0, np.int64), np.empty(0, np.int16)) if newest is None else _taught(newest)


@lru_cache(maxsize=2)
def _taught(run: int) -> tuple[NDArray[np.int64], NDArray[np.int16]]:
    """The tasks that this retraining teaches, i8[n] ascending, and their labels, i2[n]: consensus from votes alone,
    without the machine's, gold and audits."""
    held_out = HeldOut.load(bytes(LearnerArtefact.objects.get(run=run).held_out or b""))
    return held_out.tasks, held_out.taught


def _label(project: Project, task: int, taught: NDArray[np.int64], labels: NDArray[np.int16]) -> str | None:
    place = int(np.searchsorted(taught, task))
    return project.labels[labels[place]] if place < len(taught) and taught[place] == task else None


urlpatterns = [path("projects/<int:project_id>", project), path("tasks", tasks)]
