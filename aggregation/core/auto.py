"""The default label model: hierarchical Dawid-Skene with easy and hard tasks, and what it takes to leave it alone.

It chooses by evidence that needs no gold, and by gold where there is some:

1. Hard tasks are equally frequent under every label, unless the votes speak clearly for a share of each label's own.
2. With two labels and few votes, abilities are mostly noise, and weighing votes by them does harm. Unless the votes are
   explained clearly better by skills than as if one person had given them all, everybody counts the same. So they do,
   too, where no task has two votes and no gold is known: then nothing tells annotators apart.
3. If the crowd falls into two factions (see `aggregation.core.factions`), one of them is set aside: the smaller one,
   or, with gold, the one without which more gold is right. Who copies is taken to be in the minority.
4. Of the votes that remain, gold may show that majority vote does better, which assumes nothing of annotators. Then
   everybody counts the same: the labels are those of majority vote, but one vote is not yet certainty.

What it chose, and why, is in the notes of its Fit.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from aggregation.core import everybody, hierarchical, majority_vote, wawa
from aggregation.core.calibration_report import rightness
from aggregation.core.factions import Factions, Members, factions
from aggregation.core.fit import DENSE_LABELS, Fit, Start, check_start, read_off
from aggregation.core.votes import Floats, Ints, Votes, check_gold

#: Log likelihood by task that shares of each label's own must gain: far above what they gain where there are none
#: (below 0.02 on simulated crowds), far below what they gain where labels do differ (0.2).
CLEARLY = 0.05
#: Log likelihood by annotator that skills must gain with two labels. Where there are none they gain 0.1 to 1, for each
#: parameter that is fitted about a half (Wilks); on seven real crowds they gain 3.5 to 50.
SKILLED = 1.0
PLAIN = "Annotators are weighed by what the votes tell of their skill (hierarchical Dawid-Skene)."
KEPT = "What was chosen for an earlier fit of these tasks is kept."
#: So many gold labels choose between factions.
ENOUGH_GOLD = 10
#: How improbable it must be that majority vote is right on so many more gold labels than the model by chance.
SIGNIFICANT = 0.05
#: Differences that are none but for rounding.
TIE = 1e-9


def fit(
    votes: Votes,
    gold: Ints | None = None,
    start: Start | None = None,
    *,
    ordinal: bool = False,
    tol: float = 1e-7,
    max_iter: int = 200,
) -> Fit:
    """Fit the model that suits the votes.

    gold: int32[T], -1 where unknown; known tasks are clamped. start: an earlier posterior f8[T, K] of the same tasks,
    or the whole Fit. If that has kinds of tasks, what it chose is not asked again, which saves most of the time: so
    begin without it once many votes have come. ordinal, tol, max_iter: as in `aggregation.core.hierarchical`. Raises
    ValueError on bad gold, start or max_iter.
    """
    known = check_gold(gold, votes)
    check_start(start, votes)
    settings = Settings(ordinal, tol, max_iter)
    if isinstance(start, Fit) and start.kinds is not None:
        return _again(settings, votes, known, start)
    if start is None:
        blind = _blind(votes, settings)
        split = votes.once(("factions", settings), lambda: _factions(votes, blind))
    else:
        blind = _by_votes(settings, votes, None, start)
        split = _factions(votes, blind)
    aside, why = _set_aside(settings, votes, blind, split, known)
    kept = votes if aside is None else _without(votes, aside)
    if aside is not None:
        blind = _blind(kept, settings)
    found = _by_votes(settings, kept, known, blind.posterior) if (known >= 0).any() else blind
    if _majority_is_better(kept, blind, known):
        reason = "Majority vote is right on significantly more of the gold labels than the fitted model: it is used."
        found = replace(everybody.fit(kept, known), notes=(reason,))
    notes = (*why, *(found.notes or (PLAIN,)))
    return replace(found if aside is None else _ignoring(votes, found, aside), notes=notes)


def _again(settings: Settings, votes: Votes, gold: Ints, before: Fit) -> Fit:
    """What an earlier fit with kinds of tasks chose and estimated, with the votes of now."""
    aside = before.aside
    if aside is not None:  # who has come since is not among them
        aside = np.append(aside, np.zeros(max(votes.n_annotators - len(aside), 0), dtype=bool))[: votes.n_annotators]
    kept = votes if aside is None else _without(votes, aside)
    own_share = before.kinds is not None and before.kinds.own_share
    found = settings.hierarchy(kept, gold, before, own_share).as_fit()
    notes = (KEPT if aside is None else f"{KEPT} The votes of {int(aside.sum())} annotators stay set aside.",)
    return replace(found if aside is None else _ignoring(votes, found, aside), notes=(*notes, *found.notes))


@dataclass(frozen=True)
class Settings:
    """Of hierarchical Dawid-Skene, as in `aggregation.core.hierarchical`."""

    ordinal: bool
    tol: float
    max_iter: int

    def fit(self, votes: Votes, gold: Ints | None, start: Start | None) -> Fit:
        return hierarchical.fit(votes, gold, start, kinds=2, ordinal=self.ordinal, tol=self.tol, max_iter=self.max_iter)

    def hierarchy(
        self, votes: Votes, gold: Ints | None, start: Start | None, own_share: bool = False
    ) -> hierarchical.Hierarchy:
        return hierarchical.hierarchy(
            votes,
            gold,
            start,
            kinds=2,
            own_share=own_share,
            ordinal=self.ordinal,
            tol=self.tol,
            max_iter=self.max_iter,
        )


def _blind(votes: Votes, settings: Settings) -> Fit:
    """The fit without gold: one for all gold that is ever known of the votes."""
    return votes.once(("auto", settings), lambda: _by_votes(settings, votes, None, None))


def _by_votes(settings: Settings, votes: Votes, gold: Ints | None, start: Start | None) -> Fit:
    """Hierarchical Dawid-Skene with two kinds of tasks, as far as the votes speak for it."""
    if votes.n_labels == 1:
        return replace(settings.fit(votes, gold, start), notes=("There is but one label: nobody can be wrong.",))
    if gold is None and votes.task_prior is None and np.bincount(votes.task, minlength=1).max() < 2:
        return replace(everybody.fit(votes), notes=("No task has two votes, so that nothing tells annotators apart.",))
    if votes.n_labels > DENSE_LABELS:
        return settings.fit(votes, gold, start)
    tied = settings.hierarchy(votes, gold, start)
    if votes.n_labels == 2:
        return _unless_alike(settings, votes, gold, tied)
    own = settings.hierarchy(votes, gold, start, own_share=True)
    tasks = max(int((np.bincount(votes.task, minlength=votes.n_tasks) > 0).sum()), 1)
    if own.log_likelihood() - tied.log_likelihood() < CLEARLY * tasks:
        return tied.as_fit()
    found = own.as_fit()
    return replace(found, notes=(*found.notes, "Some labels have clearly more hard tasks than others."))


def _unless_alike(settings: Settings, votes: Votes, gold: Ints | None, skilled: hierarchical.Hierarchy) -> Fit:
    annotators = int((np.bincount(votes.annotator, minlength=votes.n_annotators) > 0).sum())
    # Both without the gold: what it says of the truth, it says in both.
    alike = votes.once(("one person", settings), lambda: _as_one_person(settings, votes))
    if skilled.log_likelihood() - alike >= SKILLED * annotators:
        return skilled.as_fit()
    found = everybody.fit(votes, gold)
    return replace(found, notes=("The votes do not show that annotators differ: everybody counts the same.",))


def _as_one_person(settings: Settings, votes: Votes) -> float:
    """The log likelihood of the votes as if one person had given them: of the same labels, kinds and confusions."""
    nobody = np.zeros(len(votes), dtype=np.int32)
    merged = replace(votes, annotator=nobody, n_annotators=1)
    return settings.hierarchy(merged, None, None).log_likelihood()


def _set_aside(
    settings: Settings, votes: Votes, blind: Fit, found: Factions | None, gold: Ints
) -> tuple[Members | None, tuple[str, ...]]:
    """The faction to do without, bool[A], and why."""
    if found is None:
        return None, ()
    smaller, larger = sorted((found.block, found.rest), key=lambda side: int(side.sum()))
    if (gold >= 0).sum() < ENOUGH_GOLD:
        return smaller, (_words(found, smaller, "They are the fewer, so"),)
    options: list[Members | None] = [smaller, larger, None]
    fits = [blind if side is None else _blind(_without(votes, side), settings) for side in options]
    right = [_right(each, gold).sum() for each in fits]
    aside = options[int(np.argmax(np.round(right, 9)))]
    if aside is None:
        return None, ()
    return aside, (_words(found, aside, "More gold labels are right without them, so"),)


def _factions(votes: Votes, blind: Fit) -> Factions | None:
    if votes.n_labels > DENSE_LABELS:
        return None
    # A ring that the model has fallen for hides itself in part; Wawa trusts nobody that far.
    return factions(votes, blind.posterior) or factions(votes, wawa.fit(votes).posterior)


def _words(found: Factions, aside: Members, reason: str) -> str:
    return (
        f"The crowd falls into two factions that agree with themselves {found.excess:.0%} more often than with each "
        f"other beyond what the truth explains. {reason} the votes of {int(aside.sum())} annotators are set aside."
    )


def _right(found: Fit, gold: Ints) -> Floats:
    """How far a fit that did not know the gold labels gets each of them right, 0..1: a tie counts in part."""
    known = np.flatnonzero(gold >= 0)
    return rightness(found.posterior[known], gold[known])


def _majority_is_better(votes: Votes, blind: Fit, gold: Ints) -> bool:
    """By a sign test, one-sided, on the gold labels of which either is righter than the other."""
    from scipy.special import betainc  # slow to import, and no web process asks

    difference = _right(majority_vote.fit(votes), gold) - _right(blind, gold)
    better, worse = int((difference > TIE).sum()), int((difference < -TIE).sum())
    # P(at least so many heads of so many tosses of a coin)
    return bool(better > worse and betainc(better, worse + 1, 0.5) <= SIGNIFICANT)


def _without(votes: Votes, aside: Members) -> Votes:
    """The same votes each time, so that what is known of them is."""
    return votes.once(("without", aside.tobytes()), lambda: votes.those(~aside[votes.annotator]))


def _ignoring(votes: Votes, found: Fit, aside: Members) -> Fit:
    """The fit, with skills counted from its posterior for those set aside, and confusions by which their votes say
    nothing of the truth, so that what is computed from all votes is what was fitted without theirs."""
    counted = read_off(votes, found.posterior, found.label_prior)
    said = np.ones((votes.n_annotators, votes.n_labels))
    np.add.at(said, (votes.annotator, votes.label), 1.0)
    said = (said / said.sum(axis=1, keepdims=True))[aside]
    confusion, kinds = found.confusion, found.kinds
    if confusion is not None:
        confusion = confusion.copy()
        confusion[aside] = said[:, None, :]
    if kinds is not None:
        by_kind = kinds.confusion.copy()
        by_kind[aside] = said[:, None, None, :]
        kinds = replace(kinds, confusion=by_kind)
    return replace(
        found,
        confusion=confusion,
        kinds=kinds,
        aside=aside,
        accuracy=np.where(aside, counted.accuracy, found.accuracy),
        skill_votes=np.where(aside, counted.skill_votes, found.skill_votes),
    )
