"""What answers say of who gave them: accuracy with its bounds, and agreement with others against chance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaincinv

from aggregation.core.votes import Floats, Votes

#: Votes looked at together: their tasks' counts are held twice.
ROOM = 2_000_000


def share_bounds(successes: int, trials: int, confidence: float = 0.95) -> tuple[float, float]:
    """One-sided bounds of a share from its successes in so many trials: each holds with this confidence by itself.

    Clopper, C. J. and Pearson, E. S.: The Use of Confidence or Fiducial Limits Illustrated in the Case of the Binomial,
    Biometrika 26(4), 1934, doi:10.1093/biomet/26.4.404. Without trials 0 and 1. Raises ValueError unless
    0 <= successes <= trials and 0 < confidence < 1.
    """
    if not 0 <= successes <= trials or not 0 < confidence < 1:
        raise ValueError(f"{successes} of {trials} at confidence {confidence} is no share")
    low = betaincinv(successes, trials - successes + 1, 1 - confidence) if successes else 0.0
    high = betaincinv(successes + 1, trials - successes, confidence) if successes < trials else 1.0
    return float(low), float(high)


@dataclass(frozen=True, eq=False)
class Agreement:
    """How often A annotators agree with the favourite of the others who voted on the same task.

    compared: int64[A], votes on tasks where the others have one favourite. agreed: int64[A], of them, with it.
    chance: f8[A], the share of agreement to be expected if an annotator's labels had nothing to do with the tasks, from
    how often the annotator and the favourites have each label; 0 without votes to compare.
    """

    compared: NDArray[np.int64]
    agreed: NDArray[np.int64]
    chance: Floats


def agreement(votes: Votes) -> Agreement:
    """The agreement of every annotator with the others, an annotator's own vote left out each time."""
    counts, A, K = votes.per_task(), votes.n_annotators, votes.n_labels
    mine, others = np.zeros((A, K)), np.zeros((A, K))
    agreed = np.zeros(A, dtype=np.int64)
    for rows in np.array_split(np.arange(len(votes)), 1 + len(votes) * K // ROOM):
        label, annotator = votes.label[rows], votes.annotator[rows]
        rest = counts[votes.task[rows]]
        rest[np.arange(len(rows)), label] -= 1
        most, favourite = rest.max(axis=1, initial=0), rest.argmax(axis=1)
        clear = (most > 0) & ((rest == most[:, None]).sum(axis=1) == 1)
        np.add.at(mine, (annotator[clear], label[clear]), 1)
        np.add.at(others, (annotator[clear], favourite[clear]), 1)
        agreed += np.bincount(annotator[clear], label[clear] == favourite[clear], minlength=A).astype(np.int64)
    compared = mine.sum(axis=1)
    chance = (mine * others).sum(axis=1) / np.maximum(compared, 1) ** 2
    return Agreement(compared.astype(np.int64), agreed, chance)
