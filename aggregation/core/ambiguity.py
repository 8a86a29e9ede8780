"""Tasks that are ambiguous rather than hard: skilled annotators split between two labels, instead of guessing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from aggregation.core.annotators import likelihood
from aggregation.core.co_votes import first_votes
from aggregation.core.fit import Fit
from aggregation.core.live import softmax
from aggregation.core.votes import Floats, Ints, Votes

#: Share of the votes of an ambiguous task that see the first of its two labels, and of a hard one that are guesses:
#: each equally likely, in place of an integral.
SPLITS = (0.3, 0.5, 0.7)
GUESSES = (0.4, 0.7, 1.0)
#: An ambiguous task hesitates between two of so many labels with most votes.
CONTENDERS = 3
#: Pseudo-tasks that are clear, hard and ambiguous: no kind is ever ruled out, and few tasks do not suggest many.
KINDS = np.array([8.0, 1.0, 1.0])
#: Rounds of EM for their frequencies, unless these settle before.
ROUNDS, SETTLED = 200, 1e-6
#: Numbers held at a time.
ROOM = 4_000_000


@dataclass(frozen=True, eq=False)
class Ambiguity:
    """What kind each of T tasks is. probability, hard: f8[T], of being ambiguous and of being hard; 0..1, sum <= 1.

    first, second: int32[T], the two labels between which it would hesitate: by far the most telling pair of labels,
    whether or not the task is ambiguous; -1 where fewer than two labels have votes. share: of all tasks, of being
    clear, hard and ambiguous, f8[3]; estimated from the tasks with two votes or more.
    """

    probability: Floats
    hard: Floats
    first: Ints
    second: Ints
    share: Floats


def ambiguous(votes: Votes, fit: Fit) -> Ambiguity:
    """The probability of each task to be ambiguous, from its votes and the confusions and label prior of a fit.

    A task is one of three kinds; theta[a, k] is annotator a's confusion row for true label k, pi the label prior:

    - clear: one true label k for all annotators: sum_k pi_k prod_a theta[a, k];
    - hard: one true label, but a share d of the votes are guesses, each as its annotator votes on the whole:
      mean over d in GUESSES, sum_k pi_k prod_a ((1 - d) theta[a, k] + d sum_j pi_j theta[a, j]);
    - ambiguous: a share s of the votes see label i and the others label j, each with their annotator's usual skill:
      mean over s in SPLITS and all pairs i < j of prod_a (s theta[a, i] + (1 - s) theta[a, j]).

    How frequent the kinds are is estimated by EM. Skill is what tells them apart: two labels share the votes of an
    ambiguous task and skilled annotators give no third, while guesses spread. With two labels there is no third, and
    guesses are a split: then the kind hard is left out and ambiguous says only that skilled annotators split. A task
    whose votes all agree is not called ambiguous. It takes some ten votes on a task to tell: with fewer, probabilities
    stay low. Of repeated votes the first counts. Posterior model probabilities
    as in Kass, R. E. and Raftery, A. E.: Bayes Factors, Journal of the American Statistical Association 90(430), 1995,
    doi:10.1080/01621459.1995.10476572.
    """
    kept = first_votes(votes)
    T, K = votes.n_tasks, votes.n_labels
    evidence = np.full((T, 3), -np.inf)
    evidence[:, 0] = 0.0
    first, second = np.full((2, T), -1, np.int32)
    for tasks, part in _parts(kept):
        clear, hard, split, pair = _evidence(part, fit)
        evidence[tasks] = np.stack([clear, hard if K > 2 else np.full_like(hard, -np.inf), split], axis=1)
        first[tasks], second[tasks] = pair
    compared = np.bincount(kept.task, minlength=T) >= 2
    share = _shares(evidence[compared])
    kind = softmax(evidence + np.log(share))
    return Ambiguity(kind[:, 2], kind[:, 1], first, second, share)


def _parts(votes: Votes) -> Iterator[tuple[slice, Votes]]:
    """Runs of tasks, each with its votes, that need about ROOM numbers. votes: in the order of task."""
    n_parts = 1 + len(votes) * votes.n_labels // ROOM
    for tasks in np.array_split(np.arange(votes.n_tasks), n_parts):
        if len(tasks):
            start, stop = int(tasks[0]), int(tasks[-1]) + 1
            low, high = np.searchsorted(votes.task, [start, stop])
            columns = (votes.task[low:high] - start, votes.annotator[low:high], votes.label[low:high])
            yield slice(start, stop), Votes(*columns, stop - start, votes.n_annotators, votes.n_labels)


def _evidence(votes: Votes, fit: Fit) -> tuple[Floats, Floats, Floats, tuple[Ints, Ints]]:
    """Log evidence of clear, hard and ambiguous, f8[T] each, and the pair of labels that explains each task best."""
    prior = np.maximum(fit.label_prior, np.finfo(np.float64).tiny)
    theta = likelihood(fit, votes.annotator, votes.label)
    guess = (theta @ fit.label_prior)[:, None]
    clear = _log_sum(_product(votes, theta) + np.log(prior))
    levels = [_log_sum(_product(votes, (1 - d) * theta + d * guess) + np.log(prior)) for d in GUESSES]
    hard = _log_sum(np.stack(levels, axis=1) - np.log(len(GUESSES)))
    split, pair = _split(votes, theta)
    return clear, hard, split, pair


def _split(votes: Votes, theta: Floats) -> tuple[Floats, tuple[Ints, Ints]]:
    """Log evidence of ambiguous, f8[T], and the pair of labels that explains each task best.

    Only pairs of contenders with votes are summed; any other would explain next to nothing.
    """
    K, counts = votes.n_labels, votes.per_task()
    order = np.argsort(-counts, axis=1, kind="stable")[:, :CONTENDERS].astype(np.int32)
    pairs = list(combinations(range(order.shape[1]), 2))
    each = np.full((votes.n_tasks, max(len(pairs), 1)), -np.inf)
    rows, T = np.arange(len(votes)), np.arange(votes.n_tasks)
    for column, (i, j) in enumerate(pairs):
        one, other = (theta[rows, order[votes.task, place]] for place in (i, j))
        splits = np.stack([_product(votes, s * one + (1 - s) * other) for s in SPLITS], axis=1)
        log = _log_sum(splits - np.log(len(SPLITS) * K * (K - 1) / 2))
        each[:, column] = np.where(counts[T, order[:, j]] > 0, log, -np.inf)
    best, found = each.argmax(axis=1), np.isfinite(each).any(axis=1)
    chosen = np.array(pairs or [(0, 0)])[best]
    low, high = np.sort(np.stack([order[T, chosen[:, 0]], order[T, chosen[:, 1]]]), axis=0)
    return _log_sum(each), (np.where(found, low, -1), np.where(found, high, -1))


def _product(votes: Votes, likely: Floats) -> Floats:
    """The log of the product over a task's votes of likely f8[n] or f8[n, K], f8[T] or f8[T, K]."""
    log = np.log(likely)
    if log.ndim == 1:
        return np.bincount(votes.task, log, minlength=votes.n_tasks).astype(np.float64)
    columns = [np.bincount(votes.task, column, minlength=votes.n_tasks) for column in log.T]
    return np.stack(columns, axis=1)


def _shares(evidence: Floats) -> Floats:
    """How frequent each kind of task is, f8[3], by EM from the log evidence f8[T, 3]."""
    share: Floats = KINDS / KINDS.sum()
    for _ in range(ROUNDS):
        before, kind = share, softmax(evidence + np.log(share))
        share = (kind.sum(axis=0) + KINDS) / (len(kind) + KINDS.sum())
        if np.abs(share - before).max() < SETTLED:
            break
    return share


def _log_sum(log: Floats) -> Floats:
    """log of the sum of exp along the last axis; -inf where all are."""
    top = np.maximum(log.max(axis=-1), np.finfo(np.float64).min)
    with np.errstate(divide="ignore"):
        return np.asarray(top + np.log(np.exp(log - top[..., None]).sum(axis=-1)))
