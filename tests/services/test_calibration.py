"""Confidence in the service: learnt from the project's gold, the same on every way to it, and said to be what it is."""

from __future__ import annotations

import csv
import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from aggregation.core import gold_calibration, live
from aggregation.core.calibration import ENOUGH_GOLD, Calibration, calibrate, cross_fit
from aggregation.core.fit import Fit
from aggregation.core.gold_calibration import thinned
from aggregation.core.votes import Votes
from aggregation.models import Consensus, Run
from aggregation.selectors import statistics_of
from aggregation.services import calibrating
from aggregation.services.calibrating import says
from aggregation.services.consensus import export_csv, read_feed
from aggregation.services.fitting import fit_again, fit_label_model, load_votes
from projects.models import Gold, LiveModel, Prediction, TaskPosterior
from projects.services.projects import request_refit
from tests.services.campaign import Campaign, assert_state_is_fresh, recomputed
from tests.support.client import wait_for

Make = Callable[..., Campaign]
LABELS = ["cat", "dog", "bird"]


def crowd(
    campaign: Make, *, gold: int, tasks: int = 60, labels: list[str] = LABELS, knows: float = 0.67, **settings: object
) -> Campaign:
    """Five people who know so much, and guess else; gold for the first tasks."""
    c = campaign(labels=labels, annotators=2, redundancy=9, **settings)
    dice = random.Random(3)
    truth = [dice.choice(labels[:3]) for _ in range(tasks)]
    c.upload([{"key": str(n), "data": {"n": n}, **({"gold": truth[n]} if n < gold else {})} for n in range(tasks)])
    c.import_votes(
        [
            (str(n), f"annotator {a}", truth[n] if dice.random() < knows else dice.choice(labels[:3]))
            for n in range(tasks)
            for a in range(5)
        ]
    )
    return c


def test_too_little_gold_leaves_confidence_as_the_label_model_says(
    campaign: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gold_calibration, "thinned", None)  # a copy of all votes that nobody needs
    c = crowd(campaign, gold=ENOUGH_GOLD - 1)
    run = c.refit()

    assert LiveModel.objects.get(project=c.id).calibration is None and run.metrics["calibration"] is None
    project = c.fresh()
    loaded = load_votes(project=project)
    fit = fit_label_model(project=project, votes=loaded.votes, gold=loaded.gold)
    for task, posterior in zip(loaded.task_ids.tolist(), fit.posterior, strict=True):
        np.testing.assert_allclose(Consensus.objects.get(task=task).posterior, posterior, atol=1e-9)
    assert statistics_of(project)["calibration"] == {
        "state": "uncalibrated",
        "says": "uncalibrated",
        "gold": 0,
        "ece": None,
        "ece_interval": None,
    }


@pytest.mark.parametrize("labels", [LABELS, LABELS + [f"label {k}" for k in range(17)]])
def test_enough_gold_calibrates_what_is_published_and_what_votes_recompute(campaign: Make, labels: list[str]) -> None:
    c = crowd(campaign, gold=30, labels=labels)
    run = c.refit()

    project, model = c.fresh(), LiveModel.objects.get(project=c.id)
    calibration = Calibration.from_json(model.calibration)
    assert calibration.n_gold == run.metrics["calibration"]["n_gold"] == 30
    loaded = load_votes(project=project)
    fit = fit_label_model(project=project, votes=loaded.votes, gold=loaded.gold)
    believed = calibration.apply(fit.posterior, loaded.votes.per_task())
    K = len(labels)
    rounded = 1e-9 if K <= 16 else live.SPARSE_ABOVE
    for row, task in enumerate(loaded.task_ids.tolist()):
        published = live.decode_posterior(Consensus.objects.get(task=task).posterior, K)
        if loaded.gold[row] >= 0:
            assert published[loaded.gold[row]] == 1.0, "gold stays certain"
        else:
            np.testing.assert_allclose(published, believed[row], atol=rounded)
            assert abs(published.max() - fit.posterior[row].max()) > 1e-6
    assert_state_is_fresh(project, within=rounded)

    c.vote(0, "bird", 50)
    c.vote(1, "bird", 5)

    assert_state_is_fresh(project, within=rounded)
    assert c.state(5).confidence == 1.0
    stored = live.decode_posterior(TaskPosterior.objects.get(task=c.task(50)).posterior, K)
    assert abs(stored[2] - believed[50][2]) > 1e-6


