"""From a crowd to its consensus: fit, calibrate, and score where gold allows."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from aggregation.core.fit import Fit
from aggregation.core.label_models import LABEL_MODELS
from aggregation.core.majority_vote import vote_shares
from aggregation.core.votes import Floats, Ints, Votes
from aggregation.offline.crowd import Crowd
from aggregation.offline.progress import bar
from aggregation.offline.scoring import Score, folds, score

FOLDS = 5

#: (votes, fit, gold int32[T]) -> calibrated posterior f8[T, K].
Calibrate = Callable[[Votes, Fit, Ints], Floats]


@dataclass(frozen=True, eq=False)
class Analysis:
    """What a crowd's votes say.

    posterior: f8[T, K], calibrated if `calibrated`, else the fit's own. score: by cross-validation over the gold
    tasks, None without two of them; majority: majority vote's on the same tasks, which it does not know either.
    """

    crowd: Crowd
    method: str
    fit: Fit
    posterior: Floats
    calibrated: bool
    uses_order: bool
    score: Score | None = None
    majority: Score | None = None
    n_folds: int = 0

    @property
    def label(self) -> Ints:
        """Consensus of each task, int32[T]; the lowest index wins a tie."""
        return np.asarray(self.posterior.argmax(axis=1), np.int32)

    @property
    def open_tasks(self) -> Ints:
        """Tasks without gold, ascending: those whose label is in question."""
        if self.crowd.gold is None:
            return np.arange(self.crowd.votes.n_tasks, dtype=np.int32)
        return np.flatnonzero(self.crowd.gold.label < 0).astype(np.int32)

    @property
    def confidence(self) -> Floats:
        """Probability of the consensus, f8[T]."""
        return np.asarray(self.posterior.max(axis=1))


def analyse(crowd: Crowd, method: str, calibrate: Calibrate | None = None) -> Analysis:
    """Fit the label model of that name to a crowd, its gold clamped, and score it by cross-validation.

    In each fold the gold of the tasks scored is known neither to the model nor to `calibrate`. Raises KeyError if there
    is no such label model.
    """
    gold = None if crowd.gold is None else crowd.gold.label
    with bar(f"fitting {method}", None, ""):
        fit = fit_model(crowd, method, gold)
    calibrated = calibrate is not None and gold is not None and bool((gold >= 0).any())
    posterior = calibrate(crowd.votes, fit, gold) if calibrate and calibrated and gold is not None else fit.posterior
    found = Analysis(crowd, method, fit, posterior, calibrated, _takes_order(method))
    known = np.flatnonzero(gold >= 0) if gold is not None else np.empty(0, np.int64)
    if gold is None or len(known) < 2:
        return found
    unknown = np.full(len(gold), -1, np.int32)
    return replace(
        found,
        score=score(_held_out(crowd, method, gold, calibrate), gold[known]),
        majority=score(vote_shares(crowd.votes, unknown)[0][known], gold[known]),
        n_folds=min(FOLDS, len(known)),
    )


def fit_model(crowd: Crowd, method: str, gold: Ints | None) -> Fit:
    """Fit a label model by name; one that can use the labels' order is told of it."""
    model = LABEL_MODELS[method]
    if crowd.ordinal and _takes_order(method):
        return model(crowd.votes, gold, ordinal=True)  # type: ignore[call-arg]  # as its signature says
    return model(crowd.votes, gold)


def _held_out(crowd: Crowd, method: str, gold: Ints, calibrate: Calibrate | None) -> Floats:
    """Posteriors of the gold tasks, ascending, each by a fit that did not know its gold."""
    known = np.flatnonzero(gold >= 0)
    rows = np.empty((len(known), crowd.votes.n_labels))
    parts = folds(len(known), FOLDS)
    with bar("cross-validating", len(parts), " folds") as shown:
        for part in parts:
            rest = gold.copy()
            rest[known[part]] = -1
            fit = fit_model(crowd, method, rest)
            posterior = calibrate(crowd.votes, fit, rest) if calibrate else fit.posterior
            rows[part] = posterior[known[part]]
            shown.update()
    return rows


def _takes_order(method: str) -> bool:
    return "ordinal" in inspect.signature(LABEL_MODELS[method]).parameters
