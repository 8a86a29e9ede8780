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


@dataclass(eq=False)
class _Turn(Generic[Wish, Answer]):
    wish: Wish
    called: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    done: bool = False
    answer: Answer | None = None
    error: Exception | None = None


class Together(Generic[Wish, Answer]):
    """Flat combining (Hendler et al. 2010, DOI 10.1145/1810479.1810540): whoever finds nobody at work begins at once,
    and those who come meanwhile are served together, by one of them, when that is done.

    The more there are the less each costs; so where others were served just now they are waited for, a moment. Who is
    alone never waits. ``work`` is given wishes of one ``group``,
    no two of one ``person``, and answers each in its place; what it raises is raised for each of them.
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
        self._waiting: deque[_Turn[Wish, Answer]] = deque()
        self._at_work = False
        self._came = threading.Condition(self._lock)
        self._company = 1  # how many there were when the last were served

    def __call__(self, wish: Wish) -> Answer:
        turn: _Turn[Wish, Answer] = _Turn(wish)
        with self._lock:
            self._waiting.append(turn)
            leads, self._at_work = not self._at_work, True
            self._came.notify()
        if not leads:
            turn.called.acquire()
        if not turn.done:
            self._lead(turn)
        if turn.error is not None:
            raise turn.error
        assert turn.answer is not None
        return turn.answer

    def _lead(self, mine: _Turn[Wish, Answer]) -> None:
        with self._lock:
            self._came.wait_for(lambda: len(self._waiting) >= self._company, SECONDS_FOR_COMPANY)
            turns = self._joined(mine)
        try:
            for turn, answer in zip(turns, self._work([turn.wish for turn in turns]), strict=True):
                turn.answer = answer
        except Exception as error:
            for turn in turns:
                turn.error = error
        finally:
            with self._lock:
                called = [turn for turn in turns if turn is not mine]
                for turn in turns:
                    turn.done = True
                self._company = min(len(turns) + len(self._waiting), MOST)
                if self._waiting:
                    called.append(self._waiting[0])  # who leads now
                else:
                    self._at_work = False
            for turn in called:
                turn.called.release()

    def _joined(self, mine: _Turn[Wish, Answer]) -> list[_Turn[Wish, Answer]]:
        """This turn, with those waiting that can be served together with it; the others go on waiting."""
        turns = {self._person(mine.wish): mine}
        others: deque[_Turn[Wish, Answer]] = deque()
        for turn in self._waiting:
            person = self._person(turn.wish)
            if turn is mine:
                continue
            if len(turns) < MOST and self._group(turn.wish) == self._group(mine.wish) and person not in turns:
                turns[person] = turn
            else:
                others.append(turn)
        self._waiting = others
        return list(turns.values())
