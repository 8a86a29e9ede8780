"""The three tiers: what the machine may label alone, what that is concluded from, and how it is taken back."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from aggregation.core.audit_truth import most_often_wrong
from aggregation.core.tiers import alpha_of
from aggregation.models import Auditing, Certificate, Consensus
from aggregation.services.consensus import export_rows
from aggregation.services.tiers import look, looks_due
from projects.models import AUDIT_PRIORITY, Audit, Gold, ReviewAction, Task, TaskQueue, TaskState, Vote
from projects.services.leases import lease_tasks
from projects.services.projects import configure_project, request_retraining
from projects.services.reviews import review_task
from tests.services.campaign import Campaign, assert_counters_are_true
from tests.support.client import wait_for

Make = Callable[..., Campaign]
TASKS, TAUGHT = 500, 100


def truth(n: int) -> str:
    return "cat" if n < TASKS / 2 else "dog"


def tiered(campaign: Make, **settings: Any) -> Campaign:
    """500 numbers, small ones cats, of which every fifth is voted on by two people who know; the learner knows them."""
    wanted = {
        "learner": "numeric",
        "learner_fields": ["n"],
        "auto_label_error": 0.1,
        "audit_share": 0.3,
        "redundancy": 2,
    }
    c = campaign(annotators=2, **{**wanted, **settings})
    c.upload([{"key": str(n), "data": {"n": n}} for n in range(TASKS)])
    known = list(range(0, TASKS, TASKS // TAUGHT))
    c.import_votes([(str(n), worker, truth(n)) for n in known for worker in ("Ada", "Bob")])
    retrain(c)
    return c


def retrain(c: Campaign) -> None:
    c.refit()
    request_retraining(project_id=c.id)
    assert c.retrain() is not None


def audited(c: Campaign) -> list[int]:
    """The numbers of the tasks for audits."""
    return list(Audit.objects.filter(project=c.project).order_by("task").values_list("task__data__n", flat=True))


def undecided(c: Campaign) -> list[int]:
    known = set(Gold.objects.filter(project=c.project).values_list("task__data__n", flat=True))
    return [n for n in audited(c) if n not in known]


def decide(c: Campaign, numbers: list[int], wrong: int = 0) -> None:
    """An expert answers these tasks, so many of them otherwise than they are."""
    reviewer = c.project.members.get(role="manager")
    for place, n in enumerate(numbers):
        label = truth(n) if place >= wrong else truth(TASKS - 1 - n)
        review_task(reviewer=reviewer, task_id=c.task(n), action=ReviewAction.LABEL, label=label)


def looked(c: Campaign) -> Auditing:
    def done() -> bool:
        Auditing.objects.filter(project=c.project).update(rests_until="2000-01-01T00:00Z", seen_run=0)
        return look(project_id=c.id)

    wait_for(done, what="a look: the stack's worker may be at one")
    return Auditing.objects.get(project=c.project)


def audit(c: Campaign) -> Auditing:
    """Look, and let an expert answer what is asked, until nothing is."""
    while True:
        seen = looked(c)
        asked = undecided(c)
        if not asked:
            return seen
        decide(c, asked)


def alone(c: Campaign) -> set[int]:
    return set(TaskState.objects.filter(project=c.project, retired="auto").values_list("task__data__n", flat=True))


def test_too_little_evidence_means_no_labels_of_the_machine_alone(campaign: Make) -> None:
    c = tiered(campaign)

    seen = looked(c)

    assert not alone(c) and not Certificate.objects.filter(project=c.project).exists()
    assert seen.figures["tiers"]["auto"] == 0
    assert "more than the 10.0% allowed" in seen.figures["says"]
    first = TaskQueue.objects.filter(project=c.project, priority=AUDIT_PRIORITY)
    assert 20 < first.count() < 90, "some fifty"
    assert set(first.values_list("task__data__n", flat=True)) <= set(audited(c))


def test_audits_that_experts_have_decided_certify_a_threshold(campaign: Make) -> None:
    c = tiered(campaign)

    seen = audit(c)

    (certificate,) = Certificate.objects.filter(project=c.project)
    assert certificate.kind == "issued" and certificate.ended_at is None
    assert certificate.figures["bound"] <= 0.1 and certificate.figures["truth_error"] == 0
    assert certificate.figures["audits"] >= 40
    mine = alone(c)
    assert len(mine) == seen.figures["tiers"]["auto"] > 50
    assert not mine & set(audited(c)), "what audits is never labelled by what it audits"
    for n in mine:
        row = c.consensus(n)
        assert (row.source, row.retired, row.votes, row.run_id) == ("machine", "auto", 0, certificate.learner_run_id)
    wrong = [n for n in mine if c.project.labels[c.consensus(n).label or 0] != truth(n)]
    assert len(wrong) <= 0.1 * len(mine)
    assert_counters_are_true(c.project)
    # Answers that are uploaded count like others: no learner is taught gold.
    Gold.objects.filter(project=c.project, task__audit__isnull=False).update(origin="uploaded")
    assert looked(c).figures["audits"]["audits"] >= certificate.figures["audits"]


def test_wrong_audits_revoke_the_labels_and_their_tasks_reopen(campaign: Make) -> None:
    c = tiered(campaign)
    audit(c)
    mine = alone(c)
    # Experts think again about half of them.
    for n in audited(c)[::2]:
        state = Task.objects.get(project=c.project, data__n=n)
        Gold.objects.filter(task=state).update(label=1 - Gold.objects.get(task=state).label)

    seen = looked(c)

    revoked = Certificate.objects.filter(project=c.project).latest("id")
    issued = Certificate.objects.filter(project=c.project, kind="issued").get()
    assert revoked.kind == "revoked" and issued.ended_at is not None
    assert revoked.threshold == issued.threshold and "wrong" in revoked.reason
    assert not alone(c) and seen.figures["tiers"]["auto"] == 0
    for n in mine:
        row = c.consensus(n)
        assert (row.source, row.label, row.confidence, row.posterior, row.retired) == (
            "revoked",
            None,
            None,
            None,
            None,
        )
        assert c.state(n).retired is None and TaskQueue.objects.get(task=c.task(n)).open
    feed = {row.task: row.as_json(c.project.labels) for row in export_rows(project=c.fresh())}
    told = feed[c.task(min(mine))]
    assert (told["source"], told["label"], told["posterior"]) == ("revoked", None, None)


def test_a_new_learner_starts_from_the_same_audits(campaign: Make) -> None:
    c = tiered(campaign)
    audit(c)
    before = alone(c)
    retrain(c)

    looked(c)

    first, second = Certificate.objects.filter(project=c.project).order_by("id")
    assert first.ended_at is not None and second.ended_at is None
    assert second.learner_run_id > first.learner_run_id and second.figures["alpha"] < first.figures["alpha"]
    assert alone(c) and len(alone(c) ^ before) < len(before)
    assert {row.run_id for row in Consensus.objects.filter(project=c.project, source="machine")} <= {
        first.learner_run_id,
        second.learner_run_id,
    }


def test_votes_prove_something_once_gold_has_shown_how_good_they_are(campaign: Make) -> None:
    c = tiered(campaign, auto_label_error=0.2)
    looked(c)
    vote_on(c, audited(c))
    assert "uncalibrated" in looked(c).figures["says"]
    assert not undecided_after(c), "no more are drawn that would prove nothing"

    c.upload([{"key": f"gold {n}", "data": {"n": n + 0.5}, "gold": truth(n)} for n in range(0, TASKS, 5)])
    c.import_votes([(f"gold {n}", worker, truth(n)) for n in range(0, TASKS, 5) for worker in ("Ada", "Bob")])
    c.refit()
    while looked(c) and (asked := undecided_after(c)):
        vote_on(c, asked)

    certificate = Certificate.objects.filter(project=c.project).latest("id")
    limit = most_often_wrong(np.ones(100, np.bool_), alpha_of(2, 0.05))
    assert certificate.kind == "issued" and certificate.figures["truth_error"] == pytest.approx(limit)
    assert alone(c)


def vote_on(c: Campaign, numbers: list[int]) -> None:
    c.import_votes([(str(n), worker, truth(n)) for n in numbers for worker in ("Ada", "Bob")])
    c.refit()


def undecided_after(c: Campaign) -> list[int]:
    """Audits without votes."""
    waiting = Audit.objects.filter(project=c.project, task__state__votes=0)
    return list(waiting.values_list("task__data__n", flat=True))


def test_what_people_hold_or_have_voted_on_stays_theirs(campaign: Make) -> None:
    c = tiered(campaign)
    held = {lease.data["n"] for lease in lease_tasks(member=c.member(0), count=50)[0]}

    audit(c)

    assert alone(c) and not alone(c) & held
    assert not alone(c) & set(range(0, TASKS, TASKS // TAUGHT))


def test_switching_it_off_takes_the_labels_back(campaign: Make) -> None:
    c = tiered(campaign)
    audit(c)
    assert alone(c)

    configure_project(project_id=c.id, version=c.fresh().version, changes={"auto_label_error": None})
    assert looks_due(project_id=c.id) == [c.id]
    looked(c)

    assert not alone(c) and Certificate.objects.filter(project=c.project, kind="revoked").exists()


def test_a_learner_is_never_taught_its_audits_and_labels_nothing_it_was_taught(campaign: Make) -> None:
    c = tiered(campaign, auto_label_error=0.2)
    looked(c)
    audits = audited(c)
    others = [n for n in range(TASKS) if n % 5 and n not in audits][::4]
    vote_on(c, audits + others)
    request_retraining(project_id=c.id)
    assert c.retrain() is not None
    run = c.project.runs.filter(kind="retraining").latest("id")
    assert run.counts["trained_on"] == TAUGHT + len(others) and audits

    # Whose votes are gone again looks like any other task to people; the learner knows it.
    gone = c.task(0)
    Vote.objects.filter(task=gone).update(status="discarded")
    TaskState.objects.filter(task=gone).update(votes=0, retired=None)
    audit(c)
    assert alone(c) and 0 not in alone(c) and 0 not in audited(c)


def test_a_project_without_tiers_is_never_looked_at(campaign: Make) -> None:
    c = campaign(tasks=3, annotators=1)
    c.vote(0, "cat")
    c.refit()
    assert looks_due(project_id=c.id) == [] and not look(project_id=c.id)


def test_another_redundancy_or_a_refit_leaves_them_the_machines(campaign: Make) -> None:
    c = tiered(campaign)
    audit(c)
    mine = alone(c)
    configure_project(project_id=c.id, version=c.fresh().version, changes={"redundancy": 5, "order": "random"})
    c.refit()
    assert alone(c) == mine


def test_an_imported_vote_makes_it_a_task_of_people(campaign: Make) -> None:
    c = tiered(campaign)
    audit(c)
    n = min(alone(c))
    c.import_votes([(str(n), "Cem", truth(n))])
    c.refit()
    assert c.state(n).retired is None and c.consensus(n).votes == 1 and c.consensus(n).source != "machine"
