"""The label models by name. Adding one is one file and one line here."""

from __future__ import annotations

from functools import partial
from typing import Protocol

from aggregation.core import (
    auto,
    crowd_kit,
    dawid_skene,
    glad,
    hierarchical,
    majority_vote,
    one_coin,
    wawa,
    zero_based_skill,
)
from aggregation.core.fit import Fit, Start
from aggregation.core.votes import Ints, Votes


class LabelModel(Protocol):
    """Estimates truth from votes, and from gold int32[T] (-1 where unknown), which is clamped in the posterior.

    start: an earlier fit of the same tasks, or its posterior f8[T, K], from which a model that climbs begins.
    """

    def __call__(self, votes: Votes, gold: Ints | None = None, start: Start | None = None) -> Fit: ...


LABEL_MODELS: dict[str, LabelModel] = {
    "auto": auto.fit,
    "majority_vote": majority_vote.fit,
    "wawa": wawa.fit,
    "zero_based_skill": zero_based_skill.fit,
    "one_coin": one_coin.fit,
    "glad": glad.fit,
    "dawid_skene": dawid_skene.fit,
    "hierarchical_dawid_skene": hierarchical.fit,
    "difficulty_dawid_skene": partial(hierarchical.fit, kinds=2),
    "crowd_kit_glad": crowd_kit.glad,
    "crowd_kit_mace": crowd_kit.mace,
    "crowd_kit_mmsr": crowd_kit.mmsr,
    "crowd_kit_kos": crowd_kit.kos,
}

#: Those that run wherever we do.
OURS = tuple(name for name in LABEL_MODELS if not name.startswith("crowd_kit_"))

#: Those that climb by `aggregation.core.em`, which heeds what `Votes.task_prior` says of each task.
HEED_TASK_PRIORS = frozenset({"auto", "dawid_skene", "hierarchical_dawid_skene", "difficulty_dawid_skene"})

DEFAULT_LABEL_MODEL = "auto"
