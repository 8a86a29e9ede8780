"""Labels that become worse once they are certified: found soon, and not certified again by what was before."""

from aggregation.models import Auditing, Certificate
from aggregation.services.auditing import is_audited
from aggregation.services.handover import predict
from projects.models import ReviewAction, Task
from projects.services.reviews import review_task
from tests.services.campaign import Campaign
from tests.services.test_tiers import Make, alone, audited, decide, looked, retrain, tiered


def hand_over(c: Campaign, number: int, *, wrong: bool) -> None:
    """New tasks of which the machine says cat, each of which is audited and decided by an expert."""
    first = Task.objects.filter(project=c.project).count()
    items = [{"key": f"new {first + k}", "data": {"n": 1 + k / 1000}} for k in range(number)]
    for start in range(0, number, 100):
        answers = predict(project=c.fresh(), items=items[start : start + 100])
        ids = [answer.task for answer in answers]
        reviewer = c.project.members.get(role="manager")
        for id_, mine in zip(ids, is_audited(c.fresh(), ids), strict=True):
            if mine:
                label = "dog" if wrong else "cat"
                review_task(reviewer=reviewer, task_id=id_, action=ReviewAction.LABEL, label=label)


def test_a_machine_that_becomes_worse_is_revoked_and_not_certified_by_its_past(campaign: Make) -> None:
    c = tiered(campaign)
    decide(c, audited(c))
    looked(c)
    hand_over(c, 40, wrong=False)
    looked(c)
    assert Certificate.objects.filter(project=c.project, kind="revoked").count() == 0 and alone(c)

    hand_over(c, 60, wrong=True)
    looked(c)

    revoked = Certificate.objects.get(project=c.project, kind="revoked")
    assert "become worse" in revoked.reason and revoked.figures["wrong"] >= 6
    assert not alone(c)
    assert "learn first" in looked(c).figures["says"] and not alone(c)
    # The next learner is judged by what has come since: here all of it speaks against it.
    retrain(c)
    looked(c)
    assert not alone(c) and Certificate.objects.filter(project=c.project, kind="issued", ended_at=None).count() == 0
    assert (Auditing.objects.get(project=c.project).plan or {})["since"] == revoked.figures["since"]
