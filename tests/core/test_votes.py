"""Votes are checked once, where they enter the core."""

import weakref

import numpy as np
import pytest
from hypothesis import given, settings

from aggregation.core.votes import Votes, check_gold

from .strategies import any_votes


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


@settings(max_examples=40, deadline=None)
@given(votes=any_votes())
def test_cells_are_the_pairs_of_annotator_and_label_that_occur(votes):
    tasks, cells = votes.by_task, votes.by_task.cells
    assert set(zip(cells.annotator, cells.label, strict=True)) == set(zip(votes.annotator, votes.label, strict=True))
    assert (cells.annotator[tasks.row] * votes.n_labels + cells.label[tasks.row] == tasks.cell).all()
    values = np.bincount(tasks.row, minlength=len(cells)).astype(float)[:, None] * [1.0, 10.0]
    by_annotator = np.bincount(votes.annotator, minlength=votes.n_annotators)
    by_label = np.bincount(votes.label, minlength=votes.n_labels)
    assert (cells.by_annotator(values) == by_annotator[:, None] * [1.0, 10.0]).all()
    assert (cells.by_label(values) == by_label[:, None] * [1.0, 10.0]).all()


def test_what_is_worked_out_once_goes_when_the_votes_go():
    votes = Votes(np.array([0]), np.array([0]), np.array([0]), 1, 1, 1)
    made = []
    assert [votes.once("this", lambda: made.append(1) or len(made)) for _ in range(2)] == [1, 1]
    gone = weakref.ref(votes)
    del votes
    assert gone() is None
