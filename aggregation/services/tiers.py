"""The three tiers: what the machine labels alone, what people confirm, what they label; looked at after every run.

A look reads what audits have shown, issues or revokes the certificate, and makes the tasks agree with it. It can be
killed anywhere and done again: what is to be done follows from the rows.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import numpy as np
from django.db import transaction
from django.utils import timezone

from aggregation import tier_queries
from aggregation.core.drift import watch
from aggregation.core.tiers import CertifiedThreshold, ThresholdPlan, alpha_of, certified_threshold, plan_thresholds
from aggregation.models import Auditing, Certificate, CertificateKind, Run, RunStage, RunStatus
from aggregation.services.alone import InForce, give_all, in_force, take_back_all
from aggregation.services.auditing import champion_has_seen_audits
from aggregation.services.audits import Evidence, Predicted, ask_audits, gather, read_predicted
from aggregation.services.locks import Lock, advisory_lock
from projects.models import Learner, LiveModel, Project
from projects.queries import fetch
from projects.services.hints import send_hint

#: After a look a project rests for this many times as long as it took.
REST_FACTOR = 5.0
#: Drift is watched for against at most this share wrong.
MOST_ERROR = 0.49


@dataclass(frozen=True)
class Finding:
    """What a look concluded: a threshold for the learner of a run, or none; why, and by which figures."""

    run: int | None
    threshold: float | None
    reason: str
    figures: dict[str, Any]


def looks_due(*, project_id: int | None = None) -> list[int]:
    """The projects (or this one) whose tiers are to be looked at."""
    return [id_ for (id_,) in fetch(tier_queries.LOOKS_DUE, project=project_id)]


def hint_if_due(*, project_id: int) -> None:
    """After a run: a look may have become due."""
    if looks_due(project_id=project_id):
        send_hint("aggregation.look", project_id)


def look(*, project_id: int) -> bool:
    """Bring certificate, audits and tasks up to date. False if there was nothing to do, or another process is at it."""
    with advisory_lock(Lock.TIERS, project_id) as mine, advisory_lock(Lock.RETRAINING, project_id) as still:
        # While predictions are being replaced, some of them are of one learner and some of another.
        if not mine or not still or not looks_due(project_id=project_id) or _is_replacing(project_id):
            return False
        begun = time.monotonic()
        project = Project.objects.get(id=project_id)
        ((seen_run,),) = fetch(tier_queries.LAST_RUN, project=project_id)
        auditing, _ = Auditing.objects.get_or_create(project=project)
        auditing.figures = _look(project, auditing)
        auditing.seen_run, auditing.seen_version = seen_run, project.version
        auditing.rests_until = timezone.now() + timedelta(seconds=REST_FACTOR * (time.monotonic() - begun))
        auditing.save()
        return True


def _is_replacing(project_id: int) -> bool:
    """Whether a retraining was killed while it was replacing predictions: it goes on soon."""
    running = Run.objects.filter(project=project_id, status=RunStatus.RUNNING, stage=RunStage.APPLYING)
    return running.exists()


def _look(project: Project, auditing: Auditing) -> dict[str, Any]:
    model = LiveModel.objects.get(project=project)
    run = model.learner_run
    # The scale of a plan's thresholds stays as it was: refits go on measuring how sure the machine should be.
    plan = auditing.plan if auditing.learner_run == run else None
    sharpness = model.prediction_weight if plan is None else float(plan["sharpness"])
    if run is None or sharpness <= 0:
        said = "There is no learner" if run is None else "The learner knows no more than the label prior"
        _conclude(project, Finding(None, None, f"{said}.", {}))
        return {}
    # What was labelled before the machine became worse tells nothing of how it is now.
    first = (auditing.plan or {}).get("since", 0)
    predicted = read_predicted(project, run=run, sharpness=sharpness).since(first)
    finding = _find(project, auditing, predicted, run, sharpness)
    certificate = _conclude(project, finding)
    if certificate is not None:
        sure = predicted.free & predicted.open & (predicted.leases == 0) & (predicted.score >= certificate.threshold)
        give_all(project=project, certificate=certificate, task_ids=predicted.ids[sure])
    return _tiers(project, predicted, certificate) | {"audits": finding.figures, "says": finding.reason}


def _find(project: Project, auditing: Auditing, predicted: Predicted, run: int, sharpness: float) -> Finding:
    if project.auto_label_error is None:
        return Finding(None, None, "The machine is not to answer alone.", {})
    if project.learner == Learner.REMOTE:
        return Finding(None, None, "Nobody knows what a remote learner was taught: it can't be audited.", {})
    if champion_has_seen_audits(project):
        return Finding(None, None, "The learner has been taught what is to audit it: it has to be retrained.", {})
    plan = _plan(project, auditing, predicted, run, sharpness)
    if plan is None:
        return Finding(None, None, "There is no task that the machine could answer alone.", {})
    if auditing.plan and auditing.plan.get("drifted"):
        return Finding(None, None, "The machine has become worse than allowed: it has to learn first.", {})
    lowest = float(plan.threshold[-1])
    evidence = gather(project, predicted, lowest=lowest, drawn=auditing.share)
    auditing.share = evidence.share
    asked = ask_audits(predicted, lowest=lowest)
    worse = _become_worse(project, auditing, run, evidence)
    if worse is not None:
        return worse
    score = predicted.score[predicted.free]
    error = min(evidence.truth_error, 1.0)
    found = certified_threshold(evidence.audits, score, max(evidence.share, 1e-9), plan, error)
    figures = _figures(plan, found, evidence, sharpness) | {"asked": asked}
    figures |= {"newest": int(predicted.ids[-1])}
    return Finding(run, found.threshold, _reason(project, found, evidence), figures)


def _become_worse(project: Project, auditing: Auditing, run: int, evidence: Evidence) -> Finding | None:
    """Whether labels made since the certificate was issued are too often wrong: this learner is not certified again."""
    current = in_force_now(project)
    if current is None or current.learner_run_id != run:
        return None
    right = evidence.watched(after=current.figures.get("newest", 0), threshold=current.threshold)
    seen = watch(right, min(current.error + evidence.truth_error, MOST_ERROR))
    if seen.since is None:
        return None
    made = evidence.ids[(evidence.ids > current.figures.get("newest", 0)) & (evidence.score >= current.threshold)]
    auditing.plan = {**auditing.plan, "drifted": True, "since": int(made[seen.since])} if auditing.plan else None
    auditing.save()
    wrong, recent = int((~right[seen.since :]).sum()), len(right) - seen.since
    figures = {"audits": recent, "wrong": wrong, "evidence": seen.evidence, "since": int(made[seen.since])}
    reason = f"Of the last {recent} audits {wrong} found the machine wrong: it has become worse than allowed."
    return Finding(None, None, reason, figures)


def in_force_now(project: Project) -> Certificate | None:
    """The certificate in force, not held: for whoever is the only one to end it."""
    return Certificate.objects.filter(project=project, kind=CertificateKind.ISSUED, ended_at__isnull=True).first()


def _plan(
    project: Project, auditing: Auditing, predicted: Predicted, run: int, sharpness: float
) -> ThresholdPlan | None:
    """What is tested, fixed at the first look at a learner, or at other wishes of the manager's."""
    wishes = {"error": project.auto_label_error, "confidence": project.auto_label_confidence}
    stored = auditing.plan
    if auditing.learner_run != run or stored is None or stored["wishes"] != wishes:
        score = predicted.score[predicted.free]
        if not len(score) or project.auto_label_error is None:
            return None
        alpha = alpha_of(auditing.champions + 1, 1.0 - project.auto_label_confidence)
        plan = plan_thresholds(score, project.auto_label_error, alpha)
        auditing.learner_run, auditing.champions, auditing.share = run, auditing.champions + 1, 0.0
        stored = {"wishes": wishes, "alpha": alpha, "error": project.auto_label_error, "sharpness": sharpness}
        stored |= {"threshold": plan.threshold.tolist(), "expected": plan.expected.tolist()}
        stored |= {"since": (auditing.plan or {}).get("since", 0)}
        auditing.plan = stored
        # Before the first look: whoever goes on after us must not plan again with what audits have told.
        auditing.save()
    return ThresholdPlan(np.array(stored["threshold"]), np.array(stored["expected"]), stored["error"], stored["alpha"])


