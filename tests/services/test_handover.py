"""Handover: what the machine answers at once, what people are asked, and that neither is stored twice."""

from collections.abc import Callable
from typing import Any

import pytest

from aggregation.models import Auditing, Certificate, Consensus
from aggregation.services.auditing import lots_of
from aggregation.services.handover import answer_of, predict
from projects.errors import Conflict, InvalidTasks, NotFound
from projects.models import HANDOVER_PRIORITY, Audit, Prediction, Task, TaskQueue, TaskState
from projects.services.projects import configure_project, request_retraining
from tests.services.campaign import Campaign, assert_state_is_fresh

Make = Callable[..., Campaign]
LEARNING = {"learner": "numeric", "learner_fields": ["n"], "auto_label_error": 0.05}


def learnt(campaign: Make, **settings: Any) -> Campaign:
    """Numbers below 50 are cats, the others dogs; the learner has seen them all."""
    c = campaign(annotators=2, **{**LEARNING, **settings})
    c.upload([{"key": str(n), "data": {"n": n}} for n in range(100)])
    c.import_votes([(str(n), worker, "cat" if n < 50 else "dog") for n in range(100) for worker in ("Ada", "Bob")])
    c.refit()
    request_retraining(project_id=c.id)
    assert c.retrain() is not None
    return c


def certify(c: Campaign, threshold: float = 0.8) -> Certificate:
    """As if audits had shown that the machine may answer from this probability on."""
    run = c.fresh().live_model.learner_run
    return Certificate.objects.create(
        project=c.project,
        kind="issued",
        learner_run_id=run,
        threshold=threshold,
        error=0.05,
        confidence=0.95,
        figures={"sharpness": 1.0},
    )


def ask(c: Campaign, *items: Any) -> list[Any]:
    return predict(project=c.fresh(), items=items)


def test_without_a_certificate_people_are_asked_however_sure_the_machine_is(campaign: Make) -> None:
    c = learnt(campaign)

    (answer,) = ask(c, {"key": "new", "data": {"n": 1}})

    assert (answer.status, answer.label, answer.source) == ("asked", None, None)
    assert c.lease(0).data == {"n": 1}, "before the tasks that were there"
    assert Prediction.objects.filter(task=answer.task).exists()
    assert_state_is_fresh(c.project)


def test_what_it_is_certified_for_the_machine_answers_at_once_and_says_so(campaign: Make) -> None:
    c = learnt(campaign)
    certificate = certify(c)

    sure, unsure = ask(c, {"key": "sure", "data": {"n": 1}}, {"key": "unsure", "data": {"n": 49.5}})

    assert (sure.status, sure.label, sure.source, sure.run, sure.votes) == (
        "answered",
        "cat",
        "machine",
        certificate.learner_run_id,
        0,
    )
    assert sure.confidence is not None and sure.confidence >= certificate.threshold
    assert unsure.status == "asked"
    published = Consensus.objects.get(task=sure.task)
    assert (published.source, published.retired, published.votes) == ("machine", "auto", 0)
    assert c.lease(0).data == {"n": 49.5}
    # A refit and a retraining leave it be, also where there was a vote that was discarded.
    TaskState.objects.filter(task=sure.task).update(version=1)
    c.refit()
    same = ("source", "retired", "votes", "run_id", "confidence", "revision")
    assert Consensus.objects.filter(task=sure.task).values(*same).get() == {n: getattr(published, n) for n in same}
    request_retraining(project_id=c.id)
    c.retrain()
    assert Task.objects.get(id=sure.task).state.retired == "auto"
    assert not TaskQueue.objects.get(task=sure.task).open


def test_the_machine_says_nothing_against_votes(campaign: Make) -> None:
    c = learnt(campaign, redundancy=3)
    (asked,) = ask(c, {"key": "a", "data": {"n": 1}})
    c.vote(0, "dog")
    certify(c)

    (answer,) = ask(c, {"key": "a", "data": {"n": 1}})

    assert (answer.task, answer.status, answer.votes) == (asked.task, "asked", 1)


@pytest.mark.parametrize(
    "wish", [{"auto_label_error": None}, {"auto_label_error": 0.04}, {"auto_label_confidence": 0.99}]
)
def test_the_machine_is_silent_as_soon_as_its_certificate_is_less_than_is_wished(
    campaign: Make, wish: dict[str, float | None]
) -> None:
    c = learnt(campaign)
    certify(c)
    configure_project(project_id=c.id, version=c.fresh().version, changes=wish)

    assert ask(c, {"data": {"n": 1}})[0].status == "asked"


def test_a_certificate_of_another_learner_is_none(campaign: Make) -> None:
    c = learnt(campaign)
    certify(c)
    request_retraining(project_id=c.id)
    assert c.retrain() is not None

    assert ask(c, {"data": {"n": 1}})[0].status == "asked"


def drawing(c: Campaign, certificate: Certificate, share: float) -> None:
    """As if so large a share of what is certified had been drawn for audits."""
    plan = {"threshold": [certificate.threshold], "expected": [0.01], "error": 0.05, "alpha": 0.05}
    plan |= {"wishes": {"error": 0.05, "confidence": 0.95}, "since": 0, "drawn": [share], "answered": [0.0]}
    run = certificate.learner_run_id
    Auditing.objects.create(project=c.project, learner_run=run, plan=plan, champions=1, sharpness=1.0)


