"""Reads of people and work."""

from __future__ import annotations

from typing import Any

from django.db import connection
from django.db.models import Count, OuterRef, Prefetch, Q, QuerySet, Subquery, Sum

from projects import queries
from projects.models import (
    QUALIFICATION_POOL,
    Assignment,
    AssignmentStatus,
    Invite,
    Member,
    Payment,
    Project,
    Task,
    User,
    Vote,
    VoteMode,
    VoteStatus,
)
from projects.queries import fetch
from projects.services.qualification import qualification_of


def projects_of(user: User) -> QuerySet[Member]:
    """The person's memberships, each with its project."""
    return Member.objects.filter(user=user).select_related("project")


def tasks_of(project: Project) -> QuerySet[Task]:
    """With their state, queue and gold, ``explored``, their ``skips``, and their ``uncounted`` votes."""
    skips = Assignment.objects.filter(status=AssignmentStatus.SKIPPED).only("task_id", "skip_reason")
    uncounted = Vote.objects.filter(status=VoteStatus.UNCOUNTED, mode=VoteMode.LABEL).only("task_id")
    # Index assignment_once_per_annotator.
    lasting = ~Q(status__in=[AssignmentStatus.EXPIRED, AssignmentStatus.RELEASED])
    by_chance = Assignment.objects.filter(lasting, task=OuterRef("pk"), explored__isnull=False).order_by("leased_at")
    return (
        Task.objects.filter(project=project)
        .annotate(explored=Subquery(by_chance.values("explored")[:1]))
        .select_related("state", "queue", "gold")
        .prefetch_related(Prefetch("assignments", skips, "skips"), Prefetch("votes", uncounted, "uncounted"))
    )


def members_of(project: Project) -> QuerySet[Member]:
    uncounted = Q(votes__status=VoteStatus.UNCOUNTED, votes__mode=VoteMode.LABEL)
    counts = {
        "vote_count": Count("votes", filter=Q(votes__status=VoteStatus.COUNTED)),
        "uncounted_count": Count("votes", filter=uncounted),
    }
    return Member.objects.filter(project=project, user__isnull=False).annotate(**counts)


def invites_of(project: Project) -> QuerySet[Invite]:
    return Invite.objects.filter(project=project, revoked_at__isnull=True)


def own_progress(member: Member) -> dict[str, Any]:
    """What an annotator sees of their own work."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT date_trunc('day', now(), 'UTC')")
        (today,) = cursor.fetchone()
    votes = (
        Vote.objects.filter(annotator=member)
        .exclude(status=VoteStatus.UNCOUNTED)
        .aggregate(votes=Count("id"), votes_today=Count("id", filter=Q(created_at__gte=today)))
    )
    assignments = Assignment.objects.filter(annotator=member).aggregate(
        skipped=Count("id", filter=Q(status=AssignmentStatus.SKIPPED)),
        open_leases=Count("id", filter=Q(status=AssignmentStatus.OPEN)),
    )
    quotas = {"daily_quota": member.project.daily_quota, "total_quota": member.project.total_quota}
    standing = {"standing": member.standing, "paused_until": member.paused_until}
    return {**votes, **assignments, **quotas, **_own_earnings(member), **standing}


def _own_earnings(member: Member) -> dict[str, Any]:
    """Null where people are not paid."""
    project = member.project
    if project.price_per_vote is None:
        return {"earned": None, "price_per_vote": None, "currency": project.currency}
    earned = Payment.objects.filter(annotator=member).aggregate(all=Sum("amount"))["all"] or 0
    return {"earned": earned, "price_per_vote": project.price_per_vote, "currency": project.currency}


def budget_of(project: Project) -> dict[str, Any] | None:
    """Where the project's money is, of one moment; None for a project in which nothing ever cost anything.

    With a budget, ``budget == spent + reserved + available``, exactly (docs/budget.md).
    """
    ((spent, reserved, available),) = fetch(queries.STANDING, project=project.id)
    if not project.costs and not spent and not reserved:
        return None
    return {
        "budget": project.budget,
        "spent": spent,
        "reserved": reserved,
        "available": available,
        "unit": "votes" if project.price_per_vote is None else "money",
        "price_per_vote": project.price_per_vote,
        "currency": project.currency,
    }


def payments_of(project: Project) -> QuerySet[Payment]:
    """The ledger, each line with its annotator and its task."""
    return Payment.objects.filter(project=project).select_related("annotator", "vote__task")


def earnings_of(project: Project) -> QuerySet[Member]:
    """Everybody who has been paid, with ``paid_votes`` and ``paid``."""
    paid = {"paid_votes": Count("payments"), "paid": Sum("payments__amount")}
    return Member.objects.filter(project=project, payments__isnull=False).annotate(**paid)


def pools_of(project: Project) -> list[dict[str, Any]]:
    """Each pool: its open tasks, and how many people have its tag. Without any, nobody will ever be given them."""
    rows = fetch(queries.POOLS, project=project.id, reserved=QUALIFICATION_POOL)
    return [{"pool": pool, "open": open_, "members": members} for pool, open_, members in rows]


# Tasks of redundancy 0 are never handed out: they are tasks, but neither open nor done. Nor is gold that is injected:
# the campaign is finished without it, and it wants no more votes than it has. Gold is known and tells nothing of the
# crowd's confidence. Tasks for qualification are counted by themselves.
_ORDINARY = "NOT (p.gold_share IS NOT NULL AND g.origin = 'uploaded') IS TRUE AND s.redundancy > 0"
TASK_COUNTS = f"""
SELECT count(*), count(*) FILTER (WHERE {_ORDINARY}), count(*) FILTER (WHERE {_ORDINARY} AND s.retired IS NULL),
       coalesce(sum(s.votes), 0), coalesce(sum(s.leases), 0),
       coalesce(sum(CASE WHEN {_ORDINARY} THEN s.redundancy ELSE s.votes + s.leases END), 0),
       avg(s.confidence) FILTER (WHERE s.votes > 0 AND g.label IS NULL)
