"""From a crowd to its consensus: fit, calibrate, and score where gold allows."""

from __future__ import annotations

import inspect
from dataclasses import dataclass, replace

import numpy as np

from aggregation.core.calibration import FOLDS, Calibration, calibrate, cross_fit, gold_tasks
from aggregation.core.calibration_report import CalibrationReport, held_out, score
from aggregation.core.fit import Fit
from aggregation.core.label_models import LABEL_MODELS
from aggregation.core.majority_vote import vote_shares
from aggregation.core.structure import clamp
from aggregation.core.votes import Floats, Ints
from aggregation.offline.crowd import Crowd
from aggregation.offline.progress import clock


@dataclass(frozen=True, eq=False)
class Analysis:
    """What a crowd's votes say.

    uses_order: whether the label model went by the order of the labels. posterior: f8[T, K], the fit's, after
    calibration if there is enough gold; tasks with gold are certain. score: by cross-validation over the gold tasks,
    None without two of them; majority: majority vote's on the same tasks, which it does not know either.
    """

    crowd: Crowd
    method: str
    fit: Fit
    posterior: Floats
    calibration: Calibration
    uses_order: bool
    score: CalibrationReport | None = None
    majority: CalibrationReport | None = None
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


def analyse(crowd: Crowd, method: str) -> Analysis:
    """Fit the label model of that name to a crowd, its gold clamped, calibrate it, and score it by cross-validation.

    In each fold the gold of the tasks scored is known neither to the model nor to the calibration. Raises KeyError if
    there is no such label model.
    """
    votes = crowd.votes
    gold = np.full(votes.n_tasks, -1, np.int32) if crowd.gold is None else crowd.gold.label
    with clock(f"fitting {method}"):
        fit = fit_model(crowd, method, gold)
    counts, posterior = votes.per_task(), _unaware(crowd, method, fit, gold)
    calibration = calibrate(posterior, counts, gold)
    # What other crowds tell of this one misleads too often to be written for its confidence.
    enough = calibration.state == "gold"
    written = clamp(calibration.apply(posterior, counts), gold) if enough else fit.posterior
    found = Analysis(crowd, method, fit, written, calibration, _takes_order(crowd, method))
    known = gold_tasks(counts, gold)
    if len(known) < 2:
        return found
    return replace(
        found,
        score=score([held_out(posterior, counts, gold, FOLDS, seed=0) if enough else posterior[known]], gold[known]),
        majority=score([vote_shares(votes, np.full_like(gold, -1))[0][known]], gold[known]),
        n_folds=min(FOLDS, len(known)),
    )


def fit_model(crowd: Crowd, method: str, gold: Ints | None) -> Fit:
    """Fit a label model by name; one that can use the labels' order is told of it."""
    model = LABEL_MODELS[method]
    if _takes_order(crowd, method):
        return model(crowd.votes, gold, ordinal=True)  # type: ignore[call-arg]  # as its signature says
    return model(crowd.votes, gold)


def _unaware(crowd: Crowd, method: str, fit: Fit, gold: Ints) -> Floats:
    """The posterior in which no task with gold knows its own; fit: the one that knows all gold."""
    if not (gold >= 0).any():
        return fit.posterior
    with clock("cross-validating", "fits") as shown:

        def fitted(known: Ints) -> Floats:
            if np.array_equal(known, gold):
                return fit.posterior
            posterior = fit_model(crowd, method, known).posterior
            shown.update()
            return posterior

        return cross_fit(fitted, gold)


def _takes_order(crowd: Crowd, method: str) -> bool:
    return crowd.ordinal and "ordinal" in inspect.signature(LABEL_MODELS[method]).parameters