def test_an_audited_task_is_answered_at_once_and_people_are_asked_too(campaign: Make) -> None:
    c = learnt(campaign)
    drawing(c, certify(c), share=1.0)

    sure, unsure = ask(c, {"data": {"n": 1}}, {"data": {"n": 49.5}})

    assert Audit.objects.get(project=c.project).task_id == sure.task, "only what it may answer is audited"
    assert Audit.objects.get(project=c.project).probability == 1.0
    assert (sure.status, sure.label, sure.source) == ("answered", "cat", "machine") and unsure.status == "asked"
    assert not Consensus.objects.filter(task=sure.task).exists(), "nothing is published that people have yet to see"
    assert c.lease(0).data == {"n": 1}
    assert answer_of(project=c.fresh(), which=str(sure.key)) == sure


def test_tasks_that_come_are_audited_by_the_share_of_their_like(campaign: Make) -> None:
    c = learnt(campaign)
    drawing(c, certify(c), share=0.3)

    ids = [answer.task for _ in range(2) for answer in ask(c, *[{"data": {"n": 1}}] * 100)]

    audits = Audit.objects.filter(project=c.project)
    lot = dict(zip(ids, lots_of(c.project, ids), strict=True))
    assert set(audits.values_list("task_id", flat=True)) == {id_ for id_ in ids if lot[id_] < 0.3}
    assert set(audits.values_list("probability", flat=True)) == {0.3}
    assert set(Consensus.objects.filter(task__in=ids).values_list("task_id", flat=True)) == {
        id_ for id_ in ids if lot[id_] >= 0.3
    }


def test_the_same_key_is_the_same_task_and_its_answer_what_people_said(campaign: Make) -> None:
    c = learnt(campaign, redundancy=1)
    (asked,) = ask(c, {"key": "a", "data": {"n": 50.5}})
    assert ask(c, {"key": "a", "data": {"n": 50.5}}) == [asked]

    c.vote(0, "dog")
    c.refit()

    (answered,) = ask(c, {"key": "a", "data": {"n": 50.5}})
    assert (answered.task, answered.label, answered.votes) == (asked.task, "dog", 1)
    assert answered.source in ("votes", "votes+machine")
    assert answer_of(project=c.fresh(), which="a") == answer_of(project=c.fresh(), which=str(asked.task)) == answered


def test_a_key_with_other_data_is_refused_and_nothing_of_the_request_is_stored(campaign: Make) -> None:
    c = learnt(campaign)
    ask(c, {"key": "a", "data": {"n": 1}})
    before = Task.objects.filter(project=c.project).count()

    with pytest.raises(Conflict) as refused:
        ask(c, {"key": "b", "data": {"n": 2}}, {"key": "a", "data": {"n": 3}})

    assert refused.value.errors[0].field == "tasks.1.key"
    assert Task.objects.filter(project=c.project).count() == before


@pytest.mark.parametrize(
    ("item", "field", "code"),
    [
        (7, "tasks.0", "not_an_object"),
        ({"data": [1]}, "tasks.0.data", "not_an_object"),
        ({"data": {"n": 1}, "gold": "cat"}, "tasks.0.gold", "unknown_field"),
        ({"data": {"n": 1}, "key": " "}, "tasks.0.key", "invalid_key"),
        ({"data": {"n": "\0"}}, "tasks.0.data", "nul_character"),
    ],
)
def test_a_wrong_task_is_refused_by_its_place_and_field(campaign: Make, item: Any, field: str, code: str) -> None:
    c = campaign()
    with pytest.raises(InvalidTasks) as refused:
        ask(c, item)
    assert [(error.field, error.code) for error in refused.value.errors] == [(field, code)]


def test_two_tasks_of_one_key_are_refused(campaign: Make) -> None:
    c = campaign()
    with pytest.raises(InvalidTasks) as refused:
        ask(c, {"key": "a", "data": {"n": 1}}, {"key": "a", "data": {"n": 2}})
    assert refused.value.errors[0].code == "repeated_key"


def test_people_are_asked_what_the_machine_cannot_read(campaign: Make) -> None:
    c = learnt(campaign)
    certify(c)
    odd, sure = ask(c, {"data": {"m": 1}}, {"data": {"n": 1}})
    assert (odd.status, sure.status) == ("asked", "answered")


def test_what_was_handed_over_stays_first_in_every_order(campaign: Make) -> None:
    c = learnt(campaign, redundancy=3)
    (answer,) = ask(c, {"data": {"n": 1}})
    c.vote(0, "cat", 1)
    c.refit()
    request_retraining(project_id=c.id)
    c.retrain()

    assert TaskQueue.objects.get(task=answer.task).priority == HANDOVER_PRIORITY
    assert c.lease(1).data == {"n": 1}


def test_nobody_learns_of_a_task_that_is_not_there(campaign: Make) -> None:
    c = campaign()
    for which in ("nothing", "1" * 30, "0", "٣"):
        with pytest.raises(NotFound):
            answer_of(project=c.fresh(), which=which)


def test_what_audits_a_learner_does_not_teach_it(campaign: Make) -> None:
    c = learnt(campaign)
    for n in range(30):
        Audit.objects.create(task_id=c.task(n), project=c.project, probability=0.3, run=1)
    request_retraining(project_id=c.id)
    taught = c.retrain()
    assert taught is not None and taught.counts["trained_on"] == 70