def test_what_is_learnt_does_not_know_the_gold_that_it_is_learnt_from(
    campaign: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    c = crowd(campaign, gold=100, tasks=120, knows=0.25)
    given = spy_on_calibrate(monkeypatch)
    c.refit()

    loaded = load_votes(project=c.fresh())

    def posterior_of(told: np.ndarray) -> np.ndarray:
        return fit_label_model(project=c.project, votes=loaded.votes, gold=told).posterior

    ((posterior, counts, gold),) = given
    blind = cross_fit(posterior_of, loaded.gold, seed=gold_calibration.SEED)
    np.testing.assert_allclose(posterior, blind[:100], atol=1e-9)
    assert (posterior.max(axis=1) < 1).all() and gold.tolist() == loaded.gold[:100].tolist()
    assert counts.tolist() == loaded.votes.per_task()[:100].tolist()
    calibration = Calibration.from_json(LiveModel.objects.get(project=c.id).calibration)
    right = float((posterior.argmax(axis=1) == gold).mean())
    assert calibration.apply(posterior, counts).max(axis=1).mean() == pytest.approx(right, abs=0.05)


def test_gold_of_reviewed_tasks_is_known_but_no_measure(campaign: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reviews look at what is disputed: how often the model is right there tells nothing of the other tasks."""
    c = crowd(campaign, gold=40)
    reviewed = [c.task(n) for n in range(15)]
    Gold.objects.filter(task__in=reviewed).update(origin="review")
    given, told = spy_on_calibrate(monkeypatch), []

    def fit_and_tell(**arguments: Any) -> Fit:
        told.append(arguments["gold"])
        return fit_again(**arguments)

    monkeypatch.setattr(calibrating, "fit_again", fit_and_tell)
    run = c.refit()

    assert run.metrics["calibration"]["n_gold"] == 25 and run.counts["gold"] == 40
    loaded = load_votes(project=c.fresh())
    ((_, _, gold),) = given
    assert gold.tolist() == loaded.gold[15:40].tolist()
    assert len(told) == 5 and all((each[:15] == loaded.gold[:15]).all() for each in told)
    assert {c.consensus(n).source for n in range(40)} == {"gold"}

    Gold.objects.filter(project=c.id).update(origin="review")
    request_refit(project_id=c.id)
    assert c.refit().metrics["calibration"] is None


def spy_on_calibrate(monkeypatch: pytest.MonkeyPatch) -> list[tuple[np.ndarray, ...]]:
    """What calibrate is given from now on."""
    given: list[tuple[np.ndarray, ...]] = []

    def calibrate_and_tell(*arguments: np.ndarray) -> Calibration:
        given.append(arguments)
        return calibrate(*arguments)

    monkeypatch.setattr(calibrating, "calibrate", calibrate_and_tell)
    return given


def test_predictions_are_part_of_what_is_calibrated(campaign: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    c = crowd(campaign, gold=30)
    LiveModel.objects.filter(project=c.id).update(prediction_weight=1.0)
    for n in range(60):
        Prediction.objects.create(task_id=c.task(n), posterior=[0.8, 0.1, 0.1] if n % 2 else [0.1, 0.1, 0.8], run=1)
    given = spy_on_calibrate(monkeypatch)
    # One fit serves all folds, so that what it is given can be told here.
    monkeypatch.setattr("aggregation.core.calibration.SMALL_SHARE", 1.0)
    c.refit()

    project = c.fresh()
    loaded = load_votes(project=project)
    fit = fit_label_model(project=project, votes=loaded.votes, gold=np.full_like(loaded.gold, -1))
    predictions = np.array([[0.8, 0.1, 0.1] if n % 2 else [0.1, 0.1, 0.8] for n in range(30)])
    expected = live.with_prior(fit.posterior[:30], fit.label_prior, live.task_prior(fit.label_prior, predictions, 1.0))
    np.testing.assert_allclose(given[0][0], expected, atol=1e-9)
    assert_state_is_fresh(project)


def test_everybody_is_told_whether_confidence_is_calibrated(campaign: Make) -> None:
    c = crowd(campaign, gold=0)
    c.refit()
    project = c.fresh()
    assert {row.calibration for row in feed(c)} == {"uncalibrated"}
    c.upload([{"key": str(n), "data": {"n": n}, "gold": "cat"} for n in range(25)])
    run = c.refit()

    report = run.metrics["calibration"]
    low, high = report["ece_interval"]
    expected = f"calibrated on 25 gold, ECE {report['ece']:.3f} ({low:.3f}-{high:.3f})"
    assert report["curve"] and 0 <= low <= high <= 1 and report["brier"] >= 0
    assert {row.calibration for row in feed(c)} == {expected}, "of rows that hardly moved, too"
    assert feed(c)[0].as_json(LABELS)["calibration"] == expected
    lines = list(csv.DictReader(b"".join(export_csv(project=project)).decode().splitlines()))
    assert {line["calibration"] for line in lines} == {expected} and len(lines) == 60
    assert statistics_of(project)["calibration"] == {
        "state": "calibrated",
        "says": expected,
        "gold": 25,
        "ece": report["ece"],
        "ece_interval": report["ece_interval"],
    }
    assert statistics_of(project)["notes"] == run.metrics["notes"] != []


def feed(c: Campaign) -> list:
    return wait_for(
        lambda: len(rows := read_feed(project=c.fresh(), revision=0, task=0, limit=100)) == 60 and rows, what="the feed"
    )


def test_a_change_of_calibration_is_news_even_where_no_figure_moves(campaign: Make) -> None:
    c = crowd(campaign, gold=0, tasks=10)
    run = c.refit()
    before = dict(Consensus.objects.filter(project=c.id).values_list("task_id", "revision"))
    Run.objects.filter(id=run.id).update(metrics={"calibration": {"n_gold": 20, "ece": 0.1, "ece_interval": [0, 0.2]}})
    c.vote(0, "cat", 0)

    again = c.refit()

    rows = Consensus.objects.filter(project=c.id)
    assert {row.run_id for row in rows} == {again.id}
    assert all(row.revision > before[row.task_id] for row in rows)
    assert says(again.metrics["calibration"]) == "uncalibrated"


def test_gold_that_everybody_was_shown_is_thinned_to_what_is_usual() -> None:
    rng = np.random.default_rng(0)
    sizes = np.array([40, 3, *rng.integers(2, 5, 98)])
    task = np.repeat(np.arange(100), sizes).astype(np.int32)
    annotator = np.concatenate([np.arange(size) for size in sizes]).astype(np.int32)
    votes = Votes(task, annotator, (annotator % 2).astype(np.int32), 100, 40, 2)
    gold = np.full(100, -1, np.int32)
    gold[:2] = 0

    kept = thinned(votes, gold)

    usual = int(np.median(sizes[2:]))
    assert np.bincount(kept.task).tolist() == [usual, *sizes[1:]]
    assert set(kept.annotator[kept.task == 0]) <= set(range(40))
    shuffled = rng.permutation(len(task))
    again = thinned(Votes(task[shuffled], annotator[shuffled], votes.label[shuffled], 100, 40, 2), gold)
    assert sorted(zip(again.task, again.annotator, strict=True)) == sorted(zip(kept.task, kept.annotator, strict=True))
    for nothing_to_thin in (np.full(100, -1, np.int32), np.zeros(100, np.int32), np.where(np.arange(100) == 1, 0, -1)):
        assert thinned(votes, nothing_to_thin) is votes, "with all that has been worked out of them"


def test_a_tasks_summary_tells_calibrated_confidence(campaign: Make) -> None:
    c = crowd(campaign, gold=30)
    c.refit()
    for n, summary in ((n, recomputed(c.project)[c.task(n)]) for n in (40, 41)):
        assert c.state(n).confidence == pytest.approx(summary.posterior.max(), abs=1e-9)
        assert summary.label == int(summary.posterior.argmax())
