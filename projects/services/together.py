"""What several threads ask for at once, done at once."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

Wish = TypeVar("Wish")
Answer = TypeVar("Answer")

#: Wishes fulfilled at once.
MOST = 32
#: How long those who have come are kept waiting for as many as there just were, as by PostgreSQL's commit_delay.
SECONDS_FOR_COMPANY = 0.002


class Failed(Exception):
    """What was done for several failed for all of them; the cause is in ``__cause__``."""


@dataclass(eq=False)
class _Turn(Generic[Wish, Answer]):
    wish: Wish
    called: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    answer: Answer | None = None
    error: BaseException | None = None

    @property
    def done(self) -> bool:
        return self.answer is not None or self.error is not None


@dataclass(eq=False)
class _Group(Generic[Wish, Answer]):
    """Those who ask for what can be done at once; company: how many there were the last time."""

    came: threading.Condition
    waiting: deque[_Turn[Wish, Answer]] = field(default_factory=deque)
    at_work: bool = False
    company: int = 1


class Together(Generic[Wish, Answer]):
    """Flat combining (Hendler et al. 2010, DOI 10.1145/1810479.1810540): whoever finds nobody at work in their group
    begins at once, and those who come meanwhile are served together, by one of them, when that is done.

    The more there are the less each costs; so where others were served just now they are waited for, a moment.
    ``work`` is given wishes of one ``group``, no two of one ``person``, and answers each in its place. What it raises
    is raised for whoever did the work, and as ``Failed`` for the others.
    """

    def __init__(
        self,
        work: Callable[[Sequence[Wish]], Sequence[Answer]],
        *,
        group: Callable[[Wish], Hashable],
        person: Callable[[Wish], Hashable],
    ) -> None:
        self._work, self._group, self._person = work, group, person
        self._lock = threading.Lock()
        self._groups: dict[Hashable, _Group[Wish, Answer]] = {}

    def __call__(self, wish: Wish) -> Answer:
        turn: _Turn[Wish, Answer] = _Turn(wish)
        name = self._group(wish)
        with self._lock:
            group = self._groups.get(name)
            if group is None:
                group = self._groups[name] = _Group(threading.Condition(self._lock))
            leads, group.at_work = not group.at_work, True
            group.waiting.append(turn)
            group.came.notify()
        if not leads:
            turn.called.acquire()
        if not turn.done:
            self._lead(name, group, turn)
        elif turn.error is not None:
            raise Failed() from turn.error
        assert turn.answer is not None
        return turn.answer

    def _lead(self, name: Hashable, group: _Group[Wish, Answer], mine: _Turn[Wish, Answer]) -> None:
        turns = [mine]
        try:
            with self._lock:
                try:
                    group.came.wait_for(lambda: len(group.waiting) >= group.company, SECONDS_FOR_COMPANY)
                finally:
                    turns = self._taken(group, mine)
            for turn, answer in zip(turns, self._work([turn.wish for turn in turns]), strict=True):
                turn.answer = answer
        except BaseException as error:
            for turn in turns:
                turn.error = error
            raise
        finally:
            with self._lock:
                called = [turn for turn in turns if turn is not mine]
                group.company = min(len(turns) + len(group.waiting), MOST)
                group.at_work = bool(group.waiting)
                if group.waiting:
                    called.append(group.waiting[0])  # who leads now
                elif group.company == 1:
                    del self._groups[name]
            for turn in called:
                turn.called.release()

    def _taken(self, group: _Group[Wish, Answer], mine: _Turn[Wish, Answer]) -> list[_Turn[Wish, Answer]]:
        """This turn and those waiting that can be served with it; the others go on waiting."""
        turns = {self._person(mine.wish): mine}
        others: deque[_Turn[Wish, Answer]] = deque()
        for turn in group.waiting:
            if turn is mine:
                continue
            if len(turns) < MOST and self._person(turn.wish) not in turns:
                turns[self._person(turn.wish)] = turn
            else:
                others.append(turn)
        group.waiting = others
        return list(turns.values())
