"""Calibration: confidence that is as often right as it says.

A label model believes its votes independent and its annotators alike on all tasks, so it is surer than it should be:
the more, the more votes it has multiplied. A calibration is a conditional logit (McFadden 1974) over the labels of a
task: with p its posterior, v its votes for each label and n = sum(v),

    q = softmax(z),   z_k = w_1 log(p_k + c / K) + w_2 log(p_k + exp(-h n)) / sqrt(n) + w_3 log(v_k + 1/2) + b_k.

The first term hears the posterior as far as the odds c / K, and no further. The second hears all its evidence, but as
if that grew with the root of the number of votes, for votes on one task go astray together; of no vote more than h,
in nats. The third hears the votes alone. K labels share the three weights; each label has a bias of its own.

No weight is negative. So of two tasks with equal votes the one with the higher posterior is never the less sure (but
where its own label has to be kept, see below), and votes of equally good annotators that all agree make a task surer
the more they are.

Weights and biases cannot be learnt from twenty answers. So w ~ N(m, S), where it is not negative, and b ~ N(0, s I),
with m, S and s learnt from other crowds whose truth is known (empirical Bayes: Efron and Morris,
doi:10.1080/01621459.1975.10479864), and the most probable weights given this crowd's gold are taken: without gold m,
with thousands of answers the maximum likelihood.

A calibration says how sure a label is, and does not relabel: with few answers that would lose more labels than it
mends; only of labels that tie in p, q decides. Where q is largest at another label than p, it is projected to where it
is not (`_kept`).

Gold tells of confidence only if it was drawn at random, and if the posterior of its task has not been told it: see
`cross_fit`. What is clamped to gold is certain already; `structure.clamp(calibration.apply(...), gold)` keeps it so.

McFadden, D.: Conditional Logit Analysis of Qualitative Choice Behavior, in Zarembka (ed.), Frontiers in Econometrics,
1974. Guo, C., Pleiss, G., Sun, Y. and Weinberger, K. Q.: On Calibration of Modern Neural Networks, ICML 2017,
arXiv:1706.04599, is the case of one weight, the temperature.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from aggregation.core import calibration_prior
from aggregation.core.live import softmax
from aggregation.core.votes import Floats, Ints

#: c, and h in nats: no vote counts for more than twenty to one.
CAP, EVIDENCE_OF_A_VOTE = 0.2, 3.0
#: n is taken within these bounds: beyond, no crowd was seen that could tell.
FEWEST_VOTES, MOST_VOTES = 1.0, 40.0
N_WEIGHTS = 3
#: With fewer answers what comes out is mostly the prior: an estimate, not a calibration.
ENOUGH_GOLD = 20
#: More would teach three weights nothing, and take their time.
MOST_GOLD = 5_000
FOLDS = 5
#: Gold of a smaller share of all tasks hardly moves a fit: then one fit without any serves them all.
SMALL_SHARE = 0.01
#: Newton's method stops when a step promises to improve the log posterior by less; it takes about ten.
TOLERANCE = 1e-9
#: Probabilities that differ by no more are equal but for rounding; and the hair by which a label wins.
TIE, HAIR = 1e-12, 1e-6
MAX_STEPS = 100

State = Literal["gold", "uncalibrated"]


@dataclass(frozen=True, eq=False)
class Prior:
    """What other crowds tell: w ~ N(mean f8[3], covariance f8[3, 3]), none negative, and b ~ N(0, bias_variance I)."""

    mean: Floats
    covariance: Floats
    bias_variance: float


#: Learnt by `benchmarks/calibration_prior.py`.
SHIPPED_PRIOR = Prior(
    np.array(calibration_prior.MEAN), np.array(calibration_prior.COVARIANCE), calibration_prior.BIAS_VARIANCE
)


@dataclass(frozen=True, eq=False)
class Calibration:
    """weights: f8[3], none negative. bias: f8[K]. n_gold: answers learnt from."""

    weights: Floats
    bias: Floats
    n_gold: int

    @property
    def state(self) -> State:
        """ "gold": calibrated. "uncalibrated": from so few answers that most of it is what other crowds tell."""
        return "gold" if self.n_gold >= ENOUGH_GOLD else "uncalibrated"

    def apply(self, posterior: Floats, vote_counts: Floats) -> Floats:
        """Calibrated posterior, f8[T, K] as given, or f8[K] of a single task. Not for tasks that are clamped to gold.

        vote_counts: the votes of each task for each label, of the same shape. Raises ValueError if the labels are not
        as many as those it was learnt for.
        """
        if posterior.shape != vote_counts.shape or posterior.shape[-1] != len(self.bias):
            raise ValueError(
                f"posterior has shape {posterior.shape} and vote_counts {vote_counts.shape}; expected the same, "
                f"with {len(self.bias)} labels"
            )
        z = self.bias
        for weight, term in zip(self.weights, _terms(posterior, vote_counts), strict=True):
            z = z + weight * term  # one at a time: T * K floats in memory, never three times as many
        q = softmax(z)
        moved = q.argmax(axis=-1) != posterior.argmax(axis=-1)
        if moved.any():
            q[moved] = _kept(q[moved], posterior[moved])
        return q

    def as_json(self) -> dict[str, Any]:
        """Plain JSON, from which `from_json` makes an equal calibration."""
        return {"weights": self.weights.tolist(), "bias": self.bias.tolist(), "n_gold": self.n_gold}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Calibration:
        """Raises ValueError unless there are three weights, and KeyError if something is missing."""
        weights = np.asarray(stored["weights"], dtype=np.float64)
        if weights.shape != (N_WEIGHTS,):
            raise ValueError(f"weights has shape {weights.shape}; expected ({N_WEIGHTS},)")
        return cls(weights, np.asarray(stored["bias"], dtype=np.float64), int(stored["n_gold"]))


def calibrate(posterior: Floats, vote_counts: Floats, gold: Ints, *, prior: Prior = SHIPPED_PRIOR) -> Calibration:
    """Learn from gold how far to believe a label model.

    posterior: f8[T, K], in which the gold of a task has not been used for that task: see `cross_fit`. vote_counts:
    f8[T, K], votes of each task for each label. gold: int32[T], -1 where unknown, of tasks drawn at random. Tasks with
    gold that nobody has voted on tell nothing, and are left out. Of more than MOST_GOLD tasks so many are drawn, the
    same from the same tasks. Labels that no gold has keep a bias of 0. Raises ValueError naming what has the wrong
    shape, and the first row of posterior or gold that is out of range.
    """
    check(posterior, vote_counts, gold)
    known = drawn(gold_tasks(vote_counts, gold))
    theta, _ = most_probable(design(posterior[known], vote_counts[known]), gold[known], prior)
    bias = np.zeros(posterior.shape[1])
    bias[np.unique(gold[known])] = theta[N_WEIGHTS:]
    return Calibration(theta[:N_WEIGHTS], bias, len(known))


def cross_fit(fit: Callable[[Ints], Floats], gold: Ints, folds: int = FOLDS, seed: int = 0) -> Floats:
    """A posterior f8[T, K] in which no task with gold knows its own gold; the others know it all.

    fit: from gold int32[T], -1 where unknown, to the posterior f8[T, K] of a label model that may clamp it. It is
    called once with all gold and once for each fold without the gold of that fold; where gold is less than SMALL_SHARE
    of the tasks, once without any. Equal seeds draw equal folds.
    """
    posterior = fit(gold).copy()
    known = np.flatnonzero(gold >= 0)
    if not len(known):
        return posterior
    parts = (
        [known] if len(known) < SMALL_SHARE * len(gold) else [known[rows] for rows in split(len(known), folds, seed)]
    )
    for part in parts:
        rest = gold.copy()
        rest[part] = -1
        posterior[part] = fit(rest)[part]
    return posterior


def gold_tasks(vote_counts: Floats, gold: Ints) -> Ints:
    """The tasks with gold and votes, ascending."""
    return np.flatnonzero((gold >= 0) & (vote_counts.sum(axis=1) > 0)).astype(np.int32)


def drawn(known: Ints) -> Ints:
    """Of these tasks MOST_GOLD, drawn at random and ascending, or all where they are no more."""
    return np.sort(np.random.default_rng(0).permutation(known)[:MOST_GOLD])


def split(n: int, folds: int, seed: int) -> list[Ints]:
    """0..n-1 in at most so many random parts of nearly equal size, each ascending."""
    order = np.random.default_rng(seed).permutation(n).astype(np.int32)
    return [np.sort(part) for part in np.array_split(order, min(folds, n))]


def design(posterior: Floats, vote_counts: Floats) -> Floats:
    """The terms of z without their weights, f8[n, K, 3]."""
    return np.stack(list(_terms(posterior, vote_counts)), axis=2)


def _terms(posterior: Floats, vote_counts: Floats) -> Iterator[Floats]:
    n = vote_counts.sum(axis=-1, keepdims=True).clip(FEWEST_VOTES, MOST_VOTES)
    yield np.log(posterior + CAP / posterior.shape[-1])
    yield np.log(posterior + np.exp(-EVIDENCE_OF_A_VOTE * n)) / np.sqrt(n)
    yield np.log(vote_counts + 0.5)


def most_probable(terms: Floats, truth: Ints, prior: Prior, weight: float = 1.0) -> tuple[Floats, Floats]:
    """The most probable weights with the biases of the labels that occur, and their covariance (Laplace).

    terms: f8[n, K, 3]. truth: int32[n]. weight: what each answer counts. Returns f8[3 + L] and f8[3 + L, 3 + L], for
    the L labels that occur in truth, ascending. By Newton's method, for the log posterior is strictly concave,
    projected to where no weight is negative (Bertsekas, D. P.: Projected Newton Methods for Optimization Problems with
    Simple Constraints, SIAM Journal on Control and Optimization 20(2), 1982, doi:10.1137/0320018). The covariance is
    that of the curvature, as if nothing were constrained.
    """
    n, K, J = terms.shape
    seen = np.unique(truth)
    is_true = np.zeros((n, K))
    is_true[np.arange(n), truth] = 1.0
    centre = np.concatenate([prior.mean, np.zeros(len(seen))])
    is_weight = np.arange(len(centre)) < J
    precision = np.zeros((len(centre), len(centre)))
    precision[:J, :J] = np.linalg.inv(prior.covariance)
    precision[J:, J:] = np.eye(len(seen)) / prior.bias_variance

    def logits(theta: Floats) -> Floats:
        bias = np.zeros(K)
        bias[seen] = theta[J:]
        return np.asarray(terms @ theta[:J] + bias)

    def loss(theta: Floats) -> float:
        z, away = logits(theta), theta - centre
        top = z.max(axis=1, initial=-np.inf)
        evidence = top + np.log(np.exp(z - top[:, None]).sum(axis=1)) - z[np.arange(n), truth]
        return float(weight * evidence.sum() + 0.5 * away @ precision @ away)

    def moved(theta: Floats, step: Floats) -> Floats:
        return np.where(is_weight, np.maximum(theta - step, 0.0), theta - step)

    theta = centre
    for _ in range(MAX_STEPS):
        q = softmax(logits(theta))
        surplus = q - is_true
        slope = np.concatenate([surplus.ravel() @ terms.reshape(-1, J), surplus.sum(axis=0)[seen]])
        gradient = weight * slope + precision @ (theta - centre)
        hessian = weight * _curvature(terms, q, seen) + precision
        free = (theta > 0) | (gradient < 0) | ~is_weight
        step = np.zeros(len(theta))
        step[free] = np.linalg.solve(hessian[np.ix_(free, free)], gradient[free])
        if gradient @ step < 2 * TOLERANCE:
            break
        here, length, ahead = loss(theta), 1.0, moved(theta, step)
        while loss(ahead) > here - 1e-4 * gradient @ (theta - ahead) and length > 1e-6:
            length /= 2
            ahead = moved(theta, length * step)
        theta = ahead
    return theta, np.asarray(np.linalg.inv(hessian), dtype=np.float64)


def _curvature(terms: Floats, q: Floats, seen: Ints) -> Floats:
    """Minus the second derivatives of the log likelihood: the variance of terms and label under q, over all tasks."""
    J, of_seen = terms.shape[2], q[:, seen]
    around = terms - q[:, None, :] @ terms
    weighted = q[:, :, None] * around
    among_weights = weighted.reshape(-1, J).T @ around.reshape(-1, J)
    across = weighted.sum(axis=0)[seen].T
    among_biases = np.diag(of_seen.sum(axis=0)) - of_seen.T @ of_seen
    return np.block([[among_weights, across], [across.T, among_biases]])


def _kept(q: Floats, posterior: Floats) -> Floats:
    """The distribution nearest to q, f8[T, K], under which no label is more probable than the posterior's own.

    The nearest by squared distance shares what the labels above it have between them and it. Then it wins by a hair.
    Of labels that tie in the posterior q decides.
    """
    rows, K = np.arange(len(q)), q.shape[1]
    tied = posterior >= posterior.max(axis=1, keepdims=True) - TIE
    label = np.where(tied, q, -1.0).argmax(axis=1)
    own = q[rows, label]
    first = q.copy()
    first[rows, label] = np.inf
    means = -np.sort(-first, axis=1)
    means[:, 0] = own
    level = (np.cumsum(means, axis=1) / np.arange(1, K + 1)).max(axis=1)
    kept = np.minimum(q, level[:, None])
    kept[rows, label] = level
    kept *= 1.0 - HAIR
    kept[rows, label] += HAIR
    return np.asarray(kept, dtype=np.float64)


def check(posterior: Floats, vote_counts: Floats, gold: Ints) -> None:
    """Raise ValueError unless these are T tasks with K labels, of probabilities, votes and labels or -1."""
    if posterior.ndim != 2 or posterior.shape != vote_counts.shape or gold.shape != posterior.shape[:1]:
        raise ValueError(
            f"posterior has shape {posterior.shape}, vote_counts {vote_counts.shape} and gold {gold.shape}; "
            "expected (T, K), (T, K) and (T,)"
        )
    bad_rows = {
        "posterior": ~((posterior >= 0) & (posterior <= 1 + 1e-9)).all(axis=1),
        "vote_counts": ~((vote_counts >= 0) & np.isfinite(vote_counts)).all(axis=1),
        "gold": (gold < -1) | (gold >= posterior.shape[1]),
    }
    expected = {"posterior": "probabilities", "vote_counts": "numbers of votes", "gold": "labels, or -1"}
    for name, bad in bad_rows.items():
        if bad.any():
            raise ValueError(f"{name} in row {int(bad.argmax())} is out of range; expected {expected[name]}")
