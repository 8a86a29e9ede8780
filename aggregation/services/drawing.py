"""How far a plan of thresholds has been audited: which shares of tasks were drawn, and answered in turn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from aggregation.core.tiers import ThresholdPlan, alpha_of, plan_thresholds
from aggregation.core.votes import Floats
from aggregation.models import Auditing
from aggregation.services.auditing import draw
from aggregation.services.scoring import NEVER, Part, scores_of_pool
from projects.models import Project


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


def plan_for(part: Part, auditing: Auditing) -> ThresholdPlan | None:
    """What is tested, fixed at the first look at a learner, or at other wishes of the manager's; None without tasks."""
    project, stored, wishes = part.project, auditing.plan, wishes_of(part.project)
    if auditing.learner_run != part.run or stored is None or stored["wishes"] != wishes:
        score = scores_of_pool(part)
        if not len(score) or project.auto_label_error is None:
            return None
        alpha = alpha_of(auditing.champions + 1, 1.0 - project.auto_label_confidence)
        plan = plan_thresholds(score, project.auto_label_error, alpha)
        # No other wish makes a learner good again.
        drifted = (auditing.plan or {}).get("drifted") if auditing.learner_run == part.run else None
        auditing.learner_run, auditing.champions = part.run, auditing.champions + 1
        none_yet = [0.0] * len(plan.threshold)
        stored = {"wishes": wishes, "alpha": alpha, "error": project.auto_label_error, "since": part.first}
        stored |= {"threshold": plan.threshold.tolist(), "expected": plan.expected.tolist()}
        if drifted is not None:
            stored["drifted"] = drifted
        auditing.plan = stored | {"drawn": none_yet, "answered": none_yet}
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
