"""Jobs that take minutes leave the processors to people who vote, and who waits for others' servers holds up nobody."""

import os
from collections.abc import Callable
from contextlib import ExitStack
from threading import BoundedSemaphore, get_native_id

import pytest

from aggregation import jobs
from aggregation.jobs import LOWER_PRIORITY, behind_voting
from aggregation.models import Run
from aggregation.services import backtests, refit, retrain
from projects.services.projects import request_retraining
from tests.services.campaign import Campaign


def test_a_long_job_runs_behind_others_and_whoever_waits_for_it_does_not() -> None:
    before = os.getpriority(os.PRIO_PROCESS, get_native_id())
    found: list[int] = []

    behind_voting(lambda: found.append(os.getpriority(os.PRIO_PROCESS, get_native_id())))

    assert found == [max(LOWER_PRIORITY, before)] and os.getpriority(os.PRIO_PROCESS, get_native_id()) == before


def test_what_goes_wrong_in_it_is_told() -> None:
    def fails() -> None:
        raise ValueError("no votes")

    with pytest.raises(ValueError, match="no votes"):
        behind_voting(fails)


def test_remote_learners_take_no_place_of_other_long_jobs(
    campaign: Callable[..., Campaign], monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = campaign(learner="numeric", learner_fields=["n"])
    theirs = campaign(learner="remote", learner_fields=["n"])
    begun: list[tuple[str, int]] = []
    monkeypatch.setattr(refit, "refit", lambda project_id: begun.append(("refit", project_id)))
    monkeypatch.setattr(retrain, "retrain", lambda project_id, remote: begun.append(("retrain", project_id)))

    def begun_while(*held: BoundedSemaphore) -> list[tuple[str, int]]:
        begun.clear()
        with ExitStack() as stack:
            for places in held:
                stack.enter_context(places)
            jobs.retrain(theirs.id)
            jobs.refit(ours.id)
            jobs.retrain(ours.id)
        return begun

    assert begun_while(jobs._remote_learners) == [("refit", ours.id), ("retrain", ours.id)]
    assert begun_while(jobs._long_jobs, jobs._long_jobs) == [("retrain", theirs.id)]


def test_of_several_backtests_one_is_run_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[int] = []

    def run(project_id: int) -> None:
        begun.append(project_id)
        jobs.backtest(project_id + 1)  # while this one goes on

    monkeypatch.setattr(backtests, "run_backtest", run)
    jobs.backtest(1)
    jobs.backtest(3)
    with jobs._long_jobs, jobs._long_jobs:
        jobs.backtest(5)
    assert begun == [1, 3]


def test_a_learner_that_has_just_become_remote_waits_for_the_place_of_those(campaign: Callable[..., Campaign]) -> None:
    c = campaign(learner="remote", learner_fields=["n"])
    request_retraining(project_id=c.id)
    assert retrain.retrain(project_id=c.id, remote=False) is None
    assert retrain.retraining_due(project_id=c.id) == [c.id] and not Run.objects.filter(project=c.id).exists()
