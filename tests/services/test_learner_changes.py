"""A learner meets odd tasks, numbers as text, and its own replacement."""

from __future__ import annotations

import io
from collections.abc import Callable

import pytest
from django.db import connection, transaction

from aggregation.models import Auditing, Certificate, Run
from aggregation.services import applying, predicting
from aggregation.services import retrain as retrainings
from aggregation.services.alone import in_force
from aggregation.services.champion import LearnerChanged
from aggregation.services.placing import place_tasks
from projects.models import LiveModel, Prediction, Project, TaskQueue
from projects.services.ballots import VoteInput
from projects.services.projects import configure_project, request_retraining
from projects.services.tasks import upload_tasks
from projects.services.voting import submit_votes
from tests.services.campaign import Campaign, assert_state_is_fresh, other_connection

Make = Callable[..., Campaign]
LEARNS = {"learner": "numeric", "learner_fields": ["n"], "retrain_after_votes": 1_000_000}


def trained(campaign: Make) -> Campaign:
    """Six voted tasks of eight; the learner has been trained."""
    c = campaign(tasks=8, annotators=1, **LEARNS)
    for n in range(6):
        c.vote(0, "cat" if n < 3 else "dog", n)
    c.refit()
    train(c)
    return c


def train(c: Campaign) -> Run:
    request_retraining(project_id=c.id)
    run = c.retrain()
    assert run is not None and run.status == "done", run and run.error
    return run


def test_numbers_that_came_as_text_are_numbers(campaign: Make) -> None:
    """A CSV file knows only text, and it is what the page's form takes."""
    c = campaign(annotators=1, **LEARNS)
    text = "n\n" + "".join(f"{n}\n" for n in range(6))
    upload_tasks(project=c.project, body=io.BytesIO(text.encode()), media_type="text/csv")
    for _ in range(6):
        lease = c.lease(0)
        vote = VoteInput(assignment=lease.id, label="cat" if int(lease.data["n"]) < 3 else "dog")
        assert submit_votes(member=c.member(0), votes=[vote]) == [None]
    c.refit()

    assert train(c).counts["predicted"] == 6


def test_one_odd_task_is_left_out_and_counted(campaign: Make) -> None:
    c = trained(campaign)
    c.upload([{"data": {"m": "has no n"}}])

    run = train(c)

    assert run.counts["unreadable"] == 1 and run.counts["predicted"] == 8
    assert Prediction.objects.filter(task__project=c.id, run=run.id).count() == 8


@pytest.mark.parametrize("place", ["first", "last"])
def test_a_voted_task_that_it_cannot_read_is_left_out_of_what_it_is_taught(campaign: Make, place: str) -> None:
    c = campaign(annotators=1, learner="numeric", learner_fields=["n"], retrain_after_votes=1_000_000)
    tasks = [{"key": str(n), "data": {"n": [n, n]}} for n in range(8)]
    odd = {"key": "odd", "data": {"n": [1, 2, 3]}}
    c.upload([odd, *tasks] if place == "first" else [*tasks, odd])
    c.import_votes([(str(n), "Ada", "cat" if n < 4 else "dog") for n in range(8)] + [("odd", "Ada", "dog")])
    c.refit()

    run = train(c)

    assert (run.metrics["left_out"], run.counts["trained_on"], run.counts["unreadable"]) == (1, 8, 1)
    assert not Prediction.objects.filter(task__key="odd", task__project=c.id).exists()


