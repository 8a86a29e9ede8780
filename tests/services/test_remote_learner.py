"""A remote learner over a real socket: taught, asked, believed only for what it said before the votes, and refused."""

from __future__ import annotations

import httpx
import pytest

from aggregation.models import RemoteLearner
from aggregation.remote import client
from aggregation.remote.contract import backend_mark, call_back_token
from aggregation.services.handover import answer_of, predict
from aggregation.services.remote import set_remote_learner
from projects.models import Member, Prediction
from projects.services.accounts import create_api_token
from tests.services.campaign import assert_state_is_fresh
from tests.services.remote_campaign import Make, project, train, vote
from tests.support.ml_backend import Backend
from tests.support.stack import Stack


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


def test_it_is_asked_by_name_and_password_which_a_new_address_does_not_get(campaign: Make, backend: Backend) -> None:
    c = project(campaign, backend)
    backend.password = "secret"
    set_remote_learner(project=c.project, url=backend.url, username="crowd", password="secret")
    train(c)
    set_remote_learner(project=c.project, url=backend.url, username="crowd", password=None)
    assert RemoteLearner.objects.get(project=c.id).password == "secret"
    moved = set_remote_learner(project=c.project, url="http://elsewhere.example", username="crowd", password=None)
    assert moved.password == ""


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
