"""How often what audits take for the truth is wrong at most, where that is people's consensus and no expert's answer.

The consensus of votes alone, without the machine, is compared with gold: tasks drawn at random whose answers are known,
and which the label model was not told. That each is named rightly or wrongly is a draw from one population, of which
`bounds.Betting` gives a limit that holds at every look while gold is added. It is one half of a guarantee: if the
machine disagrees with the consensus on at most the part e of its labels, and the consensus is wrong on at most d of all
tasks, the machine is wrong on at most e + d of them. So it has a part of alpha, as one more learner would
(`threshold_plan.alpha_of`). Labels that are in force are taken to be no harder for people than the gold.
"""

from __future__ import annotations

import numpy as np

from aggregation.core.bounds import Betting, Bools

#: Gold is drawn from so many tasks that none is drawn twice.
POPULATION = 10_000_000


def most_often_wrong(right: Bools, alpha: float) -> float:
    """The share of tasks, 0..1, on which consensus is wrong at most, with probability 1 - alpha: 1 without gold.

    right: bool[n], whether it is what gold says, in the order in which the gold came. Raises ValueError for an alpha
    outside 0..1.
    """
    right = np.asarray(right, np.bool_)
    return 1.0 - Betting(right, np.ones(len(right)), POPULATION, alpha).bound() / POPULATION
