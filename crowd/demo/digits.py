"""The tasks of act 2: scikit-learn's 1,797 real handwritten digits, and a simulated crowd that reads them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from aggregation.core.simulation import digit_crowd
from aggregation.core.votes import Ints
from crowd.demo.crowd import Answer

LABELS = [str(digit) for digit in range(10)]
HIDDEN = 300
FIELDS = ["pixels"]

Payload = dict[str, Any]


@dataclass(frozen=True, eq=False)
class Digits:
    """Drawn by seed: which digits are never handed out, in which order the others are uploaded, who answers what."""

    payloads: list[Payload]  # of the digits to label, as uploaded
    truth: Ints  # int32[T], of the same
    hidden_payloads: list[Payload]
    hidden_truth: Ints
    answers: Ints  # int32[A, T]: what each annotator answers to each digit, drawn once

    def uploads(self) -> list[dict[str, Any]]:
        """All digits as tasks; redundancy 0 says that a task is never handed out, only predicted."""
        shown = [{"key": f"digit {t}", "data": data} for t, data in enumerate(self.payloads)]
        hidden = [{"key": f"hidden {t}", "data": data, "redundancy": 0} for t, data in enumerate(self.hidden_payloads)]
        return shown + hidden

    @property
    def truth_by_key(self) -> dict[str, str]:
        return {f"digit {t}": LABELS[label] for t, label in enumerate(self.truth)}

    @property
    def hidden_truth_by_key(self) -> dict[str, str]:
        return {f"hidden {t}": LABELS[label] for t, label in enumerate(self.hidden_truth)}

    def answerers(self) -> list[Answer]:
        """What each simulated annotator answers to a task's data: like a person, they know a digit by its looks."""
        index = {tuple(data["pixels"]): t for t, data in enumerate(self.payloads)}
        return [partial(_read, index, row) for row in self.answers]

    def features(self) -> Any:
        """[T, D], the digits to label as the service's learner sees them."""
        from aggregation.learners import numeric

        return numeric.LEARNER.fit_encoder(self.payloads, FIELDS).features(self.payloads)


def _read(index: dict[tuple[int, ...], int], mine: Ints, data: Any) -> str:
    return LABELS[int(mine[index[tuple(data["pixels"])]])]


def load(seed: int, hidden: int = HIDDEN) -> Digits:
    from sklearn.datasets import load_digits

    source = load_digits()
    order = np.random.default_rng(seed).permutation(len(source.target))
    kept, shown = order[:hidden], order[hidden:]
    pixels = source.data.astype(int).tolist()
    truth = source.target.astype(np.int32)
    return Digits(
        payloads=[{"pixels": pixels[i]} for i in shown],
        truth=truth[shown],
        hidden_payloads=[{"pixels": pixels[i]} for i in kept],
        hidden_truth=truth[kept],
        answers=digit_crowd(truth[shown], seed),
    )
