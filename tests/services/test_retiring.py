"""When a task stops collecting votes, and when it starts again."""

from collections.abc import Callable

import pytest

from projects.models import TaskQueue
from projects.services.ballots import VoteInput
from projects.services.leases import lease_tasks
from projects.services.projects import configure_project
from projects.services.voting import submit_votes
from tests.services.campaign import Campaign, assert_counters_are_true, recomputed

Make = Callable[..., Campaign]


def is_open(c: Campaign, n: int = 0) -> bool:
    return TaskQueue.objects.get(task=c.task(n)).open


def configure(c: Campaign, **changes: object) -> None:
    configure_project(project_id=c.id, version=c.fresh().version, changes=changes)


def test_a_task_retires_with_its_last_vote(campaign: Make) -> None:
    c = campaign(tasks=1, annotators=3, redundancy=2)
    c.vote(0, "cat")
    assert c.state(0).retired is None and is_open(c)

    c.vote(1, "cat")

    assert c.state(0).retired == "redundancy" and not is_open(c)
    assert lease_tasks(member=c.member(2), count=1) == ([], "finished")


def test_a_task_retires_when_it_is_sure_enough(campaign: Make) -> None:
    """Before the first refit everybody is taken to be right seven times of ten: two who agree are 84 % sure."""
    c = campaign(tasks=1, annotators=3, redundancy=5, target_confidence=0.8)
    c.vote(0, "cat")
    assert c.state(0).retired is None

    c.vote(1, "cat")

    assert c.state(0).retired == "target" and not is_open(c)
    assert lease_tasks(member=c.member(2), count=1) == ([], "finished")


def test_never_before_the_least_number_of_votes(campaign: Make) -> None:
    c = campaign(tasks=1, annotators=3, redundancy=5, target_confidence=0.8, min_votes=3)
    c.vote(0, "cat")
    c.vote(1, "cat")
    assert c.state(0).retired is None and c.state(0).confidence > 0.8

    c.vote(2, "cat")

    assert c.state(0).retired == "target"


def test_who_holds_a_lease_may_still_vote_on_a_retired_task(campaign: Make) -> None:
    c = campaign(tasks=1, annotators=3, redundancy=3, target_confidence=0.8)
    for annotator in range(3):
        c.lease(annotator)
    c.vote(0, "cat")
    c.vote(1, "cat")
    assert c.state(0).retired == "target"

    c.vote(2, "dog")

    state = c.state(0)
    assert state.votes == 3 and state.retired == "redundancy" and state.confidence < 0.8
    assert_counters_are_true(c.project)


def test_a_task_that_has_just_retired_is_not_handed_out_by_a_stale_queue(campaign: Make) -> None:
    """Two tables say whether a task collects votes; a lease may see the queue's row as it was a moment ago."""
    c = campaign(tasks=1, annotators=3, redundancy=3, target_confidence=0.8)
    c.vote(0, "cat")
    c.vote(1, "cat")
    TaskQueue.objects.filter(task=c.task(0)).update(open=True)

    leases, _ = lease_tasks(member=c.member(2), count=1)

    assert leases == []


def test_a_dissenting_late_vote_opens_the_task_again(campaign: Make) -> None:
    c = campaign(tasks=1, annotators=3, redundancy=5, target_confidence=0.8)
    for annotator in range(3):
        c.lease(annotator)
    c.vote(0, "cat")
    c.vote(1, "cat")
    assert not is_open(c)

    c.vote(2, "dog")

    assert c.state(0).retired is None and is_open(c)


def test_another_target_opens_and_retires_tasks_at_once(campaign: Make) -> None:
    c = campaign(tasks=1, annotators=2, redundancy=5, target_confidence=0.6)
    c.vote(0, "cat")
    assert c.state(0).retired == "target"

    configure(c, target_confidence=0.999)
    assert c.state(0).retired is None and is_open(c)
    c.refit()
    assert c.state(0).retired is c.consensus(0).retired is None

    configure(c, target_confidence=0.5)
    assert c.state(0).retired == "target" and not is_open(c)
    c.refit()
    assert c.consensus(0).retired == "target", "consumers are told why it stopped"


@pytest.mark.parametrize(
    "changes",
    [
        {"target_confidence": 0.55},
        {"target_confidence": 0.99},
        {"target_confidence": None},
        {"target_confidence": 0.55, "min_votes": 3},
        {"flag_below": 0.9},
        {"redundancy": 2, "flag_below": 0.6},
        {"redundancy": 9, "target_confidence": 0.8},
    ],
)
def test_changed_settings_leave_every_task_as_its_votes_would_have_it(
    campaign: Make, changes: dict[str, object]
) -> None:
    """The statement that goes over all tasks says what the vote's own way says of each, gold or not."""
    c = campaign(annotators=4, redundancy=4, target_confidence=0.8)
    c.upload([{"data": {"n": n}, **({"gold": "cat"} if n % 2 else {})} for n in range(10)])
    for n in range(10):
        for annotator in range(n % 5):
            if c.state(n).retired is None:
                c.vote(annotator, "cat" if annotator * n % 3 else "dog", n)

    configure(c, **changes)

    said = {c.state(n).task_id: (c.state(n).retired, is_open(c, n)) for n in range(10)}
    assert said == {task: (row.retired, row.retired is None) for task, row in recomputed(c.fresh()).items()}
    assert_counters_are_true(c.fresh())


def test_whoever_read_the_settings_before_they_changed_goes_by_the_new_ones(campaign: Make) -> None:
    c = campaign(tasks=1, annotators=2, redundancy=5)
    member, assignment = c.member(0), c.lease(0)
    configure(c, target_confidence=0.6)

    submit_votes(member=member, votes=[VoteInput(assignment.id, "cat")])

    assert member.project.target_confidence is None
    assert c.state(0).retired == "target"


def test_redundancy_raised_and_lowered(campaign: Make) -> None:
    c = campaign(tasks=2, annotators=4, redundancy=2)
    c.vote(0, "cat", 0)
    c.vote(1, "cat", 0)
    assert c.state(0).retired == "redundancy"

    configure(c, redundancy=3)
    assert c.state(0).retired is None and is_open(c)
    c.vote(2, "cat", 0)
    configure(c, redundancy=1)

    # Never below what is there already: three votes, and on the other task the leases that came along.
    assert (c.state(0).redundancy, c.state(0).retired) == (3, "redundancy") and not is_open(c)
    assert c.state(1).redundancy == c.state(1).leases == 3
    assert_counters_are_true(c.project)


def test_a_gold_task_collects_by_the_rules_of_any_other(campaign: Make) -> None:
    """Were gold to stop early, being asked would tell an annotator that a task is none."""
    c = campaign(annotators=4, redundancy=4, target_confidence=0.8)
    c.upload([{"data": {"n": 0}, "gold": "dog"}, {"data": {"n": 1}}])
    for answer in ("cat", "dog"):
        annotator = 0 if answer == "cat" else 1
        c.vote(annotator, answer, 0)
        c.vote(annotator, answer, 1)
    gold, plain = c.state(0), c.state(1)
    assert (gold.confidence, gold.label) == (1.0, 1)
    assert gold.retired is plain.retired is None, "the votes on it disagree"
    queue = dict(TaskQueue.objects.filter(project=c.project).values_list("task__data__n", "priority"))
    assert queue[0] == queue[1]

    c.refit()

    gold, plain = c.state(0), c.state(1)
    assert gold.retired == plain.retired, "the same votes, the same fate"
    queue = dict(TaskQueue.objects.filter(project=c.project).values_list("task__data__n", "priority"))
    assert queue[0] == queue[1]
