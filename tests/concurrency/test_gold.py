"""Gold that everybody is given at the same moment."""

from collections.abc import Callable
from functools import partial

from projects.models import Assignment, TaskState
from projects.services.ballots import VoteInput
from projects.services.leases import lease_tasks
from projects.services.projects import configure_project
from projects.services.voting import submit_votes_and_lease
from tests.concurrency.races import together
from tests.services.campaign import Campaign, assert_counters_are_true

Make = Callable[..., Campaign]
PEOPLE = 12
CAP = 4
GOLD = 5


def injecting(campaign: Make) -> Campaign:
    c = campaign(annotators=PEOPLE, gold_share=0.5, gold_exposures=CAP, redundancy=PEOPLE)
    c.upload([{"data": {"n": n}} for n in range(40)] + [{"data": {"n": 100 + n}, "gold": "cat"} for n in range(GOLD)])
    return c


def work(c: Campaign, annotator: int, rounds: int) -> None:
    """Lease and vote, as quickly as can be."""
    member = c.member(annotator)
    given, _ = lease_tasks(member=member, count=2)
    for _ in range(rounds):
        votes = [VoteInput(lease.id, "cat") for lease in given]
        if not votes:
            given, _ = lease_tasks(member=member, count=2)
            continue
        submitted = submit_votes_and_lease(member=member, votes=votes, count=2)
        results, (given, _) = submitted.results, submitted.leases
        assert results == [None] * len(votes)


def exposures(c: Campaign) -> list[int]:
    return [Assignment.objects.filter(task=c.task(100 + n)).count() for n in range(GOLD)]


def test_nobody_is_one_too_many_for_gold(campaign: Make) -> None:
    c = injecting(campaign)

    together([partial(work, c, annotator, 8) for annotator in range(PEOPLE)])

    # Twelve people have been asked more than enough for each of them to see all gold, which four may.
    assert exposures(c) == [CAP] * GOLD
    assert_counters_are_true(c.project)


def test_settings_that_change_meanwhile_hold_for_all_gold(campaign: Make) -> None:
    c = injecting(campaign)

    def change() -> None:
        for share, cap in ((None, None), (0.5, 2), (None, 3), (1.0, None), (0.5, CAP)):
            changes = {"gold_share": share, "gold_exposures": cap}
            configure_project(project_id=c.id, version=c.fresh().version, changes=changes)

    together([*(partial(work, c, annotator, 4) for annotator in range(PEOPLE)), change])

    for state in TaskState.objects.filter(task__gold__project=c.id).select_related("task__queue"):
        assert state.task.queue.pool == "\x01"
        assert state.redundancy == max(CAP, state.votes + state.leases)
        assert state.task.queue.open == (state.retired is None) == (state.votes < state.redundancy)
    assert_counters_are_true(c.project)
