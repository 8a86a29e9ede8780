"""A remote learner that is down, slow, or answers nonsense: nothing of it is in force, and its run says what it was."""

from __future__ import annotations

from typing import Any

import pytest
from django.utils import timezone

from aggregation.models import PredictedChunk, RemoteLearner, Run
from aggregation.remote import client
from aggregation.remote.client import RemoteFailed
from aggregation.services import remote
from aggregation.services.learner_runs import cancel_run
from aggregation.services.remote import set_remote_learner
from aggregation.services.retrain import retraining_due
from projects.models import LiveModel, Prediction
from projects.services.projects import request_retraining
from tests.services.campaign import Campaign
from tests.services.remote_campaign import Make, project, train
from tests.support.ml_backend import Backend


@pytest.mark.parametrize(
    ("odd", "why"),
    [
        ("500 in the middle", "answered 500.*CUDA"),
        ("too few", "99 results for 100 tasks"),
        ("nan", "score is nan"),
        ("huge", "score is 10{58}…; expected"),
        ("unknown label", "unknown label 'tiger'"),
        ("no texts", r"answered 500: half a \?$"),
        ("no json", "not JSON"),
        ("redirects", "answered 302$"),
        ("slow", "did not answer within"),
    ],
)
def test_what_fails_leaves_the_champion_and_says_why(
    campaign: Make, backend: Backend, monkeypatch: pytest.MonkeyPatch, odd: str, why: str
) -> None:
    c = project(campaign, backend, tasks=240)
    champion = train(c)
    before = dict(Prediction.objects.filter(task__project=c.id).values_list("task_id", "posterior"))
    backend.odd, backend.predicted = odd, 0
    monkeypatch.setitem(client.SECONDS, "/predict", 1.0)
    request_retraining(project_id=c.id)

    with pytest.raises(RemoteFailed, match=why):
        c.retrain()

    failed = Run.objects.filter(project=c.id, kind="retraining").latest("id")
    assert failed.status == "failed" and failed.error.startswith(("GET /", "POST /"))
    assert backend.url in failed.error and "\n" not in failed.error and len(failed.error) < 200
    assert LiveModel.objects.get(project=c.id).learner_run == champion.id
    assert dict(Prediction.objects.filter(task__project=c.id).values_list("task_id", "posterior")) == before
    assert not PredictedChunk.objects.filter(run=failed).exists()
    c.vote(0, "cat")
    assert c.refit().status == "done", "voting goes on"


def test_one_that_is_just_starting_is_asked_again(campaign: Make, backend: Backend) -> None:
    c = project(campaign, backend)
    backend.odd = "restarting once"
    assert train(c).counts["predicted"] == 30
    assert RemoteLearner.objects.get(project=c.id).failures == 0


def test_one_that_fails_is_left_alone_until_it_has_rested(campaign: Make, backend: Backend) -> None:
    c = project(campaign, backend)
    backend.odd = "too few"
    for _ in range(2):
        request_retraining(project_id=c.id)
        with pytest.raises(RemoteFailed):
            c.retrain()
    asked = len(backend.requests)
    assert asked == 5, "the second time nobody asked"
    assert "left alone until" in Run.objects.filter(project=c.id, kind="retraining").latest("id").error
    backend.odd = ""
    assert not retraining_due(project_id=c.id), "not while it rests"
    RemoteLearner.objects.filter(project=c.id).update(rests_until=timezone.now())
    assert retraining_due(project_id=c.id) == [c.id], "then without anybody's asking"
    run = c.retrain()
    assert run is not None and run.status == "done" and not retraining_due(project_id=c.id)
    stored = RemoteLearner.objects.get(project=c.id)
    assert stored.answered_at is not None
    assert (stored.failures, stored.rests_until, stored.last_error) == (0, None, "")


def test_one_that_is_down_and_one_without_an_address_fail_readably(campaign: Make, backend: Backend) -> None:
    c = project(campaign, backend)
    set_remote_learner(project=c.project, url="http://127.0.0.1:1", username="", password=None)
    request_retraining(project_id=c.id)
    with pytest.raises(RemoteFailed, match="^GET /health of http://127.0.0.1:1: could not be reached: .*refused$"):
        c.retrain()
    RemoteLearner.objects.filter(project=c.id).delete()
    request_retraining(project_id=c.id)
    with pytest.raises(RemoteFailed, match="no address"):
        c.retrain()


def test_a_training_elsewhere_that_does_not_end_can_be_cancelled_and_fails_in_the_end(
    campaign: Make, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend.sdk, backend.trains = 1, 1_000_000
    c = project(campaign, backend)
    monkeypatch.setattr(client, "TRAINS", 0.3)
    monkeypatch.setattr(client, "LOOKS", 0.1)
    request_retraining(project_id=c.id)
    with pytest.raises(RemoteFailed, match="left no model within 0 s of its training 1795380549"):
        c.retrain()
    RemoteLearner.objects.filter(project=c.id).update(rests_until=None)

    monkeypatch.setattr(client, "TRAINS", 1e6)
    monkeypatch.setattr(client.time, "sleep", lambda _: cancel_running(c))
    request_retraining(project_id=c.id)
    run = c.retrain()
    assert run is not None and run.status == "cancelled"


def cancel_running(c: Campaign) -> None:
    for run in Run.objects.filter(project=c.id, kind="retraining", status="running"):
        cancel_run(project=c.fresh(), run_id=run.id)


def test_what_it_calls_its_version_is_kept_as_far_as_it_is_a_text(campaign: Make, backend: Backend) -> None:
    c = project(campaign, backend)
    backend.odd = "no texts"
    request_retraining(project_id=c.id)
    with pytest.raises(RemoteFailed):
        c.retrain()
    run = Run.objects.filter(project=c.id, kind="retraining").latest("id")
    assert run.parameters["model_version"] == "v?" + 197 * "1"


def test_it_has_so_long_for_a_retraining_and_is_then_asked_nothing_more(
    campaign: Make, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    c = project(campaign, backend)
    backend.odd = "slow"
    monkeypatch.setattr(remote, "LONGEST_RUN", 1.0)
    request_retraining(project_id=c.id)
    with pytest.raises(RemoteFailed, match="POST /predict of .*: the time is over that it has for one retraining"):
        c.retrain()
    assert RemoteLearner.objects.get(project=c.id).failures == 1
    assert [path for path, _ in backend.requests].count("/predict") == 1


@pytest.mark.parametrize("fails", [False, True])
def test_what_another_backend_says_or_fails_is_not_the_present_ones(
    campaign: Make, backend: Backend, monkeypatch: pytest.MonkeyPatch, fails: bool
) -> None:
    c = project(campaign, backend)
    predict = client.Remote.predict

    def meanwhile(*arguments: Any, **named: Any) -> Any:
        set_remote_learner(project=c.project, url="http://elsewhere.example", username="", password=None)
        if fails:
            raise RemoteFailed("it is down")
        return predict(*arguments, **named)

    monkeypatch.setattr(client.Remote, "predict", meanwhile)
    request_retraining(project_id=c.id)
    with pytest.raises(RemoteFailed, match="it is down" if fails else "another address or password meanwhile"):
        c.retrain()

    stored = RemoteLearner.objects.get(project=c.id)
    assert (stored.failures, stored.rests_until, stored.last_error, stored.answered_at) == (0, None, "", None)
    assert LiveModel.objects.get(project=c.id).learner_run is None
