"""Fits, and scores that no gold leaks into."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from aggregation.core import calibration_report, majority_vote
from aggregation.core.calibration import Calibration, calibrate
from aggregation.core.fit import Fit
from aggregation.core.label_models import LABEL_MODELS
from aggregation.core.votes import Floats, Ints, Votes
from aggregation.offline.analysis import analyse
from aggregation.offline.crowd import Crowd
from aggregation.offline.gold import Gold
from aggregation.offline.report import figures


def crowd_of(gold: list[int], *, ordinal: bool = False) -> Crowd:
    """Three annotators agree on label 0 of 2 for every task, so all are wrong where gold is 1."""
    T = len(gold)
    columns = np.repeat(np.arange(T), 3), np.tile(np.arange(3), T), np.zeros(3 * T, np.int32)
    names = pa.array([f"t{task}" for task in range(T)])
    known = Gold(np.array(gold, np.int32), 0)
    return Crowd(Votes(*columns, T, 3, 2), names, ["a", "b", "c"], ["x", "y"], ordinal, 0, 0, known, ())


def test_the_gold_of_a_task_is_known_to_its_consensus_but_not_to_its_score() -> None:
    found = analyse(crowd_of([1, 1, 0, 0, -1]), "majority_vote")
    assert found.label.tolist() == [1, 1, 0, 0, 0]
    assert found.confidence[:4].tolist() == [1.0] * 4
    assert found.score is not None
    assert (found.score.n_gold, found.score.accuracy) == (4, 0.5)  # clamped gold would make it 1
    assert found.open_tasks.tolist() == [4]


@pytest.mark.parametrize("gold", [[-1, -1, -1], [0, -1, -1]])
def test_less_than_two_gold_tasks_give_no_score(gold: list[int]) -> None:
    found = analyse(crowd_of(gold), "majority_vote")
    assert (found.score, found.majority) == (None, None)


def test_calibration_sees_no_gold_of_the_tasks_it_is_scored_on(monkeypatch: pytest.MonkeyPatch) -> None:
    fitted: list[Ints] = []
    scored: list[Ints] = []

    def fit(votes: Votes, gold: Ints, start: Floats | None = None) -> Fit:
        fitted.append(gold)
        return majority_vote.fit(votes, gold)

    def learn(posterior: Floats, counts: Floats, gold: Ints, **prior: Any) -> Calibration:
        scored.append(gold)
        return calibrate(posterior, counts, gold, **prior)

    monkeypatch.setitem(LABEL_MODELS, "spied", fit)
    monkeypatch.setattr(calibration_report, "calibrate", learn)
    gold = [0] * 21 + [-1]
    found = analyse(crowd_of(gold), "spied")
    assert found.score is not None and found.score.n_gold == 21
    assert fitted[0].tolist() == gold
    for gold_of in (fitted[1:], scored):  # the same folds, left out by the label model and by the calibration
        left_out = [np.flatnonzero((rest < 0) & (fitted[0] >= 0)).tolist() for rest in gold_of]
        assert sorted(map(len, left_out)) == [4, 4, 4, 4, 5]
        assert sorted(sum(left_out, [])) == list(range(21))
    assert [rest.tolist() for rest in fitted[1:]] == [rest.tolist() for rest in scored]


def test_confidence_is_that_of_the_gold() -> None:
    """All agree everywhere, and half are wrong: majority vote is certain, its calibration is not."""
    found = analyse(crowd_of([0, 1] * 200 + [-1] * 10), "majority_vote")
    assert (found.calibration.state, found.calibration.n_gold) == ("gold", 400)
    assert (found.confidence[:400] == 1.0).all()
    assert found.confidence[400:] == pytest.approx([0.5] * 10, abs=0.02)
    assert found.score is not None and found.majority is not None
    assert found.score.ece < 0.05 and found.majority.ece == 0.5


def test_without_gold_confidence_is_the_label_models_own_and_called_uncalibrated() -> None:
    crowd = dataclasses.replace(crowd_of([-1, -1]), gold=None)
    found = analyse(crowd, "hierarchical_dawid_skene")
    assert (found.calibration.state, found.calibration.n_gold) == ("uncalibrated", 0)
    assert (found.posterior == LABEL_MODELS["hierarchical_dawid_skene"](crowd.votes).posterior).all()


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[dict[str, Any]]]:
    """A label model "ordered" that can use the order of labels, and what it was told."""
    calls: list[dict[str, Any]] = []

    def fit(votes: Votes, gold: Ints | None = None, start: Floats | None = None, *, ordinal: bool = False) -> Fit:
        calls.append({"ordinal": ordinal})
        return majority_vote.fit(votes, gold)

    monkeypatch.setitem(LABEL_MODELS, "ordered", fit)
    yield calls


def test_a_model_that_can_use_the_order_of_labels_is_told_of_it(told: list[dict[str, Any]]) -> None:
    assert analyse(crowd_of([0, 1], ordinal=True), "ordered").uses_order
    assert told and all(call == {"ordinal": True} for call in told)
    told.clear()
    analyse(crowd_of([0, 1], ordinal=False), "ordered")
    assert told and all(call == {"ordinal": False} for call in told)
    assert not analyse(crowd_of([0, 1], ordinal=True), "majority_vote").uses_order


def test_a_label_model_that_knows_of_no_order_is_said_not_to_use_it() -> None:
    found = analyse(crowd_of([-1, -1], ordinal=True), "wawa")
    assert "wawa does not use the order of the labels; agreement does." in figures(found)["warnings"]
    used = analyse(crowd_of([-1, -1], ordinal=True), "hierarchical_dawid_skene")
    assert used.uses_order and not any("the order" in each for each in figures(used)["warnings"])
