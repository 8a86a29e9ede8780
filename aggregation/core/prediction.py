"""How far a learner's prediction may be trusted, measured on tasks it was not trained on."""

from __future__ import annotations

import numpy as np

from aggregation.core.live import PRIOR_FLOOR, task_prior
from aggregation.core.votes import Floats

#: A learner trained on noisy consensus is right more often than it says: it has learnt the noise as doubt. Weights
#: above 1 sharpen its predictions, as a temperature of 1 / w would; how far is limited, over-confidence being the
#: greater danger.
MAX_WEIGHT = 2.0
STEPS = 40


def fit_weight(out_of_fold: Floats, posterior_from_votes: Floats, label_prior: Floats) -> float:
    """The weight w in 0..MAX_WEIGHT with which `live.task_prior` best explains the votes.

    out_of_fold: f8[n, K], predictions for n voted tasks, each made without that task. posterior_from_votes: f8[n, K],
    their posteriors from votes only. label_prior: f8[K], the one within those posteriors. Returns the w, to 1/20, that
    maximises the mean log evidence of the votes under task_prior(label_prior, out_of_fold, w); exactly 0 where no
    w > 0 gains anything (also for n = 0).

    The evidence, and not the expected log score against the posterior, because that posterior is drawn towards the
    label prior wherever votes are few, and would hold every prediction back with it.
    """
    if len(out_of_fold) == 0:
        return 0.0
    prior = np.maximum(label_prior, PRIOR_FLOOR)
    likelihood = posterior_from_votes / prior
    weights = np.linspace(0.0, MAX_WEIGHT, STEPS + 1)
    gains = [_log_evidence(task_prior(prior, out_of_fold, weight), likelihood) for weight in weights]
    # Not above by more than rounding is not above: a prediction equal to the prior earns nothing.
    best = int(np.argmax(gains))
    return float(weights[best]) if gains[best] > gains[0] + 1e-9 else 0.0


def _log_evidence(priors: Floats, likelihood: Floats) -> float:
    """Mean over tasks of log sum_k prior[k] * P(votes | k), but for a constant; both f8[n, K]."""
    return float(np.log(np.maximum((priors * likelihood).sum(axis=1), np.finfo(np.float64).tiny)).mean())
