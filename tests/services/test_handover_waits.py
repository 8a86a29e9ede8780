"""Handover: why nobody answers for the time being, and that no task is forgotten while the champion changes."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from aggregation.models import LearnerArtefact
from aggregation.services import handover
from aggregation.services import retrain as retrainings
from aggregation.services.handover import answer_of
from aggregation.services.placing import place_tasks, places_due
from projects.models import HANDOVER_PRIORITY, Prediction, Project, TaskQueue, TaskState
from projects.services.projects import request_retraining
from tests.services.campaign import Campaign
from tests.services.test_handover import ask, certify, learnt

Make = Callable[..., Campaign]


def test_it_says_what_holds_a_task_up(campaign: Make) -> None:
    c = campaign()
    (answer,) = ask(c, {"key": "a", "data": {"n": 1}})
    assert answer.held_up is None
    TaskState.objects.filter(task=answer.task).update(retired="flagged")
    assert "waits for an expert" in answer_of(project=c.fresh(), which="a").held_up
    c.upload([{"key": "never", "data": {"n": 2}, "redundancy": 0}])
    assert "redundancy 0" in answer_of(project=c.fresh(), which="never").held_up
    Project.objects.filter(id=c.id).update(status="paused")
    (answer,) = ask(c, {"key": "b", "data": {"n": 1}})
    assert answer.status == "asked" and "paused" in answer.held_up


def test_it_says_that_the_budget_is_spent(campaign: Make) -> None:
    c = campaign(annotators=1, price_per_vote=Decimal(1), budget=Decimal(1))
    (answer,) = ask(c, {"data": {"n": 1}})
    assert answer.held_up is None
    c.vote(0, "cat")
    assert "budget is spent" in ask(c, {"data": {"n": 2}})[0].held_up


def test_a_learner_that_does_not_fit_its_checksum_answers_nothing(campaign: Make) -> None:
    c = learnt(campaign)
    certificate = certify(c)
    LearnerArtefact.objects.filter(run=certificate.learner_run).update(sha256="0" * 64)
    assert ask(c, {"data": {"n": 1}})[0].status == "asked"


def placed(campaign: Make) -> Campaign:
    """The learner has seen all tasks, and said something of each."""
    c = learnt(campaign)
    place_tasks(project_id=c.id)
    assert c.id not in places_due()
    return c


def test_what_is_handed_over_while_the_champion_changes_is_predicted_by_the_next_one(
    campaign: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its pool was read before the task came."""
    c = placed(campaign)
    before, makes = c.fresh().live_model.learner_run, retrainings.make_champion
    handed_over: list[int] = []

    def hand_over_before(**arguments: Any) -> None:
        handed_over.extend(answer.task for answer in ask(c, {"data": {"n": 1}}))
        makes(**arguments)
        handed_over.extend(answer.task for answer in ask(c, {"data": {"n": 2}}))

    monkeypatch.setattr(retrainings, "make_champion", hand_over_before)
    request_retraining(project_id=c.id)
    run = c.retrain()
    assert run is not None and run.metrics["promoted"] and run.id != before

    place_tasks(project_id=c.id)

    said = Prediction.objects.filter(task__in=handed_over).values_list("run", flat=True)
    assert list(said) == [run.id] * 2
    assert c.id not in places_due()
    assert TaskQueue.objects.filter(task__in=handed_over, priority=HANDOVER_PRIORITY).count() == 2
    ask(c, {"data": {"n": 3}})
    assert c.id not in places_due(), "nothing is to be done again for what comes later"


def test_a_champion_that_is_replaced_while_it_is_asked_is_not_the_last_to_say_something(
    campaign: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    c = placed(campaign)
    asks = handover.predict_now

    def meanwhile(**arguments: Any) -> Any:
        said = asks(**arguments)
        request_retraining(project_id=c.id)
        assert c.retrain() is not None
        return said

    monkeypatch.setattr(handover, "predict_now", meanwhile)
    (answer,) = ask(c, {"data": {"n": 1}})
    place_tasks(project_id=c.id)
    assert Prediction.objects.get(task=answer.task).run == c.fresh().live_model.learner_run
