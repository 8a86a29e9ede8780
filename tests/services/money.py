"""What must be true of a project's money at every moment."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from projects.models import BudgetShare, Payment, Project, Vote
from projects.selectors import budget_of
from tests.services.campaign import Campaign


def standing(c: Campaign) -> dict[str, Any]:
    found = budget_of(c.fresh())
    assert found is not None
    return found


def spent_reserved_available(c: Campaign) -> tuple[Decimal, Decimal, Decimal]:
    found = standing(c)
    return found["spent"], found["reserved"], found["available"]


def assert_budget_adds_up(project: Project) -> None:
    """The budget is what is available, reserved and spent, also while people are at work."""
    found = budget_of(Project.objects.get(id=project.id))
    assert found is not None
    if found["budget"] is not None:
        assert found["budget"] == found["spent"] + found["reserved"] + found["available"]


def assert_money_adds_up(project: Project) -> None:
    """The budget adds up, no share is below nothing, and the ledger has a line for each vote that cost something."""
    assert_budget_adds_up(project)
    has_budget = Project.objects.filter(id=project.id, budget__isnull=False).exists()
    shares = BudgetShare.objects.filter(project=project).values_list("available", flat=True)
    assert all(share >= 0 if has_budget else share is None for share in shares)
    lines = {
        payment.vote_id: (payment.annotator_id, payment.amount) for payment in Payment.objects.filter(project=project)
    }
    votes = Vote.objects.filter(project=project, assignment__price__isnull=False).exclude(status="uncounted")
    owed = {vote.id: (vote.annotator_id, vote.assignment.price) for vote in votes.select_related("assignment")}
    assert lines == owed
