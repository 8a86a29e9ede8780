"""A share of what is asked is left to chance, so that it says something of all tasks."""

from __future__ import annotations

from collections.abc import Mapping
from random import SystemRandom
from typing import Any

from projects import queries
from projects.models import Project
from projects.queries import Statement
from projects.services import gold

#: Lots lie below.
LOTS = 2**31 - 1
_random = SystemRandom()


def exploring(project: Project, wanted: Mapping[str, Any]) -> list[Statement]:
    """The statement that leases what is left to chance, if anything is; the others come after it.

    wanted: the parameters of a lease. Each new assignment is left to chance with the probability `explore_share`, which
    is noted with it.
    """
    if project.explore_share is None:
        return []
    coins = gold.toss(project.explore_share, wanted["count"])
    if not coins[-1]:
        return []
    chance = {"coins": coins, "lot": _random.randrange(LOTS), "share": project.explore_share}
    return [(queries.EXPLORE, {**wanted, **chance})]
