"""What a vote is worth: disagreement, information, teaching."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aggregation.core.acquisition import (
    activelab,
    bald,
    entropy,
    information_gain,
    least_confidence,
    new_or_relabel,
    search,
    teaching,
    vote_entropy,
)

LN2 = np.log(2)
#: A good annotator, one who always says the first label, and one who knows the truth.
GOOD, ALIKE, PERFECT = np.array([[0.8, 0.2], [0.3, 0.7]]), np.array([[1.0, 0.0], [1.0, 0.0]]), np.eye(2)
EVEN_ERRORS = np.array([[0.8, 0.2], [0.2, 0.8]])


def distributions(*shape, seed):
    random = np.random.default_rng(seed)
    return random.dirichlet(np.full(shape[-1], random.choice([0.2, 1.0, 5.0])), shape[:-1])


def test_votes_disagree_by_hand():
    """With one more vote for each label: 2 and 1 of 3 are 0.6365 nats, 2 and 2 of 4 as even as none."""
    counts = np.array([[0, 0], [1, 0], [1, 1], [3, 0], [3, 1]], dtype=float)
    expected = [LN2, 0.63651, LN2, 0.50040, 0.63651]
    np.testing.assert_allclose(vote_entropy(counts) * LN2, expected, atol=1e-5)


@settings(max_examples=60, deadline=None)
@given(counts=st.lists(st.integers(0, 9), min_size=4, max_size=4))
def test_disagreement_falls_with_every_vote_for_the_favourite_whatever_the_order_of_labels(counts):
    rows = np.array([counts, counts], dtype=float)
    rows[1, rows[0].argmax()] += 1
    before, after = vote_entropy(rows)
    assert 0 < after < before <= 1
    np.testing.assert_allclose(vote_entropy(rows[:, ::-1]), [before, after], atol=1e-12)


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


def test_without_teaching_a_vote_is_worth_what_it_tells_of_its_own_task():
    posterior = np.array([[0.5, 0.5], [0.5, 0.5], [0.9, 0.1], [1.0, 0.0]])
    worth = new_or_relabel(posterior, np.array([0, 3, 0, 2]), EVEN_ERRORS)
    told = information_gain(posterior, EVEN_ERRORS)
    np.testing.assert_allclose(worth, told / told[0], atol=1e-12)
    assert worth[0] == worth[1] == 1.0 > worth[2] > worth[3] == 0.0


def test_a_task_without_votes_is_worth_asking_about_while_it_teaches_enough():
    posterior, votes = np.array([[0.7, 0.3], [0.6, 0.4], [1.0, 0.0], [0.5, 0.5]]), np.array([0, 1, 0, 2])
    told = information_gain(posterior, EVEN_ERRORS)
    apart = told[1] - told[0]
    assert new_or_relabel(posterior, votes, EVEN_ERRORS, 0.9 * apart).argsort().tolist() == [2, 0, 1, 3]
    assert new_or_relabel(posterior, votes, EVEN_ERRORS, 1.1 * apart).argsort().tolist() == [2, 1, 0, 3]
    much = new_or_relabel(posterior, votes, EVEN_ERRORS, 1e9)
    assert much[0] > much[2] >= much[3] > much[1] and much.max() <= 1.0, "new ones first, the doubtful before others"


def test_of_people_who_guess_no_vote_is_worth_anything():
    guessing, posterior = np.full((2, 2), 0.5), np.array([[0.5, 0.5], [0.9, 0.1]])
    assert new_or_relabel(posterior, np.array([0, 1]), guessing, 5.0).tolist() == [0.0, 0.0]
    assert new_or_relabel(posterior[:0], np.array([]), EVEN_ERRORS).shape == (0,)


def test_teaching_by_hand():
    """Two tasks: 0.3567 nats where they were not seen, 0.1054 where they were; half of that, a half of it, for 10."""
    target, held_out, taught = np.eye(2), np.array([[0.7, 0.3], [0.3, 0.7]]), np.array([[0.9, 0.1], [0.1, 0.9]])
    assert teaching(held_out, taught, target, 10) == pytest.approx((0.35667 - 0.10536) / 2 / 2 * 10, abs=1e-4)
    assert teaching(taught, held_out, target, 10) == teaching(held_out, taught, target, 0) == 0.0
    assert teaching(held_out[:0], taught[:0], target[:0], 10) == 0.0


def test_teaching_a_learner_that_only_counts_is_what_its_parameters_say():
    """The shares of three labels are two free parameters: d / 2n^2 nats for each of a thousand tasks."""
    random, n, truth, found = np.random.default_rng(0), 60, np.array([0.5, 0.3, 0.2]), []
    for _ in range(300):
        target = np.eye(3)[random.choice(3, size=n, p=truth)]
        counts = target.sum(axis=0) + 0.5
        held_out = (counts - target) / (counts.sum() - 1)
        found.append(teaching(held_out, np.tile(counts / counts.sum(), (n, 1)), target, 1000))
    assert np.mean(found) == pytest.approx(1000 / n**2, rel=0.2)


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
