"""Which tasks audit the machine, what their votes prove, and what nobody can make them say."""

from __future__ import annotations

import numpy as np
import pytest

from aggregation.models import Certificate, Run, Scored
from aggregation.services.alone import give_all, in_force, take_back_all
from aggregation.services.auditing import lots_of
from aggregation.services.audits import labels_of_votes
from aggregation.services.placing import place_tasks
from projects.models import Assignment, Audit, Gold, LiveModel, Prediction, ReviewAction, TaskState
from projects.services import confirming
from projects.services.assignments import release_assignment
from projects.services.leases import lease_tasks
from projects.services.projects import configure_project
from projects.services.reviews import review_task
from tests.concurrency.test_tiers import certified
from tests.services.test_tiers import Make, alone, audit, audited, decide, looked, tiered, undecided
from tests.support.client import wait_for


def test_tasks_of_which_people_were_shown_what_the_machine_says_neither_audit_it_nor_are_its_own(
    campaign: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    c = tiered(campaign, confirm_above=0.5, blind_share=0.01)
    monkeypatch.setattr(confirming._random, "random", lambda: 0.5)
    for _ in range(2):
        for lease in lease_tasks(member=c.member(0), count=50)[0]:
            release_assignment(member=c.member(0), assignment_id=lease.id)
    shown = set(Assignment.objects.filter(project=c.project, shown=True).values_list("task__data__n", flat=True))
    assert len(shown) >= 50

    seen = audit(c)

    assert alone(c) and not alone(c) & shown and not set(audited(c)) & shown
    assert seen.figures["tiers"]["auto"] == len(alone(c)), "none of them counts as one of its labels"


def test_the_bound_never_falls_when_fewer_audits_are_wished(campaign: Make) -> None:
    c = tiered(campaign)
    looked(c)
    asked = undecided(c)
    decide(c, asked, wrong=len(asked) // 4)
    before = looked(c).figures["audits"]
    assert before["wrong"] >= 5

    for share in (0.1, 0.01):
        configure_project(project_id=c.id, version=c.fresh().version, changes={"audit_share": share})
        now = looked(c).figures["audits"]
        assert now["best_bound"] >= before["best_bound"]
        assert (now["audits"], now["wrong"]) == (before["audits"], before["wrong"])


def test_an_audit_that_people_pass_over_counts_as_wrong_after_a_day_and_holds_up_no_other(campaign: Make) -> None:
    c = tiered(campaign)
    looked(c)
    asked = undecided(c)
    first = asked[int(lots_of(c.project, [c.task(n) for n in asked[:-1]]).argmin())]
    decide(c, [n for n in asked if n != first])
    assert looked(c).figures["audits"]["audits"] <= 1, "audits count in the order of their lots"

    Audit.objects.filter(task=c.task(first)).update(drawn_at="2000-01-01T00:00Z")

    now = looked(c).figures["audits"]
    assert now["audits"] >= len(asked) and now["wrong"] == 1


def test_tasks_that_are_uploaded_later_are_audited_and_labelled_like_all_others(campaign: Make) -> None:
    c = tiered(campaign)
    audit(c)
    new = [n + 0.5 for n in (*range(100), *range(400, 500))]
    c.upload([{"key": str(n), "data": {"n": n}} for n in new])
    wait_for(lambda: place_tasks(project_id=c.id) == 0, what="their places: the stack's worker may be at it")
    looked(c)

    assert set(undecided(c)) and set(undecided(c)) <= set(new)
    assert len(alone(c) & set(new)) > 50 and not alone(c) & set(audited(c))


def test_a_plan_is_on_the_scale_that_training_measured_without_audits(campaign: Make) -> None:
    c = tiered(campaign)
    measured = Run.objects.get(id=LiveModel.objects.get(project=c.project).learner_run).metrics["prediction_weight"]
    LiveModel.objects.filter(project=c.project).update(prediction_weight=measured / 2)  # as refits with audits may
    assert looked(c).sharpness == measured > 0


def test_the_machine_has_no_part_in_what_votes_say_of_it(campaign: Make) -> None:
    c = campaign(tasks=2, annotators=1)
    c.vote(0, "dog", n=0)
    c.refit()
    LiveModel.objects.filter(project=c.project).update(prediction_weight=2.0)
    Prediction.objects.create(task_id=c.task(0), posterior=[0.999, 0.001], run=1)

    assert labels_of_votes(c.fresh(), np.array([c.task(0)])).tolist() == [1]


def test_audits_get_all_their_votes_whatever_the_machine_says(campaign: Make) -> None:
    settings = {"learner": "numeric", "learner_fields": ["n"], "auto_label_error": 0.05, "redundancy": 3}
    c = campaign(tasks=2, annotators=1, target_confidence=0.9, min_votes=1, **settings)
    LiveModel.objects.filter(project=c.project).update(prediction_weight=1.0)
    for n in (0, 1):
        Prediction.objects.create(task_id=c.task(n), posterior=[0.999, 0.001], run=1)
    Audit.objects.create(task_id=c.task(0), project=c.project, probability=0.5, run=1)

    for n in (0, 1):
        c.vote(0, "cat", n=n)

    assert c.state(1).retired == "target" and c.state(0).retired is None
    configure_project(project_id=c.id, version=c.fresh().version, changes={"target_confidence": 0.85})
    assert c.state(1).retired == "target" and c.state(0).retired is None
    c.refit()
    assert c.state(0).retired is None and (c.state(0).confidence or 0) > 0.85


def test_the_machine_labels_nothing_that_experts_know_or_people_hold(campaign: Make) -> None:
    c = certified(campaign, tasks=6, annotators=1)
    certificate = in_force(c.project)
    assert certificate is not None
    Gold.objects.create(task_id=c.task(0), project=c.project, label=1, origin="uploaded")
    reviewer = c.project.members.get(role="manager")
    review_task(reviewer=reviewer, task_id=c.task(1), action=ReviewAction.REOPEN, votes=1)
    Audit.objects.create(task_id=c.task(2), project=c.project, probability=0.5, run=certificate.run)
    TaskState.objects.filter(task=c.task(3)).update(leases=1)
    TaskState.objects.filter(task=c.task(4)).update(votes=1)

    given = give_all(project=c.project, certificate=certificate, task_ids=[c.task(n) for n in range(6)])

    assert given == 1 and alone(c) == {5}


def test_a_certificate_is_about_the_tasks_from_its_first_on(campaign: Make) -> None:
    c = certified(campaign, tasks=6)
    certificate = in_force(c.project)
    assert certificate is not None
    ids = [c.task(n) for n in range(6)]
    about = {"project": c.project, "run": certificate.run, "score": 0.99, "label": 0, "lot": 0.9, "taught": False}
    Scored.objects.bulk_create([Scored(task_id=id_, **about) for id_ in ids])
    assert give_all(project=c.project, certificate=certificate, task_ids=ids) == 6

    Certificate.objects.filter(id=certificate.id).update(figures={"sharpness": 1.0, "first": ids[3]})
    narrower = in_force(c.project)
    assert narrower is not None and take_back_all(project=c.project, certificate=narrower) == 3
    assert give_all(project=c.project, certificate=narrower, task_ids=ids) == 0
    assert alone(c) == {3, 4, 5}
