"""The machine, people and production at the same moment."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest

from aggregation import tier_queries
from aggregation.models import Auditing, Certificate, Consensus, Run, Scored
from aggregation.services import alone as services_alone
from aggregation.services import handover
from aggregation.services.alone import InForce, give_all, in_force, take_back_all
from aggregation.services.handover import Answer, predict
from aggregation.services.reviews import publish_reviews
from aggregation.services.tiers import Finding, _conclude
from projects.models import LiveModel, Prediction, Project, ReviewAction, Task, TaskState
from projects.services.leases import lease_tasks
from projects.services.reviews import review_task
from projects.services.voting import VoteInput, submit_votes
from tests.concurrency.races import beside, together, wait_until_blocked_by
from tests.services.campaign import Campaign, assert_counters_are_true, other_connection
from tests.support.client import wait_for

Make = Callable[..., Campaign]
SURE = np.array([0.99, 0.01])


def certified(campaign: Make, **settings: Any) -> Campaign:
    """A campaign whose machine is sure of everything, and certified."""
    c = campaign(**settings)
    # No look is due, which would end a certificate that no audits have proven.
    Auditing.objects.create(project=c.project, seen_version=c.project.version, rests_until="2999-01-01T00:00Z")
    Project.objects.filter(id=c.id).update(auto_label_error=0.05)
    run = Run.objects.create(project=c.project, kind="retraining", status="failed")
    LiveModel.objects.filter(project=c.project).update(learner_run=run.id, prediction_weight=1.0)
    figures = {"sharpness": 1.0}
    Certificate.objects.create(
        project=c.project, kind="issued", learner_run=run, threshold=0.9, error=0.05, confidence=0.95, figures=figures
    )
    for id_ in Task.objects.filter(project=c.project).values_list("id", flat=True):
        Prediction.objects.create(task_id=id_, posterior=SURE.tolist(), run=run.id)
    return c


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that is sure of whatever it is asked."""
    monkeypatch.setattr(handover, "predict_now", lambda *, run, payloads: dict.fromkeys(range(len(payloads)), SURE))


def asked(c: Campaign, keys: list[str]) -> list[Answer]:
    return predict(project=c.project, items=[{"key": key, "data": {"n": key}} for key in keys])


def alone(c: Campaign) -> set[int]:
    return set(TaskState.objects.filter(project=c.project, retired="auto").values_list("task_id", flat=True))


def published(c: Campaign) -> set[int]:
    return set(Consensus.objects.filter(project=c.project, source="machine").values_list("task_id", flat=True))


def test_a_key_that_is_handed_over_by_many_at_once_is_one_task(campaign: Make, machine: None) -> None:
    c = certified(campaign)
    keys = [str(n) for n in range(5)]

    answers = together([partial(asked, c, keys if n % 2 else keys[::-1]) for n in range(8)])

    assert Task.objects.filter(project=c.project).count() == 5
    assert {(answer.key, answer.task) for each in answers for answer in each} == {(a.key, a.task) for a in answers[0]}
    assert {answer.label for each in answers for answer in each} == {"cat"}


def test_handovers_of_the_same_keys_in_another_order_wait_for_no_other_in_turn(campaign: Make) -> None:
    c = campaign()
    add = "INSERT INTO projects_task (project_id, key, data, created_at) VALUES (%s, %s, '{}', now())"
    with other_connection() as somebody, other_connection(autocommit=True) as observer:
        somebody.execute(add, [c.id, "1"])
        with beside(lambda: asked(c, ["2", "1"])):
            wait_until_blocked_by(somebody, observer)
            somebody.execute(add, [c.id, "2"])  # the one that waits does not hold it
            somebody.rollback()
    assert set(Task.objects.filter(project=c.project).values_list("key", flat=True)) == {"1", "2"}


