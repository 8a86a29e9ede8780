"""In which order tasks are handed out, and that an annotator who has had many gets the rest."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.utils import timezone

from projects.models import Cursor, TaskQueue
from projects.services.assignments import release_assignment
from projects.services.ballots import VoteInput
from projects.services.leases import lease_tasks
from projects.services.projects import configure_project
from projects.services.voting import submit_votes
from tests.services.campaign import Campaign

Make = Callable[..., Campaign]


def numbers(c: Campaign, annotator: int, count: int) -> list[int]:
    leases, _why = lease_tasks(member=c.member(annotator), count=count)
    return [lease.data["n"] for lease in leases]


def test_in_upload_order_a_task_is_filled_before_the_next_is_begun(campaign: Make) -> None:
    c = campaign(tasks=4, annotators=3, redundancy=2, order="sequential")
    assert [numbers(c, annotator, 2) for annotator in range(3)] == [[0, 1], [0, 1], [2, 3]]


def test_breadth_first_gives_every_task_a_vote_before_any_gets_a_second(campaign: Make) -> None:
    c = campaign(tasks=4, annotators=2, redundancy=2, order="breadth_first")
    for n in (0, 2):
        c.vote(0, "cat", n)
    release_all(c, 0)
    assert sorted(numbers(c, 1, 2)) == [1, 3]
    assert sorted(numbers(c, 1, 4)) == [0, 1, 2, 3]


def test_depth_first_finishes_what_has_votes(campaign: Make) -> None:
    c = campaign(tasks=4, annotators=2, redundancy=2, order="depth_first")
    c.vote(0, "cat", 2)
    release_all(c, 0)
    assert numbers(c, 1, 2) == [2, 0]


def test_a_random_order_is_drawn_once_and_no_vote_changes_it(campaign: Make) -> None:
    c = campaign(tasks=40, annotators=2, redundancy=2, order="random")
    drawn = list(TaskQueue.objects.filter(project=c.id).order_by("task").values_list("priority", flat=True))
    assert len(set(drawn)) > 20
    first = numbers(c, 0, 40)
    assert first == sorted(range(40), key=lambda n: (-drawn[n], n))
    submit_votes(member=c.member(0), votes=[VoteInput(c.lease(0, 7).id, "cat")])
    after = TaskQueue.objects.filter(project=c.id).order_by("task").values_list("priority", flat=True)
    assert list(after) == drawn


@pytest.mark.parametrize(
    ("order", "expected"),
    [("sequential", [0, 0, 0]), ("breadth_first", [1000, 999, 1000]), ("depth_first", [0, 1, 0])],
)
def test_another_order_is_in_force_at_once(campaign: Make, order: str, expected: list[int]) -> None:
    c = campaign(tasks=3, annotators=2, redundancy=2)
    c.vote(0, "cat", 1)
    configure_project(project_id=c.id, version=c.fresh().version, changes={"order": order})
    queue = TaskQueue.objects.filter(project=c.id).order_by("task")
    assert list(queue.values_list("priority", flat=True)) == expected
    c.upload([{"data": {"n": 3}}])
    assert TaskQueue.objects.get(task=c.task(3)).priority == expected[0]

    configure_project(project_id=c.id, version=c.fresh().version, changes={"order": "priority"})
    back = list(queue.values_list("priority", flat=True))
    assert back[0] == back[2] == back[3] == 1000 > back[1]


def test_somebody_who_has_had_the_head_of_the_queue_gets_what_follows(campaign: Make) -> None:
    """More than the first 200 tasks, which a lease looks at: it goes on where it stopped, and forgets that in time."""
    c = campaign(tasks=450, annotators=1, redundancy=2, order="sequential", max_leases=1000)
    for start in (0, 150, 300):
        leases, _why = lease_tasks(member=c.member(0), count=150)
        assert [lease.data["n"] for lease in leases] == list(range(start, start + 150))
        votes = [VoteInput(lease.id, "cat") for lease in leases]
        for part in (votes[:100], votes[100:]):
            assert submit_votes(member=c.member(0), votes=part) == [None] * len(part)
    assert Cursor.objects.get(annotator=c.annotators[0]).task_id == c.task(449)
    assert lease_tasks(member=c.member(0), count=1) == ([], "finished")


def test_what_comes_back_behind_an_annotators_place_is_found_in_the_end(campaign: Make) -> None:
    c = campaign(tasks=260, annotators=1, redundancy=1, max_leases=1000)
    leases, _why = lease_tasks(member=c.member(0), count=250)
    votes = [VoteInput(lease.id, "cat") for lease in leases if lease.data["n"] not in (220, 230)]
    configure_project(project_id=c.id, version=c.fresh().version, changes={"redundancy": 2})
    for part in (votes[:100], votes[100:200], votes[200:]):
        submit_votes(member=c.member(0), votes=part)
    for lease in leases:
        if lease.data["n"] in (220, 230):
            release_assignment(member=c.member(0), assignment_id=lease.id)
    found = numbers(c, 0, 12)
    assert sorted(found) == [220, 230, *range(250, 260)]


def test_an_annotators_place_is_forgotten(campaign: Make) -> None:
    c = campaign(tasks=210, annotators=1, redundancy=1, order="sequential", max_leases=1000)
    assert len(numbers(c, 0, 205)) == 205
    place = Cursor.objects.get(annotator=c.annotators[0])
    Cursor.objects.filter(id=place.id).update(begun_at=timezone.now() - timedelta(minutes=11))
    assert len(numbers(c, 0, 207)) == 207
    again = Cursor.objects.get(annotator=c.annotators[0])
    assert again.begun_at > timezone.now() - timedelta(minutes=5) and again.task_id == c.task(206)


def release_all(c: Campaign, annotator: int) -> None:
    for lease in lease_tasks(member=c.member(annotator), count=100)[0]:
        release_assignment(member=c.member(annotator), assignment_id=lease.id)
