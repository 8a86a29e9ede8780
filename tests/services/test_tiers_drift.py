"""Labels that become worse once they are certified: found soon, and not certified again by what was before."""

import pytest
from django.db.models import F

from aggregation.models import Auditing, Certificate, Consensus
from aggregation.services.auditing import is_audited
from aggregation.services.handover import predict
from projects.models import Audit, Gold, ReviewAction, Task, TaskState
from projects.services.projects import configure_project
from projects.services.reviews import review_task
from tests.services.campaign import Campaign
from tests.services.test_tiers import Make, audit, audited, decide, looked, retrain, tiered, undecided


def hand_over(c: Campaign, number: int, *, wrong: bool | None) -> None:
    """New tasks of which the machine says cat, and an expert of those audited whether that is wrong; None: nothing."""
    first = Task.objects.filter(project=c.project).count()
    items = [{"key": f"new {first + k}", "data": {"n": 1 + k / 1000}} for k in range(number)]
    for start in range(0, number, 100):
        answers = predict(project=c.fresh(), items=items[start : start + 100])
        ids = [answer.task for answer in answers]
        reviewer = c.project.members.get(role="manager")
        for id_, mine in zip(ids, is_audited(c.fresh(), ids), strict=True):
            if mine and wrong is not None:
                label = "dog" if wrong else "cat"
                review_task(reviewer=reviewer, task_id=id_, action=ReviewAction.LABEL, label=label)


def test_tasks_whose_audits_nobody_has_answered_prove_nothing(campaign: Make) -> None:
    c = tiered(campaign)
    audit(c)
    before = Certificate.objects.get(project=c.project, ended_at=None)

    hand_over(c, 600, wrong=None)
    seen = looked(c).figures

    assert len(mine(c)) > before.figures["tasks"] + 200, "it answers them, by the certificate"
    now, then = seen["audits"], before.figures
    waiting = Audit.objects.filter(project=c.project, task__gt=then["newest"]).order_by("task")
    assert now["waiting"] == len(waiting) > 30 and (now["audits"], now["wrong"]) == (then["audits"], then["wrong"])
    assert now["bound"] * now["tasks"] == pytest.approx(then["bound"] * then["tasks"])
    assert now["newest"] == waiting[0].task_id - 1, "up to the first that waits"
    assert now["newer"] > 400 and "newer ones count once" in seen["says"]
    assert Certificate.objects.get(project=c.project, ended_at=None) == before

    # Those that people pass over while they answer newer ones count as wrong after a day.
    waiting.update(drawn_at="2000-01-01T00:00Z")
    assert looked(c).figures["audits"]["wrong"] == then["wrong"]
    hand_over(c, 40, wrong=False)
    assert looked(c).figures["audits"]["wrong"] > 30 and max(mine(c)) < waiting[0].task_id


def drifted(campaign: Make) -> tuple[Campaign, set[int]]:
    """Certified, right on 40 further tasks, wrong on 80 more, and not looked at since; the ids of the machine's labels
    before it became worse."""
    c = tiered(campaign)
    audit(c)
    hand_over(c, 40, wrong=False)
    looked(c)
    assert Certificate.objects.filter(project=c.project, kind="revoked").count() == 0
    before = mine(c)
    assert before
    hand_over(c, 80, wrong=True)
    return c, before


def mine(c: Campaign) -> set[int]:
    return set(TaskState.objects.filter(project=c.project, retired="auto").values_list("task_id", flat=True))


