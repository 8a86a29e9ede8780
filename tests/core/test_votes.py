"""Votes are checked once, where they enter the core."""

import numpy as np
import pytest

from aggregation.core.votes import Votes, check_gold


@pytest.mark.parametrize(
    ("task", "annotator", "label", "message"),
    [
        ([0, 2], [0, 0], [0, 0], "task in row 1 is 2; expected 0..1"),
        ([0, 1], [0, -1], [0, 0], "annotator in row 1 is -1; expected 0..2"),
        ([0, 1], [0, 0], [9, 0], "label in row 0 is 9; expected 0..3"),
        ([0, 1], [0], [0, 0], "annotator has 1 rows, task has 2"),
        ([0, 1], [0, 0], [0], "label has 1 rows, task has 2"),
        ([0.0, 1.0], [0, 0], [0, 0], "task must hold integers"),
        ([[0], [1]], [0, 0], [0, 0], "task must be one-dimensional"),
    ],
)
def test_a_bad_vote_is_named(task, annotator, label, message):
    with pytest.raises(ValueError, match=message):
        Votes(np.array(task), np.array(annotator), np.array(label), 2, 3, 4)


def test_there_is_at_least_one_label():
    with pytest.raises(ValueError, match="n_labels is 0"):
        Votes(np.array([]), np.array([]), np.array([]), 1, 1, 0)


def test_other_integers_are_copied_into_int32():
    task = np.array([0, 1, 1], dtype=np.int64)
    votes = Votes(task, task, task, 2, 2, 2)
    assert votes.task.dtype == np.int32 and task.dtype == np.int64
    assert votes.per_task().tolist() == [[1, 0], [0, 2]]
    assert len(votes) == 3


def test_missing_gold_is_all_unknown():
    votes = Votes(np.array([], dtype=int), np.array([], dtype=int), np.array([], dtype=int), 3, 1, 2)
    assert check_gold(None, votes).tolist() == [-1, -1, -1]
