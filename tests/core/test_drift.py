"""Labels in force are revoked soon after they have become worse than allowed, and seldom otherwise."""

from itertools import product

import numpy as np
import pytest

from aggregation.core.drift import changed_at, evidence, watch


def audits(error, seed, campaigns):
    """Whether each audit is right, bool[n, campaigns], by the error at each."""
    return np.random.default_rng(seed).random((len(error), campaigns)) >= np.asarray(error)[:, None]


def test_evidence_grows_by_one_an_audit_on_average_where_labels_are_as_bad_as_allowed():
    n, error = 8, 0.3
    outcomes = np.array(list(product([True, False], repeat=n))).T
    chance = np.where(outcomes, 1.0 - error, error).prod(axis=0)
    np.testing.assert_allclose(evidence(outcomes, error) @ chance, np.arange(1, n + 1))
    better = np.where(outcomes, 0.8, 0.2).prod(axis=0)
    assert (evidence(outcomes, error)[1:] @ better < np.arange(2, n + 1)).all()


def test_labels_as_bad_as_allowed_are_revoked_no_more_often_than_said():
    path = evidence(audits(np.full(3000, 0.05), seed=0, campaigns=300), 0.05)
    reached = path >= 200
    assert np.where(reached.any(axis=0), reached.argmax(axis=0) + 1, 3000).mean() >= 200


@pytest.mark.parametrize("before", [0.01, 0.03, 0.05])
def test_a_jump_by_ten_points_is_noticed_within_a_hundred_audits_on_average(before):
    right = audits(np.where(np.arange(900) < 200, before, before + 0.1), seed=1, campaigns=300)
    reached = evidence(right, 0.05) >= 1000
    in_time = ~reached[:200].any(axis=0)
    assert in_time.mean() > 0.85 and reached[200:].any(axis=0).all()
    assert reached[200:, in_time].argmax(axis=0).mean() + 1 <= 110


def test_it_says_since_when_and_mostly_no_later_than_it_was():
    error = np.where(np.arange(900) < 400, 0.02, 0.12)
    since = []
    for right in audits(error, seed=2, campaigns=100).T:
        found = watch(right, 0.05)
        assert found.revoked_at is not None and found.since is not None and found.since <= found.revoked_at
        since.append(found.since)
    assert np.mean(np.array(since) <= 410) >= 0.7
    assert 300 <= np.median(since) <= 400


def test_it_tells_the_audit_at_which_labels_were_revoked_and_looks_no_further():
    right = np.array([True] * 50 + [False] * 6 + [True] * 500)
    found = watch(right, 0.05)
    assert (found.since, found.revoked_at) == (38, 54)  # the twelve right ones before may well have been luck
    assert found.evidence < 1000
    assert watch(right[:54], 0.05).revoked_at is None
    assert watch(right, 0.05, run_length=1e6).revoked_at is None
    assert 30 < changed_at(right[:56], 0.05) < 50


def test_without_audits_nothing_has_changed():
    found = watch(np.ones(0, np.bool_), 0.05)
    assert (found.evidence, found.revoked_at, found.since) == (0.0, None, None)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: watch(np.ones(3, np.bool_), 0.5), "max_error is 0.5; expected a number between 0 and 0.5"),
        (lambda: watch(np.ones(3, np.bool_), 0.1, 1.0), "run_length is 1.0; expected a number of audits above 1"),
    ],
)
def test_what_makes_no_sense_is_refused_by_name(call, message):
    with pytest.raises(ValueError, match=message):
        call()
