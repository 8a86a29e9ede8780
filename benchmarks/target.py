"""How often a project that stops at a certified target accuracy has not reached it.

    uv run benchmarks/target.py [--json FILE] [--campaigns 1000] [--only short]

A campaign has 5,000 tasks, a target of 95 % right, 95 % sure, and 500 audits at most, of which experts answer twenty
between two looks. Labels are frozen, audited, given up and frozen again by the rule of the service
(`aggregation.core.target_accuracy`); a label once audited is right. It fails if fewer than 95 % of the labels are right
when it stops.

short      half a point too few are right, but experts are asked all the same
churning   likewise, and one in a hundred labels changes between two looks, as many to right as to wrong
improving  from 88 % on people mend one in twenty wrong labels between two looks; until 20 answers are known,
           confidence says two points too many
good       98.5 % are right
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import beta

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from aggregation.core.bounds import draw_audits
from aggregation.core.certificate import Audits, FrozenLabels
from aggregation.core.target_accuracy import AuditedWhole, Whole
from aggregation.core.tiers import alpha_of

TASKS, TARGET, ALPHA = 5_000, 0.95, 0.05
MOST_AUDITS, AT_ONCE, LOOKS = 500, 20, 60


@dataclass(frozen=True)
class Kind:
    """right: share at first. mended, spoilt: of the wrong and of the right labels, between two looks. boast: by how
    much the mean confidence is above the share right, while fewer answers are known than `calibrated`."""

    right: float
    mended: float = 0.0
    spoilt: float = 0.0
    boast: float = 0.0
    calibrated: int = TASKS


KINDS = {
    "short": Kind(0.945, boast=0.055),
    "churning": Kind(0.945, mended=0.01 * 0.945 / 0.055, spoilt=0.01, boast=0.055),
    "improving": Kind(0.88, mended=0.05, boast=0.02, calibrated=20),
    "good": Kind(0.985),
}


@dataclass(frozen=True)
class Ended:
    """How a campaign ended: with which share right, after how many audits and freezes; stopped by a certificate."""

    stopped: bool
    right: float
    audits: int
    freezes: int


class Campaign:
    """Truth is label 0 everywhere. A label that becomes wrong is one that the task never had."""

    def __init__(self, kind: Kind, seed: int) -> None:
        self.kind, self.random = kind, np.random.default_rng(seed)
        self.label = (self.random.random(TASKS) >= kind.right).astype(np.int32)
        self.known = np.zeros(TASKS, np.bool_)
        self.freezes = self.looks = 0

    @property
    def right(self) -> float:
        return float((self.label == 0).mean())

    @property
    def seems_right(self) -> float:
        """The mean confidence of labels whose answer is not known."""
        boast = self.kind.boast if self.known.sum() < self.kind.calibrated else 0.0
        return min(float((self.label[~self.known] == 0).mean()) + boast, 1.0)

    @property
    def allowed(self) -> int:
        return MOST_AUDITS - int(self.known.sum())

    def run(self) -> Ended:
        """Look until the target is certified, or no more looks or audits are left."""
        while self.looks < LOOKS:
            self.pass_time()
            whole, alpha = Whole(TASKS, int(self.known.sum())), alpha_of(self.freezes + 1, ALPHA)
            aim = aim_of(whole, self.allowed, alpha)
            if aim is None:
                break
            if self.seems_right >= aim and self.audit(alpha):
                return self.ended(stopped=True)
        return self.ended(stopped=False)

    def audit(self, alpha: float) -> bool:
        """Freeze, and audit until the target is certified (True) or that leads nowhere (False)."""
        self.freezes += 1
        task = np.flatnonzero(~self.known)
        frozen = FrozenLabels("a run", "all that is not known", task, self.label[task].copy())
        order = draw_audits(np.ones(len(task)), len(task), seed=int(self.random.integers(2**62)))[0]
        n = 0
        while self.looks < LOOKS:
            n = min(n + min(AT_ONCE, self.allowed), len(task))
            asked = task[order[:n]]
            self.label[asked], self.known[asked] = 0, True
            self.pass_time()
            whole = Whole(TASKS, int(self.known.sum()))
            audits = Audits(asked, np.zeros(n, np.int32))
            now = AuditedWhole(frozen, audits, self.label[task], self.known[task], whole, alpha)
            if now.certified().bound >= TARGET:
                return True
            if now.ahead(TARGET).leads_nowhere(self.allowed):
                return False
        return False

    def pass_time(self) -> None:
        """Some labels change whose answer is not known."""
        self.looks += 1
        luck = self.random.random(TASKS)
        wrong, free = self.label != 0, ~self.known
        mended, spoilt = free & wrong & (luck < self.kind.mended), free & ~wrong & (luck < self.kind.spoilt)
        self.label[mended], self.label[spoilt] = 0, 1 + self.looks

    def ended(self, *, stopped: bool) -> Ended:
        return Ended(stopped, self.right, int(self.known.sum()), self.freezes)


@lru_cache
def aim_of(whole: Whole, allowed: int, alpha: float) -> float | None:
    return whole.ahead(TARGET, alpha).aim(allowed)


def measure(name: str, campaigns: int) -> dict[str, Any]:
    ended = [Campaign(KINDS[name], seed).run() for seed in range(campaigns)]
    failed = sum(each.stopped and each.right < TARGET for each in ended)
    stopped = [each for each in ended if each.stopped]
    return {
        "campaigns": campaigns,
        "failed": failed / campaigns,
        "failed_upper_99": float(beta.ppf(0.99, failed + 1, campaigns - failed)),
        "stopped": len(stopped) / campaigns,
        "audits": float(np.mean([each.audits for each in ended])),
        "freezes": float(np.mean([each.freezes for each in ended])),
        "right": float(np.mean([each.right for each in stopped])) if stopped else None,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures here")
    parser.add_argument("--campaigns", type=int, default=1000)
    parser.add_argument("--only", choices=KINDS, help="projects of this kind alone")
    arguments = parser.parse_args()
    figures = {}
    print("project    failed (99 % upper)  stopped  audits  freezes  right when stopped")
    for name in KINDS if arguments.only is None else [arguments.only]:
        row = figures[name] = measure(name, arguments.campaigns)
        right = "     –" if row["right"] is None else f"{row['right']:6.2%}"
        print(
            f"{name:9}  {row['failed']:6.2%}     {row['failed_upper_99']:6.2%}  {row['stopped']:7.1%}  "
            f"{row['audits']:6.0f}  {row['freezes']:7.2f}  {right}",
            flush=True,
        )
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
