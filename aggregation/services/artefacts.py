"""What a retraining leaves: the learner, and what it predicted of the tasks it was taught without having seen them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from aggregation import queries
from aggregation.learners import storage
from aggregation.models import LearnerArtefact, Run
from projects.models import Project
from projects.queries import fetch

if TYPE_CHECKING:
    from aggregation.learners import Learned


#: Of learners that were in force the last ones can be brought back.
KEPT = 10


class DamagedArtefact(Exception):
    """A stored learner does not fit its checksum."""


@dataclass(frozen=True, eq=False)
class HeldOut:
    """For n tasks taught: ids i8[n] ascending, held-out predictions f4[n, K] (rows of NaN where there is none), the
    labels that consensus had with gold told, i2[n], and those that were taught, from votes alone, i2[n]."""

    tasks: NDArray[np.int64]
    proba: NDArray[np.float32]
    consensus: NDArray[np.int16]
    taught: NDArray[np.int16]

    def save(self) -> bytes:
        return storage.pack({}, {"held_out": dict(vars(self))})

    @classmethod
    def load(cls, data: bytes) -> HeldOut:
        _, groups = storage.unpack(data)
        arrays = groups["held_out"]
        return cls(**{"taught": arrays["consensus"], **arrays})  # those of earlier runs have but one of both

    def put_into(self, tasks: NDArray[np.int64], proba: NDArray[np.floating[Any]]) -> None:
        """Where these tasks, i8[m], were taught, their rows of proba, [m, K], become the held-out ones."""
        if len(self.tasks) == 0:
            return
        place = np.minimum(np.searchsorted(self.tasks, tasks), len(self.tasks) - 1)
        taught = self.tasks[place] == tasks
        proba[taught] = self.proba[place[taught]]


def save_artefact(*, run: Run, content: bytes, held_out: HeldOut) -> None:
    LearnerArtefact.objects.create(
        run=run, content=content, sha256=hashlib.sha256(content).hexdigest(), held_out=held_out.save()
    )


def copy_artefact(*, of: Run, to: Run) -> bool:
    """False if there is none, or none any more."""
    stored = LearnerArtefact.objects.select_for_update().filter(run=of, held_out__isnull=False).first()
    if stored is None:
        return False
    LearnerArtefact.objects.create(run=to, content=stored.content, sha256=stored.sha256, held_out=stored.held_out)
    return True


def prune_artefacts(*, project: Project) -> None:
    """Learners that can't come back any more leave; their runs stay, with all metrics."""
    fetch(queries.PRUNE_ARTEFACTS, project=project.id, keep=KEPT)


def load_artefact(*, run: Run) -> Learned:
    """Raises DamagedArtefact if it is not what was stored."""
    from aggregation.learners import load

    stored = LearnerArtefact.objects.get(run=run)
    content = bytes(stored.content)
    if hashlib.sha256(content).hexdigest() != stored.sha256:
        raise DamagedArtefact(f"The learner of run {run.id} does not fit its checksum: train it again.")
    return load(content)


def load_held_out(*, run: Run) -> HeldOut:
    return HeldOut.load(bytes(LearnerArtefact.objects.get(run=run).held_out or b""))
