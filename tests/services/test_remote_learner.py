"""A remote learner over a real socket: taught, asked, believed only for what it said before the votes, and refused."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from django.conf import settings
from django.utils import timezone

from aggregation.models import PredictedChunk, RemoteLearner, Run
from aggregation.remote import client
from aggregation.remote.client import RemoteFailed
from aggregation.remote.contract import backend_mark, call_back_token
from aggregation.services.handover import answer_of, predict
from aggregation.services.learner_runs import cancel_run
from aggregation.services.remote import set_remote_learner
from aggregation.services.retrain import retraining_due
from projects.models import LiveModel, Member, Prediction
from projects.services.accounts import create_api_token
from projects.services.projects import request_retraining
from tests.services.campaign import Campaign, assert_state_is_fresh
from tests.support.ml_backend import Backend, ml_backend
from tests.support.stack import Stack

Make = Callable[..., Campaign]


@pytest.fixture
def backend(monkeypatch: pytest.MonkeyPatch, stack: Stack) -> Iterator[Backend]:
    monkeypatch.setattr(settings, "REMOTE_LEARNER_HOSTS", ["127.0.0.1"])
    monkeypatch.setattr(settings, "PUBLIC_URL", stack.url)
    monkeypatch.setattr(settings, "SECRET_KEY", stack.environment()["CROWD_SECRET_KEY"])
    monkeypatch.setattr(client, "BACK_OFF", (0.01,))
    with ml_backend() as made:
        yield made


def project(campaign: Make, backend: Backend, tasks: int = 40, gold: str | None = None, **more: Any) -> Campaign:
    """Numbers below half are cats; Ada has voted on every fourth. gold: what is known of the first."""
    c = campaign(annotators=1, learner="remote", learner_fields=["n"], retrain_after_votes=1_000_000, **more)
    known = [{"gold": gold} if gold and n == 0 else {} for n in range(tasks)]
    c.upload([{"key": str(n), "data": {"n": n}} | known[n] for n in range(tasks)])
    vote(c, range(0, tasks, 4), tasks)
    set_remote_learner(project=c.project, url=backend.url, username="", password=None)
    return c


def vote(c: Campaign, numbers: Any, tasks: int = 40) -> None:
    c.import_votes([(str(n), "Ada", "cat" if n < tasks / 2 else "dog") for n in numbers])
    c.refit()


def train(c: Campaign) -> Run:
    request_retraining(project_id=c.id)
    run = c.retrain()
    assert run is not None and run.status == "done", run and run.error
    return run


def test_it_is_set_up_trained_by_calling_back_and_predicts_what_nobody_voted_on(
    campaign: Make, backend: Backend
) -> None:
    c = project(campaign, backend, gold="dog", retrain_after_moved=0.9)
    run = train(c)

    assert [path for path, _ in backend.requests][:5] == ["/health", "/setup", "/webhook", "/setup", "/predict"]
    assert run.parameters["model_version"] == "0.0.1"
    assert backend.called_back[0] == (f"/api/projects/{c.id}", 200)
    assert [status for _, status in backend.called_back] == [200] * 7 + [404], "six pages of seven, and no more"
    assert backend.means == {"cat": 8.0, "dog": 28.0}, "of votes alone: gold says that the first is a dog"
    assert (run.counts["predicted"], run.counts["not_asked"], run.counts["unreadable"]) == (30, 10, 0)
    assert run.progress == 1.0 and Prediction.objects.filter(task__project=c.id).count() == 30
    assert Prediction.objects.get(task=c.task(1)).posterior == pytest.approx([0.9, 0.1])
    asked = {task["id"] for path, body in backend.requests if path == "/predict" for task in body["tasks"]}
    assert c.task(0) not in asked and c.task(1) in asked
    assert_state_is_fresh(c.project)


def test_one_of_the_sdks_first_version_is_waited_for_until_it_has_learnt(
    campaign: Make, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It trains by another event, after it has answered, and predicts as before until it is set up again."""
    monkeypatch.setattr(client, "LOOKS", 0.01)
    backend.sdk = 1
    c = project(campaign, backend)
    run = train(c)

    assert [path for path, _ in backend.requests].count("/setup") == 1 + 3
    assert len({body["project"] for path, body in backend.requests if path in ("/setup", "/predict")}) == 1
    assert run.parameters["model_version"] == "1795380549"
    assert Prediction.objects.get(task=c.task(39)).posterior == pytest.approx([0.1, 0.9])


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


def test_a_label_without_a_score_counts_as_one_seen(campaign: Make, backend: Backend) -> None:
    c = project(campaign, backend)
    backend.odd = "no score"
    train(c)
    assert Prediction.objects.get(task=c.task(1)).posterior == pytest.approx([2 / 3, 1 / 3])


def test_production_does_not_wait_for_it_and_the_next_retraining_predicts_what_was_handed_over(
    campaign: Make, backend: Backend
) -> None:
    c = project(campaign, backend)
    train(c)
    asked = len(backend.requests)

    (answer,) = predict(project=c.fresh(), items=[{"key": "order-17", "data": {"n": 39}}])

    assert (answer.status, answer.label) == ("asked", None) and len(backend.requests) == asked
    assert c.lease(0).data == {"n": 39}, "people get it before all others"
    assert not Prediction.objects.filter(task=answer.task).exists()
    train(c)
    assert Prediction.objects.get(task=answer.task).posterior == pytest.approx([0.1, 0.9])
    assert answer_of(project=c.fresh(), which="order-17").status == "asked"


