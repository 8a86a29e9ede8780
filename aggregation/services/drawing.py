"""How far a plan of thresholds has been audited: which shares of tasks were drawn, and answered in turn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from aggregation.core.audit_truth import most_often_wrong
from aggregation.core.tiers import ThresholdPlan, alpha_of, plan_thresholds
from aggregation.core.votes import Floats
from aggregation.models import Auditing
from aggregation.services.auditing import draw
from aggregation.services.calibrating import votes_alone
from aggregation.services.scoring import NEVER, Part, scores_of_pool
from projects.models import LiveModel, Project


class Drawing:
    """How far tasks at or above each threshold of a plan have been drawn for audits, and answered in turn: f8[G] each.

    Kept in `Auditing.plan` before it is acted upon: whoever is killed, the next look draws what is missing.
    """

    def __init__(self, part: Part, auditing: Auditing, plan: ThresholdPlan) -> None:
        self.part, self.plan, self._auditing = part, plan, auditing

    @property
    def _stored(self) -> dict[str, Any]:
        return self._auditing.plan or {}

    @property
    def drawn(self) -> Floats:
        return np.array(self._stored["drawn"])

    @property
    def answered(self) -> Floats:
        return np.array(self._stored["answered"])

    @property
    def drifted(self) -> int | None:
        """The first task since the machine became worse; None if it has not."""
        return self._stored.get("drifted")

    @property
    def watched(self) -> int | None:
        """Labels of tasks after this one are watched for drift: since the first certificate, until it is revoked."""
        return self._stored.get("watched")

    @property
    def sharpness(self) -> float:
        return self._auditing.sharpness

    def note(self, **changes: Any) -> None:
        self._auditing.plan = {**self._stored, **changes}
        self._auditing.save()

    def go_on(self) -> list[int]:
        """Draw all that is below the shares: further tasks of old, and those that have come or were held until now."""
        return draw(
            project=self.part.project, run=self.part.run, plan=self.plan, share=self.drawn, first=self.part.first
        )

    def truth_limit(self) -> float | None:
        """How often votes alone are wrong at most, by gold; None while there is too little. It has a part of alpha, as
        one more champion would, as soon as it tells something."""
        project = self.part.project
        right = votes_alone(LiveModel.objects.values_list("calibration", flat=True).get(project=project))
        if right is None:
            return None
        if "truth" not in self._stored:
            self._auditing.champions += 1
            self.note(truth=self._auditing.champions)
        return most_often_wrong(right, alpha_of(self._stored["truth"], 1.0 - project.auto_label_confidence))


def plan_for(part: Part, auditing: Auditing) -> ThresholdPlan | None:
    """What is tested, fixed at the first look at a learner, or at other wishes of the manager's; None without tasks."""
    project, stored, wishes = part.project, auditing.plan, wishes_of(part.project)
    if auditing.learner_run != part.run or stored is None or stored["wishes"] != wishes:
        score = scores_of_pool(part)
        if not len(score) or project.auto_label_error is None:
            return None
        alpha = alpha_of(auditing.champions + 1, 1.0 - project.auto_label_confidence)
        # Where it is judged by what has come since, it is certified twice: for these tasks, and then for all.
        plan = plan_thresholds(score, project.auto_label_error, alpha / 2 if part.first > NEVER else alpha)
        # No other wish makes a learner good again, and nothing the truth of votes.
        kept = {"truth", "drifted"} if auditing.learner_run == part.run else {"truth"}
        known = {name: value for name, value in (auditing.plan or {}).items() if name in kept}
        auditing.learner_run, auditing.champions = part.run, auditing.champions + 1
        none_yet = [0.0] * len(plan.threshold)
        stored = {"wishes": wishes, "alpha": plan.alpha, "error": project.auto_label_error, "since": part.first}
        stored |= {"threshold": plan.threshold.tolist(), "expected": plan.expected.tolist()}
        auditing.plan = stored | known | {"drawn": none_yet, "answered": none_yet}
        # Before the first look: whoever goes on after us must not plan again with what audits have told.
        auditing.save()
    return planned(auditing)


def planned(auditing: Auditing) -> ThresholdPlan | None:
    """The plan as it is stored."""
    if auditing.plan is None:
        return None
    threshold, expected = np.array(auditing.plan["threshold"]), np.array(auditing.plan["expected"])
    return ThresholdPlan(threshold, expected, auditing.plan["error"], auditing.plan["alpha"])


def draw_new(*, project: Project, auditing: Auditing, run: int, task_ids: Sequence[int]) -> None:
    """Of tasks that have just come, and been scored, draw those whose lot is below the share of their like."""
    plan = planned(auditing)
    if plan is not None and auditing.learner_run == run and project.auto_label_error is not None:
        drawing = Drawing(Part(project, run), auditing, plan)
        if drawing.drifted is None:
            draw(project=project, run=run, plan=plan, share=drawing.drawn, task_ids=task_ids)


def wishes_of(project: Project) -> dict[str, float | None]:
    return {"error": project.auto_label_error, "confidence": project.auto_label_confidence}


def first_task(project: Project, auditing: Auditing, run: int) -> int:
    """The first task that tells how the learner of this run is: after one became worse, those before tell nothing."""
    stored = auditing.plan or {}
    same = auditing.learner_run == run and stored.get("wishes") == wishes_of(project)
    since = int(stored.get("since", NEVER))
    return since if same else int(stored.get("drifted") or since)
