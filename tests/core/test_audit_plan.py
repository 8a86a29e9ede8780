"""Audits go where they certify most, and thresholds stay certified at every look, whatever the audits were."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import beta

from aggregation.core.audit_plan import answered_share, audit_goal, audits_to_certify, next_share, outlook
from aggregation.core.tiers import Evidence, ScoredAudits, certify, count_evidence, plan_thresholds

TASKS, BUDGET, LOOKS = 8000, 500, 20


class Campaign:
    """A pool whose learner is right as often as `right_when(score)` says; looked at after each batch of audits."""

    def __init__(self, seed, right_when):
        random = np.random.default_rng(seed)
        self.score = 1.0 / (1.0 + np.exp(-np.abs(random.normal(0.0, 5.0, TASKS))))
        self.right = random.random(TASKS) < right_when(self.score)
        self.lot, self.plan = random.random(TASKS), plan_thresholds(self.score, 0.05)
        self.drawn, self.evidence = np.zeros(TASKS, np.bool_), None
        self.expose(np.zeros(len(self.plan.threshold)))

    def expose(self, share):
        band = np.searchsorted(-self.plan.threshold, -self.score)
        self.drawn = self.lot < np.append(share, 0.0)[band]
        audits = ScoredAudits(self.score[self.drawn], self.right[self.drawn], self.lot[self.drawn])
        self.evidence = count_evidence(audits, self.score[~self.drawn], share, self.plan)

    def looks(self):
        """Every certified threshold there is, after each batch of audits by plan."""
        held = None
        for _ in range(LOOKS):
            certified = 0 if held is None else int((self.plan.threshold >= held).sum())
            goal = audit_goal(self.evidence, self.plan, BUDGET - int(self.drawn.sum()), certified)
            if goal is None:
                return
            self.expose(next_share(self.evidence, self.plan, goal, BUDGET // LOOKS))
            found = certify(self.evidence, self.plan, held=held)
            held = found.threshold
            yield found

    def error(self, threshold):
        in_force = ~self.drawn & (self.score >= threshold)
        return np.mean(~self.right[in_force])


def oracle(campaign):
    order = np.argsort(-campaign.score)
    error = (~campaign.right[order]).cumsum() / np.arange(1, TASKS + 1)
    return np.flatnonzero(error <= 0.05).max() + 1


def flat(score):
    """As many errors at every threshold, and a few too many."""
    return np.full(len(score), 0.947)


def test_few_audits_certify_most_of_what_could_be_known_to_be_good_and_no_more():
    wrong, gained, possible, audits = 0, 0, 0, 0
    for seed in range(20):
        campaign = Campaign(seed, lambda score: score)
        looks = [(found, campaign.error(found.threshold)) for found in campaign.looks() if found.threshold is not None]
        wrong += any(error > 0.05 for _, error in looks)
        gained += looks[-1][0].tasks
        possible += oracle(campaign)
        audits += campaign.drawn.sum()
    assert wrong <= 2
    assert gained >= 0.65 * possible
    assert audits <= 20 * BUDGET


def test_sets_with_too_many_errors_are_hardly_ever_certified_but_often_by_bounds_that_may_look_only_once():
    certified, naive, campaigns = 0, 0, 100
    for seed in range(campaigns):
        campaign = Campaign(seed, flat)
        looks, once = [], False
        for share in np.geomspace(0.01, 0.5, 20):
            campaign.expose(np.full(len(campaign.plan.threshold), share))
            looks.append(certify(campaign.evidence, campaign.plan))
            wrong, audits = campaign.evidence.wrong, campaign.evidence.audits
            bounds = beta.ppf(0.95, wrong + 1, np.maximum(audits - wrong, 0.5))
            once |= (bounds <= 0.05).any()  # one-sided Clopper-Pearson
        certified += any(found.threshold is not None for found in looks)
        naive += once
    assert certified <= 0.07 * campaigns
    assert naive >= 0.25 * campaigns


def test_it_is_to_begin_where_planned_and_to_stop_at_the_first_threshold_that_is_not_certified():
    campaign = Campaign(0, flat)
    thresholds, middle = campaign.plan.threshold, list(campaign.plan.sequences)[1]
    good = Evidence(
        tasks=np.arange(1000, 1000 + 10 * len(thresholds), 10),
        audits=np.full(len(thresholds), 300),
        wrong=np.zeros(len(thresholds), np.int64),
        exposed=np.zeros(len(thresholds)),
        share=np.full(len(thresholds), 0.3),
    )
    gap = replace(good, wrong=np.where(np.arange(len(thresholds)) == middle + 3, 100, 0))
    later = replace(good, wrong=np.where(np.arange(len(thresholds)) >= middle + 3, 100, 0))
    before = replace(good, wrong=np.where(np.arange(len(thresholds)) < middle, 100, 0))
    lax = list(campaign.plan.sequences)[2]
    assert certify(good, campaign.plan).threshold == thresholds[-1]
    assert certify(later, campaign.plan).threshold == thresholds[middle + 2]
    assert certify(before, campaign.plan).threshold == thresholds[-1]
    assert middle + 3 < lax and certify(gap, campaign.plan).threshold == thresholds[-1]  # from the lax one on
    both = replace(gap, wrong=gap.wrong + np.where(np.arange(len(thresholds)) == lax, 100, 0))
    assert certify(both, campaign.plan).threshold == thresholds[middle + 2]


def test_audits_are_drawn_where_they_count_and_about_as_many_as_asked_for():
    campaign = Campaign(1, lambda score: score)
    share = next_share(campaign.evidence, campaign.plan, goal=15, n=200)
    assert (share[:16] == share[0]).all() and (share[16:] == 0).all()
    campaign.expose(share)
    assert campaign.drawn.sum() == pytest.approx(200, abs=45)
    further = next_share(campaign.evidence, campaign.plan, goal=20, n=20)
    assert further[0] == share[0] and 0 < further[20] < share[0]  # those that were never exposed come first


def test_scores_that_promised_too_much_make_it_turn_to_a_stricter_threshold():
    campaign = Campaign(2, lambda score: score)
    before = audit_goal(campaign.evidence, campaign.plan, BUDGET)
    campaign.expose(next_share(campaign.evidence, campaign.plan, before, 100))
    campaign.right[np.flatnonzero(campaign.drawn)[:20]] = False
    campaign.expose(campaign.evidence.share)
    assert audit_goal(campaign.evidence, campaign.plan, BUDGET) < before


def test_it_stops_when_nothing_is_left_that_the_budget_could_certify():
    campaign = Campaign(3, lambda score: score)
    cost = audits_to_certify(campaign.evidence, campaign.plan)
    assert (cost > 50).all() and np.isinf(cost[-1])
    assert audit_goal(campaign.evidence, campaign.plan, 50) == cost.argmin()  # there is nothing yet: come near
    assert audit_goal(campaign.evidence, campaign.plan, 50, certified=5) is None
    assert audit_goal(campaign.evidence, campaign.plan, 10**6, certified=len(campaign.plan.threshold)) is None


def test_the_forecast_of_the_first_certificate_is_about_what_it_then_takes():
    forecast, took = [], []
    for seed in range(6):
        campaign = Campaign(seed, lambda score: score)
        forecast.append(outlook(campaign.evidence, campaign.plan).audits)
        while certify(campaign.evidence, campaign.plan).threshold is None:
            goal = audit_goal(campaign.evidence, campaign.plan, BUDGET)
            campaign.expose(next_share(campaign.evidence, campaign.plan, goal, 10))
        took.append(campaign.drawn.sum())
    assert 0.5 * np.mean(forecast) <= np.mean(took) <= 2 * np.mean(forecast)


def test_errors_found_put_the_first_certificate_off_and_then_out_of_reach():
    campaign = Campaign(2, lambda score: score)
    campaign.score = np.linspace(0.95, 0.99, TASKS)
    campaign.plan = plan_thresholds(campaign.score, 0.05)
    campaign.expose(np.zeros(len(campaign.plan.threshold)))
    share = next_share(campaign.evidence, campaign.plan, 10, 150)
    found = []
    for wrong in (0, 5, 80):
        campaign.right[:] = True
        campaign.expose(share)
        campaign.right[np.flatnonzero(campaign.drawn)[:wrong]] = False
        campaign.expose(share)
        found.append(outlook(campaign.evidence, campaign.plan))
    assert found[0].audits < found[1].audits and found[2].audits is None
    assert found[0].error < found[1].error and found[2].error > campaign.plan.max_error


def test_evidence_goes_no_further_than_the_first_audit_that_waits_for_an_answer():
    share, drawn = np.array([0.1, 0.02, 0.0]), np.array([0.3, 0.3, 0.0])
    assert answered_share(share, drawn, np.array([0.2, 0.25])).tolist() == [0.2, 0.2, 0.0]
    assert answered_share(share, drawn, np.array([0.05])).tolist() == [0.1, 0.05, 0.0]
    assert answered_share(share, drawn, np.empty(0)).tolist() == drawn.tolist()