def test_its_weight_comes_of_what_it_said_before_the_votes_alone(campaign: Make, backend: Backend) -> None:
    c = project(campaign, backend)
    first = train(c)
    assert first.metrics["prediction_weight"] == 0 and first.metrics["consensus"] is None
    vote(c, range(1, 40, 4))

    second = train(c)

    assert second.metrics["consensus"]["tasks"] == 10, "the others had votes before it was asked"
    assert second.metrics["prediction_weight"] > 0
    assert Prediction.objects.get(task=c.task(1)).posterior == pytest.approx([0.9, 0.1]), "as it was said"
    assert not Prediction.objects.filter(task=c.task(0)).exists()


def test_all_probabilities_come_by_the_extension(campaign: Make, backend: Backend) -> None:
    c = project(campaign, backend)
    backend.odd = "probs"
    train(c)
    assert Prediction.objects.get(task=c.task(39)).posterior == pytest.approx([0.3, 0.7])


@pytest.mark.parametrize(
    ("odd", "why"),
    [
        ("500 in the middle", "answered 500.*CUDA"),
        ("too few", "99 results for 100 tasks"),
        ("nan", "score is nan"),
        ("unknown label", "unknown label 'tiger'"),
        ("no json", "not JSON"),
        ("redirects", "answered 302"),
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
    assert failed.status == "failed" and "RemoteFailed" in failed.error and backend.url in failed.error
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


@pytest.mark.parametrize("odd", ["one label", "identical tasks", "empty texts"])
def test_a_campaign_that_has_nothing_to_tell_apart_is_learnt_from(campaign: Make, backend: Backend, odd: str) -> None:
    c = campaign(annotators=1, learner="remote", learner_fields=["n"], retrain_after_votes=1_000_000)
    numbers = {"one label": list(range(40)), "identical tasks": [7] * 40, "empty texts": [""] * 40}[odd]
    c.upload([{"key": str(n), "data": {"n": number}} for n, number in enumerate(numbers)])
    vote(c, range(0, 40, 4), 1_000 if odd == "one label" else 40)
    set_remote_learner(project=c.project, url=backend.url, username="", password=None)
    train(c)
    vote(c, range(1, 40, 4), 1_000 if odd == "one label" else 40)
    assert train(c).metrics["consensus"]["tasks"] == 10
    assert_state_is_fresh(c.project)


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


def test_it_is_asked_by_name_and_password_which_a_new_address_does_not_get(campaign: Make, backend: Backend) -> None:
    c = project(campaign, backend)
    backend.password = "secret"
    set_remote_learner(project=c.project, url=backend.url, username="crowd", password="secret")
    train(c)
    set_remote_learner(project=c.project, url=backend.url, username="crowd", password=None)
    assert RemoteLearner.objects.get(project=c.id).password == "secret"
    moved = set_remote_learner(project=c.project, url="http://elsewhere.example", username="crowd", password=None)
    assert moved.password == ""


def test_one_that_is_down_and_one_without_an_address_fail_readably(campaign: Make, backend: Backend) -> None:
    c = project(campaign, backend)
    set_remote_learner(project=c.project, url="http://127.0.0.1:1", username="", password=None)
    request_retraining(project_id=c.id)
    with pytest.raises(RemoteFailed, match="GET /health of http://127.0.0.1:1: ConnectError"):
        c.retrain()
    RemoteLearner.objects.filter(project=c.id).delete()
    request_retraining(project_id=c.id)
    with pytest.raises(RemoteFailed, match="no address"):
        c.retrain()


def test_a_call_back_needs_its_token_and_reads_one_project(campaign: Make, backend: Backend, stack: Stack) -> None:
    c, other = project(campaign, backend), campaign(learner="remote", learner_fields=["n"])
    stored = RemoteLearner.objects.get(project=c.id)
    token = call_back_token(c.id, backend_mark(stored.url, stored.username, stored.password))

    def ask(path: str, token: str) -> int:
        return httpx.get(f"{stack.url}/learner/api/{path}", headers={"Authorization": f"Token {token}"}).status_code

    assert ask(f"projects/{c.id}", token) == ask(f"tasks?project={c.id}", token) == 200
    assert ask(f"projects/{c.id}", token[:-1]) == ask(f"tasks?project={c.id}", "x") == 401
    # As backends have it that take it from their environment.
    of_manager = create_api_token(user=c.manager, name="backend")[1]
    Member.objects.get_or_create(project=c.project, user=c.manager, defaults={"name": "m", "role": "manager"})
    of_annotator = create_api_token(user=c.member(0).user, name="mine")[1]
    assert ask(f"projects/{c.id}", of_manager) == ask(f"tasks?project={c.id}", of_manager) == 200
    assert ask(f"projects/{other.id}", of_manager) == ask(f"tasks?project={c.id}", of_annotator) == 404
    assert ask(f"projects/{other.id}", token) == ask(f"tasks?project={other.id}", token) == 404
    assert ask(f"tasks?project={c.id}&page=1e9", token) == 400
    set_remote_learner(project=c.project, url=stored.url, username="", password="another")
    assert ask(f"projects/{c.id}", token) == 401, "another backend has another token"
