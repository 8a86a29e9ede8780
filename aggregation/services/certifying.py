"""What audits conclude of a project's machine: from which threshold on it may label alone, or why it may not."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import Any

from aggregation.core.audit_plan import answered_share, outlook
from aggregation.core.audits import Audits, Progress, affordable, shares_to_draw
from aggregation.core.drift import watch
from aggregation.core.votes import Floats
from aggregation.models import Auditing, Certificate, CertificateKind
from aggregation.services.audits import ask, read_audits
from aggregation.services.drawing import Drawing, plan_for, wishes_of
from aggregation.services.earlier import certified_for_all
from aggregation.services.evidence import Seen, held_still, see
from aggregation.services.scoring import NEVER, Part, Pool, count_pool
from aggregation.services.words import become_worse, certified, not_certified
from projects.models import Learner, Project

#: Drift is watched for against at most this share wrong.
MOST_ERROR = 0.49


@dataclass(frozen=True)
class Finding:
    """What a look concluded: a threshold for the learner of a run, or none; why, and by which figures.

    before: only labels of tasks before this one; None: all. pool: as it was counted, if it was.
    """

    run: int | None
    threshold: float | None
    reason: str
    figures: dict[str, Any] = field(default_factory=dict)
    before: int | None = None
    pool: Pool | None = None


def find(part: Part, auditing: Auditing) -> Finding:
    """What this part of the project's tasks says of the machine; and the next audits are drawn and asked for."""
    project = part.project
    if project.auto_label_error is None:
        return Finding(None, None, "The machine is not to answer alone.")
    if project.learner == Learner.REMOTE:
        return Finding(None, None, "Nobody knows what a remote learner was taught: it can't be audited.")
    plan = plan_for(part, auditing)
    if plan is None:
        return Finding(None, None, "There is no task that the machine could answer alone.")
    current = _certificate(part, auditing)
    drawing = Drawing(part, auditing, plan)
    limit = drawing.truth_limit()
    if drawing.drifted is not None:
        return _of_before(drawing, current, LEARN_FIRST)
    drawing.go_on()
    audits = read_audits(part, limit)
    if current is not None and (worse := _become_worse(drawing, audits, current)) is not None:
        return worse
    return _certify(drawing, audits, current)


LEARN_FIRST = "The machine has become worse than allowed: it has to learn first."


def in_force_now(project: Project) -> Certificate | None:
    """The certificate in force, not held: for whoever is the only one to end it."""
    return Certificate.objects.filter(project=project, kind=CertificateKind.ISSUED, ended_at__isnull=True).first()


def _certificate(part: Part, auditing: Auditing) -> Certificate | None:
    """The one in force, if it was issued by the present plan."""
    current = in_force_now(part.project)
    if current is None or current.learner_run_id != part.run:
        return None
    return current if {"error": current.error, "confidence": current.confidence} == wishes_of(part.project) else None


def _certify(drawing: Drawing, audits: Audits, current: Certificate | None) -> Finding:
    """Look, and draw what certifies most, until there is something to answer.

    To a new champion the audits of those before are known answers: its share passes them at once.
    """
    part, plan = drawing.part, drawing.plan
    pool, held = count_pool(part, plan), held_still(drawing, audits, current)
    while True:
        waiting = audits.waiting(drawing.answered, drawing.drawn, plan)
        drawing.note(answered=answered_share(drawing.answered, drawing.drawn, waiting).tolist())
        seen = see(drawing, part, pool, audits, held)
        held, share = seen.found.threshold, _next(drawing, seen)
        if share is None:
            break
        drawing.note(drawn=share.tolist())
        if drawing.go_on():
            pool, audits = count_pool(part, plan), read_audits(part, drawing.truth_limit())
    figures = _figures(drawing, seen) | {"asked": ask(audits), "first": part.first}
    if seen.found.threshold is None:
        drawing.note(watched=None)
        return Finding(part.run, None, not_certified(part.project, figures), figures, pool=pool)
    if drawing.watched is None:
        drawing.note(watched=figures["newest"])
    if part.first > NEVER and (everything := certified_for_all(drawing, seen, seen.found.threshold, current)):
        figures |= {"all": everything, "first": NEVER}
    return Finding(part.run, seen.found.threshold, certified(part.project, figures), figures, pool=pool)


