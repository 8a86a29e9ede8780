"""Labels that the machine makes alone are wrong no more often than the manager allows, at any look and threshold."""

import numpy as np
import pytest

from aggregation.core.tiers import (
    ScoredAudits,
    ThresholdPlan,
    alpha_of,
    audits_needed,
    certified_threshold,
    count_evidence,
    most_wrong,
    plan_thresholds,
)

ONE = ThresholdPlan(np.array([0.0]), np.array([0.02]), max_error=0.05)


def calibrated(tasks, seed):
    """Scores and whether the machine is right, just as often as the scores say."""
    random = np.random.default_rng(seed)
    score = 0.4 + 0.6 * random.beta(3.0, 0.5, tasks)
    return score, random.random(tasks) < score, random.random(tasks)


def looked_at(score, right, lot, share, plan):
    audited = lot < share
    audits = ScoredAudits(score[audited], right[audited], lot[audited])
    return certified_threshold(audits, score[~audited], share, plan), audited


def most_left(lot, share):
    """How many wrong tasks not audited there may be, if audits by this share found these wrong."""
    audits = ScoredAudits(np.ones(len(lot)), np.zeros(len(lot), np.bool_), lot)
    return most_wrong(count_evidence(audits, np.ones(10_000), share, ONE), ONE, np.array([ONE.alpha]))[0, 0]


def test_too_few_audits_mean_no_auto_labels_yet():
    needed = audits_needed(0.05)
    assert 60 < needed < 100
    score, lot = np.full(10_000, 0.999), (np.arange(10_000) + 0.5) / 10_000
    plan = plan_thresholds(score, 0.05)
    right = np.ones(10_000, np.bool_)
    enough = -np.expm1(-(needed + 2) / 10_000)
    assert looked_at(score, right, lot, enough / 2, plan)[0].threshold is None
    found, _ = looked_at(score, right, lot, enough, plan)
    assert found.threshold == 0.999 and 0.045 < found.bound <= 0.05
    assert (found.tasks, found.audits, found.wrong) == (10_000 - needed - 2, needed + 2, 0)


def test_wrong_tasks_not_audited_exceed_the_bound_in_few_campaigns_at_any_look():
    wrong, missed, looks = 300, 0, np.linspace(0.02, 0.3, 15)
    for seed in range(300):
        lot = np.random.default_rng(seed).random(wrong)
        for share in looks:
            found = lot[lot < share]
            if most_left(found, share) < wrong - len(found):
                missed += 1
                break
    assert 0 < missed <= 0.07 * 300


def test_tasks_that_arrive_are_exposed_at_once_and_count_like_all_others():
    missed = 0
    for seed in range(300):
        lot, arrived = np.random.default_rng(seed).random(1000), 0
        for arrived in range(100, 1001, 100):
            found = lot[:arrived][lot[:arrived] < 0.1]
            if most_left(found, 0.1) < arrived - len(found):
                missed += 1
                break
    assert 0 < missed <= 0.07 * 300


def test_the_wealth_against_the_truth_is_one_on_average():
    share, wrong, random = 0.2, 30, np.random.default_rng(0)
    lot = random.random((200_000, wrong))
    found = lot < share
    exposure, stake = -np.log1p(-np.minimum(lot, share)), ONE.stakes[0, 0]
    wealth = np.exp(stake * exposure.sum(axis=1)) * (1.0 - stake) ** found.sum(axis=1)
    assert wealth.mean() == pytest.approx(1.0, abs=5 * wealth.std() / np.sqrt(len(wealth)))


def test_an_audit_that_is_not_answered_counts_as_wrong():
    score, right, lot = calibrated(5000, seed=1)
    plan = plan_thresholds(score, 0.05)
    before, audited = looked_at(score, right, lot, 0.1, plan)
    pending = right.copy()
    pending[np.flatnonzero(audited & right & (score >= plan.threshold[0]))[:20]] = False
    after, _ = looked_at(score, pending, lot, 0.1, plan)
    assert (after.bounds >= before.bounds).all() and after.bounds[0] > before.bounds[0]


@pytest.mark.parametrize("lot", [0.01, 0.5, 0.7, 0.9])
def test_audits_that_found_the_machine_wrong_never_lower_the_bound(lot):
    bounds = [most_left(np.full(wrong, lot), 0.95) for wrong in (0, 1, 3, 10, 30)]
    assert bounds == sorted(bounds)


def test_the_error_of_the_audits_own_truth_is_added():
    score, right, lot = calibrated(20_000, seed=2)
    plan = plan_thresholds(score, 0.05)
    exact, _ = looked_at(score, right, lot, 0.1, plan)
    audited = lot < 0.1
    audits = ScoredAudits(score[audited], right[audited], lot[audited])
    doubtful = certified_threshold(audits, score[~audited], 0.1, plan, truth_error=0.01)
    np.testing.assert_allclose(doubtful.bounds, np.minimum(exact.bounds + 0.01, 1.0))
    assert doubtful.threshold > exact.threshold


