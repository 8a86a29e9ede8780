"""Simulated pools of tasks for `tiers.py`: what a learner makes of them, how they arrive, and what audits show."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from aggregation.core.bounds import Bools, Ids
from aggregation.core.tiers import Evidence, exposures
from aggregation.core.votes import Floats

FIXED, STREAM, BURST = "fixed pool", "stream", "burst"


@dataclass(frozen=True)
class Setting:
    """A learner: how strong, how much of its log odds it states; error: the same for all tasks, whatever it states.

    delay: after how many looks audits are answered. share: by which all tasks are drawn for audits from the first look
    on; None: more and more, where they promise most.
    """

    strength: float
    stated: float = 1.0
    error: float | None = None
    pool: str = FIXED
    delay: int = 0
    share: float | None = None


@dataclass
class Pool:
    """Tasks of one campaign, in the order they arrive: the learner's score, whether it is right, and the lot."""

    score: Any
    right: Any
    lot: Any


def draw_pool(random: np.random.Generator, setting: Setting, tasks: int) -> Pool:
    odds = np.abs(random.normal(0.0, setting.strength, tasks))
    score, chance = 1.0 / (1.0 + np.exp(-setting.stated * odds)), 1.0 / (1.0 + np.exp(-odds))
    if setting.error is not None:
        chance = np.full(tasks, 1.0 - setting.error)
    return Pool(score, random.random(tasks) < chance, random.random(tasks))


def arrivals_of(pool: str, tasks: int, looks: int) -> Ids:
    """How many tasks have come by each look; in a burst a quarter, the others at once halfway."""
    if pool == STREAM:
        return np.linspace(tasks / looks, tasks, looks).astype(int)
    return np.where((np.arange(looks) < looks // 2) & (pool == BURST), tasks // 4, tasks)


def drawn_of(pool: Pool, band: Ids, arrived: int, share: Floats) -> Bools:
    """Which of the first tasks are audits, if their lots are compared with these shares."""
    return np.asarray(pool.lot[:arrived] < np.append(share, 0.0)[band[:arrived]])


def expose(pool: Pool, band: Ids, arrived: int, share: Floats) -> Evidence:
    """What audits show if the lots of all that have arrived are compared with these shares.

    band: the strictest threshold that each is at or above. Counted as by `count_evidence`, without sorting the pool.
    """
    drawn, sets = drawn_of(pool, band, arrived, share), len(share)
    band, lot, wrong = band[:arrived], pool.lot[:arrived], ~pool.right[:arrived]
    seen = (band[drawn, None] <= np.arange(sets)) & (lot[drawn, None] < share)
    tasks = np.bincount(band[~drawn], minlength=sets)[:sets].cumsum()
    exposed = exposures(lot[drawn]) @ (seen & wrong[drawn, None])
    return Evidence(tasks, seen.sum(axis=0), (seen & wrong[drawn, None]).sum(axis=0), exposed, share)


def oracle(pool: Pool, max_error: float) -> int:
    """How many labels are above the lowest threshold at which few enough are wrong, were all known."""
    wrong = ~pool.right[np.argsort(-pool.score, kind="stable")]
    good = np.flatnonzero(wrong.cumsum() <= max_error * np.arange(1, len(wrong) + 1))
    return int(good[-1]) + 1 if len(good) else 0