def test_labels_from_before_the_machine_became_worse_stay_in_force_by_their_own_audits(campaign: Make) -> None:
    c, before = drifted(campaign)
    after = mine(c) - before
    assert after

    looked(c)

    certificate = Certificate.objects.get(project=c.project, kind="issued", ended_at=None)
    assert certificate.before_task is not None and certificate.figures["bound"] <= 0.1
    assert "become worse" in certificate.reason and "from before stay" in certificate.reason
    assert certificate.figures["wrong"] >= 6 and certificate.figures["since"] == certificate.before_task
    stay = {id_ for id_ in before | after if id_ < certificate.before_task}
    assert mine(c) == stay and len(stay & before) > 0.8 * len(before)
    told = Consensus.objects.filter(task__in=(before | after) - stay)
    assert set(told.values_list("source", "label")) == {("revoked", None)}
    (answer,) = predict(project=c.fresh(), items=[{"key": "next", "data": {"n": 1.5}}])
    assert answer.status == "asked", "it answers nothing new"
    # However often one looks; and its successor is judged by what has come since: here all of it speaks against it.
    assert "learn first" in looked(c).figures["says"] and mine(c) == stay
    retrain(c)
    looked(c)
    assert not mine(c) and not Certificate.objects.filter(project=c.project, kind="issued", ended_at=None).exists()
    assert (Auditing.objects.get(project=c.project).plan or {})["since"] == certificate.before_task


def test_all_labels_are_revoked_where_those_from_before_are_not_proven_any_more(campaign: Make) -> None:
    c, before = drifted(campaign)
    # Experts think again about every other audit of them.
    known = Gold.objects.filter(project=c.project, task__data__n__in=audited(c)[:100:2])
    assert known.update(label=1 - F("label")) > 20

    looked(c)

    revoked = Certificate.objects.get(project=c.project, kind="revoked")
    assert "become worse" in revoked.reason and not mine(c)
    assert "learn first" in looked(c).figures["says"] and not mine(c)


def test_other_wishes_do_not_make_a_machine_good_again(campaign: Make) -> None:
    c, _ = drifted(campaign)
    looked(c)
    since = Certificate.objects.get(project=c.project, kind="issued", ended_at=None).before_task
    configure_project(project_id=c.id, version=c.fresh().version, changes={"auto_label_error": 0.11})

    for _ in range(2):
        assert "learn first" in looked(c).figures["says"]
    assert (Auditing.objects.get(project=c.project).plan or {})["since"] == since and not mine(c)


def test_a_successor_is_judged_by_what_has_come_since_and_then_labels_earlier_tasks_by_audits_of_all(
    campaign: Make,
) -> None:
    c = tiered(campaign, auto_label_error=0.25, audit_share=0.6)
    audit(c)
    since = c.task(200)
    auditing = Auditing.objects.get(project=c.project)
    auditing.plan["drifted"] = since
    auditing.save()
    looked(c)
    assert max(mine(c), default=0) < since
    retrain(c)

    while True:
        seen = looked(c).figures
        everything = seen["audits"].get("all")
        assert everything or not mine(c) or min(mine(c)) >= since, "no label that nothing certifies"
        assert sum(seen["tiers"].values()) >= TaskState.objects.filter(project=c.project, retired=None).count()
        if not undecided(c):
            break
        decide(c, undecided(c))

    assert everything and everything["bound"] <= 0.25 and everything["audits"] > seen["audits"]["audits"]
    assert min(mine(c)) < since <= max(mine(c)) and "of any time" in seen["says"]


def audits_since(c: Campaign, task: int) -> int:
    return Audit.objects.filter(project=c.project, task__gt=task).count()


def test_evidence_of_drift_goes_on_where_another_threshold_is_certified(campaign: Make) -> None:
    c = tiered(campaign)
    audit(c)
    first = Certificate.objects.get(project=c.project, ended_at=None).figures["newest"]
    while audits_since(c, first) < 4:
        hand_over(c, 3, wrong=True)
    assert "become worse" not in looked(c).figures["says"]
    newest = Task.objects.filter(project=c.project).latest("id").id
    certificate = Certificate.objects.get(project=c.project, ended_at=None)
    certificate.figures["newest"] = newest  # as if it had been replaced just now
    certificate.save()

    while audits_since(c, first) < 9:
        hand_over(c, 3, wrong=True)
    assert 3 <= audits_since(c, newest) <= 6
    looked(c)

    assert Certificate.objects.filter(project=c.project, reason__contains="become worse").exists()
