"""The label models by name. Adding one is one file and one line here."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from aggregation.core import dawid_skene, majority_vote
from aggregation.core.fit import Fit
from aggregation.core.votes import Ints, Votes

LabelModel = Callable[[Votes, Ints | None], Fit]

LABEL_MODELS: dict[str, LabelModel] = {
    "majority_vote": majority_vote.fit,
    "dawid_skene": partial(dawid_skene.fit, strength=0.0),
    "hierarchical_dawid_skene": dawid_skene.fit,
}

DEFAULT_LABEL_MODEL = "hierarchical_dawid_skene"
