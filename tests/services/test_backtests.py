"""Backtests: what other settings would have made of a project's own votes."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from aggregation.core.calibration import ENOUGH_GOLD
from aggregation.core.votes import Votes
from aggregation.models import Backtest
from aggregation.services import backtests, replaying
from aggregation.services.backtests import BacktestWaiting, request_backtest, run_backtest
from aggregation.services.locks import Lock, advisory_lock
from aggregation.services.replaying import not_followed, policy_of
from projects.errors import Invalid
from projects.models import Task
from tests.services.campaign import Campaign

Make = Callable[..., Campaign]


@pytest.fixture
def asking(campaign: Make) -> Callable[..., Campaign]:
    """Campaigns that nobody but the test backtests; with five votes a task, some of the tasks gold."""

    def make(tasks: int = 30, gold: int = 0, **settings: object) -> Campaign:
        c = campaign(redundancy=5, **settings)
        labels = ["cat", "dog"]
        rows = [{"key": str(n), "data": {"n": n}} | ({"gold": labels[n % 2]} if n < gold else {}) for n in range(tasks)]
        c.upload(rows)
        dice = random.Random(1)
        c.import_votes(
            [
                (str(n), f"annotator {a}", labels[n % 2] if dice.random() < 0.8 else dice.choice(labels))
                for n in range(tasks)
                for a in range(5)
            ]
        )
        return c

    return make


def ask(c: Campaign, **settings: object) -> Backtest:
    """Ask, and answer before the stack's worker can."""
    with advisory_lock(Lock.BACKTEST, c.id) as mine:
        assert mine
        request_backtest(project=c.fresh(), settings=settings)
        done = run_backtest(project_id=c.id)  # a session may take its own lock again
    assert done is not None
    return done


def test_a_question_is_answered_beside_the_project_as_it_is(asking: Make) -> None:
    c = asking(label_model="majority_vote")
    done = ask(c, redundancy=3, target_confidence=0.95, min_votes=2)
    assert (done.status, done.error, done.attempts) == ("done", "", 1) and done.finished_at is not None
    found = done.result
    assert found["votes"] == 150 and found["tasks"] == 30 and not found["sampled"]
    assert found["scored_by"] == "consensus" and found["scored_tasks"] == 30
    now, asked = found["now"], found["what_if"]
    assert now["settings"]["redundancy"] == 5 and asked["settings"]["redundancy"] == 3
    assert asked["settings"]["target_confidence"] == 0.95 and now["settings"]["target_confidence"] is None
    assert now["votes_used"] == 1.0 and asked["votes_used"] <= 0.6
    assert len(now["curve"]) == len(asked["curve"]) == 51
    assert done.progress == 1.0
    assert now["votes_to"][0] == {"accuracy": 0.8, "votes_share": next(share_from(now["curve"], 0.8))}
    assert now["retired_wrongly"] == [] and asked["retired_share"] > 0
    keys = {str(n) for n in range(30)}
    for task in asked["retired_wrongly"]:
        assert task["key"] in keys and task["true_label"] in ("cat", "dog") and 1 <= task["replays"] <= 5


def share_from(curve: list[dict[str, float]], wanted: float) -> Iterator[float]:
    """Shares of votes from which on the curve stays at what is wanted."""
    for row, point in enumerate(curve):
        if all(later["accuracy"] >= wanted for later in curve[row:]):
            yield point["votes_share"]


def test_enough_gold_scores_and_half_of_much_calibrates(asking: Make) -> None:
    few = ask(asking(gold=ENOUGH_GOLD, label_model="majority_vote"))
    assert few.result["scored_by"] == "gold" and few.result["scored_tasks"] == ENOUGH_GOLD
    assert few.result["now"]["settings"]["gold"] == 0
    many = ask(asking(tasks=50, gold=2 * ENOUGH_GOLD, label_model="majority_vote"))
    assert many.result["now"]["settings"]["gold"] == many.result["scored_tasks"] == ENOUGH_GOLD
    assert many.result["now"]["curve"][0]["accuracy"] < 0.7, "what it was told is not its merit"


def test_one_question_at_a_time(asking: Make) -> None:
    c = asking(label_model="majority_vote")
    with advisory_lock(Lock.BACKTEST, c.id):
        request_backtest(project=c.fresh(), settings={})
        with pytest.raises(BacktestWaiting):
            request_backtest(project=c.fresh(), settings={"redundancy": 1})
        assert run_backtest(project_id=c.id) is not None
        request_backtest(project=c.fresh(), settings={"redundancy": 1})
        run_backtest(project_id=c.id)
    assert Backtest.objects.filter(project=c.id).count() == 2


