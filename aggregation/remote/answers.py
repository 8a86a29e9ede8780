"""What a backend answers to `predict`, read strictly: one odd answer and none of them is used."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

#: Probabilities may sum to 1 but for so much: single precision and rounding for people.
SLACK = 0.01
#: No label is impossible: people can always overrule a prediction.
LEAST = 1e-6


class BadAnswer(ValueError):
    """The answer is of no use; says of which task and why."""


def proba_of(answer: Any, ids: Sequence[int], labels: Sequence[str]) -> NDArray[np.float64]:
    """Predictions f8[n, K] from ``{"results": [...]}``, in the order of the tasks; NaN where a result is empty.

    All probabilities by ``value.probs`` (an object by label), or else the score of the label chosen, the rest of it
    spread evenly over the other labels. A score that is missing, or less than the label would have by chance, is none
    (the SDK sends 0 for a backend that gives none): the label counts as one seen, by the rule of succession,
    (1 + 1) / (K + 1). Raises BadAnswer.
    """
    results = answer.get("results") if isinstance(answer, dict) else None
    if not isinstance(results, list):
        raise BadAnswer('no "results" in the answer')
    if len(results) != len(ids):
        raise BadAnswer(f"{len(results)} results for {len(ids)} tasks")
    rows = np.full((len(ids), len(labels)), np.nan)
    for row, (id_, result) in enumerate(zip(ids, results, strict=True)):
        try:
            found = _probabilities(result, labels)
        except BadAnswer as error:
            raise BadAnswer(f"task {id_}: {error}") from None
        if found is not None:
            rows[row] = np.maximum(found, LEAST) / np.maximum(found, LEAST).sum()
    return rows


def _probabilities(result: Any, labels: Sequence[str]) -> NDArray[np.float64] | None:
    if not isinstance(result, dict) or not isinstance(regions := result.get("result"), list):
        raise BadAnswer('no "result" list')
    values = [each.get("value") for each in regions if isinstance(each, dict) and each.get("type") == "choices"]
    if not values:
        return None
    value = values[0]
    if not isinstance(value, dict) or not isinstance(choices := value.get("choices"), list) or len(choices) != 1:
        raise BadAnswer("not one choice")
    place = _place(choices[0], labels)
    if value.get("probs") is not None:
        return _distribution(value["probs"], labels)
    K = len(labels)
    score = next((given for given in (result.get("score"), _score_of(regions)) if given is not None), 0.0)
    chosen = _number(score, "score")
    chosen = chosen if chosen >= 1.0 / K else 2.0 / (K + 1)
    found = np.full(K, (1.0 - chosen) / max(K - 1, 1))
    found[place] = chosen
    return found


def _score_of(regions: Sequence[Any]) -> Any:
    """A score may stand in the region instead of beside it."""
    return next(
        (each.get("score") for each in regions if isinstance(each, dict) and each.get("type") == "choices"), None
    )


def _distribution(probs: Any, labels: Sequence[str]) -> NDArray[np.float64]:
    if not isinstance(probs, Mapping):
        raise BadAnswer("probs is no object by label")
    found = np.zeros(len(labels))
    for label, p in probs.items():
        found[_place(label, labels)] = _number(p, f"probability of {_short(label)}")
    if abs(found.sum() - 1.0) > SLACK:
        raise BadAnswer(f"probabilities sum to {found.sum():.3f}")
    return found


def _place(label: Any, labels: Sequence[str]) -> int:
    if label not in labels:
        raise BadAnswer(f"unknown label {_short(label)}")
    return list(labels).index(label)


def _number(value: Any, what: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:  # NaN is not, either
        raise BadAnswer(f"{what} is {_short(value)}; expected a number from 0 to 1")
    return float(value)


def _short(said: Any) -> str:
    """As it would be written in Python, as far as people read it."""
    written = repr(said)
    return written if len(written) <= 60 else f"{written[:59]}…"
