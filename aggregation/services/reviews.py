"""What an expert decides is what consumers read, without waiting for the next refit."""

from __future__ import annotations

from django.db import transaction

from aggregation import queries
from aggregation.models import Run
from aggregation.services.publishing import CHUNK, write
from projects.models import Project, TaskState
from projects.queries import fetch
from projects.services.live_model import live_model
from projects.services.recompute import summarise


def publish_reviews(*, project_id: int) -> None:
    """Publish the tasks that experts have decided since the last refit began, as they are now.

    They name the current run. Before the first refit there is none: that one publishes them, as it does whatever
    changes meanwhile. Doing it again publishes nothing new.
    """
    tasks = [task_id for (task_id,) in fetch(queries.REVIEWED, project=project_id)]
    for start in range(0, len(tasks), CHUNK):
        _publish(Project.objects.get(id=project_id), tasks[start : start + CHUNK])


@transaction.atomic
def _publish(project: Project, tasks: list[int]) -> None:
    fetch(queries.REFITTED_TABLE)
    held = TaskState.objects.select_for_update().filter(task__in=tasks).order_by("task")
    mine = list(held.values_list("task_id", flat=True))
    model = live_model(project_id=project.id)
    if model.run is not None and mine:
        summaries, run = summarise(project=project, task_ids=mine)
        write(project, Run(id=run), model, [summaries])
