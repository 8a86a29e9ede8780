"""What is done about annotators, by rules and by managers: on record, and undone by one call."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.db.models.functions import Now

from projects import queries
from projects.errors import AlreadyLifted, AnnotatorBlocked, AnnotatorPaused, ManagerNotSanctioned
from projects.models import Action, Event, Member, Project, Role, Rule, Sanction, Standing, Vote
from projects.models.work import EventKind
from projects.queries import fetch
from projects.services.hints import hint_after_commit
from projects.services.recompute import recompute_tasks

#: Tasks whose votes change, or leases that end, in one transaction.
CHUNK = 500


#: Who gets no new tasks.
KEPT_OUT = {Standing.PAUSED, Standing.BLOCKED}


def refuse_leases(member: Member) -> None:
    """Raises AnnotatorPaused or AnnotatorBlocked for whoever gets no new tasks, going by the member as it was read."""
    if member.standing == Standing.PAUSED:
        raise AnnotatorPaused()
    if member.standing == Standing.BLOCKED:
        raise AnnotatorBlocked()


def sanction(
    *,
    annotator: Member,
    action: Action,
    reason: str,
    rule: Rule | None = None,
    by: Member | None = None,
    evidence: Mapping[str, Any] | None = None,
    hours: int | None = None,
) -> Sanction | None:
    """Warn, pause, block or discard, from now on; None if this rule has acted on this annotator already.

    A vote or a lease that is under way ends first; when this returns no other can come of somebody blocked, what they
    held is with others again, and of somebody discarded no vote counts. hours: how long a pause lasts. Raises
    ManagerNotSanctioned.
    """
    with transaction.atomic():
        locked = _lock(annotator.id)
        if locked.role == Role.MANAGER:
            raise ManagerNotSanctioned()
        if rule is not None and Sanction.objects.filter(rule=rule, annotator=locked).exists():
            return None
        done = Sanction.objects.create(
            project_id=locked.project_id,
            annotator=locked,
            rule=rule,
            by=by,
            action=action,
            reason=reason,
            evidence=dict(evidence or {}),
            until=Now() + timedelta(hours=hours) if action == Action.PAUSE and hours else None,
            pending=action in (Action.BLOCK, Action.DISCARD),
        )
        fetch(queries.STAND, annotator=locked.id)
    carry_out(sanction_id=done.id)
    done.refresh_from_db()
    return done


def lift(*, sanction: Sanction, by: Member | None, reason: str = "") -> Sanction:
    """Take a sanction back: the annotator stands as the others in force have it, and the very votes that it discarded
    count again, unless another discarding is in force. Leases that it ended are not given back.

    Where their places were given to others meanwhile, those tasks have more votes than was wanted. Raises
    AlreadyLifted.
    """
    with transaction.atomic():
        _lock(sanction.annotator_id)
        # Also waits for a chunk of votes that is just being discarded: after us there is none.
        locked = Sanction.objects.select_for_update(of=("self",)).get(id=sanction.id)
        if locked.action == Action.LIFT or Sanction.objects.filter(lifts=locked).exists():
            raise AlreadyLifted()
        done = Sanction.objects.create(
            project_id=locked.project_id,
            annotator_id=locked.annotator_id,
            by=by,
            action=Action.LIFT,
            lifts=locked,
            reason=reason,
            pending=locked.action == Action.DISCARD,
        )
        fetch(queries.STAND, annotator=locked.annotator_id)
        _hand_over(locked)
    carry_out(sanction_id=done.id)
    done.refresh_from_db()
    return done


def _lock(annotator_id: int) -> Member:
    """Whoever does something about an annotator comes alone: after what they do themselves, and before all other locks.

    The row, too: FOR UPDATE waits for everybody who holds it.
    """
    fetch(queries.LOCK_ANNOTATOR, annotator=annotator_id)
    return Member.objects.select_for_update().get(id=annotator_id)


def _hand_over(lifted: Sanction) -> None:
    """Votes that another discarding in force would have discarded are its own from now on."""
    others = Sanction.objects.filter(
        annotator_id=lifted.annotator_id, action=Action.DISCARD, lifted_by__isnull=True
    ).exclude(id=lifted.id)
    if lifted.action == Action.DISCARD and (other := others.first()):
        Vote.objects.filter(annotator_id=lifted.annotator_id, discarded_by=lifted).update(discarded_by=other)


def carry_out(*, sanction_id: int) -> None:
    """Do what is still to be done about leases and votes, chunk by chunk; the sweeper ends what was interrupted."""
    annotator_id = Sanction.objects.filter(id=sanction_id).values_list("annotator_id", flat=True).first()
    while annotator_id is not None and _carry_out_chunk(sanction_id, annotator_id):
        continue


@transaction.atomic
def _carry_out_chunk(sanction_id: int, annotator_id: int) -> bool:
    """Whether there may be more."""
    fetch(queries.LOCK_ANNOTATOR, annotator=annotator_id)
    done = Sanction.objects.select_for_update(of=("self",)).filter(id=sanction_id, pending=True).first()
    if done is None:
        return False
    who = {"annotator": annotator_id, "limit": CHUNK}
    if Sanction.objects.filter(lifts=done).exists():
        changed = 0
    elif done.action == Action.LIFT:
        changed = _change_votes(done, fetch(queries.RESTORE, **who, sanction=done.lifts_id))
    else:
        ((changed,),) = fetch(queries.TAKE_LEASES, **who)
        if not changed and done.action == Action.DISCARD:
            changed = _change_votes(done, fetch(queries.DISCARD, **who, sanction=done.id))
    if not changed:
        Sanction.objects.filter(id=done.id).update(pending=False)
    return changed > 0


def _change_votes(done: Sanction, rows: list[tuple[Any, ...]]) -> int:
    """Recompute the tasks, which are locked, from the votes that count now."""
    if rows:
        recompute_tasks(project=Project.objects.get(id=done.project_id), task_ids=[task_id for (task_id,) in rows])
        Event.objects.create(project_id=done.project_id, kind=EventKind.DISCARD)
        hint_after_commit("aggregation.refit", done.project_id)
    return len(rows)


def end_pauses() -> None:
    """Whose pause is over, by the database's clock, stands as the sanctions still in force have it."""
    for (member_id,) in fetch(queries.PAUSES_OVER):
        with transaction.atomic():
            _lock(member_id)
            fetch(queries.STAND, annotator=member_id)


def resume_pending() -> None:
    """Carry out what a killed process had begun."""
    for sanction_id in Sanction.objects.filter(pending=True).order_by("id").values_list("id", flat=True)[:100]:
        carry_out(sanction_id=sanction_id)