FROM projects_task t JOIN projects_taskstate s ON s.task_id = t.id JOIN projects_project p ON p.id = t.project_id
LEFT JOIN projects_gold g ON g.task_id = t.id
WHERE t.project_id = %s AND g.origin IS DISTINCT FROM 'qualification'
"""
RETIRED = f"""
SELECT s.retired, count(*)
FROM projects_task t JOIN projects_taskstate s ON s.task_id = t.id JOIN projects_project p ON p.id = t.project_id
LEFT JOIN projects_gold g ON g.task_id = t.id
WHERE t.project_id = %s AND s.retired IS NOT NULL AND {_ORDINARY} GROUP BY s.retired
"""
HISTOGRAM = """
SELECT least(floor(s.confidence * 10)::int, 9), count(*)
FROM projects_task t JOIN projects_taskstate s ON s.task_id = t.id LEFT JOIN projects_gold g ON g.task_id = t.id
WHERE t.project_id = %s AND s.votes > 0 AND g.label IS NULL GROUP BY 1
"""
RECENT = """
SELECT count(*) FILTER (WHERE status <> 'uncounted' AND created_at > now() - interval '5 minutes'),
       count(*) FILTER (WHERE status = 'uncounted' AND mode = 'label')
FROM projects_vote WHERE project_id = %s
"""


def task_statistics(project: Project) -> dict[str, Any]:
    """Counts over a project's tasks and votes, as of now."""
    with connection.cursor() as cursor:
        cursor.execute(TASK_COUNTS, [project.id])
        tasks, askable, open_, votes, leases, wanted, confidence = cursor.fetchone()
        cursor.execute(RETIRED, [project.id])
        retired = dict(cursor.fetchall())
        cursor.execute(HISTOGRAM, [project.id])
        histogram = [0] * 10
        for bin_, count in cursor.fetchall():
            histogram[bin_] = count
        cursor.execute(RECENT, [project.id])
        recent, uncounted = cursor.fetchone()
    return {
        "tasks": tasks,
        "open": open_,
        "retired": retired,
        "votes": votes,
        "uncounted_votes": uncounted,
        "open_leases": leases,
        "votes_wanted": wanted,
        "mean_confidence": confidence,
        "confidence_histogram": histogram,
        "votes_per_minute": recent / 5,
        "pools": pools_of(project),
        "qualification": qualification_of(project),
        "progress": (askable - open_) / askable if askable else 0.0,
    }