def _figures(plan: ThresholdPlan, found: CertifiedThreshold, evidence: Evidence, sharpness: float) -> dict[str, Any]:
    return {
        "audits": found.audits,
        "wrong": found.wrong,
        "reviewed": evidence.reviewed,
        "waiting": evidence.waiting,
        "share": evidence.share,
        "truth_error": evidence.truth_error,
        "bound": found.bound,
        "best_bound": float(found.bounds.min()),
        "tasks": found.tasks,
        "alpha": plan.alpha,
        "sharpness": sharpness,
    }


def _reason(project: Project, found: CertifiedThreshold, evidence: Evidence) -> str:
    allowed = f"{project.auto_label_error:.1%}"
    seen = f"Of {found.audits} audits {found.wrong} found the machine wrong"
    if found.threshold is None:
        best = float(found.bounds.min())
        short = f"{seen}: up to {best:.1%} of its labels may be, more than the {allowed} allowed."
        return short + (UNCALIBRATED if evidence.unproven else "")
    sure = f"{project.auto_label_confidence:.4g}"
    return f"{seen}: at most {found.bound:.1%} of its {found.tasks} labels are, with confidence {sure}."


UNCALIBRATED = (
    " Votes alone prove nothing while confidence is uncalibrated: upload gold, or have experts decide the audits."
)


