"""Gold among other tasks: how much of it is handed out, and to how many (docs/gold.md)."""

from __future__ import annotations

from itertools import accumulate
from random import SystemRandom

from projects import queries
from projects.models import Project, TaskState
from projects.queries import fetch
from projects.services.recompute import recompute_in_chunks

#: Settings that say where gold lies and how many votes it wants.
SETTINGS = {"gold_exposures", "gold_share"}
#: Nobody can work out what it says next.
_random = SystemRandom()


def toss(share: float, count: int) -> list[int]:
    """Of so many assignments, each gold by chance: how many of the first none, one, two, … are."""
    return list(accumulate((_random.random() < share for _ in range(count)), initial=0))


def place_gold(project: Project) -> None:
    """All gold of the project, its tasks locked, goes where its settings want it; what retires it follows."""
    fetch(queries.PLACE_GOLD, project=project.id)


def place_uploaded_gold(project: Project) -> None:
    """Gold that came with the upload that is being merged, its tasks locked, leaves the ordinary queue."""
    placed = [task_id for (task_id,) in fetch(queries.PLACE_UPLOADED_GOLD, project=project.id)]
    voted = TaskState.objects.filter(task__in=placed, votes__gt=0)
    recompute_in_chunks(project=project, task_ids=list(voted.values_list("task_id", flat=True)))
