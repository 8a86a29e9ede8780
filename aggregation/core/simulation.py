"""Simulated crowds. Whatever is computed from them must say so."""

from __future__ import annotations

import numpy as np

from aggregation.core.structure import structured, without_diagonal
from aggregation.core.votes import Floats, Ints, Votes

#: Handwritten digits that people mix up.
CONFUSABLE = ((3, 8), (4, 9), (1, 7))


def confusable_errors(n_labels: int, pairs: tuple[tuple[int, int], ...] = CONFUSABLE) -> Floats:
    """How simulated people err, f8[K, K] as [true, voted]: evenly, but twice as often within a pair."""
    errors = np.ones((n_labels, n_labels))
    for one, other in pairs:
        errors[one, other] = errors[other, one] = 2.0
    return without_diagonal(errors)


def digit_crowd(truth: Ints, seed: int, *, n_labels: int = 10, n_annotators: int = 40, spammers: float = 0.15) -> Ints:
    """The answer of every annotator to every task, int32[A, T], drawn once by seed.

    truth: int[T]. Skill is drawn from Beta(8, 3); the given share of the annotators, chosen at random, are spammers
    who answer evenly at random. Errors follow `confusable_errors`.
    """
    random = np.random.default_rng(seed)
    skill = random.beta(8.0, 3.0, n_annotators)
    confusion = structured(skill, confusable_errors(n_labels))
    chosen = random.permutation(n_annotators)[: round(spammers * n_annotators)]
    confusion[chosen] = 1.0 / n_labels
    return drawn(random, confusion[:, truth])


def dawid_skene_votes(
    seed: int, n_tasks: int, n_annotators: int, n_labels: int, votes_per_task: int, *, diagonal: float = 4.0
) -> tuple[Votes, Ints, Floats]:
    """Votes by the Dawid-Skene model: (votes, truth int32[T], confusion f8[A, K, K]).

    Confusion rows are drawn from Dirichlet(1, .., 1 + diagonal at the truth, .., 1), truth evenly, and each task is
    seen by votes_per_task different annotators.
    """
    random = np.random.default_rng(seed)
    truth = random.integers(n_labels, size=n_tasks).astype(np.int32)
    weights = random.standard_gamma(1.0 + diagonal * np.eye(n_labels), (n_annotators, n_labels, n_labels))
    confusion = weights / weights.sum(axis=2, keepdims=True)
    seen = np.argsort(random.random((n_tasks, n_annotators)), axis=1)[:, :votes_per_task]
    task, annotator = np.repeat(np.arange(n_tasks), seen.shape[1]), seen.ravel()
    label = drawn(random, confusion[annotator, truth[task]])
    votes = Votes(task.astype(np.int32), annotator.astype(np.int32), label, n_tasks, n_annotators, n_labels)
    return votes, truth, confusion


def drawn(random: np.random.Generator, rows: Floats) -> Ints:
    """One index drawn from each distribution along the last axis of rows f8[..., K]: int32[...]."""
    below = random.random(rows.shape[:-1])[..., None] > rows.cumsum(axis=-1)
    drawn: Ints = np.minimum(below.sum(axis=-1), rows.shape[-1] - 1).astype(np.int32)
    return drawn
