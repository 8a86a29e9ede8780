"""Leases: which tasks an annotator gets next. Only the database's clock counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db import transaction

from projects import queries
from projects.errors import (
    AnnotatorBlocked,
    AnnotatorPaused,
    ProjectPaused,
)
from projects.models import (
    QUALIFICATION_POOL,
    Member,
    Order,
    Project,
    ProjectStatus,
    Stage,
)
from projects.queries import Rows, Statement, fetch, fetch_together, from_json, trips
from projects.services import budget, choosing, confirming, exploration, gold, qualification, quotas
from projects.services.sanctions import KEPT_OUT, refuse_leases

#: Orders in which annotators are spread over tasks; in the others a task is finished before the next is begun.
SPREAD = {Order.PRIORITY, Order.BREADTH_FIRST, Order.RANDOM}
SPREAD_STATEMENTS = (queries.LEASE, queries.LEASE_BEYOND, queries.LEASE_ANYWHERE)
IN_TURN_STATEMENTS = (queries.LEASE_IN_TURN, queries.LEASE_IN_TURN_BEYOND, queries.LEASE_ANYWHERE)
#: The same where gold is injected.
SPREAD_INJECTING = (queries.INJECT, queries.INJECT_BEYOND, queries.INJECT_ANYWHERE, queries.LEASE_AGAIN)
IN_TURN_INJECTING = (
    queries.INJECT_IN_TURN,
    queries.INJECT_IN_TURN_BEYOND,
    queries.INJECT_ANYWHERE,
    queries.LEASE_AGAIN,
)
#: The pool of tasks that were put into none.
POOL = ""


@dataclass(frozen=True)
class Lease:
    """What an annotator is given: nothing of it tells one task from another but its data."""

    id: UUID
    data: Any
    expires_at: datetime
    suggestion: str | None = None  # what the machine says, where people are to confirm it


def lease_tasks(*, member: Member, count: int) -> tuple[list[Lease], str]:
    """Up to ``count`` assignments that the annotator now holds: those held already first, then newly leased ones.

    Nobody holds more than the project's ``max_leases``, however many requests they send at once. The second value says
    why there are not more: "ok" (there are), "retry" (rows were locked just now), "waiting" (all that is left is leased
    by others, or the rest of the budget is reserved by their leases; or there are too few tasks to qualify with),
    "finished" (nothing is left for this person), "budget_spent", "target_reached" (the labels are certified to be right
    enough), "quota_reached" (nothing more from this person, today or for good), "not_qualified" (they have failed the
    test). Raises ProjectPaused, AnnotatorPaused or
    AnnotatorBlocked.
    """
    leased, why = _lease_any(member, count)
    if leased and member.project.confirm_above is not None and not qualification.is_due(member):
        return confirming.suggest(project=member.project, leases=leased), why
    return leased, why


def _lease_any(member: Member, count: int) -> tuple[list[Lease], str]:
    """As ``lease_tasks``, without what the machine says."""
    refuse_leases(member)
    project = member.project
    if project.status != ProjectStatus.ACTIVE:
        raise ProjectPaused()
    if project.stopped_at is not None:
        return [], "target_reached"
    count = min(count, project.max_leases)
    if qualification.is_due(member):
        given = _lease_to_qualify(member, count)
        if given is not None:
            return given
    if project.has_quotas:
        return _lease_within_quota(member, count)
    leased = _lease_within_budget(member, count)
    return (leased, "ok") if leased else ([], _why_nothing(member))


def shared_out(
    wanted: Sequence[tuple[Member, int]], given: Sequence[tuple[Member | None, Statement]], found: Sequence[Rows]
) -> list[list[Lease]]:
    """For each annotator the leases, as many as wanted, of the rows of the statements of ``leasing_together``."""
    leases: dict[int, list[Lease]] = {member.id: [] for member, _ in wanted}
    for (member, _), rows in zip(given, found, strict=True):
        for row in rows:
            annotator, lease = (row[0], row[1:]) if member is None else (member.id, row)
            leases[annotator].extend(leases_of([lease]))
    return [leases[member.id][:count] for member, count in wanted]


def leasing_together(wanted: Sequence[tuple[Member, int]]) -> list[tuple[Member | None, Statement]]:
    """The statements that lease, as ``leasing`` says, for these annotators of one project; each with whose it is.

    That of several annotators at once (None) has their ids before what ``leases_of`` takes.
    """
    single = [
        (member, statement)
        for member, count in wanted
        if (statement := leasing(member=member, count=count)) is not None
    ]
    project = single[0][0].project if single else None
    if len(single) < 2 or project is None or project.order not in SPREAD or project.gold_share is not None:
        return [*single]
    counts = {member.id: min(count, project.max_leases) for member, count in wanted}
    given = {
        "annotators": [member.id for member, _ in single],
        "counts": [counts[member.id] for member, _ in single],
        "lease": timedelta(seconds=project.lease_seconds),
    }
    return [(None, (queries.LEASE_TOGETHER, {**given, "project": project.id, "pool": POOL}))]


def leasing(*, member: Member, count: int) -> Statement | None:
    """The statement, and its parameters, that leases from the first tasks of the queue alone: perhaps too few.

    None where that is not all there is to it: the project has stopped, it or the annotator is paused, leases cost
    something, the annotator has a quota, pools of their own, has yet to qualify, people are shown what the machine
    says, a share is left to chance, or what comes next depends on who asks.
    """
    project = member.project
    more = project.costs or project.has_quotas or member.tags or qualification.is_due(member)
    if (
        more
        or project.confirm_above is not None
        or project.explore_share is not None
        or choosing.chooses(project)
        or project.status != ProjectStatus.ACTIVE
        or project.stopped_at is not None
        or member.standing in KEPT_OUT
    ):
        return None
    return _statements(project)[0], _wanted(member, min(count, project.max_leases))


def leases_of(rows: Rows) -> list[Lease]:
    """What one of the lease statements has found."""
    return [Lease(id_, from_json(data), expires_at) for id_, data, expires_at in rows]


def _lease(member: Member, count: int, price: Decimal | None = None, pools: Sequence[str] | None = None) -> list[Lease]:
    leased: list[Lease] = []
    tried = _pools_in_order(member) if pools is None else pools
    exploring = exploration.exploring(member.project, _wanted(member, count, price, tried[0])) if pools is None else []
    first, *_ = statements = _statements(member.project, injecting=pools is None)
    for statement in statements:
        for pool in tried:
            wanted = _wanted(member, count, price, pool)
            chosen = choosing.choosing(member.project, wanted) if pools is None and statement is first else []
            *_, rows = fetch_together(*exploring, *chosen, (statement, wanted))
            exploring = []
            leased = leases_of(rows)
            if len(leased) >= count:
                return leased
    return leased


def _pools(member: Member) -> list[str]:
    """What this annotator may be given tasks of: those without a pool, and those of their tags."""
    return [POOL, *member.tags]


def _pools_in_order(member: Member) -> list[str]:
    """The pools in which there is something to do, that with the first task before the others."""
    if not member.tags:
        return [POOL]
    (rows,) = fetch_together((queries.POOLS_IN_ORDER, {"project": member.project_id, "pools": _pools(member)}))
    # Nothing to do: one look all the same, for what the annotator holds.
    return [pool for (pool,) in rows] or [POOL]


def _statements(project: Project, *, injecting: bool = True) -> Sequence[str]:
    """What is tried, one after the other, until enough is found. injecting: with gold, if the project wants it."""
    if injecting and project.gold_share is not None:
        return SPREAD_INJECTING if project.order in SPREAD else IN_TURN_INJECTING
    return SPREAD_STATEMENTS if project.order in SPREAD else IN_TURN_STATEMENTS


def _wanted(member: Member, count: int, price: Decimal | None = None, pool: str = POOL) -> dict[str, Any]:
    lease = timedelta(seconds=member.project.lease_seconds)
    who = {"project": member.project_id, "pool": pool, "annotator": member.id}
    coins = {} if member.project.gold_share is None else {"coins": gold.toss(member.project.gold_share, count)}
    return {**who, **coins, "count": count, "lease": lease, "price": price}


def _lease_within_budget(member: Member, count: int) -> list[Lease]:
    """What is leased is paid for in the same transaction; where no share has as much, all shares together."""
    if not member.project.costs:
        return _lease(member, count)
    with trips() as trip:
        funds = budget.take(trip, member=member, count=count)
        if funds is not None:
            leased, unused = _lease_funded(member, count, funds)
            trip(*unused, last=True)
            return leased
    with transaction.atomic():
        leased, unused = _lease_funded(member, count, budget.gather(member=member, count=count))
        if unused:
            fetch_together(*unused)
        return leased


def _lease_funded(member: Member, count: int, funds: budget.Funds) -> tuple[list[Lease], list[Statement]]:
    """What these funds pay for, and the statement that puts back what they have too much."""
    leased = _lease(member, min(count, len(funds.held) + funds.leases), funds.price)
    used = sum(lease.id not in funds.held for lease in leased)
    return leased, budget.putting_back(project_id=member.project_id, funds=funds, leases=funds.leases - used)


@transaction.atomic
def _lease_within_quota(member: Member, count: int) -> tuple[list[Lease], str]:
    """Votes of this annotator and leases that they hold never exceed a quota: both are counted under their lock."""
    allowance = quotas.allowance(member)
    if not allowance.leases:
        return [], "quota_reached"
    leased = _lease_within_budget(member, min(count, allowance.leases))
    return (leased, "ok") if leased else ([], _why_nothing(member))


@transaction.atomic
def _lease_to_qualify(member: Member, count: int) -> tuple[list[Lease], str] | None:
    """As ``lease_tasks``, of the tasks for training or the test; None if the annotator is qualified by now.

    These cost nothing, and no quota limits them. Nobody holds more than their stage has left.
    """
    left = qualification.settle(member)
    if member.stage == Stage.QUALIFIED:
        return None
    if member.stage == Stage.FAILED:
        return [], "not_qualified"
    leased = _lease(member, min(count, left), pools=[QUALIFICATION_POOL])
    if leased:
        return leased, "ok"
    return [], "retry" if _left_over(member, [QUALIFICATION_POOL]) else "waiting"


def _why_nothing(member: Member) -> str:
    has_room = _left_over(member, _pools(member))
    if has_room is None:
        return "finished"
    short = budget.shortage(member.project_id) if member.project.costs else None
    return short or ("retry" if has_room else "waiting")


def _left_over(member: Member, pools: list[str]) -> bool | None:
    """Is an open task left for this person in these pools, with room (True) or only without (False)? None: none is."""
    ((has_room,),) = fetch(queries.LEFT_OVER, project=member.project_id, pools=pools, annotator=member.id)
    assert has_room is None or isinstance(has_room, bool)
    return has_room


def lease_next(*, member: Member, count: int) -> tuple[list[Lease], str]:
    """As ``lease_tasks`` for whoever has just voted: a pause must not take back that their votes were stored."""
    if count == 0:
        return [], "ok"
    try:
        return lease_tasks(member=member, count=count)
    except (ProjectPaused, AnnotatorPaused, AnnotatorBlocked):
        return [], "waiting"
