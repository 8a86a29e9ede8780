"""What a look at a project's target tells its manager: how right labels are, what is certified, and what is missing."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from aggregation.core.target_accuracy import DEVIATE, Ahead, CertifiedAccuracy
from aggregation.core.vote_forecast import VoteForecast
from aggregation.services.census import Census
from aggregation.services.freezing import Progress
from aggregation.services.outlook_words import in_words
from aggregation.services.vote_forecasts import vote_forecast
from projects.models import Project
from projects.selectors import budget_of


@dataclass(frozen=True, eq=False)
class Standing:
    """How far a target is. allowed: audits that `audit_share` still lets experts answer. ends: no votes will come.

    ahead: audits from here on; of labels not frozen yet, if none are. found: what audits certify; None: none are asked.
    waiting: audits that wait for experts.
    """

    target: float
    allowed: int
    ends: bool
    ahead: Ahead
    found: CertifiedAccuracy | None = None
    waiting: int = 0

    @cached_property
    def aim(self) -> float | None:
        """How large a share of the labels not known has to seem right before experts are asked; None: no share does."""
        return self.ahead.aim(self.allowed)

    def audited(self, progress: Progress, census: Census) -> Standing:
        now = progress.of(census)
        allowed = self.allowed + progress.beyond  # answered already, but not heard yet
        return replace(
            self, allowed=allowed, ahead=now.ahead(self.target), found=now.certified(), waiting=progress.waiting
        )


def outlook_of(project: Project, census: Census, standing: Standing | None = None) -> dict[str, Any]:
    """The figures of a look, as they are stored and read. standing: None where no accuracy is to be reached."""
    now = census.now
    seen = vote_forecast(project=project, now=now)
    off = DEVIATE * now.spread
    calibrated = now.error is not None
    figures: dict[str, Any] = {
        "tasks": now.tasks,
        "votes": now.votes,
        "known": census.whole.known,
        "unlabelled": now.unlabelled,
        "machine": int((census.machine & census.unproven).sum()),
        "accuracy": {
            "expected": now.overall,
            "low": max(now.overall - off, 0.0) if calibrated else None,
            "high": min(now.overall + off, 1.0) if calibrated else None,
        },
        "full": _told(seen.forecast, now.room),
        "budget": _budget(project, seen.forecast),
        **seen.as_json(now),
    }
    if standing is not None:
        figures |= _target(census, standing, seen.forecast)
    return figures | {"says": in_words(figures)}


def _told(forecast: VoteForecast | None, more: int) -> dict[str, Any]:
    if forecast is None:
        return {"votes": more, "accuracy": None, "low": None, "high": None}
    expected, low, high = forecast.at(more)
    return {"votes": more, "accuracy": expected, "low": low, "high": high}


def _budget(project: Project, forecast: VoteForecast | None) -> dict[str, Any] | None:
    standing = budget_of(project)
    if standing is None or standing["budget"] is None:
        return None
    left = standing["budget"] - standing["spent"]
    return {"spent": float(standing["spent"] / standing["budget"]) if standing["budget"] else 1.0} | _told(
        forecast, int(left // (standing["price_per_vote"] or 1))
    )


def _target(census: Census, standing: Standing, forecast: VoteForecast | None) -> dict[str, Any]:
    found = standing.found
    return {
        "target": standing.target,
        "certified": found.bound if found is not None else census.whole.known / census.whole.tasks,
        "audits": {
            "answered": found.audits if found is not None else 0,
            "right": found.right if found is not None else 0,
            "waiting": standing.waiting,
            "left": standing.allowed,
            "asked": found is not None,
            **_audits_needed(census, standing),
        },
        "aim": _overall(census, standing.aim) if found is None else None,
        "needed": _votes_needed(census, standing, forecast),
        "ends": standing.ends,
    }


def _audits_needed(census: Census, standing: Standing) -> dict[str, Any]:
    """How many more, at the accuracy that labels seem to have, and at the ends of its 90 % band; null: too many."""
    share, off = census.expected_of_unknown, DEVIATE * (census.error or 0.0)
    band = share, max(share - off, 0.0), min(share + off, 1.0)
    if len(standing.ahead.right):
        band = standing.ahead.seen()
    needed, most, least = (standing.ahead.audits_needed(each, standing.allowed) for each in band)
    return {"needed": needed, "least": least, "most": most}


def _overall(census: Census, accuracy: float | None) -> float | None:
    """Of all labels, if this share of those not known is right."""
    if accuracy is None:
        return None
    known, tasks = census.whole.known, census.whole.tasks
    return (known + accuracy * (tasks - known)) / tasks


def _votes_needed(census: Census, standing: Standing, forecast: VoteForecast | None) -> dict[str, Any] | None:
    """Until labels are so right that experts are asked; null where that can't be told, or they are."""
    aim = _overall(census, standing.aim) if standing.found is None else None
    if forecast is None or aim is None:
        return None
    expected, low, high = forecast.votes_for(aim)
    return {"votes": expected, "low": low, "high": high}
