"""Which of experts' answers count for a project's target, and when labels are frozen anew."""

from __future__ import annotations

from collections.abc import Callable

from aggregation.models import Freeze, Outlook
from aggregation.services.target import targets_due
from projects.models import Gold, LabelAudit
from tests.services.campaign import Campaign
from tests.services.test_target import asked, configure, decide, labelled, looked, why_no_lease

Make = Callable[..., Campaign]
LONG_AGO = "2000-01-01T00:00Z"


def test_labels_are_frozen_anew_for_another_confidence(campaign: Make) -> None:
    c = labelled(campaign, right=0.99)
    looked(c)
    decide(c, asked(c))
    assert why_no_lease(c) == "target_reached"

    configure(c, target_accuracy_confidence=0.9)

    assert looked(c)["audits"]["asked"] and asked(c)
    decide(c, asked(c))
    assert why_no_lease(c) == "target_reached"


def test_one_answer_that_is_missing_does_not_end_audits_that_are_answered_already(campaign: Make) -> None:
    c = labelled(campaign, right=0.99, audit_share=0.25)
    looked(c)
    first, second, third, *others = asked(c)

    figures = decide(c, [first, second, *others])

    assert figures["audits"]["answered"] == 2 and figures["audits"]["waiting"] > 0
    assert not Freeze.objects.filter(project=c.project, ended_at__isnull=False).exists()
    assert decide(c, [third])["certified"] >= 0.85 and why_no_lease(c) == "target_reached"


def test_audits_that_nobody_is_asked_about_any_more_say_nothing(campaign: Make) -> None:
    c = labelled(campaign, right=1.0, target_accuracy=0.8)
    looked(c)
    numbers = asked(c)
    answered, left = numbers[:40], numbers[40:]
    decide(c, answered)
    assert why_no_lease(c) == "target_reached" and left and not asked(c)
    LabelAudit.objects.filter(project=c.project, open=False).update(drawn_at=LONG_AGO)

    figures = decide(c, left[-1:])

    assert Gold.objects.get(task=c.task(left[-1])).origin == "review", "it tells of what was disputed"
    assert figures["audits"]["right"] == 40 and why_no_lease(c) == "target_reached"


def test_no_look_is_due_for_tasks_that_it_does_not_look_at(campaign: Make) -> None:
    c = labelled(campaign, right=0.9, tasks=20)
    c.upload([{"key": "q", "data": {"n": 0}, "gold": "dog"}])
    Gold.objects.filter(project=c.project).update(origin="qualification")
    c.refit()
    looked(c)

    Outlook.objects.filter(project=c.project).update(rests_until=LONG_AGO)

    assert targets_due(project_id=c.id) == []
