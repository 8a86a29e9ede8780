"""A refit weighs people and the learner together, and what it publishes is what votes recompute."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from aggregation.models import Run, RunKind
from aggregation.services import refit as refits
from aggregation.services.fitting import fit_with_learner
from projects.models import LiveModel, Prediction
from projects.services.projects import request_refit
from tests.services.campaign import Campaign, assert_state_is_fresh
from tests.services.test_calibration import spy_on_calibrate

Make = Callable[..., Campaign]


def with_learner(campaign: Make, *, votes: int, gold: int = 0) -> tuple[Campaign, int]:
    """People right nine times in ten on 80 tasks, and a learner that is right four times in five and says so."""
    c = campaign(labels=["cat", "dog"], annotators=2, redundancy=9)
    dice = random.Random(5)
    truth = [dice.choice(["cat", "dog"]) for _ in range(80)]
    c.upload([{"key": str(n), "data": {"n": n}, **({"gold": truth[n]} if n < gold else {})} for n in range(80)])
    other = {"cat": "dog", "dog": "cat"}
    c.import_votes(
        [
            (str(n), f"annotator {a}", truth[n] if dice.random() < 0.9 else other[truth[n]])
            for n in range(80)
            for a in range(votes)
        ]
    )
    run = Run.objects.create(project_id=c.id, kind=RunKind.RETRAINING)
    for n in range(80):
        says = truth[n] if dice.random() < 0.8 else other[truth[n]]
        Prediction.objects.create(task_id=c.task(n), posterior=[0.8, 0.2] if says == "cat" else [0.2, 0.8], run=run.id)
    LiveModel.objects.filter(project=c.id).update(prediction_weight=0.25, learner_run=run.id)
    return c, run.id


def test_a_learner_tells_a_refit_how_good_people_are_and_people_how_good_it_is(campaign: Make) -> None:
    c, _ = with_learner(campaign, votes=1)
    run = c.refit()
    model = LiveModel.objects.get(project=c.id)
    assert model.prediction_weight == run.metrics["prediction_weight"] > 0.5
    assert run.metrics["prediction_gain"] > 0
    assert model.pooled_accuracy > 0.72, "one vote a task alone says nothing about people: 0.7 is assumed"
    assert_state_is_fresh(c.fresh())
    c.vote(0, "cat", 3)
    assert_state_is_fresh(c.fresh())


def test_folds_of_calibration_stand_beside_the_same_predictions(
    campaign: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    c, _ = with_learner(campaign, votes=3, gold=30)
    given = spy_on_calibrate(monkeypatch)
    run = c.refit()
    assert run.metrics["calibration"]["n_gold"] == 30
    ((posterior, _, _),) = given
    assert (posterior.max(axis=1) < 1).all(), "nobody has told them their own gold"
    assert_state_is_fresh(c.fresh())


def test_the_weight_of_a_learner_that_is_gone_is_not_given_to_the_next(
    campaign: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    c, first = with_learner(campaign, votes=2)
    second = Run.objects.create(project_id=c.id, kind=RunKind.RETRAINING, status="done")

    def overtaken(**arguments: object) -> object:
        fit = fit_with_learner(**arguments)  # type: ignore[arg-type]  # passed on
        LiveModel.objects.filter(project=c.id, learner_run=first).update(prediction_weight=0.125, learner_run=second.id)
        return fit

    monkeypatch.setattr(refits, "fit_with_learner", overtaken)
    c.refit()
    model = LiveModel.objects.get(project=c.id)
    assert (model.prediction_weight, model.learner_run) == (0.125, second.id)

    monkeypatch.undo()
    request_refit(project_id=c.id)
    c.refit()
    assert LiveModel.objects.get(project=c.id).prediction_weight > 0.125
