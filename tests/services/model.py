"""The rules of tasks, places and money in small: what the property test believes of a project."""

from __future__ import annotations

from dataclasses import dataclass, field
from uuid import UUID

from projects.errors import AnnotatorBlocked, AssignmentClosed, LateVoteNoBudget, LateVoteNoRoom

SETTLED = ("flagged", "reviewed")
ANY_NUMBER = 1_000_000_000


@dataclass
class Task:
    """Who has voted on it, who holds it, who has had it, and how many votes it wants."""

    redundancy: int
    own: int | None = None
    gold: bool = False
    votes: set[int] = field(default_factory=set)
    holders: set[int] = field(default_factory=set)
    had: set[int] = field(default_factory=set)
    skips: set[int] = field(default_factory=set)
    retired: str | None = None

    @property
    def taken(self) -> int:
        return len(self.votes) + len(self.holders)

    def has_place_for(self, annotator: int) -> bool:
        return self.retired is None and self.taken < self.redundancy and annotator not in self.had | self.holders

    def retire(self) -> None:
        if self.retired not in SETTLED:
            self.retired = "redundancy" if len(self.votes) >= self.redundancy else None


@dataclass
class Given:
    """An assignment: whose, on which task, and what became of it."""

    annotator: int
    task: int
    status: str = "open"
    counted: bool = False
    answer: type[Exception] | None = None  # what a late vote on it was told

    @property
    def may_come_late(self) -> bool:
        return self.status == "expired" and self.answer is None


@dataclass
class Model:
    """A project, whose votes cost 1 each. ``injecting``: gold is handed out by chance, to ``exposures`` people."""

    tasks: list[Task]
    redundancy: int
    budget: int
    max_skips: int | None
    injecting: bool = False
    exposures: int | None = None
    spent: int = 0
    given: dict[UUID, Given] = field(default_factory=dict)
    banned: dict[int, set[int]] = field(default_factory=dict)  # and on which tasks their votes were discarded

    @property
    def reserved(self) -> int:
        return sum(len(task.holders) for task in self.tasks)

    @property
    def available(self) -> int:
        return self.budget - self.spent - self.reserved

    def books(self) -> list[tuple[object, ...]]:
        return [(len(t.votes), len(t.holders), t.redundancy, t.retired, t.retired is None) for t in self.tasks]

    def held(self, annotator: int) -> int:
        return sum(annotator in task.holders for task in self.tasks)

    def open(self) -> list[UUID]:
        return [id_ for id_, given in self.given.items() if given.status == "open"]

    def late(self) -> list[UUID]:
        return [id_ for id_, given in self.given.items() if given.may_come_late]

    def is_injected(self, task: Task) -> bool:
        return task.gold and self.injecting

    def free(self, annotator: int) -> set[int]:
        return {n for n, task in enumerate(self.tasks) if task.has_place_for(annotator)}

    def surely_free(self, annotator: int) -> set[int]:
        """Those of the free ones that come whatever chance says: gold does only in the place of others, or again."""
        again = {given.task for given in self.given.values() if given.annotator == annotator}
        return {n for n in self.free(annotator) if not self.is_injected(self.tasks[n]) or n in again}

    def why_nothing(self, annotator: int) -> str:
        ordinary = [task for task in self.tasks if not self.is_injected(task)]
        if not any(task.retired is None and annotator not in task.had for task in ordinary):
            return "finished"
        return "waiting" if self.available >= 1 or self.reserved else "budget_spent"

    def close(self, id_: UUID, status: str) -> Task:
        given = self.given[id_]
        given.status = status
        self.tasks[given.task].holders.discard(given.annotator)
        return self.tasks[given.task]

    def vote(self, id_: UUID) -> type[Exception] | None:
        """What a vote on this assignment is told; it is done."""
        given = self.given[id_]
        task, who = self.tasks[given.task], given.annotator
        if given.counted:
            return None
        if given.answer is not None:
            return given.answer
        if who in self.banned:
            return AnnotatorBlocked
        if given.status in ("skipped", "released"):
            return AssignmentClosed
        if given.status == "open":
            self._count(given, self.close(id_, "voted"))
            return None
        return self._vote_late(given, task)

    def _vote_late(self, given: Given, task: Task) -> type[Exception] | None:
        only_one = given.annotator not in task.had | task.holders
        room = only_one and not self.injecting and task.retired is None and task.taken < task.redundancy
        if only_one:
            given.status = "voted"
            task.had.add(given.annotator)
        if room and self.available >= 1:
            self._count(given, task)
            return None
        given.answer = LateVoteNoBudget if room else LateVoteNoRoom
        return given.answer

    def _count(self, given: Given, task: Task) -> None:
        given.counted = True
        task.votes.add(given.annotator)
        task.had.add(given.annotator)
        self.spent += 1
        task.retire()

    def place(self, task: Task) -> None:
        """The votes that the project's settings, or its own, have this task want."""
        wanted = [self.redundancy if task.own is None else task.own]
        if self.is_injected(task):
            wanted = [most for most in (task.own, self.exposures) if most is not None] or [ANY_NUMBER]
        task.redundancy = max(min(wanted), task.taken)
        task.retire()

    def limit_skips(self, max_skips: int | None) -> None:
        self.max_skips = max_skips
        for task in self.tasks:
            many = max_skips is not None and len(task.skips) >= max_skips
            if task.skips and task.retired is None and many:
                task.retired = "flagged"
            elif task.skips and task.retired == "flagged" and not many:
                task.retired = None
            task.retire()

    def skip(self, id_: UUID, *, tells: bool) -> None:
        task, who = self.close(id_, "skipped"), self.given[id_].annotator
        task.had.add(who)
        if tells:
            task.skips.add(who)
            if self.max_skips is not None and task.retired is None and len(task.skips) >= self.max_skips:
                task.retired = "flagged"

    def reopen(self, task: Task, votes: int) -> None:
        task.redundancy = task.own = max(task.redundancy, task.taken + votes)
        task.retired = None
        task.retire()

    def ban(self, annotator: int, *, discard: bool) -> None:
        for id_ in self.open():
            if self.given[id_].annotator == annotator:
                self.close(id_, "released")
        discarded = {n for n, task in enumerate(self.tasks) if discard and annotator in task.votes}
        self.banned[annotator] = discarded
        for n in discarded:
            self.tasks[n].votes.discard(annotator)
            self.tasks[n].retire()

    def take_back(self, annotator: int) -> None:
        for n in self.banned.pop(annotator):
            task = self.tasks[n]
            task.redundancy = max(task.redundancy, task.taken + 1)
            task.votes.add(annotator)
            task.retire()
