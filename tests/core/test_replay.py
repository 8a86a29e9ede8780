"""Replay: nothing is revealed that was not recorded, nothing is known that was not revealed."""

import numpy as np
import pytest

from aggregation.core import live
from aggregation.core.calibration_report import rightness
from aggregation.core.cost_quality import cost_of, cost_quality, full, often_wrong, votes_to, wrongly_retired
from aggregation.core.label_models import LABEL_MODELS
from aggregation.core.policy import Policy
from aggregation.core.prediction import consensus_to_learn
from aggregation.core.replay import REFITS, replay
from aggregation.core.votes import Votes

T, A, K = 60, 12, 3
QUICK = "hierarchical_dawid_skene"


def crowd(seed=0, skill=0.7, votes_per_task=6):
    random = np.random.default_rng(seed)
    truth = random.integers(K, size=T).astype(np.int32)
    task = np.repeat(np.arange(T, dtype=np.int32), votes_per_task)
    annotator = np.concatenate([random.permutation(A)[:votes_per_task] for _ in range(T)]).astype(np.int32)
    right = random.random(len(task)) < skill
    label = np.where(right, truth[task], (truth[task] + random.integers(1, K, len(task))) % K).astype(np.int32)
    return Votes(task, annotator, label, T, A, K), truth


@pytest.mark.parametrize("order", ["priority", "breadth_first", "depth_first", "sequential", "random"])
def test_every_order_reveals_each_recorded_vote_once_and_ends_at_the_full_fit(order):
    votes, truth = crowd()
    found = replay(votes, truth, Policy(order=order, label_model=QUICK), seed=3)
    np.testing.assert_array_equal(np.sort(found.revealed), np.arange(len(votes)))
    everything = LABEL_MODELS[QUICK](votes)
    assert found.accuracy[-1] == pytest.approx(rightness(everything.posterior, truth).mean())
    np.testing.assert_allclose(found.posterior, everything.posterior, atol=1e-6)


def test_without_votes_the_label_prior_answers_ties_at_their_expectation():
    votes, truth = crowd()
    assert replay(votes, truth, Policy(label_model=QUICK), seed=0).accuracy[0] == pytest.approx(1 / K)


