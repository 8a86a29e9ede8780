"""What is done about annotators: standing, leases, votes, and taking it back."""

from collections.abc import Callable

import pytest

from projects.errors import (
    AlreadyLifted,
    AnnotatorBlocked,
    AnnotatorPaused,
    AssignmentClosed,
    ManagerNotSanctioned,
)
from projects.models import Action, Assignment, Member, Role, Sanction, TaskState, Vote
from projects.services.ballots import VoteInput
from projects.services.leases import lease_next, lease_tasks
from projects.services.sanctions import carry_out, end_pauses, lift, resume_pending, sanction
from projects.services.voting import submit_votes
from tests.services.campaign import Campaign, assert_counters_are_true, assert_state_is_fresh, other_connection

Make = Callable[..., Campaign]


def act(c: Campaign, action: Action, annotator: int = 0, hours: int | None = None) -> Sanction:
    done = sanction(annotator=c.member(annotator), action=action, reason="Because", hours=hours)
    assert done is not None
    return done


def standing(c: Campaign, annotator: int = 0) -> str:
    return c.member(annotator).standing


def test_somebody_warned_works_on(campaign: Make) -> None:
    c = campaign(tasks=1, annotators=1)
    act(c, Action.WARN)
    assert standing(c) == "warned"
    c.vote(0, "cat")


def test_somebody_paused_answers_what_they_hold_and_gets_no_more(campaign: Make) -> None:
    c = campaign(tasks=2, annotators=1)
    held = c.lease(0)
    done = act(c, Action.PAUSE)

    with pytest.raises(AnnotatorPaused):
        lease_tasks(member=c.member(0), count=1)
    assert submit_votes(member=c.member(0), votes=[VoteInput(held.id, "cat")]) == [None]
    assert lease_next(member=c.member(0), count=1) == ([], "waiting"), "their vote was stored all the same"

    lift(sanction=done, by=None)
    assert standing(c) == "active"
    c.vote(0, "dog")


def test_a_pause_ends_by_the_databases_clock(campaign: Make) -> None:
    c = campaign(annotators=1)
    act(c, Action.WARN)
    done = act(c, Action.PAUSE, hours=1)
    end_pauses()
    assert standing(c) == "paused" and c.member(0).paused_until == done.until

    with other_connection(autocommit=True) as database:
        for table, column in (("sanction", "until"), ("member", "paused_until")):
            database.execute(
                f"UPDATE projects_{table} SET {column} = now() - interval '1 s' WHERE {column} = %s", [done.until]
            )
    end_pauses()

    assert standing(c) == "warned", "what else is in force"
    assert c.member(0).paused_until is None


def test_somebody_blocked_does_nothing_more_and_what_they_held_goes_to_others(campaign: Make) -> None:
    c = campaign(tasks=2, annotators=2, redundancy=1)
    c.vote(0, "cat", 0)
    held = c.lease(0)
    act(c, Action.BLOCK)

    with pytest.raises(AnnotatorBlocked):
        lease_tasks(member=c.member(0), count=1)
    (refused,) = submit_votes(member=c.member(0), votes=[VoteInput(held.id, "cat")])
    assert isinstance(refused, AnnotatorBlocked)
    first = Assignment.objects.get(annotator=c.annotators[0], task=c.task(0))
    assert submit_votes(member=c.member(0), votes=[VoteInput(first.id, "cat")]) == [None], "it was stored before"
    c.vote(1, "dog", 1)
    assert (c.state(0).votes, c.state(1).votes) == (1, 1)
    assert_counters_are_true(c.project)


def test_a_late_vote_of_somebody_blocked_is_refused_too(campaign: Make) -> None:
    c = campaign(tasks=1, annotators=1)
    held = c.lease(0)
    with other_connection(autocommit=True) as database:
        database.execute("UPDATE projects_assignment SET expires_at = now() WHERE id = %s", [held.id])
        database.execute("UPDATE projects_member SET standing = 'blocked' WHERE id = %s", [c.annotators[0].id])

    (refused,) = submit_votes(member=c.member(0), votes=[VoteInput(held.id, "cat")])

    assert isinstance(refused, AnnotatorBlocked)
    assert not Vote.objects.filter(project=c.project).exists()


def test_after_a_block_is_lifted_the_leases_it_ended_stay_ended(campaign: Make) -> None:
    c = campaign(tasks=1, annotators=1)
    held = c.lease(0)
    lift(sanction=act(c, Action.BLOCK), by=None)

    (refused,) = submit_votes(member=c.member(0), votes=[VoteInput(held.id, "cat")])
    assert isinstance(refused, AssignmentClosed)
    c.vote(0, "cat")


