"""Random votes for property tests, and a slow reference."""

import numpy as np
from hypothesis import strategies as st

from aggregation.core.votes import Votes


@st.composite
def any_votes(draw, max_labels=5):
    """Votes of any shape: few or none, repeated pairs, silent annotators, tasks without votes."""
    tasks, annotators, labels = draw(st.integers(1, 8)), draw(st.integers(1, 5)), draw(st.integers(1, max_labels))
    row = st.tuples(st.integers(0, tasks - 1), st.integers(0, annotators - 1), st.integers(0, labels - 1))
    return as_votes(draw(st.lists(row, max_size=40)), tasks, annotators, labels)


@st.composite
def votes_and_gold(draw, max_labels=5):
    votes = draw(any_votes(max_labels))
    gold = draw(st.lists(st.integers(-1, votes.n_labels - 1), min_size=votes.n_tasks, max_size=votes.n_tasks))
    return votes, np.array(gold, dtype=np.int32)


def as_votes(rows, tasks, annotators, labels):
    columns = np.array(rows, dtype=np.int32).reshape(-1, 3)
    return Votes(columns[:, 0], columns[:, 1], columns[:, 2], tasks, annotators, labels)


def slow_dawid_skene(votes, iterations):
    """Maximum-likelihood Dawid-Skene after so many M- and E-steps from vote shares, one number at a time."""
    T, A, K = votes.n_tasks, votes.n_annotators, votes.n_labels
    rows = list(zip(votes.task.tolist(), votes.annotator.tolist(), votes.label.tolist(), strict=True))
    posterior = [[0.0] * K for _ in range(T)]
    for task, _, label in rows:
        posterior[task][label] += 1
    posterior = [[p / sum(row) for p in row] for row in posterior]
    for _ in range(iterations):
        prior = [sum(posterior[t][k] for t in range(T)) / T for k in range(K)]
        confusion = [[[0.0] * K for _ in range(K)] for _ in range(A)]
        for task, annotator, label in rows:
            for k in range(K):
                confusion[annotator][k][label] += posterior[task][k]
        for matrix in confusion:
            for row in matrix:
                total = sum(row)
                row[:] = [count / total for count in row] if total else [1 / K] * K
        posterior = [list(prior) for _ in range(T)]
        for task, annotator, label in rows:
            for k in range(K):
                posterior[task][k] *= confusion[annotator][k][label]
        posterior = [[p / sum(row) for p in row] for row in posterior]
    return np.array(posterior)
