"""How far a learner's prediction may be trusted, measured on tasks it was not trained on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from aggregation.core.fit import Fit, Start
from aggregation.core.label_models import DEFAULT_LABEL_MODEL, HEED_TASK_PRIORS, LABEL_MODELS
from aggregation.core.live import PRIOR_FLOOR, task_prior, with_prior
from aggregation.core.structure import shares
from aggregation.core.votes import Floats, Ints, Votes

#: A learner trained on noisy consensus is right more often than it says: it has learnt the noise as doubt. Weights
#: above 1 sharpen its predictions, as a temperature of 1 / w would; how far is limited, over-confidence being the
#: greater danger.
MAX_WEIGHT = 2.0
STEPS = 40
#: The weight and the label model are estimated in turns. No more of them: where tasks have one vote, votes tell little
#: more than the product of how good people and how sure predictions are, and a few turns from what is assumed of people
#: stay near it. (From predictions taken at their word, turns end with people who are always right.)
ROUNDS = 3


def consensus_to_learn(votes: Votes, champion: Floats | None = None) -> Fit:
    """The consensus of people's votes that a learner is taught: that of `auto`, whatever label model publishes.

    champion: f8[T, K], what the learner in force said of tasks before it saw their votes; rows of NaN where nothing. It
    tells how good people are (Raykar et al.: Learning From Crowds, Journal of Machine Learning Research 11, 2010), and
    no more: a task's posterior is that of its votes, under the confusions so found.

    While most tasks have one vote, votes alone hardly tell who is right. A model without `auto`'s guards may then
    explain whose votes lean to one label by putting nearly all tasks under it, and what is taught so says nothing else.
    """
    if champion is None:
        return LABEL_MODELS[DEFAULT_LABEL_MODEL](votes)
    return fit_with_predictions(DEFAULT_LABEL_MODEL, votes, None, champion)


def fit_weight(out_of_fold: Floats, posterior_from_votes: Floats, label_prior: Floats) -> float:
    """The weight w in 0..MAX_WEIGHT with which `live.task_prior` best explains the votes: that of `weigh`."""
    return weigh(out_of_fold, posterior_from_votes, label_prior)[0]


def weigh(out_of_fold: Floats, posterior_from_votes: Floats, label_prior: Floats) -> tuple[float, float]:
    """The weight w in 0..MAX_WEIGHT with which `live.task_prior` best explains the votes, and what it gains.

    out_of_fold: f8[n, K], predictions for n voted tasks, each made without that task. posterior_from_votes: f8[n, K],
    their posteriors from votes only. label_prior: f8[K], the one within those posteriors. Returns the w, to 1/20, that
    maximises the mean log evidence of the votes under task_prior(label_prior, out_of_fold, w), and by how many nats a
    task that is above what w = 0 has. What a fitted parameter gains by chance, one nat in all, is taken off (Akaike,
    H.: A New Look at the Statistical Model Identification, 1974, doi:10.1109/TAC.1974.1100705): so it is what votes of
    other tasks would gain. Where that is not positive both are 0 (also for n = 0).

    The evidence, and not the expected log score against the posterior, because that posterior is drawn towards the
    label prior wherever votes are few, and would hold every prediction back with it.
    """
    if len(out_of_fold) == 0:
        return 0.0, 0.0
    prior = np.maximum(label_prior, PRIOR_FLOOR)
    likelihood = posterior_from_votes / prior
    weights = np.linspace(0.0, MAX_WEIGHT, STEPS + 1)
    gains = [_log_evidence(task_prior(prior, out_of_fold, weight), likelihood) for weight in weights]
    best = int(np.argmax(gains))
    gain = gains[best] - gains[0] - 1.0 / len(out_of_fold)
    return (float(weights[best]), gain) if gain > 0.0 else (0.0, 0.0)


def _log_evidence(priors: Floats, likelihood: Floats) -> float:
    """Mean over tasks of log sum_k prior[k] * P(votes | k), but for a constant; both f8[n, K]."""
    return float(np.log(np.maximum((priors * likelihood).sum(axis=1), np.finfo(np.float64).tiny)).mean())


def fit_with_predictions(
    name: str, votes: Votes, gold: Ints | None, predictions: Floats, start: Start | None = None
) -> Fit:
    """Fit people and the machine together: each tells how far to trust the other.

    name: of a label model; one that does not heed task priors is fitted to the votes, and the weight follows from that.
    predictions: f8[T, K], of each task by what has not seen its votes; rows of NaN where there is none. Only tasks with
    votes (or gold) measure anything. start: as in `label_models.LabelModel`. Returns a Fit with a prediction_weight.

    The machine is one annotator more, whose vote is a distribution: its reliability is the weight, people's are the
    model's, and they are estimated in turns, each under the other as it stands. Where people answer a task once or
    twice this tells what votes alone can't: how often people are right. Fitted apart, with people taken to be worse
    than they are, the machine would overrule them.
    """
    fit = LABEL_MODELS[name](votes, gold, start)
    predicted = np.isfinite(predictions).all(axis=1)
    measured = predicted & _informed(votes, gold)
    weight, gain = weigh(predictions[measured], fit.posterior[measured], fit.label_prior)
    if name not in HEED_TASK_PRIORS or not measured.any():
        return replace(fit, prediction_weight=weight, prediction_gain=gain)
    # Few votes alone may have found another truth, in which the machine is worth nothing. It is heard all the same,
    # but believed only if people are as good in its truth as in theirs.
    heard, beside, under = weight == 0.0, fit, weight or 1.0
    for _ in range(ROUNDS):
        beside = fit_under(name, votes, gold, predictions, beside.label_prior, under, start)
        weight, gain = weigh(predictions[measured], beside.posterior[measured], beside.label_prior)
        if weight in (under, 0.0):
            break
        under = weight
    if weight == 0.0 or (heard and beside.pooled_accuracy < fit.pooled_accuracy):
        return replace(fit, prediction_weight=0.0, prediction_gain=0.0)
    return replace(beside, prediction_weight=weight, prediction_gain=gain)


def fit_under(
    name: str,
    votes: Votes,
    gold: Ints | None,
    predictions: Floats,
    label_prior: Floats,
    weight: float,
    start: Start | None = None,
) -> Fit:
    """The fit beside predictions f8[T, K] of this weight; its posteriors and label prior are without them."""
    predicted = np.isfinite(predictions).all(axis=1)
    priors = np.tile(task_prior(label_prior, None, 0.0), (len(predictions), 1))
    priors[predicted] = task_prior(label_prior, predictions[predicted], weight)
    return _without(priors, LABEL_MODELS[name](replace(votes, task_prior=priors), gold, start), _informed(votes, gold))


def _without(priors: Floats, fit: Fit, informed: NDArray[np.bool_]) -> Fit:
    """A fit under task priors f8[T, K], with the posteriors and the label prior that it would have without them."""
    label_prior = shares(fit.posterior[informed].sum(axis=0) + 1.0 / priors.shape[1])
    posterior = with_prior(fit.posterior, priors, label_prior)
    if fit.kinds is None:
        return replace(fit, posterior=posterior, label_prior=label_prior)
    # How much of a label is of each kind does not depend on how frequent it is.
    changed = posterior / np.maximum(fit.posterior, np.finfo(np.float64).tiny)
    kinds = replace(
        fit.kinds,
        prior=fit.kinds.prior / fit.kinds.prior.sum(axis=0) * label_prior,
        posterior=fit.kinds.posterior * changed[:, None, :],
    )
    return replace(fit, posterior=posterior, label_prior=label_prior, kinds=kinds)


def _informed(votes: Votes, gold: Ints | None) -> NDArray[np.bool_]:
    """Which tasks have votes or gold, bool[T]."""
    voted = np.bincount(votes.task, minlength=votes.n_tasks) > 0
    return voted if gold is None else voted | (gold >= 0)
