"""Simulated crowds are what they say, and the same by seed."""

import numpy as np

from aggregation.core.simulation import CONFUSABLE, confusable_errors, dawid_skene_votes, digit_crowd

TRUTH = np.random.default_rng(0).integers(10, size=2000).astype(np.int32)


def test_equal_seeds_give_equal_bytes():
    assert digit_crowd(TRUTH, 5).tobytes() == digit_crowd(TRUTH, 5).tobytes()
    assert digit_crowd(TRUTH, 5).tobytes() != digit_crowd(TRUTH, 6).tobytes()


def test_confusable_digits_are_twice_as_likely_among_errors():
    errors = confusable_errors(10)
    np.testing.assert_allclose(errors.sum(axis=1), 1.0)
    for one, other in CONFUSABLE:
        assert errors[one, other] == errors[other, one] == 2 / 10
    assert errors[0, 5] == 1 / 9


def test_skill_and_spammers_are_as_ordered():
    accuracy = np.concatenate([(digit_crowd(TRUTH, seed) == TRUTH).mean(axis=1) for seed in range(10)])
    spammers = accuracy < 0.15
    assert spammers.sum() == 60
    np.testing.assert_allclose(accuracy[~spammers].mean(), 8 / 11, atol=0.02)


def test_dawid_skene_votes_come_from_different_annotators():
    votes, truth, confusion = dawid_skene_votes(1, 50, 7, 3, 5)
    assert len(votes) == 250 and truth.shape == (50,) and confusion.shape == (7, 3, 3)
    assert len(np.unique(votes.task * 7 + votes.annotator)) == 250
