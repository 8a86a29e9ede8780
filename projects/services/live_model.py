"""A project's live model as its votes read it: from this process's memory, unless it has changed."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from aggregation.core import live
from aggregation.core.calibration import Calibration
from aggregation.core.queue import Worth
from aggregation.core.votes import Floats
from projects import queries
from projects.queries import fetch, from_json

#: Projects whose live model a process keeps: those that people are voting in.
KEPT = 64


@dataclass(frozen=True, eq=False)
class Live:
    """What a refit has made of a project; `version` is another after every change.

    label_prior: f8[K]. kinds: f8[D, K], P(kind | label), or None. errors: f8[K, K], row v: P(voted v | true, wrong).
    unseen: as errors, P(voted v | state) of people whom the refit does not know, f8[K, C], or None: pooled_accuracy and
    errors are it. teaching: nats, as a retraining has measured it (`acquisition.teaching`).
    """

    version: str
    run: int | None
    label_prior: Floats
    kinds: Floats | None
    pooled_accuracy: float
    prediction_weight: float
    calibration: Calibration | None
    teaching: float
    errors: Floats
    unseen: Floats | None

    def likelihood(self, voted: int, vector: list[float] | None, accuracy: float | None) -> list[float] | Floats:
        """P(vote | state), C values: the annotator's own vector, else by their accuracy, else as of anybody."""
        if vector is not None:
            return vector
        if accuracy is None:
            return np.asarray(self.anybody[voted])
        K = len(self.label_prior)
        return live.vote_likelihood(voted, K, None, accuracy, self.pooled_accuracy, self.errors[voted])

    @cached_property
    def worth(self) -> Worth:
        """What votes are worth: what a learner has yet to be taught counts as far as it is believed."""
        return Worth(self.pooled_accuracy, self.errors.T, self.teaching * min(self.prediction_weight, 1.0))

    @cached_property
    def anybody(self) -> Floats:
        """P(voted v | state) of an annotator nobody knows yet, f8[K, C]."""
        if self.unseen is not None:
            return self.unseen
        K = len(self.label_prior)
        return np.array(
            [live.vote_likelihood(v, K, None, None, self.pooled_accuracy, self.errors[v]) for v in range(K)]
        )


_kept: OrderedDict[int, Live] = OrderedDict()


def live_model(*, project_id: int, version: str | None = None) -> Live:
    """The project's live model as it is now, or the one of this version if it is remembered.

    A version is what ``queries.TASKS_WITH_VOTES`` says of the row.
    """
    kept = _kept.get(project_id)
    if kept is None or kept.version != version:
        ((found, run, prior, kind_prior, pooled_accuracy, weight, teaching, calibration, errors, unseen),) = fetch(
            queries.LIVE_MODEL, project=project_id
        )
        calibration, errors, unseen = from_json(calibration), from_json(errors), from_json(unseen)
        kept = Live(
            version=found,
            run=run,
            label_prior=np.array(prior),
            kinds=None if kind_prior is None else live.kind_shares(np.array(kind_prior)),
            pooled_accuracy=pooled_accuracy,
            prediction_weight=weight,
            teaching=teaching,
            calibration=None if calibration is None else Calibration.from_json(calibration),
            errors=np.array(errors),
            unseen=None if unseen[0] is None else np.array(unseen),
        )
        _kept[project_id] = kept
        while len(_kept) > KEPT:
            _kept.popitem(last=False)
    return kept
