"""The machine's tier in a replay: certified by audits that it has not learnt, and taken back when they say so."""

import numpy as np
import pytest

from aggregation.core.cost_quality import cost_quality, full
from aggregation.core.policy import Policy
from aggregation.core.replay import replay
from aggregation.core.replay_tiers import AT_WORK, Answers, MachineTier
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


def answers(truth, votes=None):
    votes = np.zeros(len(truth), np.int64) if votes is None else votes
    return Answers(votes, np.ones(len(truth), np.bool_), truth, np.zeros(len(truth)))


def looked(tier, proba, found, times=20):
    """Whether labels in force were ever worse than allowed."""
    worst = 0.0
    for _ in range(times):
        tier.look(proba, 1.0, found)
        if tier.alone.any():
            worst = max(worst, (tier.said[tier.alone].argmax(axis=1) != found.truth[tier.alone]).mean())
    return worst


def test_audits_certify_a_threshold_and_the_machine_labels_what_lies_above():
    proba, truth = machine(4000)
    tier = MachineTier(Policy(**SETTINGS), 4000, 0)
    assert looked(tier, proba, answers(truth)) <= ERROR
    first = tier.alone
    assert first.mean() > 0.3 and not (first & tier.audit).any() and 0.13 < tier.audit.mean() < 0.17
    # The next learner is looked at by the same audits; its part of alpha is smaller.
    tier.learn()
    tier.look(proba, 1.0, answers(truth))
    assert tier.champions == 2 and 0 < tier.alone.sum() <= first.sum()
    # One that is no better than chance has its labels taken back at once.
    tier.learn()
    tier.look(proba[:, ::-1], 1.0, answers(truth))
    assert not tier.alone.any()


def test_too_little_evidence_and_a_machine_that_is_wrong_too_often_mean_no_labels():
    proba, truth = machine(4000)
    nobody = Answers(np.zeros(4000, np.int64), np.ones(4000, np.bool_), np.full(4000, -1, np.int32), np.zeros(4000))
    unanswered = MachineTier(Policy(**SETTINGS), 4000, 0)
    looked(unanswered, proba, nobody)
    assert not unanswered.alone.any() and unanswered.asked.sum() == AT_WORK
    assert unanswered.lot[unanswered.asked].max() < np.sort(unanswered.lot)[2 * AT_WORK]
    wrong = MachineTier(Policy(**SETTINGS), 4000, 0)
    lies = np.where(np.random.default_rng(1).random(4000) < 0.1, 1 - proba.argmax(axis=1), proba.argmax(axis=1))
    looked(wrong, proba, answers(lies.astype(np.int32)))
    assert not wrong.alone.any() and not wrong.asked.any()


def test_what_somebody_has_voted_on_is_not_the_machines():
    proba, truth = machine(4000)
    votes = (np.arange(4000) % 5 == 0).astype(np.int64)
    tier = MachineTier(Policy(**SETTINGS), 4000, 0)
    looked(tier, proba, answers(truth, votes))
    assert tier.alone.any() and not tier.alone[votes > 0].any()


def test_audits_count_as_far_as_all_are_answered():
    proba, truth = machine(4000)
    tier = MachineTier(Policy(**SETTINGS), 4000, 0)
    tier.look(proba, 1.0, answers(truth))
    first = np.flatnonzero(tier.audit)[tier.lot[tier.audit].argsort()[20]]
    late = MachineTier(Policy(**SETTINGS), 4000, 0)
    late.look(proba, 1.0, answers(np.where(np.arange(4000) == first, -1, truth).astype(np.int32)))
    assert tier.share == 0.15 and tier.alone.any()
    assert late.share == late.lot[first] and not late.alone.any() and late.asked.tolist().index(True) == first


def test_doubt_about_the_audits_truth_is_added_to_the_bound():
    proba, truth = machine(4000)
    sure, unsure = (MachineTier(Policy(**SETTINGS), 4000, 0) for _ in range(2))
    looked(sure, proba, answers(truth))
    looked(unsure, proba, answers(truth)._replace(doubt=np.full(4000, 0.06)))
    assert sure.alone.any() and not unsure.alone.any()


def test_a_replay_tells_what_the_machine_labelled_alone_and_how_often_wrongly():
    proba, truth = machine(2000)
    random, task = np.random.default_rng(2), np.repeat(np.arange(2000, dtype=np.int32), 2)
    label = np.where(random.random(4000) < 0.9, truth[task], 1 - truth[task]).astype(np.int32)
    votes = Votes(task, np.tile(np.array([0, 1], np.int32), 2000), label, 2000, 2, 2)
    taught: list = []

    def teach(rows, posterior, seed):
        taught.append(rows)
        return proba[rows], proba

    # A label model that knows how good the two are from the machine, and a crowd that does not hurry to all tasks.
    settings = SETTINGS | {"label_model": "one_coin", "order": "depth_first", "audits_by": "experts"}
    found = replay(votes, truth, Policy(**settings), 0, teach)
    alone, voted = found.reason == "auto", np.unique(task[found.revealed])
    assert alone.mean() > 0.2 and 260 <= found.audits <= 340 and found.worst <= ERROR
    assert not np.isin(voted, np.flatnonzero(alone)).any()
    audits = MachineTier(Policy(**settings), 2000, 0).audit.sum()
    assert len(taught[-1]) < len(voted) and audits > 0, "audits teach nobody"
    told = cost_quality([found], votes, truth, full(votes, truth))
    wrong = (found.posterior[alone].argmax(axis=1) != truth[alone]).mean()
    assert told.alone is not None and told.alone.wrong == pytest.approx(wrong)
    figures = told.as_json()
    assert figures["auto_share"] == alone.mean() and figures["auto_audits"] == found.audits
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
    with pytest.raises(ValueError, match=r"auto_label_error is 0\.5; expected at least 0\.001 and less than 0\.5"):
        Policy(auto_label_error=0.5)
    with pytest.raises(ValueError, match="audits_by is 'me'; expected one of votes, experts"):
        Policy(audits_by="me")
