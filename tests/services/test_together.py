"""Flat combining: what several threads ask for while others are served is done at once."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from projects.services.together import MOST, Failed, Together
from tests.support.client import wait_for


class Work:
    """Answers twice a number, as it is told; its wishes are (group, person, number)."""

    def __init__(self) -> None:
        self.groups: list[list[int]] = []
        self.stops = False
        self.go_on = threading.Semaphore(0)
        self.together: Together[tuple[str, int, int], int] = Together(
            self, group=lambda wish: wish[0], person=lambda wish: wish[1]
        )

    def __call__(self, wishes: Sequence[tuple[str, int, int]]) -> list[int]:
        self.groups.append([number for _, _, number in wishes])
        assert self.go_on.acquire(timeout=120)
        if self.stops:
            raise SystemExit
        if any(number < 0 for _, _, number in wishes):
            raise ValueError("a number below zero")
        return [2 * number for _, _, number in wishes]

    def waiting(self, group: str = "a") -> int:
        return len(self.together._groups[group].waiting)


def begin(work: Work, threads: ThreadPoolExecutor, *wishes: tuple[str, int, int]) -> list[Future[int]]:
    """The first is at work, and all the others wait."""
    first = threads.submit(work.together, wishes[0])
    wait_for(lambda: len(work.groups) == 1, what="the first to be at work")
    others = [threads.submit(work.together, wish) for wish in wishes[1:]]
    wait_for(lambda: work.waiting() == len(others), what="the others to wait")
    return [first, *others]


def test_who_is_alone_is_served_at_once() -> None:
    work = Work()
    work.go_on.release()

    assert work.together(("a", 1, 21)) == 42
    assert work.groups == [[21]]


def test_those_who_come_meanwhile_are_served_together_and_each_gets_their_own() -> None:
    work = Work()
    with ThreadPoolExecutor(5) as threads:
        asked = begin(work, threads, *[("a", person, person * 10) for person in range(5)])
        work.go_on.release(2)

        assert [each.result(120) for each in asked] == [0, 20, 40, 60, 80]
    assert [sorted(group) for group in work.groups] == [[0], [10, 20, 30, 40]]


def test_the_same_person_waits_for_their_next_turn() -> None:
    work = Work()
    wishes = [("a", 0, 0), ("a", 1, 1), ("a", 1, 2), ("a", 3, 3)]
    with ThreadPoolExecutor(4) as threads:
        asked = begin(work, threads, *wishes)
        work.go_on.release(3)

        assert [each.result(120) for each in asked] == [0, 2, 4, 6]
    assert sorted(map(len, work.groups)) == [1, 1, 2]
    assert all(len({wishes[number][1] for number in numbers}) == len(numbers) for numbers in work.groups)


def test_nobody_waits_for_another_group() -> None:
    work = Work()
    with ThreadPoolExecutor(3) as threads:
        begin(work, threads, ("a", 0, 0), ("a", 1, 1))
        other = threads.submit(work.together, ("b", 2, 2))
        wait_for(lambda: [2] in work.groups, what="the other group to be at work")
        work.go_on.release(3)

        assert other.result(120) == 4


def test_an_error_is_everybodys_in_its_group_and_nobody_elses() -> None:
    work = Work()
    with ThreadPoolExecutor(3) as threads:
        asked = begin(work, threads, ("a", 0, 0), ("a", 1, -1), ("a", 2, 2))
        work.go_on.release(2)

        assert asked[0].result(120) == 0
        errors = {type(each.exception(120)) for each in asked[1:]}
    assert errors == {ValueError, Failed}, "who led tells what it was"
    work.go_on.release()
    assert work.together(("a", 1, 5)) == 10, "nobody is at work for ever"


def test_who_leads_may_be_stopped_and_the_others_go_on() -> None:
    work = Work()
    work.stops = True
    with ThreadPoolExecutor(3) as threads:
        asked = begin(work, threads, ("a", 0, 0), ("a", 1, 1), ("a", 2, 2))
        work.go_on.release(2)

        assert {type(each.exception(120)) for each in asked} == {SystemExit, Failed}
    work.stops = False
    work.go_on.release()
    assert work.together(("a", 1, 5)) == 10


def test_nothing_is_left_of_a_group_whose_last_was_alone() -> None:
    work = Work()
    work.go_on.release(100)
    for n in range(50):
        work.together((str(n), 0, n))

    assert not work.together._groups


def test_a_crowd_is_served_to_the_last_in_groups_of_a_bounded_size() -> None:
    work = Work()
    work.go_on.release(1000)

    def many(person: int) -> list[int]:
        return [work.together(("a", person, person * 100 + n)) for n in range(25)]

    with ThreadPoolExecutor(40) as threads:
        answers = list(threads.map(many, range(40)))

    assert answers == [[2 * (person * 100 + n) for n in range(25)] for person in range(40)]
    assert sum(map(len, work.groups)) == 1000
    assert max(map(len, work.groups)) <= MOST
