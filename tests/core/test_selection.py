"""Acquisition and stopping: which task next, and when one is done."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregation.core.acquisition import ACQUISITIONS, PRIORITY_STEPS, priority
from aggregation.core.queue import best_for_annotator
from aggregation.core.stopping import retire_reason, retire_reasons

ALL = pytest.mark.parametrize("score", ACQUISITIONS.values(), ids=ACQUISITIONS)


@ALL
@pytest.mark.parametrize("n_labels", [2, 3, 10, 200])
def test_even_posteriors_score_1_and_certain_ones_0(score, n_labels):
    even, certain = np.full(n_labels, 1 / n_labels), np.eye(n_labels)[0]
    np.testing.assert_allclose(score(np.array([even, certain])), [1.0, 0.0], atol=1e-12)


@ALL
@given(weights=st.lists(st.lists(st.floats(1e-6, 1.0), min_size=4, max_size=4), min_size=1, max_size=5))
def test_scores_stay_between_0_and_1_whatever_the_order_of_labels(score, weights):
    posterior = np.array(weights) / np.sum(weights, axis=1, keepdims=True)
    scores = score(posterior)
    assert ((scores >= 0) & (scores <= 1)).all()
    np.testing.assert_allclose(score(posterior[:, ::-1]), scores, atol=1e-12)


@ALL
def test_a_single_label_is_never_uncertain(score):
    assert score(np.ones((3, 1))).tolist() == [0.0, 0.0, 0.0]


def test_priorities_are_small_whole_numbers():
    priorities = priority(np.array([0.0, 0.0004, 0.5, 1.0, 1.0000001]))
    assert priorities.dtype == np.int16
    assert priorities.tolist() == [0, 0, PRIORITY_STEPS // 2, PRIORITY_STEPS, PRIORITY_STEPS]


@pytest.mark.parametrize(
    ("votes", "confidence", "target", "min_votes", "reason"),
    [
        (3, 0.1, None, 1, "redundancy"),
        (4, 0.99, 0.9, 1, "redundancy"),
        (2, 0.9, 0.9, 1, "target"),
        (2, 0.89, 0.9, 1, None),
        (2, 0.99, None, 1, None),
        (1, 0.99, 0.9, 2, None),
        (0, 0.99, 0.9, 1, None),
        (0, 0.99, 0.9, 0, "target"),
    ],
)
def test_when_a_task_retires(votes, confidence, target, min_votes, reason):
    assert retire_reason(votes, 3, confidence, target, min_votes) == reason


@given(
    rows=st.lists(st.tuples(st.integers(0, 5), st.sampled_from([0.0, 0.5, 0.9, 1.0])), max_size=20),
    redundancy=st.integers(1, 5),
    target=st.sampled_from([None, 0.5, 0.9]),
    min_votes=st.integers(0, 3),
    flag_below=st.sampled_from([None, 0.5, 0.9]),
)
def test_many_tasks_retire_as_each_alone_would(rows, redundancy, target, min_votes, flag_below):
    votes = np.array([row[0] for row in rows], dtype=np.int32)
    confidence = np.array([row[1] for row in rows])
    expected = [retire_reason(v, redundancy, c, target, min_votes, flag_below) for v, c in rows]
    found = retire_reasons(votes, redundancy, confidence, target, min_votes, flag_below)
    assert found.tolist() == expected


@given(
    votes=st.integers(0, 6),
    redundancy=st.integers(0, 5),
    confidence=st.floats(0, 1),
    target=st.one_of(st.none(), st.floats(0.5, 0.99)),
    flag_below=st.floats(0.01, 0.99),
)
def test_only_what_would_have_stopped_unsure_is_disputed(votes, redundancy, confidence, target, flag_below):
    """An expert is asked neither while votes may still settle it nor about what was never asked."""
    plain = retire_reason(votes, redundancy, confidence, target)
    flagged = retire_reason(votes, redundancy, confidence, target, flag_below=flag_below)
    unsure = votes > 0 and confidence < flag_below
    assert flagged == ("disputed" if plain == "redundancy" and unsure else plain)


def test_an_annotator_is_given_what_they_tell_most_of_after_what_comes_first_by_hand():
    place, gain = np.array([2000, 1500, 1000, 900, 900, 10]), np.array([0.0, 0.9, 0.1, 0.3, 0.3 + 1e-9, 0.2])
    assert best_for_annotator(place, gain).tolist() == [0, 1, 3, 4, 5, 2], "of equals the first in the queue"
    assert best_for_annotator(place[2:], np.zeros(4)).tolist() == [0, 1, 2, 3]
    assert best_for_annotator(place[:0], gain[:0]).tolist() == []
