"""Somebody cancels, restores or retrains at the same moment: one thing happens, whole, and the others are told."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from aggregation.models import PredictedChunk, Run
from aggregation.services import champion, retrain
from aggregation.services.learner_runs import cancel_run, restore_run
from projects.errors import Conflict
from projects.models import LiveModel, Project
from projects.services.projects import request_retraining
from tests.concurrency.races import together
from tests.services.campaign import Campaign
from tests.services.test_retraining import learning, more_votes


@pytest.fixture
def c(orm: None) -> Iterator[Campaign]:
    """A project with a champion; the stack's worker has nothing to do, for nothing is due until a test asks for it."""

    with ExitStack() as stack:

        def make(**settings: Any) -> Campaign:
            made = Campaign(**settings)
            stack.enter_context(made.alone())
            return made

        made = learning(make, votes=10, retrain_after_votes=1_000_000)
        request_retraining(project_id=made.id)
        assert made.retrain() is not None
        yield made


def tried(action: Callable[[], Any]) -> Callable[[], Any]:
    def attempt() -> Any:
        try:
            return action()
        except Conflict as error:
            return error.code

    return attempt


def test_a_run_is_either_cancelled_or_champion(c: Campaign) -> None:
    """The job is at the point of no return when a manager cancels."""
    before = LiveModel.objects.get(project=c.id).learner_run
    outcomes = set()
    for _ in range(12):
        run = restorable(c)

        def take_over(run: Run = run) -> str:
            try:
                champion.make_champion(project=c.fresh(), run=Run.objects.get(id=run.id))
                return "champion"
            except retrain.RunCancelled:
                return "gone"

        cancelled, taken = together([tried(lambda run=run: cancel_run(project=c.fresh(), run_id=run.id)), take_over])
        run.refresh_from_db()
        current = LiveModel.objects.get(project=c.id).learner_run
        if taken == "champion":
            assert cancelled == "not_cancellable" and run.status == "running" and current == run.id
        else:
            assert run.status == "cancelled" and current == before
        outcomes.add(taken)
        Run.objects.filter(id=run.id).update(status="done")
        LiveModel.objects.filter(project=c.id).update(learner_run=before)
        assert not PredictedChunk.objects.filter(run=run).exists()
    assert outcomes, "whoever comes first"


def restorable(c: Campaign) -> Run:
    """A retraining that waits at the point of no return."""
    return Run.objects.create(
        project=c.project, kind="retraining", stage="predicting", progress=0.5, metrics={"prediction_weight": 1.0}
    )


def test_of_two_who_restore_at_once_one_is_told(c: Campaign) -> None:
    first = LiveModel.objects.get(project=c.id).learner_run
    assert first is not None
    more_votes(c, "Bob", 20)
    request_retraining(project_id=c.id)
    assert c.retrain() is not None

    def restore() -> Any:
        return restore_run(project=Project.objects.get(id=c.id), run_id=first)

    found = together([tried(restore) for _ in range(4)])

    assert sum(isinstance(each, Run) for each in found) == 1
    assert sorted(each for each in found if isinstance(each, str)) == ["retraining_runs"] * 3
    assert Run.objects.filter(project=c.id, kind="retraining", status="running").count() == 1