def test_where_no_task_can_be_read_the_run_names_the_first(campaign: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aggregation.learners.base.MOST_BAD", 2)
    c = campaign(annotators=1, learner="numeric", learner_fields=["other"], retrain_after_votes=1_000_000)
    c.upload([{"key": str(n), "data": {"n": n}} for n in range(8)])
    c.import_votes([(str(n), "Ada", "cat") for n in range(8)])
    c.refit()
    request_retraining(project_id=c.id)
    with pytest.raises(ValueError, match=f"the first is {c.task(0)}: row 0 has no field 'other'"):
        c.retrain()
    c.vote(0, "cat")
    assert c.refit().status == "done", "voting goes on"


def test_a_learner_that_is_gone_steers_nothing(campaign: Make) -> None:
    c = trained(campaign)
    assert TaskQueue.objects.get(task=c.task(7)).priority < 1000
    # No look is due, which would end a certificate that no audits have proven.
    Auditing.objects.create(project=c.project, seen_version=c.project.version, rests_until="2999-01-01T00:00Z")
    Project.objects.filter(id=c.id).update(auto_label_error=0.1, auto_label_confidence=0.9)
    Certificate.objects.create(
        project=c.project,
        kind="issued",
        learner_run=Run.objects.filter(project=c.id, kind="retraining").latest("id"),
        threshold=0.5,
        error=0.1,
        confidence=0.9,
        figures={"sharpness": 1.0},
        reason="",
    )
    with transaction.atomic():
        assert in_force(c.project) is not None

    configure_project(project_id=c.id, version=c.fresh().version, changes={"learner": None})

    model = LiveModel.objects.get(project=c.id)
    assert (model.prediction_weight, model.learner_run) == (0, None)
    with transaction.atomic():
        assert in_force(c.project) is None, "it answers nobody any more"
    c.refit()
    assert c.consensus(0).source == "votes" and not c.state(7).votes
    place_tasks(project_id=c.id)
    assert not Prediction.objects.filter(task__project=c.id).exists()
    assert TaskQueue.objects.get(task=c.task(7)).priority == 1000 and c.state(7).label is None
    assert_state_is_fresh(c.project)


def test_a_learner_goes_while_somebody_holds_a_task(campaign: Make) -> None:
    """No request waits for all tasks of a project."""
    c = trained(campaign)
    with other_connection() as vote:
        vote.execute("SELECT 1 FROM projects_taskstate WHERE task_id = %s FOR UPDATE", [c.task(7)])
        with connection.cursor() as cursor:
            cursor.execute("SET lock_timeout = '5s'")
        try:
            configure_project(project_id=c.id, version=c.fresh().version, changes={"learner": None})
        finally:
            with connection.cursor() as cursor:
                cursor.execute("RESET lock_timeout")
    assert LiveModel.objects.get(project=c.id).learner_run is None


@pytest.mark.parametrize("meanwhile", ["train", "predict_chunk", "_apply_next"])
@pytest.mark.parametrize("learner", [None, "text"])
def test_a_learner_that_goes_while_it_is_trained_does_not_come_back(
    campaign: Make, monkeypatch: pytest.MonkeyPatch, meanwhile: str, learner: str | None
) -> None:
    """Before it is trained, and between two chunks that are predicted or applied."""
    c = trained(campaign)
    steps = iter([] if meanwhile == "train" else ["go on"])
    module = {"train": retrainings, "predict_chunk": predicting, "_apply_next": applying}[meanwhile]
    done = getattr(module, meanwhile)

    def change_then(*arguments: object, **named: object) -> object:
        if not next(steps, None):
            configure_project(project_id=c.id, version=c.fresh().version, changes={"learner": learner})
        return done(*arguments, **named)

    monkeypatch.setattr(module, meanwhile, change_then)
    monkeypatch.setattr(predicting, "CHUNK", 4)
    request_retraining(project_id=c.id)

    with pytest.raises(LearnerChanged):
        c.retrain()

    model = LiveModel.objects.get(project=c.id)
    assert (model.prediction_weight, model.learner_run) == (0, None)
    place_tasks(project_id=c.id)
    assert not Prediction.objects.filter(task__project=c.id).exists()
    assert (c.fresh().retrain_requested_at is not None) == (learner is not None), "the other learner is due"
    c.refit()
    assert_state_is_fresh(c.project)


def test_another_learner_is_trained_at_once(campaign: Make) -> None:
    c = trained(campaign)

    configure_project(project_id=c.id, version=c.fresh().version, changes={"learner": "text"})

    assert c.fresh().retrain_requested_at is not None


KINDS = {
    "embeddings": ([1.0, 0.2], [0.2, 1.0]),
    "images": ([[9, 0], [9, 0]], [[0, 0], [9, 9]]),
    "sentences": ("It purrs.", "It barks."),
}


@pytest.mark.parametrize("learner", KINDS)
def test_vectors_pictures_and_sentences_are_learnt_from(campaign: Make, learner: str) -> None:
    """As every kind of learner that a project may have: the service's names are those of the registry."""
    c = campaign(annotators=1, **{**LEARNS, "learner": learner, "learner_fields": ["v"]})
    cat, dog = KINDS[learner]
    c.upload([{"key": str(n), "data": {"n": n, "v": cat if n % 2 else dog}} for n in range(12)])
    c.import_votes([(str(n), "Ada", "cat" if n % 2 else "dog") for n in range(10)])
    c.refit()

    assert train(c).counts["predicted"] == 12
    guesses = Prediction.objects.filter(task__in=[c.task(11), c.task(10)]).order_by("-task_id")
    assert [list(guess.posterior).index(max(guess.posterior)) for guess in guesses] == [0, 1]


def test_tasks_that_train_annotators_are_neither_taught_nor_predicted(campaign: Make) -> None:
    c = campaign(tasks=8, annotators=2, training_tasks=2, **LEARNS)
    c.upload([{"data": {"n": 100 + n}, "gold": "dog", "qualification": True} for n in range(4)])
    for _ in range(2):
        c.vote(0, "dog")  # training
    for n in range(6):
        c.vote(0, "cat" if n < 3 else "dog", n)
    c.refit()

    run = train(c)

    assert (run.counts["trained_on"], run.counts["predicted"]) == (6, 8)
    assert not Prediction.objects.filter(task__gold__origin="qualification").exists()