@transaction.atomic
def _issue(project: Project, finding: Finding) -> None:
    """The one certificate in force is what was found, or there is none; each change is a row."""
    current = Certificate.objects.select_for_update().filter(
        project=project, kind=CertificateKind.ISSUED, ended_at__isnull=True
    )
    before = current.first()
    wanted = (finding.run, finding.threshold, project.auto_label_error, project.auto_label_confidence)
    if before is None and finding.threshold is None:
        return
    if before and wanted == (before.learner_run_id, before.threshold, before.error, before.confidence):
        return
    current.update(ended_at=timezone.now())
    about = {"project": project, "figures": finding.figures, "reason": finding.reason}
    if finding.run is not None and finding.threshold is not None and project.auto_label_error is not None:
        Certificate.objects.create(
            **about,
            kind=CertificateKind.ISSUED,
            learner_run_id=finding.run,
            threshold=finding.threshold,
            error=project.auto_label_error,
            confidence=project.auto_label_confidence,
        )
    elif before is not None:
        same = {name: getattr(before, name) for name in ("learner_run_id", "threshold", "error", "confidence")}
        Certificate.objects.create(**about, kind=CertificateKind.REVOKED, **same)


def _conclude(project: Project, finding: Finding) -> InForce | None:
    """Certificate and tasks as the finding has it; labels that are not covered any more are taken back at once."""
    _issue(project, finding)
    with transaction.atomic():
        certificate = in_force(project)
    take_back_all(project=project, certificate=certificate)
    return certificate


def _tiers(project: Project, predicted: Predicted, certificate: InForce | None) -> dict[str, Any]:
    """How many tasks that people have not finished lie in each tier, as of this look."""
    auto = predicted.free & (predicted.score >= (2.0 if certificate is None else certificate.threshold))
    rest = predicted.open & ~auto
    confirm = rest & (predicted.score >= (2.0 if project.confirm_above is None else project.confirm_above))
    counts = {"auto": auto, "confirm": confirm, "label": rest & ~confirm}
    return {"tiers": {name: int(which.sum()) for name, which in counts.items()}}
