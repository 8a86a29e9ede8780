"""The machine's tier in a replay: certified by audits that it has not learnt, and taken back when they say so."""

import numpy as np
import pytest

from aggregation.core.audits import AT_WORK, share_of_like
from aggregation.core.cost_quality import cost_quality, full
from aggregation.core.policy import Policy
from aggregation.core.replay import replay
from aggregation.core.replay.machine import Answers, MachineTier
from aggregation.core.votes import Votes

ERROR = 0.05
SETTINGS = {"label_model": "majority_vote", "learner": "numeric", "auto_label_error": ERROR, "audit_share": 0.15}


def machine(tasks, strength=12.0, seed=0):
    """What a learner says of tasks with two labels, as often right as it states, and what is true."""
    random = np.random.default_rng(seed)
    right = 1.0 / (1.0 + np.exp(-np.abs(random.normal(0.0, strength, tasks))))
    says = random.integers(2, size=tasks)
    truth = np.where(random.random(tasks) < right, says, 1 - says).astype(np.int32)
    proba = np.stack([1.0 - right, 1.0 - right], axis=1)
    proba[np.arange(tasks), says] = right
    return proba, truth


def answers(truth, votes=None, waiting=False):
    """What experts have answered; waiting: for people, who may go on."""
    votes = np.zeros(len(truth), np.int64) if votes is None else votes
    return Answers(votes, np.ones(len(truth), np.bool_), np.full(len(truth), waiting), truth, None)


def looked(proba, found, seed=0):
    tier = MachineTier(Policy(**SETTINGS), len(found.truth), seed)
    tier.look(proba, 1.0, found)
    return tier


def wrong(tier, truth):
    return float((tier.said[tier.alone].argmax(axis=1) != truth[tier.alone]).mean())


def test_audits_certify_a_threshold_and_the_machine_labels_what_lies_above():
    proba, truth = machine(4000)
    tier = looked(proba, answers(truth))
    first, audits = tier.alone, tier.audit.sum()
    assert first.mean() > 0.6 and wrong(tier, truth) <= ERROR and not (first & tier.audit).any()
    assert AT_WORK < audits <= 0.15 * 4000
    # The next learner is looked at by the same audits; its part of alpha is smaller.
    tier.learn()
    tier.look(proba, 1.0, answers(truth))
    assert tier.champions == 2 and 0 < tier.alone.sum() <= first.sum() and tier.audit.sum() >= audits
    # One that is no better than chance has its labels taken back at once.
    tier.learn()
    tier.look(proba[:, ::-1], 1.0, answers(truth))
    assert not tier.alone.any()


def test_audits_are_drawn_by_lot_where_they_certify_most():
    proba, truth = machine(4000)
    tier = looked(proba, answers(truth))
    shares = share_of_like(tier.score, tier.drawn, tier.plan)
    np.testing.assert_array_equal(tier.audit, tier.lot < shares)
    sure = tier.score >= tier.plan.threshold[-1]
    assert tier.audit[sure].mean() > 0.05 and not tier.audit[~sure].any()


def test_people_are_asked_for_some_audits_at_a_time():
    proba, truth = machine(4000)
    waiting = answers(np.full(4000, -1, np.int32), waiting=True)
    tier = looked(proba, waiting)
    assert not tier.alone.any() and 0 < tier.asked.sum() < 2 * AT_WORK
    np.testing.assert_array_equal(tier.asked, tier.audit)
    tier.look(proba, 1.0, waiting)
    assert tier.asked.sum() == tier.audit.sum() < 2 * AT_WORK, "no more, before these are answered"
    votes = np.where(np.arange(4000) < 100, 1, 0)
    tier.look(proba, 1.0, answers(truth, votes, waiting=True))
    assert tier.audit.sum() > AT_WORK and tier.alone.any() and not tier.asked.any()


def test_a_machine_that_is_wrong_too_often_labels_nothing():
    proba, truth = machine(4000)
    lies = np.where(np.random.default_rng(1).random(4000) < 0.1, 1 - proba.argmax(axis=1), proba.argmax(axis=1))
    tier = looked(proba, answers(lies.astype(np.int32)))
    assert not tier.alone.any() and not tier.asked.any()


