"""What is computed for one task, or a few, from the parameters of a fit: microseconds of numpy.

The arithmetic is that of the Dawid-Skene models' E-step, so a refit's posterior and a live recomputation from the same
votes and parameters agree. (Majority vote, Wawa, zero-based skill and GLAD have another: between their refits a new
vote is weighed as Dawid-Skene would, by confusions counted from their posterior.)

A fit may tell D kinds of tasks apart (`fit.Kinds`). A vote is then evidence of the task's state, its kind and its
label: likelihoods have C = D * K entries, those of kind d from d * K on, and a label's posterior is the sum of its
states'. Elsewhere the states are the labels: C = K.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypedDict

import numpy as np
from numpy.typing import NDArray

from aggregation.core.fit import DENSE_LABELS, LIKELIHOOD_FLOOR, Fit
from aggregation.core.votes import Floats

#: A learner's prediction never drives the prior of a label below this: people can always overrule it.
PRIOR_FLOOR = 1e-6
#: Beyond DENSE_LABELS labels only probabilities above this are stored one by one.
SPARSE_ABOVE = 1e-4


class SparsePosterior(TypedDict):
    """Labels with p > SPARSE_ABOVE, ascending, and their p; the remainder is spread evenly over the other labels."""

    labels: list[int]
    p: list[float]


def vote_likelihood(
    voted: int,
    n_labels: int,
    vector: Sequence[float] | Floats | None,
    accuracy: float | None,
    pooled_accuracy: float,
    pooled_error_column: Sequence[float] | Floats,
) -> Floats:
    """P(this annotator votes `voted` | state) for every state, f8[C], each at least LIKELIHOOD_FLOOR.

    vector: the annotator's stored confusion[annotator, :, voted], with kinds that of one kind after the other; or None
    if there is none. Then the confusion is structured, of one kind: from the annotator's own accuracy, or from
    pooled_accuracy if that is None too, and from pooled_error_column = pooled_errors[:, voted]. Raises ValueError if
    `voted` is no label or a length is no multiple of K.
    """
    if not 0 <= voted < n_labels:
        raise ValueError(f"voted is {voted}; expected 0..{n_labels - 1}")
    if vector is not None:
        likelihood = np.array(vector, dtype=np.float64)
    else:
        p = pooled_accuracy if accuracy is None else accuracy
        likelihood = (1.0 - p) * np.asarray(pooled_error_column, dtype=np.float64)
        likelihood[voted] = p if n_labels > 1 else 1.0
    if likelihood.ndim != 1 or not len(likelihood) or len(likelihood) % n_labels:
        raise ValueError(f"likelihood has shape {likelihood.shape}; expected ({n_labels},) for each kind")
    return np.maximum(likelihood, LIKELIHOOD_FLOOR)


def task_prior(label_prior: Floats, prediction: Floats | None, weight: float) -> Floats:
    """Label prior and prediction pooled log-linearly: prior^(1-w) * prediction^w, normalised.

    label_prior: f8[K]. prediction: f8[K] or f8[T, K], or None. weight: w >= 0, how far the prediction replaces
    the label prior (1: wholly; above: and sharpened). Returns the shape of prediction, or f8[K] without one.
    """
    prior = np.maximum(np.asarray(label_prior, dtype=np.float64), PRIOR_FLOOR)
    if prediction is None or weight == 0.0:
        pooled = np.log(prior)
        if prediction is not None:
            pooled = np.broadcast_to(pooled, np.shape(prediction))
    else:
        pooled = (1.0 - weight) * np.log(prior) + weight * np.log(np.maximum(prediction, PRIOR_FLOOR))
    return softmax(pooled)


def kind_shares(kind_prior: Floats) -> Floats:
    """P(kind | label), f8[D, K], from the prior f8[D, K] of the states."""
    return np.asarray(kind_prior / np.maximum(kind_prior.sum(axis=0), np.finfo(np.float64).tiny))


def posterior(prior: Floats, likelihoods: Floats, kinds: Floats | None = None) -> Floats:
    """Posterior f8[K] of one task from its prior f8[K] and the likelihoods f8[n, C] of its n >= 0 votes.

    kinds: f8[D, K], P(kind | label), or None if there is one kind.
    """
    evidence = np.log(likelihoods).reshape(-1, len(prior) if kinds is None else kinds.size).sum(axis=0)
    return np.asarray(posteriors(prior[None], evidence[None], kinds)[0])


def posteriors(priors: Floats, evidence: Floats, kinds: Floats | None = None) -> Floats:
    """Posteriors f8[T, K] of tasks from their priors f8[T, K] and the summed log likelihoods f8[T, C] of their votes.

    kinds: f8[D, K], P(kind | label), or None if there is one kind.
    """
    return labels(posterior_states(priors, evidence, kinds), priors.shape[1])


def posterior_states(priors: Floats, evidence: Floats, kinds: Floats | None = None) -> Floats:
    """As ``posteriors``, of the tasks' states: f8[T, C]."""
    tiny = np.finfo(np.float64).tiny
    log = np.log(np.maximum(priors, tiny))
    if kinds is None:
        return softmax(log + evidence)
    states = log[:, None, :] + np.log(np.maximum(kinds, tiny))
    return softmax(states.reshape(evidence.shape) + evidence)


