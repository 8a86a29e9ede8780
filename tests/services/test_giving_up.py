"""A retraining that can't come to an end is given up after three attempts, and the champion before it steers again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from aggregation.models import PredictedChunk, Run
from aggregation.services import applying, predicting
from aggregation.services import retrain as retrainings
from aggregation.services.placing import place_tasks
from aggregation.services.retrain import retraining_due
from projects.models import LiveModel
from projects.services.projects import request_retraining
from tests.services.campaign import Campaign, assert_state_is_fresh
from tests.services.test_champions import champion, predictions
from tests.services.test_learner_changes import train
from tests.services.test_retraining import learning, more_votes

Make = Callable[..., Campaign]


class Killed(BaseException):
    """No handler of ours sees a kill."""


def test_killed_again_and_again_while_it_trains_it_is_given_up(campaign: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    def kill(**_: Any) -> None:
        raise Killed

    c = learning(campaign, votes=10)
    with monkeypatch.context() as patched:
        patched.setattr(retrainings, "train", kill)
        for _ in range(3):
            assert retraining_due(project_id=c.id)
            with pytest.raises(Killed):
                c.retrain()
        assert c.retrain() is None

    last = Run.objects.filter(project=c.id, kind="retraining").latest("id")
    assert last.status == "failed" and last.error == "Given up after 3 attempts. The last one: interrupted"
    assert not retraining_due(project_id=c.id) and c.retrain() is None
    more_votes(c, "Bob", 10)
    run = c.retrain()
    assert run is not None and run.status == "done" and run.attempts == 1


@pytest.mark.parametrize("has_champion", [True, False])
def test_what_fails_while_it_is_applied_is_given_up_for_the_champion_before(
    campaign: Make, monkeypatch: pytest.MonkeyPatch, has_champion: bool
) -> None:
    c = learning(campaign, votes=10, retrain_after_votes=1_000_000)
    first = train(c).id if has_champion else None
    more_votes(c, "Bob", 20)
    said, weight = predictions(c), LiveModel.objects.get(project=c.id).prediction_weight
    monkeypatch.setattr(predicting, "CHUNK", 4)
    done, calls = applying._apply_next, []

    def fail_after_one(*arguments: Any) -> bool:
        calls.append(1)
        if len(calls) > 1:
            raise OSError("the disk is full")
        return done(*arguments)

    request_retraining(project_id=c.id)
    with monkeypatch.context() as patched:
        patched.setattr(applying, "_apply_next", fail_after_one)
        for _ in range(3):
            with pytest.raises(OSError, match="disk"):
                c.retrain()
            assert champion(c) not in (None, first)
        assert c.retrain() is None

    failed = Run.objects.filter(project=c.id, kind="retraining").latest("id")
    assert failed.status == "failed" and failed.error.endswith("OSError: the disk is full")
    assert champion(c) == first and not PredictedChunk.objects.filter(run=failed).exists()
    assert LiveModel.objects.get(project=c.id).prediction_weight == pytest.approx(weight)
    place_tasks(project_id=c.id)
    assert predictions(c) == said
    c.refit()
    assert_state_is_fresh(c.project)
    assert not retraining_due(project_id=c.id)