def test_a_killed_backtest_is_run_again_but_not_for_ever(asking: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    c = asking(label_model="majority_vote")

    def killed(*arguments: object) -> None:
        raise KeyboardInterrupt  # as little is done about it as about kill -9

    with advisory_lock(Lock.BACKTEST, c.id):
        request_backtest(project=c.fresh(), settings={})
        with monkeypatch.context() as patch:
            patch.setattr(backtests, "compare", killed)
            for _ in range(backtests.MOST_ATTEMPTS - 1):
                with pytest.raises(KeyboardInterrupt):
                    run_backtest(project_id=c.id)
        assert Backtest.objects.get(project=c.id).status == "running"
        again = run_backtest(project_id=c.id)
        assert again is not None and again.status == "done"

        request_backtest(project=c.fresh(), settings={})
        Backtest.objects.filter(project=c.id, finished_at=None).update(attempts=backtests.MOST_ATTEMPTS)
        given_up = run_backtest(project_id=c.id)
    assert given_up is not None and given_up.status == "failed" and "interrupted 3 times" in given_up.error


def test_without_votes_it_fails_and_says_so(campaign: Make) -> None:
    done = ask(campaign(tasks=2))
    assert done.status == "failed" and "no votes to replay yet" in done.error


def test_of_very_many_votes_those_of_some_tasks_are_replayed() -> None:
    task = np.repeat(np.arange(30, dtype=np.int32), 3)
    votes = Votes(task, np.tile(np.arange(3, dtype=np.int32), 30), (task % 2).astype(np.int32), 31, 3, 2)
    gold = np.full(31, -1, np.int32)
    gold[[4, 7, 30]] = [0, 1, 0]
    some, known, tasks = replaying._some(votes, gold, 20)
    assert {4, 7} <= set(tasks.tolist()) and sorted(tasks.tolist()) == tasks.tolist()
    assert (some.n_tasks, len(some)) == (6, 18) and np.bincount(some.task).tolist() == [3] * 6
    assert sorted(known[known >= 0].tolist()) == [0, 1], "tasks with gold and votes come first"
    assert len(set(some.label[some.task == np.flatnonzero(known == 1)[0]])) == 1


def test_it_refuses_what_the_project_would_and_says_what_a_replay_leaves_out(asking: Make) -> None:
    c = asking(label_model="majority_vote", max_skips=3, min_votes=1)
    with pytest.raises(Invalid, match="needs at least 2 votes a task"):
        request_backtest(project=c.fresh(), settings={"target_confidence": 0.9})
    assert not Backtest.objects.filter(project=c.project).exists()
    assert ask(c, target_confidence=0.9, min_votes=2).result["not_followed"] == ["max_skips"]


def test_a_policy_is_what_the_project_does(campaign: Make) -> None:
    c = campaign(redundancy=4, target_confidence=0.9, min_votes=2, order="random", acquisition="margin")
    policy = policy_of(c.fresh())
    assert (policy.redundancy, policy.target_confidence, policy.min_votes) == (4, 0.9, 2)
    assert (policy.order, policy.acquisition, policy.label_model) == ("random", "margin", "auto")
    project = c.fresh()
    project.flag_below, project.newcomer_votes, project.explore_share = 0.7, 5, 0.1
    project.learner, project.learner_fields, project.auto_label_error = "text", ["text"], 0.02
    policy = policy_of(project)
    assert (policy.flag_below, policy.newcomer_votes, policy.explore_share) == (0.7, 5, 0.1)
    assert (policy.learner, policy.learner_fields, policy.auto_label_error) == ("text", ("text",), 0.02)
    assert not_followed(project) == []
    project.learner, project.acquisition = "remote", "search"
    policy = policy_of(project)
    assert (policy.learner, policy.auto_label_error, policy.acquisition) == (None, None, "entropy")
    assert not_followed(project) == ["acquisition", "auto_label_error", "learner"]


@pytest.mark.parametrize(
    "settings", [{"acquisition": "information_gain"}, {"acquisition": "search", "search_label": "cat"}]
)
def test_what_recorded_votes_do_not_tell_of_is_replayed_by_doubt_and_said(campaign: Make, settings: Any) -> None:
    project = campaign(**settings).fresh()
    assert policy_of(project).acquisition == "entropy" and not_followed(project) == ["acquisition"]
    with pytest.raises(Invalid) as refused:
        request_backtest(project=project, settings={"acquisition": settings["acquisition"]})
    assert refused.value.errors[0].field == "acquisition"


def test_the_learner_is_replayed_and_may_be_left_out(asking: Make) -> None:
    c = asking(tasks=24, gold=ENOUGH_GOLD, label_model="majority_vote", learner="numeric", learner_fields=["n"])
    # What tells the labels apart, of which people know less; and a task that the learner can't read.
    rows = Task.objects.filter(project=c.project).order_by("id")
    for number, task in enumerate(rows):
        Task.objects.filter(id=task.id).update(data={"n": [number % 2, 0.0] if number != 3 else "?"})
    found = ask(c, learner=None).result
    assert found["not_followed"] == [] and found["now"]["unreadable"] == 1 and found["what_if"]["unreadable"] == 0
    assert found["now"]["settings"]["learner"] == "numeric" and "learner" not in found["what_if"]["settings"]
    middle = len(found["now"]["curve"]) // 4
    taught, alone = (found[name]["curve"][middle]["accuracy"] for name in ("now", "what_if"))
    assert taught > alone + 0.05, "two tasks tell what all are"

    Task.objects.filter(project=c.project).update(data={"n": "?"})
    failed = ask(c, redundancy=2)
    assert failed.status == "failed" and f"Too many tasks can't be read; the first is {rows[0].id}" in failed.error


def test_it_refuses_a_learner_without_fields_and_labels_without_a_learner(asking: Make) -> None:
    c = asking(label_model="majority_vote")
    for settings, field in (({"learner": "text"}, "learner_fields"), ({"auto_label_error": 0.05}, "auto_label_error")):
        with pytest.raises(Invalid) as refused:
            request_backtest(project=c.fresh(), settings=settings)
        assert [error.field for error in refused.value.errors] == [field]