def test_discarded_votes_count_no_more_and_their_tasks_reopen(campaign: Make) -> None:
    c = campaign(tasks=3, annotators=3, redundancy=2)
    for n in range(3):
        c.vote(0, "dog", n)
        c.vote(1, "cat", n)
    c.refit()
    before = {n: c.consensus(n).votes for n in range(3)}

    done = act(c, Action.DISCARD)

    assert standing(c) == "blocked" and not done.pending
    assert {(c.state(n).votes, c.state(n).retired) for n in range(3)} == {(1, None)}
    assert set(Vote.objects.filter(annotator=c.annotators[0]).values_list("status", "discarded_by")) == {
        ("discarded", done.id)
    }
    assert_state_is_fresh(c.project)
    c.refit()
    assert before == {0: 2, 1: 2, 2: 2} and {c.consensus(n).votes for n in range(3)} == {1}
    for n in range(3):
        c.vote(2, "cat", n)
    assert {c.state(n).retired for n in range(3)} == {"redundancy"}


def test_a_task_that_has_lost_all_its_votes_is_told_to_consumers(campaign: Make) -> None:
    c = campaign(tasks=1, annotators=1, redundancy=2)
    c.vote(0, "cat")
    c.refit()
    act(c, Action.DISCARD)
    c.refit()
    assert (c.consensus(0).votes, c.consensus(0).confidence) == (0, 0.5)


def test_lifting_a_discard_restores_exactly_the_votes_that_it_discarded(campaign: Make) -> None:
    c = campaign(tasks=2, annotators=3, redundancy=2)
    for n in range(2):
        c.vote(0, "dog", n)
        c.vote(1, "cat", n)
    Vote.objects.filter(annotator=c.annotators[0], task=c.task(1)).update(status="discarded")
    TaskState.objects.filter(task=c.task(1)).update(votes=1)
    first = act(c, Action.DISCARD)
    c.vote(2, "cat", 0)

    lift(sanction=first, by=None)

    votes = dict(Vote.objects.filter(annotator=c.annotators[0]).values_list("task", "status"))
    assert votes == {c.task(0): "counted", c.task(1): "discarded"}, "what was discarded otherwise stays so"
    state = c.state(0)
    assert (state.votes, state.redundancy, state.retired) == (3, 3, "redundancy"), "the place was given to another"
    assert standing(c) == "active"
    assert_counters_are_true(c.project)


def test_of_two_discards_the_votes_come_back_with_the_last(campaign: Make) -> None:
    c = campaign(tasks=1, annotators=1)
    c.vote(0, "dog")
    first, second = act(c, Action.DISCARD), act(c, Action.DISCARD)

    lift(sanction=first, by=None)
    assert c.state(0).votes == 0 and standing(c) == "blocked"
    lift(sanction=second, by=None)
    assert c.state(0).votes == 1 and standing(c) == "active"


def test_what_is_lifted_is_lifted_once_and_stays_on_record(campaign: Make) -> None:
    c = campaign(annotators=1)
    done = act(c, Action.WARN)
    undone = lift(sanction=done, by=None, reason="A mistake")
    for row in (done, undone):
        with pytest.raises(AlreadyLifted):
            lift(sanction=row, by=None)
    record = Sanction.objects.filter(annotator=c.annotators[0]).order_by("id").values_list("action", "reason")
    assert list(record) == [("warn", "Because"), ("lift", "A mistake")]


def test_a_manager_is_not_sanctioned(campaign: Make) -> None:
    c = campaign()
    manager = Member.objects.get(project=c.project, role=Role.MANAGER)
    with pytest.raises(ManagerNotSanctioned):
        sanction(annotator=manager, action=Action.BLOCK, reason="No")


def test_what_a_killed_process_had_begun_is_ended_by_the_sweeper(
    campaign: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    c = campaign(tasks=3, annotators=1)
    for n in range(3):
        c.vote(0, "cat", n)
    monkeypatch.setattr("projects.services.sanctions.carry_out", lambda *, sanction_id: None)
    done = act(c, Action.DISCARD)
    assert done.pending and c.state(0).votes == 1
    monkeypatch.setattr("projects.services.sanctions.carry_out", carry_out)

    resume_pending()

    assert {c.state(n).votes for n in range(3)} == {0}
    assert not Sanction.objects.get(id=done.id).pending
