"""Rules about annotators: what the live estimates say of each, in figures and in words, and what follows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from aggregation import queries
from aggregation.core.conduct import share_bounds
from projects.models import Action, Condition, Conduct, Member, Role, Rule, Sanction
from projects.queries import fetch
from projects.services.sanctions import sanction


@dataclass(frozen=True)
class Finding:
    """That a rule's condition holds of an annotator: the figures, and the same in words."""

    annotator: int
    evidence: dict[str, Any]
    reason: str


def apply_rules(*, project_id: int) -> int:
    """Judge every annotator by the project's rules and do what they say, once each; how many sanctions that made."""
    made = 0
    for rule in Rule.objects.filter(project=project_id, ended_at__isnull=True).order_by("id"):
        known = set(Sanction.objects.filter(rule=rule).values_list("annotator_id", flat=True))
        for finding in JUDGES[Condition(rule.condition)](rule):
            annotator = Member.objects.get(id=finding.annotator)
            if annotator.id in known or annotator.role == Role.MANAGER:
                continue
            made += None is not sanction(
                annotator=annotator,
                action=Action(rule.action),
                rule=rule,
                reason=finding.reason,
                evidence=finding.evidence,
                hours=rule.pause_hours,
            )
    return made


def _gold(rule: Rule) -> Iterator[Finding]:
    """Surely below the limit, or not surely above it."""
    upper = rule.condition == Condition.GOLD_UPPER_BOUND
    for annotator, right, answers in fetch(queries.GOLD_FIGURES, project=rule.project_id, minimum=rule.minimum):
        bounds = share_bounds(right, answers, rule.confidence)
        bound = bounds[upper]
        if bound < rule.limit:
            figures = {"right": right, "answers": answers, "bound": bound, "limit": rule.limit}
            words = f"{right} of {answers} gold answers right: at {'most' if upper else 'least'} {percent(bound)}"
            yield Finding(
                annotator,
                figures,
                f"{words} with {percent(rule.confidence)} confidence, the limit is {percent(rule.limit)}.",
            )


def _speed(rule: Rule) -> Iterator[Finding]:
    for annotator, answers, seconds in fetch(queries.SPEED_FIGURES, project=rule.project_id, minimum=rule.minimum):
        if answers >= rule.minimum and seconds < rule.limit:
            figures = {"answers": answers, "seconds": seconds, "limit": rule.limit}
            words = f"Half of the last {answers} answers took less than {seconds:.3g} s"
            yield Finding(annotator, figures, f"{words}, the limit is {rule.limit:g} s.")


def _chance(rule: Rule) -> Iterator[Finding]:
    """Guessing can't be ruled out: agreement with the others is not surely above chance and the rule's margin."""
    for row in Conduct.objects.filter(project=rule.project_id, compared__gte=rule.minimum):
        bound, _ = share_bounds(row.agreed, row.compared, rule.confidence)
        if bound < row.chance + rule.limit:
            figures = {"agreed": row.agreed, "answers": row.compared, "bound": bound, "chance": row.chance}
            words = f"Agrees with the others on {row.agreed} of {row.compared} tasks: at least {percent(bound)}"
            margin = f" and the limit {percent(rule.limit)} above it" if rule.limit else ""
            yield Finding(
                row.annotator_id,
                figures | {"limit": rule.limit},
                f"{words} with {percent(rule.confidence)} confidence, chance alone is {percent(row.chance)}{margin}.",
            )


def _copying(rule: Rule) -> Iterator[Finding]:
    """What two share does not tell who of them copied: the rule acts on both, unless one is clearly the better."""
    measures = _measures(rule)
    found = Conduct.objects.filter(
        project=rule.project_id, wrong__gte=rule.minimum, copied__gte=rule.limit, p_value__lte=1 - rule.confidence
    )
    for row in found.select_related("partner"):
        difference = _difference(measures, row.annotator_id, row.partner_id, rule.confidence)
        if difference is not None and difference.better:
            continue
        figures = {"with": row.partner_id, "copied": row.copied, "wrong": row.wrong, "p_value": row.p_value}
        name = row.partner.name if row.partner else "somebody"
        words = f"Shares {percent(row.copied)} of {row.wrong} wrong answers with {name} beyond chance"
        words += f", the limit is {percent(rule.limit)}."
        if difference is not None:
            words += f" {name}, who is clearly better {difference.at}, is left alone."
        told_by = None if difference is None else difference.at
        yield Finding(row.annotator_id, figures | {"limit": rule.limit, "worse": told_by}, words)


#: Of each annotator: successes, and of how many.
Measure = dict[int, tuple[int, int]]


@dataclass(frozen=True)
class Difference:
    """That one annotator is surely better or worse than another, and at what."""

    better: bool
    at: str


def _measures(rule: Rule) -> dict[str, Measure]:
    """What tells a source from who copies it, the surest first."""
    gold = fetch(queries.GOLD_FIGURES, project=rule.project_id, minimum=1)
    others = Conduct.objects.filter(project=rule.project_id).values_list("annotator_id", "agreed", "compared")
    return {
        "on gold": {annotator: (right, answers) for annotator, right, answers in gold},
        "by agreement with others": {annotator: (agreed, compared) for annotator, agreed, compared in others},
    }


def _difference(measures: dict[str, Measure], one: int, other: int | None, confidence: float) -> Difference | None:
    """By the first measure in which their bounds lie apart; None if there is none."""
    for at, measure in measures.items():
        mine, theirs = (share_bounds(*measure.get(who or 0, (0, 0)), confidence) for who in (one, other))
        if mine[0] > theirs[1] or theirs[0] > mine[1]:
            return Difference(better=mine[0] > theirs[1], at=at)
    return None


JUDGES: dict[Condition, Callable[[Rule], Iterator[Finding]]] = {
    Condition.GOLD_UPPER_BOUND: _gold,
    Condition.GOLD_LOWER_BOUND: _gold,
    Condition.SPEED: _speed,
    Condition.CHANCE: _chance,
    Condition.COPYING: _copying,
}


def percent(share: float | None) -> str:
    return f"{100 * (share or 0.0):.3g} %"
