"""The budget: reserved when a task is leased, spent when it is voted on, never exceeded (docs/budget.md)."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from uuid import UUID

from django.db import transaction

from projects import queries
from projects.errors import Conflict, Invalid
from projects.models import Member, Project
from projects.queries import Statement, Trips, fetch

#: Settings that the budget follows from.
SETTINGS = {"budget", "price_per_vote"}
#: So many leases can take money at the same moment.
SHARES = 16


@dataclass(frozen=True)
class Funds:
    """Taken out of a share for so many new leases, beside those that the annotator holds."""

    held: list[UUID]
    leases: int
    price: Decimal | None = None  # of each; None = nothing
    share: int = 0


def take(trip: Trips, *, member: Member, count: int) -> Funds | None:
    """Funds for ``count`` leases with those held, out of one share; None if no share that is free has as much."""
    what = {"project": member.project_id, "annotator": member.id, "count": count}
    (((held, leases, price, share),),) = trip((queries.TAKE, what))
    return None if leases and price is None else Funds(held, leases, price or None, share or 0)


def gather(*, member: Member, count: int) -> Funds:
    """As ``take``, out of all shares together: as much as there is. Waits for leases and votes that are under way."""
    project = {"project": member.project_id}
    ((held,),) = fetch(queries.HOLD, annotator=member.id)
    ((affordable, _reserved),) = fetch(queries.FUNDS_LEFT, **project)
    if not affordable:
        return Funds(held, 0)
    fetch(queries.LOCK_BUDGET, **project)
    ((available, price),) = fetch(queries.LOCK_SHARES, **project)
    leases = max(0, count - len(held))
    if available is not None:
        leases = min(leases, int(available // price))
        fetch(queries.SPREAD, **project, available=available - leases * price, price=price)
    return Funds(held, leases, price or None)


def putting_back(*, project_id: int, funds: Funds, leases: int) -> list[Statement]:
    """The statement that puts back what so many leases would have cost, in the transaction that took it; or none."""
    if not leases or not funds.price:
        return []
    return [(queries.PUT_BACK, {"project": project_id, "number": funds.share, "amount": leases * funds.price})]


def shortage(project_id: int) -> str | None:
    """None: there is budget for a lease. "waiting": open leases hold what is left of it; else "budget_spent"."""
    ((affordable, reserved),) = fetch(queries.FUNDS_LEFT, project=project_id)
    return None if affordable else "waiting" if reserved else "budget_spent"


@dataclass(frozen=True)
class LateFunds:
    """What may pay for a late vote, held until the end of the transaction."""

    project_id: int
    price: Decimal | None
    available: Decimal | None = None
    price_now: Decimal | None = None

    @property
    def suffice(self) -> bool:
        return self.price is None or self.available is None or self.available >= self.price

    def spend(self) -> None:
        if self.price is not None and self.available is not None:
            left = self.available - self.price
            fetch(queries.SPREAD, project=self.project_id, available=left, price=self.price_now)


def lock_late(*, project_id: int, annotator: int, assignment: UUID) -> Decimal | None:
    """The price of an assignment whose lease has ended, budget locked; None if it costs nothing."""
    rows = fetch(queries.LATE_PRICE, annotator=annotator, assignment=assignment)
    if not rows:
        return None
    fetch(queries.LOCK_BUDGET, project=project_id)
    price: Decimal = rows[0][0]
    return price


def late_funds(*, project_id: int, price: Decimal | None) -> LateFunds:
    """What is there for a late vote of this price, after its lease has given back what it had reserved."""
    if price is None:
        return LateFunds(project_id, None)
    ((available, price_now),) = fetch(queries.LOCK_SHARES, project=project_id)
    return LateFunds(project_id, price, available, price_now)


@transaction.atomic
def configure_budget(*, project: Project, before: Project | None) -> None:
    """Make the project's budget and price those of its settings, exactly and at once. before: as it was.

    Raises Invalid for a budget in votes that is no whole number; Conflict for a budget below what is spent and
    reserved, and for another unit once anything is.
    """
    in_votes = project.price_per_vote is None
    if in_votes and project.budget is not None and project.budget % 1:
        detail = "A budget without a price per vote is a number of votes: a whole one."
        raise Invalid(detail, field="budget", code="not_whole")
    fetch(queries.LOCK_BUDGET, project=project.id)
    fetch(queries.MAKE_SHARES, project=project.id, shares=SHARES)
    fetch(queries.LOCK_SHARES, project=project.id)
    ((spent, reserved, _available),) = fetch(queries.STANDING, project=project.id)
    used = spent + reserved
    if used and before is not None and in_votes != (before.price_per_vote is None):
        detail = "Votes are paid for already, or about to be: whether the budget is in votes or in money stays."
        raise Conflict(detail, field="price_per_vote", code="budget_unit_fixed")
    if project.budget is not None and project.budget < used:
        detail = f"At least {plain(used)}: {plain(spent)} is spent and {plain(reserved)} is reserved by open leases."
        raise Conflict(detail, field="budget", code="budget_too_low")
    fetch(
        queries.SPREAD,
        project=project.id,
        available=None if project.budget is None else project.budget - used,
        price=(project.price_per_vote or Decimal(1)) if project.costs else Decimal(0),
    )


def plain(amount: Decimal) -> str:
    """An amount as the API writes it: no exponent, no zeros at the end."""
    return f"{amount.normalize():f}"
