"""Acquisition: which task, and whom, to ask next. Pure functions of posteriors, predictions and features.

ACQUISITIONS are the scores of one task's posterior alone, which the service keeps up to date with every vote; adding
one is a function and a line here. The other modules look further: at the votes behind a posterior (`disagreement`,
`activelab`), at who would answer and what that teaches (`gain`), at the other tasks of a batch (`batches`), and at what
there is to find (`search`); `cold_start` is for when nothing is known, and `exploration` keeps a share to chance.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from aggregation.core.acquisition.activelab import activelab
from aggregation.core.acquisition.batches import diverse
from aggregation.core.acquisition.cold_start import representatives
from aggregation.core.acquisition.disagreement import bald, vote_entropy
from aggregation.core.acquisition.exploration import Choice, explore, lots
from aggregation.core.acquisition.gain import information_gain, new_or_relabel, teaching
from aggregation.core.acquisition.search import search
from aggregation.core.acquisition.uncertainty import entropy, least_confidence, margin
from aggregation.core.votes import Floats

Acquisition = Callable[[Floats], Floats]

ACQUISITIONS: dict[str, Acquisition] = {
    "entropy": entropy,
    "margin": margin,
    "least_confidence": least_confidence,
}

#: Priorities are whole numbers 0..PRIORITY_STEPS: an indexed column that changes only when it matters.
PRIORITY_STEPS = 1000


def priority(score: Floats) -> NDArray[np.int16]:
    """Scores in 0..1 as int16 0..PRIORITY_STEPS, rounded to the nearest step."""
    return np.rint(np.clip(score, 0.0, 1.0) * PRIORITY_STEPS).astype(np.int16)


__all__ = [
    "ACQUISITIONS",
    "PRIORITY_STEPS",
    "Acquisition",
    "Choice",
    "activelab",
    "bald",
    "diverse",
    "entropy",
    "explore",
    "information_gain",
    "least_confidence",
    "lots",
    "margin",
    "new_or_relabel",
    "priority",
    "representatives",
    "search",
    "teaching",
    "vote_entropy",
]
