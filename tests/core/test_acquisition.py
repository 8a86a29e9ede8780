"""What a vote is worth: disagreement, information, accuracy, price."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aggregation.core.acquisition import (
    accuracy_gain,
    activelab,
    bald,
    entropy,
    information_gain,
    least_confidence,
    new_or_relabel,
    search,
    vote_entropy,
)

LN2 = np.log(2)
#: A good annotator, one who always says the first label, and one who knows the truth.
GOOD, ALIKE, PERFECT = np.array([[0.8, 0.2], [0.3, 0.7]]), np.array([[1.0, 0.0], [1.0, 0.0]]), np.eye(2)


def distributions(*shape, seed):
    random = np.random.default_rng(seed)
    return random.dirichlet(np.full(shape[-1], random.choice([0.2, 1.0, 5.0])), shape[:-1])


def test_votes_disagree_as_far_as_so_many_could():
    counts = np.array([[0, 0, 0], [1, 0, 0], [4, 0, 0], [1, 1, 0], [1, 1, 1], [2, 1, 1], [3, 1, 0]], dtype=float)
    expected = [0, 0, 0, 1, 1, 1, (np.log(4) - 0.75 * np.log(3)) / (1.5 * LN2)]
    np.testing.assert_allclose(vote_entropy(counts), expected, atol=1e-12)


@settings(max_examples=60, deadline=None)
@given(counts=st.lists(st.lists(st.integers(0, 9), min_size=4, max_size=4), min_size=1, max_size=6))
def test_disagreement_stays_between_0_and_1_whatever_the_order_of_labels(counts):
    rows = np.array(counts, dtype=float)
    found = vote_entropy(rows)
    assert ((found >= 0) & (found <= 1)).all()
    np.testing.assert_allclose(vote_entropy(rows[:, ::-1]), found, atol=1e-12)
    agreed = (rows > 0).sum(axis=1) < 2
    assert (found[agreed] == 0).all() and (found[~agreed] > 0).all()


def test_a_committee_that_doubts_together_does_not_disagree():
    doubt, sure = [0.5, 0.5], [[1.0, 0.0], [0.0, 1.0]]
    members = np.array([[doubt, sure[0], sure[0]], [doubt, sure[1], sure[0]]])
    np.testing.assert_allclose(bald(members), [0.0, 1.0, 0.0], atol=1e-12)
    assert bald(np.ones((2, 3, 1))).tolist() == [0.0, 0.0, 0.0]


def test_a_committee_of_one_sure_and_one_doubtful_member_by_hand():
    """H(0.75, 0.25) - (H(1, 0) + H(0.5, 0.5)) / 2 = 0.5623 - 0.3466 nats."""
    members = np.array([[[1.0, 0.0]], [[0.5, 0.5]]])
    np.testing.assert_allclose(bald(members), [(0.56234 - 0.34657) / LN2], atol=1e-4)


@given(seed=st.integers(0, 999))
def test_disagreement_is_at_most_the_doubt_of_the_mean(seed):
    members = distributions(4, 6, 3, seed=seed)
    found = bald(members)
    assert ((found >= 0) & (found <= entropy(members.mean(axis=0)) + 1e-12)).all()
    np.testing.assert_allclose(bald(members[::-1]), found, atol=1e-12)
    np.testing.assert_allclose(bald(members[:1]), 0.0, atol=1e-12)


def test_information_by_hand():
    """An even task; 80 % and 70 % right: H(0.55, 0.45) - (H(0.8, 0.2) + H(0.7, 0.3)) / 2 = 0.132 nats."""
    even, certain = [0.5, 0.5], [1.0, 0.0]
    found = information_gain(np.array([even, certain]), GOOD)
    np.testing.assert_allclose(found, [0.68814 - (0.50040 + 0.61086) / 2, 0.0], atol=1e-5)
    np.testing.assert_allclose(information_gain(np.array([even]), ALIKE), 0.0, atol=1e-12)
    np.testing.assert_allclose(information_gain(np.array([even, [0.9, 0.1]]), PERFECT), [LN2, 0.32508], atol=1e-5)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 999))
def test_information_is_what_the_entropy_is_expected_to_fall_by(seed):
    posterior, confusion = distributions(5, 3, seed=seed), distributions(3, 3, seed=seed + 1)
    expected = entropy(posterior) * np.log(3)
    for vote in range(3):
        joint = posterior * confusion[:, vote]
        chance = joint.sum(axis=1)
        expected -= chance * entropy(joint / chance[:, None]) * np.log(3)
    found = information_gain(posterior, confusion)
    np.testing.assert_allclose(found, expected, atol=1e-9)
    assert (found >= 0).all()
    # Somebody who passes the answer on with errors of their own can't tell more.
    assert (information_gain(posterior, confusion @ distributions(3, 3, seed=seed + 2)) <= found + 1e-9).all()


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 999))
def test_kinds_of_tasks_are_not_what_is_asked_for(seed):
    states, confusion = distributions(5, 6, seed=seed), distributions(6, 3, seed=seed + 1)
    expected = entropy(states.reshape(5, 2, 3).sum(axis=1)) * np.log(3)
    for vote in range(3):
        joint = (states * confusion[:, vote]).reshape(5, 2, 3).sum(axis=1)
        chance = joint.sum(axis=1)
        expected -= chance * entropy(joint / chance[:, None]) * np.log(3)
    found = information_gain(states, confusion, n_labels=3)
    np.testing.assert_allclose(found, expected, atol=1e-9)
    assert (found <= information_gain(states, confusion) + 1e-9).all()


def best_gain(posterior, accuracy, room):
    """The same by trying every sequence of votes."""
    K = len(posterior)
    confusion = np.full((K, K), (1 - accuracy) / (K - 1))
    np.fill_diagonal(confusion, accuracy)
    gains = [0.0]
    for n in range(1, room + 1):
        right = sum(
            (posterior * np.prod([confusion[:, vote] for vote in votes], axis=0)).max()
            for votes in product(range(K), repeat=n)
        )
        gains.append((right - posterior.max()) / n)
    return max(gains)


@settings(max_examples=60, deadline=None)
@given(p=st.floats(0.5, 0.999), accuracy=st.floats(0.5, 0.99), room=st.integers(0, 5))
def test_two_labels_are_put_right_as_often_as_trying_everything_says(p, accuracy, room):
    posterior = np.array([[p, 1 - p]])
    (found,) = accuracy_gain(posterior, accuracy, np.array([room]))
    np.testing.assert_allclose(found, best_gain(posterior[0], accuracy, room), atol=1e-9)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 999), accuracy=st.floats(0.35, 0.99), room=st.integers(1, 3))
def test_with_more_labels_it_promises_nothing_that_is_not_there(seed, accuracy, room):
    posterior = distributions(1, 3, seed=seed)
    (found,) = accuracy_gain(posterior, accuracy, np.array([room]))
    assert 0 <= found <= best_gain(posterior[0], accuracy, room) + 1e-9


def test_one_vote_that_can_change_nothing_still_counts_for_the_next():
    """At 90 % one vote of 80 % cannot turn the label, so it alone would be worth nothing; three can."""
    one, three, none = accuracy_gain(np.array([[0.9, 0.1]] * 3), 0.8, np.array([1, 3, 0]))
    assert one == none == 0.0 < three
    even, surer = accuracy_gain(np.array([[0.5, 0.5], [0.8, 0.2]]), 0.8, np.array([3, 3]))
    assert even == pytest.approx(0.3) and surer < even


def test_who_guesses_is_worth_nothing_and_who_knows_all():
    posterior, room = np.array([[0.6, 0.4], [1.0, 0.0]]), np.array([2, 2])
    np.testing.assert_allclose(accuracy_gain(posterior, 1.0, room), [0.4, 0.0], atol=1e-6)
    assert accuracy_gain(posterior, 0.5, room).tolist() == [0.0, 0.0]
    assert accuracy_gain(posterior, 0.1, room).tolist() == [0.0, 0.0]
    assert accuracy_gain(np.ones((2, 1)), 0.9, room).tolist() == [0.0, 0.0]
    assert accuracy_gain(np.empty((0, 2)), 0.9, room[:0]).shape == (0,)


def test_a_new_task_is_worth_asking_about_while_it_teaches_enough():
    gain, votes, cost = np.array([0.2, 0.3]), np.array([0, 1]), np.array([1.0, 1.0])
    assert new_or_relabel(gain, votes, cost).argmax() == 1
    assert new_or_relabel(gain, votes, cost, teaching=0.15).tolist() == pytest.approx([0.35, 0.3])
    assert new_or_relabel(gain, votes, np.array([1.0, 2.0])).argmax() == 0
    with pytest.raises(ValueError, match="cost in row 1 is 0"):
        new_or_relabel(gain, votes, np.array([1.0, 0.0]))


def test_activelab_by_hand():
    """Three tasks equally sure, s = (w * 0.8 + 0.5 / 4) / (w + 0.5): the one that fewest spoke for is first."""
    few, many, new = activelab(np.array([0.8, 0.8, 0.8]), np.array([1.0, 3.0, 0.4]), 0.5, 4)
    assert few == pytest.approx((1 - 0.925 / 1.5) * 4 / 3) and many == pytest.approx((1 - 2.525 / 3.5) * 4 / 3)
    assert new > few > many
    assert activelab(np.array([1.0]), np.array([9.0]), 1.0, 1).tolist() == [0.0]


@given(confidence=st.floats(0.25, 1.0), weight=st.floats(0, 50), one_more=st.floats(0.01, 5))
def test_activelab_stays_between_0_and_1_and_falls_as_confidence_rises(confidence, weight, one_more):
    scores = activelab(np.array([confidence, 1.0]), np.array([weight, weight]), one_more, 4)
    assert ((scores >= 0) & (scores <= 1)).all() and scores[0] >= scores[1] - 1e-12
    forgotten = activelab(np.array([confidence]), np.array([1e9]), 1e-9, 4)
    np.testing.assert_allclose(forgotten, least_confidence(np.array([[confidence, *[(1 - confidence) / 3] * 3]])))


def test_a_search_leaves_what_people_have_settled():
    probability, votes = np.array([0.99, 0.99, 0.5, 0.01, 0.01, 0.2]), np.array([0, 2, 2, 2, 0, 0])
    assert search(probability, votes).tolist() == [0.99, 0.0, 0.5, 0.0, 0.01, 0.2]