def _next(drawing: Drawing, seen: Seen) -> Floats | None:
    """The shares to draw by next, if any."""
    certified = drawing.plan.row(seen.found.threshold)
    so_far = _progress(drawing, seen)
    return shares_to_draw(seen.audits, seen.evidence, drawing.plan, so_far, certified, seen.truth_error)


def _progress(drawing: Drawing, seen: Seen) -> Progress:
    pool, most = seen.pool, drawing.part.project.audit_share
    return Progress(drawing.drawn, drawing.answered, pool.tasks, pool.voted, pool.all, most)


def _become_worse(drawing: Drawing, audits: Audits, current: Certificate) -> Finding | None:
    """Whether labels made since the first certificate was issued are too often wrong: this learner labels no more.

    Evidence goes on where another threshold is certified: that may be because the machine is becoming worse.
    """
    share = float(drawing.answered[drawing.plan.row(current.threshold) - 1])
    after = current.figures["newest"] if drawing.watched is None else drawing.watched
    ids, right = audits.watched(after=after, threshold=current.threshold, share=share)
    error = audits.truth_error(audits.counted(drawing.answered, drawing.plan))
    seen = watch(right, min(current.error + error, MOST_ERROR))
    if seen.since is None:
        return None
    since, recent = int(ids[seen.since]), right[seen.since :]
    drawing.note(drifted=since)
    figures = {"audits": len(recent), "wrong": int((~recent).sum()), "evidence": seen.evidence, "since": since}
    found = _of_before(drawing, current, become_worse(figures))
    return replace(found, figures=figures | found.figures)


def _of_before(drawing: Drawing, current: Certificate | None, reason: str) -> Finding:
    """Labels made before the machine became worse stay if the audits of their own tasks still certify them.

    That is a look that could have been had when the last of these tasks came, and the bound is for all looks.
    """
    assert drawing.drifted is not None, "asked of a machine that has become worse"
    if current is None:
        return Finding(None, None, reason)
    first = current.figures.get("first", drawing.part.first)
    part = replace(drawing.part, first=first, before=drawing.drifted)
    audits = read_audits(part, drawing.truth_limit()).before(drawing.drifted)
    seen = see(drawing, part, count_pool(part, drawing.plan), audits)
    threshold = seen.found.threshold
    if threshold is None or threshold > current.threshold:
        return Finding(None, None, reason)
    row = drawing.plan.row(current.threshold) - 1
    tasks, bound = int(seen.evidence.tasks[row]), float(seen.found.bounds[row])
    stay = f" Its {tasks} labels from before stay: at most {bound:.1%} of them are wrong."
    figures = {"bound": bound, "tasks": tasks, "sharpness": drawing.sharpness, "first": first}
    return Finding(part.run, current.threshold, reason + stay, figures, before=drawing.drifted)


def _figures(drawing: Drawing, seen: Seen) -> dict[str, Any]:
    found, audits = seen.found, seen.audits
    row = drawing.plan.row(found.threshold) - 1
    first = outlook(seen.evidence, drawing.plan, seen.truth_error) if found.threshold is None else None
    return {
        "audits": found.audits,
        "wrong": found.wrong,
        "reviewed": int((seen.counted & audits.reviewed).sum()),
        "waiting": int((~audits.answered).sum()),
        "unproven": audits.unproven,
        "share": float(drawing.answered[max(row, 0)]),
        "truth_error": seen.truth_error,
        "bound": found.bound,
        "best_bound": float(found.bounds.min()),
        "tasks": found.tasks,
        "alpha": drawing.plan.alpha,
        "sharpness": drawing.sharpness,
        "newest": seen.newest,
        "newer": int((seen.pool.tasks - seen.evidence.tasks)[max(row, 0)]),
        "affordable": affordable(audits, drawing.plan, _progress(drawing, seen)),
        "outlook": first and asdict(first),
    }