def test_what_somebody_has_voted_on_or_it_cannot_read_is_not_the_machines():
    proba, truth = machine(4000)
    votes, read = (np.arange(4000) % 5 == 0).astype(np.int64), np.arange(4000) % 7 > 0
    tier = looked(np.where(read[:, None], proba, np.nan), answers(truth, votes))
    assert tier.alone.any() and not tier.alone[(votes > 0) | ~read].any() and not tier.audit[~read].any()


def test_audits_count_as_far_as_all_are_answered():
    proba, truth = machine(4000)
    audits = np.flatnonzero(looked(proba, answers(truth)).audit)
    late = truth.copy()
    late[audits] = -1  # nobody has answered these
    tier = looked(proba, answers(late, waiting=True))
    assert not tier.alone.any() and tier.answered.max() == tier.lot[tier.audit].min()


def test_what_is_certified_stays_until_its_audits_say_otherwise():
    proba, truth = machine(4000)
    tier = looked(proba, answers(truth))
    threshold = tier.issued.threshold
    tier.look(proba, 1.0, answers(truth)._replace(right=np.ones(20_000, np.bool_)))
    assert tier.issued.threshold <= threshold
    corrected = np.where(tier.audit, 1 - truth, truth).astype(np.int32)
    tier.look(proba, 1.0, answers(corrected))
    assert tier.issued is None and not tier.alone.any()


def test_doubt_about_the_audits_truth_is_added_to_the_bound():
    proba, truth = machine(4000)
    unsure, sure = (looked(proba, answers(truth)._replace(right=np.ones(gold, np.bool_))) for gold in (100, 2000))
    assert sure.alone.any() and not unsure.alone.any()
    assert (sure.champions, sure.truth) == (2, 2), "it has a part of alpha, as one more learner would"
    assert sure.alone.sum() < looked(proba, answers(truth)).alone.sum()


def test_a_replay_tells_what_the_machine_labelled_alone_and_how_often_wrongly():
    proba, truth = machine(2000, seed=1)
    random, task = np.random.default_rng(2), np.repeat(np.arange(2000, dtype=np.int32), 2)
    label = np.where(random.random(4000) < 0.9, truth[task], 1 - truth[task]).astype(np.int32)
    votes = Votes(task, np.tile(np.array([0, 1], np.int32), 2000), label, 2000, 2, 2)
    taught: list = []

    def teach(rows, posterior, seed):
        # Each retraining but the first is worse, so that the first learner stays.
        says = proba if not taught else proba[:, ::-1]
        taught.append(rows)
        return says[rows], says

    # A label model that knows how good the two are from the machine, and a crowd that does not hurry to all tasks.
    settings = SETTINGS | {"label_model": "one_coin", "order": "depth_first", "audits_by": "experts"}
    found = replay(votes, truth, Policy(**settings), 0, teach)
    alone, voted = found.reason == "auto", np.unique(task[found.revealed])
    assert alone.mean() > 0.2 and AT_WORK <= found.audits <= 300 and found.worst <= ERROR
    assert not np.isin(voted, np.flatnonzero(alone)).any()
    assert len(taught[-1]) < len(voted), "audits teach nobody"
    told = cost_quality([found], votes, truth, full(votes, truth))
    figures = told.as_json()
    assert figures["auto_share"] == alone.mean() and figures["auto_wrong"] <= figures["auto_worst"] <= ERROR
    assert figures["auto_audits"] == found.audits
    without = cost_quality([replay(votes, truth, Policy(redundancy=1), 0)], votes, truth, full(votes, truth))
    assert without.alone is None and "auto_share" not in without.as_json()


def test_it_refuses_a_machine_that_is_not_there_and_experts_who_do_not_know():
    proba, truth = machine(3)
    votes = Votes(np.arange(3, dtype=np.int32), np.zeros(3, np.int32), truth, 3, 1, 2)
    with pytest.raises(ValueError, match="there is no learner that could label alone"):
        replay(votes, truth, Policy(**SETTINGS), 0)
    truth[1] = -1
    with pytest.raises(ValueError, match="not every task's truth is known"):
        replay(votes, truth, Policy(**SETTINGS, audits_by="experts"), 0, lambda *_: (proba, proba))
    with pytest.raises(ValueError, match=r"auto_label_error is 0\.6; expected at least 0\.001 and at most 0\.5"):
        Policy(auto_label_error=0.6)
    with pytest.raises(ValueError, match="audits_by is 'me'; expected one of votes, experts"):
        Policy(audits_by="me")