def test_a_share_that_grew_above_some_thresholds_only_counts_there_only():
    score, right, lot = calibrated(20_000, seed=3)
    plan = plan_thresholds(score, 0.05)
    strict = np.arange(len(plan.threshold)) < 10
    share = np.where(strict, 0.1, 0.05)
    audited = lot < np.where(score >= plan.threshold[9], 0.1, 0.05)
    audits = ScoredAudits(score[audited], right[audited], lot[audited])
    both = certified_threshold(audits, score[~audited], share, plan).bounds
    np.testing.assert_allclose(both[:10], looked_at(score, right, lot, 0.1, plan)[0].bounds[:10])
    np.testing.assert_allclose(both[10:], looked_at(score, right, lot, 0.05, plan)[0].bounds[10:], atol=0.01)


def test_a_plan_reaches_from_sets_that_promise_hardly_an_error_to_such_that_promise_too_many():
    score, _, _ = calibrated(10_000, seed=4)
    plan = plan_thresholds(score, 0.05)
    assert (np.diff(plan.threshold) < 0).all() and (np.diff(plan.expected) > 0).all()
    assert plan.expected[0] < 0.01 * 0.05 and 0.06 < plan.expected[-1] <= 0.075
    assert list(plan.sequences.values()) == [0.25, 0.5, 0.25]
    strict, middle, lax = plan.expected[list(plan.sequences)]
    assert 0.0005 <= strict < 0.002 and 0.005 <= middle < 0.007 and 0.02 <= lax < 0.025
    for threshold, expected in zip(plan.threshold, plan.expected, strict=True):
        assert expected == pytest.approx(1 - score[score >= threshold].mean())


def test_champions_share_the_whole_alpha():
    assert sum(alpha_of(champion) for champion in range(1, 10_000)) == pytest.approx(0.05, rel=1e-3)
    assert alpha_of(1) == 0.025


@pytest.mark.parametrize("tasks", [0, 1, 2])
def test_a_pool_that_is_too_small_certifies_nothing(tasks):
    score = np.full(tasks, 0.99)
    found, _ = looked_at(score, score > 0, score, 0.1, plan_thresholds(score, 0.05))
    assert (found.threshold, found.bound, found.tasks) == (None, 1.0, 0)


def none():
    return ScoredAudits(np.ones(0), np.ones(0, np.bool_), np.ones(0))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ScoredAudits(np.ones(2), np.ones(3, np.bool_), np.zeros(2)), r"right has shape \(3,\); expected"),
        (lambda: ScoredAudits(np.ones(1), np.ones(1, np.bool_), np.ones(1)), "lot in row 0 is 1.0; expected 0 or more"),
        (lambda: ScoredAudits(np.array([np.nan]), np.ones(1, np.bool_), np.zeros(1)), "score in row 0 is nan"),
        (lambda: ThresholdPlan(np.ones(2), np.zeros(2), 0.05), "threshold in row 1 is 1.0; expected less than"),
        (lambda: ThresholdPlan(np.ones(1), np.zeros(2), 0.05), "expected has shape"),
        (lambda: ThresholdPlan(np.ones(1), np.full(1, 2.0), 0.05), "expected in row 0 is 2.0; expected 0 to 1"),
        (lambda: plan_thresholds(np.array([1.2]), 0.05), "pool_score in row 0 is 1.2; expected 0 to 1"),
        (lambda: plan_thresholds(np.ones(3), 0.0), "max_error is 0.0; expected a number between 0 and 1"),
        (lambda: certified_threshold(none(), np.ones(3), 1.1, ONE), "share in row 0 is 1.1; expected 0 to 1"),
        (lambda: certified_threshold(none(), np.ones(3), 0.1, ONE, truth_error=-1), "truth_error is -1; expected 0"),
        (lambda: alpha_of(0), "champion is 0; expected 1 or more"),
    ],
)
def test_what_makes_no_sense_is_refused_by_name(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_what_was_certified_once_stays_so_until_it_is_let_go():
    score, right, lot = calibrated(20_000, seed=5)
    plan = plan_thresholds(score, 0.05)
    audited = lot < 0.01
    audits = ScoredAudits(score[audited], right[audited], lot[audited])
    held = float(plan.threshold[20])
    found = certified_threshold(audits, score[~audited], 0.01, plan, held=held)
    assert found.threshold == held and found.bound == 0.05 < found.bounds[20]
    assert certified_threshold(audits, score[~audited], 0.01, plan).threshold != held
