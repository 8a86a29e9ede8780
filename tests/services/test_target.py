"""A project stops once audits by experts certify that its labels are right enough, and tells what that takes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from aggregation.models import AccuracyCertificate, Freeze, Outlook
from aggregation.services.halting import stop
from aggregation.services.outlook_words import in_words
from aggregation.services.target import look_at_target
from projects.models import Gold, LabelAudit, ReviewAction
from projects.review_selectors import review_queue, reviewable_tasks
from projects.services.leases import lease_tasks
from projects.services.projects import configure_project
from projects.services.reviews import review_task
from tests.services.campaign import Campaign
from tests.support.client import wait_for

Make = Callable[..., Campaign]
TASKS = 200


def truth(n: int) -> str:
    return "cat" if n % 2 else "dog"


def labelled(campaign: Make, *, right: float, tasks: int = TASKS, **settings: object) -> Campaign:
    """Three people agree on every task, on so large a share of them rightly: the wrong ones lie evenly between."""
    wanted = {"target_accuracy": 0.85, "audit_share": 0.5, "redundancy": 4}
    c = campaign(annotators=1, **{**wanted, **settings})
    c.upload([{"key": str(n), "data": {"n": n}} for n in range(tasks)])
    wrong = np.diff(np.floor((1 - right) * np.arange(tasks + 1) + 0.5)) > 0
    c.import_votes([(str(n), who, truth(n + int(wrong[n]))) for n in range(tasks) for who in ("Ada", "Bob", "Cleo")])
    c.refit()
    return c


def configure(c: Campaign, **changes: object) -> None:
    configure_project(project_id=c.id, version=c.fresh().version, changes=changes)


def looked(c: Campaign) -> dict[str, Any]:
    def done() -> bool:
        Outlook.objects.filter(project=c.project).update(rests_until="2000-01-01T00:00Z", seen_version=0)
        return look_at_target(project_id=c.id)

    wait_for(done, what="a look: the stack's worker may be at one")
    return dict(Outlook.objects.get(project=c.project).figures)


def asked(c: Campaign) -> list[int]:
    """The tasks that experts are asked about, in the queue's order."""
    found = [task for _, task in review_queue(c.project, after=None, limit=1000)]
    return [row["data"]["n"] for row in reviewable_tasks(c.project, found) if row["reason"] == "audit"]


def decide(c: Campaign, numbers: list[int]) -> dict[str, Any]:
    reviewer = c.project.members.get(role="manager")
    for n in numbers:
        review_task(reviewer=reviewer, task_id=c.task(n), action=ReviewAction.LABEL, label=truth(n))
    c.refit()
    return looked(c)


def why_no_lease(c: Campaign) -> str:
    return lease_tasks(member=c.member(0), count=1)[1]


def test_it_stops_once_audits_by_experts_certify_the_target_and_goes_on_when_that_is_no_longer_so(
    campaign: Make,
) -> None:
    c = labelled(campaign, right=0.99)
    assert looked(c)["audits"]["asked"] and len(asked(c)) == 50 and why_no_lease(c) == "ok"

    figures = decide(c, asked(c))

    assert figures["certified"] >= 0.85 and "is reached" in figures["says"] and not asked(c)
    assert why_no_lease(c) == "target_reached"
    (certificate,) = AccuracyCertificate.objects.filter(project=c.project)
    assert certificate.kind == "issued" and certificate.figures["audits"] == figures["audits"]["answered"]
    assert set(Gold.objects.filter(project=c.project).values_list("origin", flat=True)) == {"audit"}

    configure(c, target_accuracy=0.995)
    assert c.fresh().stopped_at is None and why_no_lease(c) == "ok", "at once"
    assert looked(c)["certified"] < 0.995 and c.fresh().stopped_at is None
    configure(c, target_accuracy=0.85)
    assert looked(c)["audits"]["asked"], "labels are frozen anew, as those before led nowhere"
    decide(c, asked(c))
    assert why_no_lease(c) == "target_reached"

    c.upload([{"data": {"n": TASKS + n}} for n in range(TASKS)])
    assert looked(c)["unlabelled"] == TASKS and why_no_lease(c) == "ok"
    record = AccuracyCertificate.objects.filter(project=c.project).order_by("id")
    assert [row.kind for row in record] == ["issued", "revoked", "issued", "revoked"]
    assert [row.ended_at is None for row in record] == [False, True, False, True]

    configure(c, target_accuracy=None)
    assert looked(c) == {} and not asked(c)
    assert not Freeze.objects.filter(project=c.project, ended_at__isnull=True).exists()


def test_an_audit_scores_the_label_that_was_frozen_and_audits_that_lead_nowhere_are_given_up(campaign: Make) -> None:
    c = labelled(campaign, right=0.7)
    looked(c)
    first = asked(c)

    figures = decide(c, first)

    frozen = {row.task_id: row.label for row in LabelAudit.objects.filter(project=c.project)}
    right = sum(frozen[c.task(n)] == c.project.labels.index(truth(n)) for n in first)
    assert right < len(first), "some are wrong, or this says nothing"
    (freeze,) = Freeze.objects.filter(project=c.project)
    assert freeze.ended_for.startswith(f"{right} of {len(first)} audited labels were right") and not freeze.tasks
    assert figures["certified"] < 0.85 and not AccuracyCertificate.objects.filter(project=c.project).exists()
    assert c.consensus(first[0]).label == c.project.labels.index(truth(first[0])), "consumers read the expert's answer"
    assert not asked(c) and why_no_lease(c) == "ok", "voting goes on"


def test_a_look_does_not_stop_what_a_manager_has_changed_meanwhile(campaign: Make) -> None:
    c = campaign(tasks=1, annotators=1, target_accuracy=0.9)
    before = c.fresh()
    configure(c, target_accuracy=0.95)

    assert not stop(project=before, freeze=None, figures={"bound": 0.92})

    assert c.fresh().stopped_at is None and not AccuracyCertificate.objects.filter(project=c.project).exists()


def test_it_says_when_the_target_is_out_of_reach_and_what_the_budget_buys(campaign: Make) -> None:
    c = labelled(campaign, right=0.9, tasks=60, target_accuracy=0.98, audit_share=0.1, budget=100)
    says = looked(c)["says"]
    assert "6 audits can't certify 98.0%" in says and "buys 100 votes" in says
    assert why_no_lease(c) == "ok", "voting goes on"


def test_it_says_why_votes_do_not_reach_the_target() -> None:
    accuracy = {"expected": 0.8, "low": 0.77, "high": 0.83}
    audits = {"asked": False, "answered": 0, "right": 0, "waiting": 0, "left": 500}
    full = {"votes": 900, "accuracy": 0.84, "low": 0.81, "high": 0.87}
    figures = {"accuracy": accuracy, "unlabelled": 0, "machine": 0, "budget": None, "audits": audits, "full": full}
    figures |= {"target": 0.95, "certified": 0.1, "aim": 0.97, "ends": False}

    def said(votes: int | None, high: int | None = None, **more: Any) -> str:
        return in_words(figures | {"needed": {"votes": votes, "low": votes, "high": high}} | more)

    assert "with all 900 votes that redundancy still allows about 84.0% will be" in said(None)
    assert "no more votes will come" in said(None, ends=True)
    assert "after about 300 more votes (300 to more than the 900 that redundancy allows)" in said(300)
    assert "after about 300 more votes (300 to 400)" in said(300, 400)
    assert "(77.0% to 83.0%)" in said(None)
