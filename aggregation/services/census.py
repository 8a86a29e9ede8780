"""All labels of a project as consumers read them, in arrays."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aggregation import target_queries
from aggregation.core.target_accuracy import Whole
from aggregation.core.vote_forecast import Now
from aggregation.core.votes import Floats
from aggregation.models import Run
from aggregation.services.bulk import copy_columns
from projects.models import LiveModel, Project

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Census:
    """All T tasks but those for qualification, by id.

    ids: int64[T]. label: int16[T], published, -1 if there is none. confidence: f8[T]. answer: int16[T], -1 if it is not
    known. votes, room: int[T], counted, and how many more the task's redundancy lets. machine: bool[T], nobody has
    looked at its label. error: the standard error of the mean confidence of labels on votes; None: uncalibrated.
    """

    ids: Ints
    label: NDArray[np.int16]
    confidence: Floats
    answer: NDArray[np.int16]
    votes: NDArray[np.int32]
    room: NDArray[np.int32]
    machine: Bools
    error: float | None

    @cached_property
    def known(self) -> Bools:
        return self.answer >= 0

    @cached_property
    def unproven(self) -> Bools:
        """Tasks with a label whose answer is not known, bool[T]."""
        return (self.label >= 0) & ~self.known

    @property
    def whole(self) -> Whole:
        return Whole(len(self.ids), int(self.known.sum()))

    @property
    def expected(self) -> float:
        """The share of the unproven labels that is right, as far as their confidence is true; 0 without any."""
        return float(self.confidence[self.unproven].mean()) if self.unproven.any() else 0.0

    @property
    def expected_of_unknown(self) -> float:
        """The same of all tasks whose answer is not known: those without a label are not right."""
        return self.expected * float(self.unproven.sum()) / max(int((~self.known).sum()), 1)

    @cached_property
    def now(self) -> Now:
        settled, labelled = self.known | self.machine, self.unproven | self.known
        sure = np.where(self.known, 1.0, self.confidence)
        return Now(
            voted=int((labelled & ~settled).sum()),
            settled=int((settled & labelled).sum()),
            unlabelled=int((~labelled).sum()),
            accuracy=float(sure[labelled].mean()) if labelled.any() else 0.0,
            error=None if self.error is None else self.error * float((~self.known)[labelled].mean()),
            votes=int(self.votes.sum()),
            room=int(self.room.sum()),
        )


def read_census(project: Project) -> Census:
    """As of one instant."""
    types = {"id": "i8", "label": "i2", "confidence": "f8", "answer": "i2", "votes": "i4", "room": "i4", "machine": "?"}
    rows = copy_columns(target_queries.CENSUS, {"project": project.id}, **types)
    return Census(
        ids=rows["id"],
        label=rows["label"],
        confidence=rows["confidence"],
        answer=rows["answer"],
        votes=rows["votes"],
        room=rows["room"],
        machine=rows["machine"],
        error=_error(project),
    )


def _error(project: Project) -> float | None:
    """How far a mean confidence may be from the share right: the standard error of the accuracy on gold that it was
    calibrated by, as if two more had been right and two wrong (Agresti and Coull, doi:10.1080/00031305.1998.10480550).

    None while confidence is uncalibrated.
    """
    run = LiveModel.objects.values_list("run", flat=True).get(project=project)
    report: dict[str, Any] | None = None
    if run is not None:
        report = (Run.objects.values_list("metrics", flat=True).filter(id=run).first() or {}).get("calibration")
    if not report:
        return None
    n = report["n_gold"] + 4
    right = (report["accuracy"] * report["n_gold"] + 2) / n
    return float(np.sqrt(right * (1.0 - right) / n))