def test_no_label_of_the_machine_survives_a_revocation_that_comes_meanwhile(campaign: Make, machine: None) -> None:
    c = certified(campaign)
    given: list[list[Answer]] = []

    def hand_over(somebody: int) -> None:
        given.extend(asked(c, [f"{somebody}/{n}/{m}" for m in range(3)]) for n in range(15))

    with beside(*(partial(hand_over, n) for n in range(4))):
        wait_for(lambda: len(given) >= 10, what="some tasks")
        _conclude(c.project, Finding(None, None, "Audits found it wrong.", {}))

    assert {answer.status for each in given for answer in each} == {"answered", "asked"}
    assert not alone(c) and not published(c)
    assert Certificate.objects.get(project=c.project, kind="revoked").reason == "Audits found it wrong."


def test_a_revocation_waits_for_labels_that_are_being_given(campaign: Make) -> None:
    c = certified(campaign)
    with other_connection() as somebody, other_connection(autocommit=True) as observer:
        somebody.execute(tier_queries.CERTIFICATE_IN_FORCE, {"project": c.id})
        with beside(lambda: _conclude(c.project, Finding(None, None, "Audits found it wrong.", {}))):
            wait_until_blocked_by(somebody, observer)
            assert Certificate.objects.get(project=c.project).ended_at is None, "whoever gives labels sees it in force"
            somebody.rollback()
    assert Certificate.objects.filter(project=c.project, kind="revoked").exists()


def test_an_experts_answer_that_comes_while_the_machine_relabels_is_not_overwritten(
    campaign: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    c = certified(campaign, tasks=2, annotators=1)
    LiveModel.objects.filter(project=c.project).update(run=Run.objects.get(project=c.project).id)
    certificate = in_force(c.project)
    assert certificate is not None
    ids = [c.task(0), c.task(1)]
    about = {"project": c.project, "run": certificate.run, "score": 0.99, "lot": 0.9, "taught": False}
    Scored.objects.bulk_create([Scored(task_id=id_, label=0, **about) for id_ in ids])
    assert give_all(project=c.project, certificate=certificate, task_ids=ids) == 2
    Prediction.objects.filter(task__in=ids).update(posterior=SURE[::-1].tolist())
    Scored.objects.filter(task__in=ids).update(label=1)

    def decide() -> None:
        expert = c.project.members.get(role="manager")
        review_task(reviewer=expert, task_id=ids[0], action=ReviewAction.LABEL, label="cat")
        publish_reviews(project_id=c.id)

    def asked_late(project: Project) -> InForce | None:
        together([decide])
        return in_force(project)

    monkeypatch.setattr(services_alone, "in_force", asked_late)
    take_back_all(project=c.project, certificate=certificate)

    rows = Consensus.objects.filter(project=c.project).order_by("task")
    assert list(rows.values_list("source", "label", "retired")) == [("review", 0, "reviewed"), ("machine", 1, "auto")]


def test_a_task_is_the_machines_or_peoples_never_both(campaign: Make) -> None:
    c = certified(campaign, tasks=200, annotators=6, redundancy=2)
    certificate = in_force(c.project)
    assert certificate is not None
    ids = np.array(sorted(Task.objects.filter(project=c.project).values_list("id", flat=True)))

    def work(annotator: int) -> None:
        member = c.member(annotator)
        for _ in range(6):
            held, _why = lease_tasks(member=member, count=5)
            votes = [VoteInput(lease.id, "dog") for lease in held]
            if votes:
                assert submit_votes(member=member, votes=votes) == [None] * len(votes)

    def give() -> None:
        for start in range(0, 200, 20):
            give_all(project=c.project, certificate=certificate, task_ids=ids[start : start + 20])

    together([*(partial(work, n) for n in range(6)), give, give])

    mine = alone(c)
    assert mine and mine == published(c)
    assert not TaskState.objects.filter(task__in=mine).exclude(votes=0, leases=0).exists()
    assert_counters_are_true(c.project)

    together([partial(take_back_all, project=c.project, certificate=None)] * 3)
    assert not alone(c) and not published(c)
    assert Consensus.objects.filter(project=c.project, source="revoked", label=None).count() == len(mine)
