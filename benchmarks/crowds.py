"""Simulated crowds on which a clever label model may do worse than majority vote.

Each stands for a kind of crowd that exists and breaks an assumption of Dawid-Skene models: that annotators err
independently once the true label is given, that each gives enough votes to be known by, that they differ at all. Shapes
are drawn anew with every crowd: 200 to 1,000 tasks, 2 to 6 labels, few votes a task, some people far busier than most.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from aggregation.core.simulation import drawn
from aggregation.core.structure import without_diagonal
from aggregation.core.votes import Floats, Ints, Votes

Crowd = tuple[Votes, Ints]
Generator = Callable[[np.random.Generator], Crowd]


def shared_bias(random: np.random.Generator) -> Crowd:
    """Everybody is tempted by the same rare answer ("offensive", "relevant") on the same two fifths of the tasks.

    Nobody falls for it as often as not, so most votes stay right; but those tasks look like a kind of their own, and
    larger than the rare label's. 5 to 15 votes a task.
    """
    T, K = _shape(random)
    rare = random.uniform(0.05, 0.15)
    truth = _labels(random, T, np.r_[rare, (1.0 - rare) * random.dirichlet(np.full(K - 1, 5.0))])
    task, annotator, A = _handed_out(random, T, votes_per_task=random.integers(5, 16), votes_each=40)
    tempting = np.where(random.random(T) < 0.4, random.uniform(0.2, 0.45, T), 0.0)
    honest = _votes_of(random.beta(12.0, 2.0, A)[annotator], truth[task], _errors(random, K))
    rows = (1.0 - tempting[task])[:, None] * honest + tempting[task][:, None] * np.eye(K)[0]
    return _crowd(random, task, annotator, rows, truth, A)


def skewed_labels(random: np.random.Generator) -> Crowd:
    """One label is true of 85 to 95 % of the tasks, as in moderation or screening; 3 to 5 votes a task.

    People miss the rare ones, and raise their false alarms mostly on the same borderline sixth of the tasks.
    """
    T, K = _shape(random, most_labels=4)
    common = random.uniform(0.85, 0.95)
    truth = _labels(random, T, np.r_[common, np.full(K - 1, (1.0 - common) / (K - 1))])
    task, annotator, A = _handed_out(random, T, votes_per_task=random.integers(3, 6), votes_each=50)
    right_when_common, right_when_rare = random.beta(30.0, 2.0, A), random.beta(6.0, 4.0, A)
    accuracy = np.where(truth[task] == 0, right_when_common[annotator], right_when_rare[annotator])
    borderline = (truth == 0) & (random.random(T) < 1 / 6)
    accuracy = np.where(borderline[task], 0.7 * accuracy, accuracy)
    return _crowd(random, task, annotator, _votes_of(accuracy, truth[task], _errors(random, K)), truth, A)


def few_votes_each(random: np.random.Generator) -> Crowd:
    """An open call: everybody gives 1 to 5 votes and leaves. 3 to 7 votes a task, one annotator in ten guesses."""
    T, K = _shape(random)
    truth = _labels(random, T, random.dirichlet(np.full(K, 5.0)))
    per_task = random.integers(3, 8)
    quota = random.integers(1, 6, size=T * per_task)
    A = int(np.searchsorted(quota.cumsum(), T * per_task)) + 1
    # The queue goes round per_task times, so nobody meets a task again.
    task = np.tile(random.permutation(T), per_task).astype(np.int32)
    annotator = np.repeat(np.arange(A), quota[:A])[: len(task)].astype(np.int32)
    accuracy = random.beta(7.0, 3.0, A)
    accuracy[random.random(A) < 0.1] = 1.0 / K
    rows = _votes_of(accuracy[annotator], truth[task], _errors(random, K))
    return _crowd(random, task, annotator, rows, truth, A)


def colluders(random: np.random.Generator) -> Crowd:
    """A tenth to a fifth of the annotators copy one answer sheet that is little better than chance.

    They are twice as busy as the others, so a fifth to a third of the votes are theirs, and agree with each other more
    than any honest two people do. 5 to 11 votes a task.
    """
    T, K = _shape(random)
    truth = _labels(random, T, random.dirichlet(np.full(K, 5.0)))
    share = random.uniform(0.1, 0.2)
    task, annotator, A = _handed_out(
        random, T, votes_per_task=random.integers(5, 12), votes_each=40, busier=lambda a: a < share * len(a)
    )
    accuracy = random.beta(8.0, 3.0, A)
    sheet = drawn(random, _votes_of(np.full(T, 1.0 / K + 0.1), truth, _errors(random, K)))
    honest = _votes_of(accuracy[annotator], truth[task], _errors(random, K))
    copied = 0.9 * np.eye(K)[sheet[task]] + 0.1 / K
    return _crowd(random, task, annotator, np.where((annotator < share * A)[:, None], copied, honest), truth, A)


def alike(random: np.random.Generator) -> Crowd:
    """Trained annotators, all equally good: whatever is learnt about one of them is noise. 3 to 7 votes a task."""
    T, K = _shape(random)
    truth = _labels(random, T, random.dirichlet(np.full(K, 5.0)))
    task, annotator, A = _handed_out(random, T, votes_per_task=random.integers(3, 8), votes_each=random.integers(8, 40))
    accuracy = np.full(len(task), random.uniform(0.6, 0.8))
    return _crowd(random, task, annotator, _votes_of(accuracy, truth[task], _errors(random, K)), truth, A)


def hard_tasks(random: np.random.Generator) -> Crowd:
    """Half of the tasks are plain to everybody, the rest nearly a guess for everybody: tasks differ, people hardly do.

    3 to 9 votes a task. A model without difficulty takes the hard tasks for a kind of label.
    """
    T, K = _shape(random)
    truth = _labels(random, T, random.dirichlet(np.full(K, 5.0)))
    task, annotator, A = _handed_out(random, T, votes_per_task=random.integers(3, 10), votes_each=40)
    guess = 1.0 / K + 0.05
    easy = random.random(T) < random.uniform(0.4, 0.7)
    accuracy = np.where(easy[task], random.beta(30.0, 3.0, A)[annotator], guess + random.uniform(0.0, 0.2, T)[task])
    return _crowd(random, task, annotator, _votes_of(accuracy, truth[task], _errors(random, K)), truth, A)


GENERATORS: dict[str, Generator] = {
    "shared_bias": shared_bias,
    "skewed_labels": skewed_labels,
    "few_votes_each": few_votes_each,
    "colluders": colluders,
    "alike": alike,
    "hard_tasks": hard_tasks,
}


def _shape(random: np.random.Generator, most_labels: int = 6) -> tuple[int, int]:
    """Numbers of tasks and labels."""
    return int(random.integers(200, 1001)), int(random.integers(2, most_labels + 1))


def _labels(random: np.random.Generator, T: int, label_prior: Floats) -> Ints:
    return random.choice(len(label_prior), size=T, p=label_prior).astype(np.int32)


def _errors(random: np.random.Generator, K: int) -> Floats:
    """How people err when they err, f8[K, K]: some labels are taken for each other more than the rest."""
    return without_diagonal(random.gamma(1.0, size=(K, K)) + 0.2)


def _votes_of(accuracy: Floats, truth: Ints, errors: Floats) -> Floats:
    """The distribution of each of n votes, f8[n, K], right with accuracy f8[n] and wrong as `errors` say."""
    rows = (1.0 - accuracy)[:, None] * errors[truth]
    rows[np.arange(len(truth)), truth] = accuracy
    return rows


def _handed_out(
    random: np.random.Generator,
    T: int,
    *,
    votes_per_task: int,
    votes_each: int,
    busier: Callable[[Ints], np.ndarray] = lambda a: a < 0,
) -> tuple[Ints, Ints, int]:
    """(task int32[n], annotator int32[n], A): every task to votes_per_task different people.

    People give votes_each on average, log-normally distributed; those for whom `busier` is true, twice as many.
    """
    A = max(int(T * votes_per_task / votes_each), 2 * votes_per_task)
    activity = random.normal(0.0, 1.0, A) + np.log(1.0 + busier(np.arange(A, dtype=np.int32)))
    # The largest of Gumbel-perturbed log weights are a weighted sample without replacement.
    chosen = np.argsort(-(activity + random.gumbel(size=(T, A))), axis=1)[:, :votes_per_task]
    task = np.repeat(np.arange(T, dtype=np.int32), votes_per_task)
    return task, chosen.ravel().astype(np.int32), A


def _crowd(random: np.random.Generator, task: Ints, annotator: Ints, rows: Floats, truth: Ints, A: int) -> Crowd:
    label = drawn(random, rows)
    return Votes(task, annotator, label, len(truth), A, rows.shape[1]), truth