def test_equal_seeds_give_equal_replays_and_others_differ():
    votes, truth = crowd()
    one, same, other = (replay(votes, truth, Policy(label_model=QUICK), seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one.revealed, same.revealed)
    np.testing.assert_array_equal(one.accuracy, same.accuracy)
    assert (one.revealed != other.revealed).any()


def test_the_policy_sees_neither_truth_nor_votes_before_they_are_revealed():
    votes, truth = crowd()
    policy = Policy(label_model=QUICK)
    found = replay(votes, truth, policy, seed=5)
    lied_to = replay(votes, (truth + 1) % K, policy, seed=5)
    np.testing.assert_array_equal(found.revealed, lied_to.revealed)
    # What the last votes say can change nothing that came before them.
    last = found.revealed[len(votes) // 2 :]
    label = votes.label.copy()
    label[last] = (label[last] + 1) % K
    changed = Votes(votes.task, votes.annotator, label, T, A, K)
    half = replay(changed, truth, policy, seed=5).accuracy[: REFITS // 2 + 1]
    np.testing.assert_array_equal(half, found.accuracy[: REFITS // 2 + 1])


def test_redundancy_and_target_stop_tasks_as_in_the_service():
    votes, truth = crowd(skill=0.9)
    two = replay(votes, truth, Policy(redundancy=2, label_model=QUICK), seed=0)
    assert np.bincount(votes.task[two.revealed], minlength=T).tolist() == [2] * T
    assert set(two.reason) == {"redundancy"}
    sure = replay(votes, truth, Policy(target_confidence=0.9, min_votes=2, label_model=QUICK), seed=0)
    given = np.bincount(votes.task[sure.revealed], minlength=T)
    at_target = sure.reason == "target"
    assert at_target.any() and given.min() >= 2 and len(sure.revealed) < len(votes)
    assert (sure.posterior.max(axis=1)[at_target] >= 0.9).all()
    assert (given[~at_target] == 6).all()


def test_breadth_first_gives_every_task_a_vote_before_any_gets_two():
    votes, truth = crowd()
    found = replay(votes, truth, Policy(order="breadth_first", label_model=QUICK), seed=0)
    assert len(np.unique(votes.task[found.revealed[:T]])) == T


def test_declared_gold_is_clamped_and_calibrates():
    votes, truth = crowd()
    found = replay(votes, truth, Policy(gold=25, label_model=QUICK), seed=0)
    assert found.known.sum() == 25 and found.calibrated
    assert rightness(found.posterior[found.known], truth[found.known]).all()
    assert not replay(votes, truth, Policy(gold=10, label_model=QUICK), seed=0).calibrated


def test_it_is_scored_by_what_the_policy_was_not_told():
    votes, truth = crowd()
    policy, told = Policy(label_model=QUICK), Policy(label_model=QUICK, gold=T // 2)
    bars = full(votes, truth)
    alone, helped = (
        cost_quality([replay(votes, truth, p, s) for s in range(3)], votes, truth, bars) for p in (policy, told)
    )
    assert (alone.majority, alone.model) == pytest.approx((bars.majority, bars.model))
    assert helped.accuracy[0] == pytest.approx(alone.accuracy[0], abs=0.1), "what it was told is not its merit"
    assert helped.votes_to_majority > 0.3
    replayed = replay(votes, truth, told, 0)
    mine = ~replayed.known
    assert replayed.accuracy[-1] == pytest.approx(rightness(replayed.posterior[mine], truth[mine]).mean())
    assert cost_quality([replayed], votes, truth, bars).majority == pytest.approx(
        rightness(LABEL_MODELS["majority_vote"](votes).posterior[mine], truth[mine]).mean()
    )


def test_a_learner_is_taught_on_voted_tasks_and_answers_those_without_votes():
    votes, truth = crowd()
    taught, consensus = [], []

    def knows(rows, posterior, seed):
        taught.append(rows)
        consensus.append(posterior)
        sure = np.full((T, K), 0.02)
        sure[np.arange(T), truth] = 0.96
        return sure[rows], sure

    found = replay(votes, truth, Policy(learner="text", label_model=QUICK, order="random"), seed=0, teach=knows)
    alone = replay(votes, truth, Policy(label_model=QUICK, order="random"), seed=0)
    assert found.accuracy[REFITS // 5] > alone.accuracy[REFITS // 5] + 0.1
    assert len(taught[0]) < T and len(taught[-1]) == T
    np.testing.assert_array_equal(consensus[-1], consensus_to_learn(votes, knows(taught[-1], None, 0)[1]).posterior)


def test_a_learner_that_has_become_worse_does_not_replace_the_one_before():
    votes, truth = crowd(skill=0.8)
    rounds = []

    def worsens(rows, posterior, seed):
        rounds.append(rows)
        says = np.full((T, K), 0.02)
        says[np.arange(T), truth if len(rounds) < 4 else (truth + 1) % K] = 0.96
        return says[rows], says

    policy = Policy(learner="text", label_model=QUICK, order="random")
    found = replay(votes, truth, policy, seed=0, teach=worsens)
    assert len(rounds) > 10 and (found.accuracy[REFITS // 5 :] > 0.9).all()


def test_it_refuses_what_cannot_be_scored():
    votes, truth = crowd()
    with pytest.raises(ValueError, match="no task's truth is known"):
        replay(votes, np.full(T, -1, np.int32), Policy(), seed=0)
    with pytest.raises(ValueError, match="gold is 60; expected fewer than the 60"):
        replay(votes, truth, Policy(gold=60), seed=0)


@pytest.mark.parametrize(
    ("setting", "value", "message"),
    [
        ("redundancy", 0, "redundancy is 0; expected a whole number from 1 up"),
        ("min_votes", True, "min_votes is True; expected a whole number"),
        ("min_votes", None, "min_votes is None; expected a whole number from 1 up"),
        ("gold", None, "gold is None; expected a whole number from 0 up"),
        ("audit_share", None, "audit_share is None; expected at least 0.001"),
        ("target_confidence", 1.0, "target_confidence is 1.0; expected at least 0.5 and less than 1"),
        ("acquisition", "information_gain", "goes by who asks, .* expected one of entropy"),
        ("order", "fifo", "order is 'fifo'; expected one of priority, breadth_first"),
        ("label_model", ["auto"], "label_model is .*; expected one of auto"),
    ],
)
def test_a_policy_names_the_setting_that_is_wrong(setting, value, message):
    with pytest.raises(ValueError, match=message):
        Policy(**{setting: value})


def test_votes_to_is_where_the_curve_stays_above_for_good():
    share = np.linspace(0, 1, 6)
    assert votes_to(share, np.array([0.1, 0.9, 0.7, 0.8, 0.9, 0.8]), 0.8) == pytest.approx(0.6)
    assert votes_to(share, np.array([0.9, 0.9, 0.9, 0.9, 0.9, 0.9]), 0.8) == 0.0
    assert votes_to(share, np.array([0.9, 0.9, 0.9, 0.9, 0.9, 0.7]), 0.8) == 1.0


def test_cost_and_quality_sum_up_several_replays():
    votes, truth = crowd()
    policy = Policy(target_confidence=0.8, gold=5, label_model=QUICK)
    replays = [replay(votes, truth, policy, seed) for seed in range(3)]
    found = cost_quality(replays, votes, truth, full(votes, truth))
    np.testing.assert_allclose(found.accuracy, np.mean([each.accuracy for each in replays], axis=0))
    assert (found.low <= found.accuracy + 1e-12).all() and (found.accuracy <= found.high + 1e-12).all()
    tasks = [(each.reason == "target") & ~each.known for each in replays]
    assert found.retired_share == pytest.approx(np.mean([t.sum() / (T - 5) for t in tasks]))
    wrong = sum(len(wrongly_retired(each, truth)) for each in replays)
    assert found.retired_accuracy == pytest.approx(1 - wrong / sum(t.sum() for t in tasks))
    times = dict(often_wrong(replays, truth, T))
    assert sum(times.values()) == wrong and list(times.values()) == sorted(times.values(), reverse=True)
    assert often_wrong(replays, truth, 1) == list(times.items())[:1]
    assert cost_of(found, float(found.accuracy[-1])) == votes_to(found.share, found.accuracy, found.accuracy[-1])
    assert cost_of(found, float(found.accuracy[-1]) + 0.01) is None


def test_a_share_of_what_is_asked_about_is_left_to_chance():
    votes, truth = crowd()
    settings = {"order": "sequential", "label_model": QUICK}
    alone, explored, chance = (
        votes.task[replay(votes, truth, Policy(**settings, explore_share=share), seed=0).revealed]
        for share in (None, 0.3, 1.0)
    )
    # The task uploaded first is finished before the next: one by one, six votes each.
    assert [len(np.unique(tasks[:36])) for tasks in (alone,)] == [6]
    assert 10 < len(np.unique(explored[:36])) < 25 < len(np.unique(chance[:36]))
    for tasks in (explored, chance):
        assert np.bincount(tasks, minlength=T).tolist() == [6] * T


def test_newcomers_weigh_what_anybody_weighs():
    votes, truth = crowd(skill=0.9)
    # Annotator 0 always says the same: the label model finds out, unless all are newcomers.
    label = np.where(votes.annotator == 0, 0, votes.label).astype(np.int32)
    votes = Votes(votes.task, votes.annotator, label, T, A, K)
    known, new = (
        replay(votes, truth, Policy(label_model=QUICK, newcomer_votes=wanted), seed=0) for wanted in (0, len(votes))
    )
    assert np.abs(known.posterior - new.posterior).max() > 0.01
    everybody = LABEL_MODELS[QUICK](votes)
    likelihoods = np.log(live.likelihoods(everybody, np.full(len(votes), -1), votes.label))
    evidence = np.zeros((T, K))
    np.add.at(evidence, votes.task, likelihoods)
    expected = live.posteriors(np.tile(live.task_prior(everybody.label_prior, None, 0.0), (T, 1)), evidence)
    np.testing.assert_allclose(new.posterior, expected, atol=1e-6)


def test_doubtful_tasks_with_all_their_votes_are_an_experts():
    votes, truth = crowd(skill=0.6)
    found = replay(votes, truth, Policy(label_model=QUICK, flag_below=0.8), seed=0)
    doubtful = found.posterior.max(axis=1) < 0.8
    assert 0 < doubtful.sum() < T
    np.testing.assert_array_equal(found.reason == "disputed", doubtful)
    curve = cost_quality([found], votes, truth, full(votes, truth))
    assert curve.disputed_share == pytest.approx(doubtful.mean())
    assert set(replay(votes, truth, Policy(label_model=QUICK), seed=0).reason) == {None}


def test_golds_own_votes_steer_its_collection():
    votes, truth = crowd()
    policy = Policy(gold=25, target_confidence=0.9, min_votes=1, label_model=QUICK)
    found = replay(votes, truth, policy, seed=0)
    given = np.bincount(votes.task[found.revealed], minlength=T)
    assert abs(given[found.known].mean() - given[~found.known].mean()) < 1, "what is known is no vote"
    np.testing.assert_array_equal(found.posterior[found.known].argmax(axis=1), truth[found.known])