def with_labels(states: Floats, posterior: Floats) -> Floats:
    """States f8[T, C] with another posterior of the labels, f8[T, K]: each label's kinds keep their shares."""
    before = labels(states, posterior.shape[1])
    factor = posterior / np.maximum(before, np.finfo(np.float64).tiny)
    return np.asarray(states * np.tile(factor, states.shape[1] // posterior.shape[1]))


def states(fit: Fit) -> Floats:
    """What more votes are multiplied on, f8[T, C]: the posterior of the tasks' states."""
    return fit.posterior if fit.kinds is None else fit.kinds.posterior.reshape(-1, fit.kinds.prior.size)


def labels(states: Floats, n_labels: int) -> Floats:
    """The posterior f8[T, K] of labels, or f8[K] of a single task's, from that of states f8[T, C] or f8[C]."""
    if states.shape[-1] == n_labels:
        return states
    kinds = states.shape[-1] // n_labels
    return np.asarray(states.reshape(*states.shape[:-1], kinds, n_labels).sum(axis=-2))


def likelihoods(fit: Fit, annotator: NDArray[np.integer], voted: NDArray[np.integer]) -> Floats:
    """P(vote | state) of n votes after a fit, f8[n, C], each at least LIKELIHOOD_FLOOR.

    annotator: int[n], their index in the fit, or -1 for one that the fit has not seen: they vote as everybody does.
    voted: int[n], 0..K-1. Raises IndexError if an annotator or a label is beyond those of the fit.
    """
    A, K, n = len(fit.accuracy), len(fit.label_prior), len(voted)
    if annotator.size and (annotator.min() < -1 or annotator.max() >= A or voted.min() < 0 or voted.max() >= K):
        raise IndexError(f"annotators must be -1..{A - 1} and labels 0..{K - 1}")
    seen = (annotator >= 0)[:, None]
    if fit.kinds is not None:
        C = fit.kinds.prior.size
        rows: Floats = fit.kinds.pooled[:, :, voted].reshape(C, n).T
        if A:
            rows = np.where(seen, fit.kinds.confusion[annotator, :, :, voted].reshape(n, C), rows)
        return np.maximum(rows, LIKELIHOOD_FLOOR)
    accuracy = np.append(fit.accuracy, fit.pooled_accuracy)[annotator]  # the last is that of -1
    rows = (1.0 - accuracy)[:, None] * fit.pooled_errors.T.take(voted, axis=0)
    rows[np.arange(n), voted] = accuracy if K > 1 else 1.0
    if fit.confusion is not None and A:
        rows = np.where(seen, fit.confusion[annotator, :, voted], rows)
    return np.maximum(rows, LIKELIHOOD_FLOOR)


def one_more_vote(row: Floats, likelihood: Floats) -> Floats:
    """The states f8[C] of a task after one more vote, from those before it and the vote's likelihood f8[C]."""
    joint: Floats = row * likelihood
    joint /= joint.sum()
    return joint


def more_votes(states: Floats, task: NDArray[np.integer], likelihoods: Floats) -> tuple[NDArray[np.integer], Floats]:
    """The tasks that n >= 0 more votes touch, int[m] ascending, and their new states f8[m, C].

    states: f8[T, C], not changed. task: int[n], which may repeat. likelihoods: f8[n, C]. Confusions stay as they were
    fitted; `drift` measures what that misses.
    """
    order = np.argsort(task, kind="stable")
    in_order = task[order]
    first = np.flatnonzero(np.diff(in_order, prepend=-1))
    touched = in_order[first]
    if not len(touched):
        return touched, np.empty((0, states.shape[1]))
    evidence = np.add.reduceat(np.log(likelihoods.take(order, axis=0)), first, axis=0)
    with np.errstate(divide="ignore"):  # what is impossible stays so
        rows: Floats = softmax(np.log(states.take(touched, axis=0)) + evidence)
    return touched, rows


@dataclass(frozen=True)
class Drift:
    """How far live posteriors are from those of a refit.

    tasks: how many were compared. relabelled: the share of them whose most probable label differs, 0..1.
    mean_distance, max_distance: of their total variation distance, 0..1.
    """

    tasks: int
    relabelled: float
    mean_distance: float
    max_distance: float


def joined(parts: Sequence[Drift]) -> Drift:
    """The drift of several sets of tasks taken together."""
    tasks = sum(part.tasks for part in parts)
    shares = [part.tasks / max(tasks, 1) for part in parts]
    return Drift(
        tasks,
        sum(share * part.relabelled for share, part in zip(shares, parts, strict=True)),
        sum(share * part.mean_distance for share, part in zip(shares, parts, strict=True)),
        max((part.max_distance for part in parts), default=0.0),
    )


def drift(live: Floats, refitted: Floats) -> Drift:
    """Compare posteriors f8[T, K] of the same tasks, row by row. No tasks have not drifted. Raises ValueError if the
    shapes differ."""
    if live.shape != refitted.shape:
        raise ValueError(f"live posteriors have shape {live.shape}, refitted ones {refitted.shape}")
    if not len(live):
        return Drift(0, 0.0, 0.0, 0.0)
    distance = np.abs(live - refitted).sum(axis=1) / 2.0
    relabelled = (live.argmax(axis=1) != refitted.argmax(axis=1)).mean()
    return Drift(len(live), float(relabelled), float(distance.mean()), float(distance.max()))


def with_prior(fit_posterior: Floats, label_prior: Floats, task_priors: Floats) -> Floats:
    """A fit's posterior f8[T, K] with the label prior f8[K] that is in it replaced by task_priors f8[T, K].

    With kinds too: a label's share of each kind stays, so all its states are changed by the same factor. Certain rows
    (clamped gold) stay certain.
    """
    tiny = np.finfo(np.float64).tiny
    with np.errstate(divide="ignore"):
        log = np.log(fit_posterior)
    return softmax(log - np.log(np.maximum(label_prior, tiny)) + np.log(np.maximum(task_priors, tiny)))


def summary(posterior: Floats) -> tuple[NDArray[np.int32], Floats, NDArray[np.int32]]:
    """Winning label int32[T], its probability f8[T] and the runner-up int32[T] for posterior rows f8[T, K].

    A single row f8[K] is taken as T = 1. The lowest index wins ties; with one label the runner-up is -1.
    """
    rows = np.atleast_2d(posterior)
    label = rows.argmax(axis=1)
    confidence = rows.max(axis=1)
    if rows.shape[1] < 2:
        return label.astype(np.int32), confidence, np.full(len(rows), -1, np.int32)
    others = rows.copy()
    others[np.arange(len(rows)), label] = -1.0
    return label.astype(np.int32), confidence, others.argmax(axis=1).astype(np.int32)


def encode_posterior(posterior: Floats) -> list[float] | SparsePosterior:
    """A posterior f8[K] as plain JSON: a list up to DENSE_LABELS labels, sparse beyond."""
    if len(posterior) <= DENSE_LABELS:
        return [float(p) for p in posterior]
    kept = np.flatnonzero(posterior > SPARSE_ABOVE)
    return {"labels": [int(k) for k in kept], "p": [float(p) for p in posterior[kept]]}


def decode_posterior(encoded: Sequence[float] | SparsePosterior, n_labels: int) -> Floats:
    """The posterior f8[K] that encode_posterior wrote; beyond DENSE_LABELS exact to SPARSE_ABOVE per label."""
    if not isinstance(encoded, dict):
        return np.array(encoded, dtype=np.float64)
    rest = max(0.0, 1.0 - sum(encoded["p"]))
    decoded = np.full(n_labels, rest / max(n_labels - len(encoded["labels"]), 1))
    decoded[encoded["labels"]] = encoded["p"]
    return decoded


def softmax(log: Floats) -> Floats:
    """exp(log), f8[K] or f8[T, K], normalised along the last axis without overflow."""
    columns = np.ascontiguousarray(log.T)  # numpy is several times faster along a long axis than along a short one
    columns = np.exp(columns - columns.max(axis=0))
    columns /= columns.sum(axis=0)
    return np.ascontiguousarray(columns.T)
