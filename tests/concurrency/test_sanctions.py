"""A ban in the midst of votes: those before it count, those after are refused, and a discard misses none."""

from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from threading import Event
from typing import Any

import httpx
import pytest

from projects.errors import AnnotatorBlocked, AnnotatorPaused
from projects.models import Action, Assignment, Member, Rule, Sanction, Stage, Vote
from projects.services.ballots import VoteInput
from projects.services.leases import lease_tasks
from projects.services.qualification import set_stage
from projects.services.sanctions import carry_out, lift, sanction
from projects.services.voting import submit_votes
from tests.concurrency.conftest import Person
from tests.concurrency.races import beside, together, wait_until_blocked_by
from tests.services.campaign import (
    Campaign,
    assert_counters_are_true,
    assert_state_is_fresh,
    other_connection,
    settle,
)
from tests.support.client import Client, lease, wait_for

Make = Callable[..., Campaign]
BATCHES, BATCH = 6, 10


def in_batches(client: Client, project: int, assignments: list[str], banned: Event) -> list[httpx.Response]:
    """Votes on them, as fast as they can be sent; the last batch once the ban is there."""
    path = f"/api/projects/{project}/votes"
    *parts, last = [assignments[start : start + BATCH] for start in range(0, len(assignments), BATCH)]
    answers = [client.post(path, {"votes": [{"assignment": a, "label": "cat"} for a in part]}) for part in parts]
    assert banned.wait(120)
    return [*answers, client.post(path, {"votes": [{"assignment": a, "label": "cat"} for a in last]})]


def test_a_ban_in_the_midst_of_batches(campaign: Make, crowd: list[Person]) -> None:
    c = campaign(tasks=BATCHES * BATCH, redundancy=2, max_leases=100)
    c.join(crowd[0].user)
    member = crowd[0].member_of(c)
    held = [assignment["id"] for assignment in lease(crowd[0].client, c.id, BATCHES * BATCH)]

    def ban() -> None:
        wait_for(lambda: Vote.objects.filter(project=c.id).count() >= 15, what="fifteen votes")
        sanction(annotator=member, action=Action.BLOCK, reason="In the midst")
        banned.set()

    banned = Event()
    answers, _ = together([partial(in_batches, crowd[0].client, c.id, held, banned), ban])

    results = Counter(result["status"] for a in answers for result in a.json().get("results", []))
    assert {answer.status_code for answer in answers} <= {200, 207, 403}
    assert {answer.json()["code"] for answer in answers if answer.status_code == 403} == {"annotator_blocked"}
    stored = Vote.objects.filter(project=c.id, status="counted").count()
    assert 15 <= stored == results["counted"] < BATCHES * BATCH, "what was acknowledged is stored, and nothing else"
    assert not Assignment.objects.filter(annotator=member, status="open").exists()
    assert crowd[0].client.post(f"/api/projects/{c.id}/assignments", {"count": 1}).status_code == 403
    assert_counters_are_true(c.project)


def test_a_discard_among_votes_leaves_none_that_counts(campaign: Make) -> None:
    """Votes of two others on the same tasks go on meanwhile, and lifting it brings back every vote that was stored."""
    c = campaign(tasks=60, annotators=3, redundancy=3)
    leases = [[c.lease(a, n).id for n in range(60)] for a in range(3)]

    def vote(annotator: int) -> int:
        votes = [VoteInput(id_, "cat") for id_ in leases[annotator]]
        return submit_votes(member=c.member(annotator), votes=votes).count(None)

    def discard() -> Sanction:
        wait_for(lambda: Vote.objects.filter(annotator=c.annotators[0]).count() >= 10, what="ten votes")
        done = sanction(annotator=c.member(0), action=Action.DISCARD, reason="In the midst")
        assert done is not None
        return done

    stored, *others, done = together([*(partial(vote, a) for a in range(3)), discard])

    assert others == [60, 60]
    assert dict(Counter(Vote.objects.filter(annotator=c.annotators[0]).values_list("status", flat=True))) == {
        "discarded": stored
    }
    assert_counters_are_true(c.project)
    lift(sanction=done, by=None)
    assert Vote.objects.filter(annotator=c.annotators[0], status="counted").count() == stored
    settle(c.project)
    assert_state_is_fresh(c.project)


def test_a_ban_waits_for_the_vote_that_is_under_way(campaign: Make) -> None:
    """The vote has looked at the standing and holds it; the ban has not returned before the vote has ended."""
    c = campaign(tasks=1, annotators=1)
    held = c.lease(0)
    with other_connection() as voting, other_connection(autocommit=True) as observer:
        voting.execute("SELECT FROM projects_member WHERE id = %s FOR KEY SHARE", [c.annotators[0].id])
        with beside(partial(sanction, annotator=c.member(0), action=Action.BLOCK, reason="Now")) as (ban,):
            wait_until_blocked_by(voting, observer)
            assert not ban.done()
            voting.rollback()
    (refused,) = submit_votes(member=c.member(0), votes=[VoteInput(held.id, "cat")])
    assert refused is not None and refused.code == "annotator_blocked"


def test_a_vote_that_waits_for_a_ban_is_refused(campaign: Make) -> None:
    c = campaign(tasks=1, annotators=1)
    held = c.lease(0)
    with other_connection() as banning, other_connection(autocommit=True) as observer:
        banning.execute("SELECT FROM projects_member WHERE id = %s FOR UPDATE", [c.annotators[0].id])
        vote = partial(submit_votes, member=c.member(0), votes=[VoteInput(held.id, "cat")])
        with beside(vote) as (voting,):
            wait_until_blocked_by(banning, observer)
            banning.execute("UPDATE projects_member SET standing = 'blocked' WHERE id = %s", [c.annotators[0].id])
            banning.commit()
        (refused,) = voting.result()
    assert refused is not None and refused.code == "annotator_blocked"
    assert not Vote.objects.filter(project=c.project).exists()


def test_a_ban_waits_for_the_lease_that_is_under_way_and_takes_it(campaign: Make) -> None:
    c = campaign(tasks=1, annotators=1)
    with other_connection() as leasing, other_connection(autocommit=True) as observer:
        leasing.execute("SELECT FROM projects_held(%s)", [c.annotators[0].id])
        with beside(partial(sanction, annotator=c.member(0), action=Action.BLOCK, reason="Now")) as (ban,):
            wait_until_blocked_by(leasing, observer)
            assert not ban.done() and c.member(0).standing == "active"
            leasing.rollback()
    assert c.member(0).standing == "blocked"


@pytest.mark.parametrize("act", ["lift", "carry_out"])
def test_whatever_else_is_done_about_somebody_waits_for_their_lock_before_any_other(campaign: Make, act: str) -> None:
    c = campaign(tasks=1, annotators=1)
    given = {"project": c.project, "annotator": c.annotators[0], "action": Action.DISCARD, "reason": "Slowly"}
    with other_connection() as leasing, other_connection(autocommit=True) as observer:
        leasing.execute("SELECT FROM projects_held(%s)", [c.annotators[0].id])
        done = Sanction.objects.create(**given, pending=act == "carry_out")
        action = {"lift": partial(lift, sanction=done, by=None), "carry_out": partial(carry_out, sanction_id=done.id)}
        with beside(action[act]) as (waiting,):
            wait_until_blocked_by(leasing, observer)
            observer.execute("SELECT FROM projects_member WHERE id = %s FOR UPDATE NOWAIT", [c.annotators[0].id])
            observer.execute("SELECT FROM projects_sanction WHERE id = %s FOR UPDATE NOWAIT", [done.id])
            assert not waiting.done()
            leasing.rollback()


@pytest.mark.parametrize("settings", [{}, {"budget": 9}, {"gold_share": 0.5}, {"daily_quota": 9}], ids=str)
def test_a_request_that_was_let_in_before_a_ban_leases_nothing_after_it(
    campaign: Make, settings: dict[str, Any]
) -> None:
    c = campaign(tasks=3, annotators=1, **settings)
    before = c.member(0)
    c.lease(0)
    sanction(annotator=c.member(0), action=Action.BLOCK, reason="Now")

    leases, why = lease_tasks(member=before, count=2)

    assert (leases, why in ("retry", "waiting")) == ([], True)
    assert not Assignment.objects.filter(annotator=c.annotators[0], status="open").exists()
    assert_counters_are_true(c.project)


def test_leases_beside_a_ban_leave_nothing_in_the_hands_of_who_is_banned(campaign: Make) -> None:
    c = campaign(tasks=60, annotators=4, redundancy=4, max_leases=100)

    def take(annotator: int) -> None:
        member = c.member(annotator)  # as it was, whatever comes
        for count in range(1, 20):
            lease_tasks(member=member, count=count)

    bans = [partial(sanction, annotator=c.member(a), action=Action.BLOCK, reason="Now") for a in range(4)]
    together([*(partial(take, a) for a in range(4)), *bans])

    assert not Assignment.objects.filter(project=c.id, status="open").exists()
    assert_counters_are_true(c.project)


def test_managers_who_act_on_the_same_person_at_once_never_wait_in_a_circle(campaign: Make) -> None:
    """One discards, one blocks, one puts them back to training, one lifts, while they lease and vote."""
    c = campaign(tasks=60, annotators=2, redundancy=2, max_leases=100, training_tasks=1)
    practice = [{"data": {"n": n}, "gold": "cat", "qualification": True} for n in range(100, 130)]
    c.upload(practice)
    somebody = c.annotators[0].id

    def act(action: Action) -> None:
        for _ in range(4):
            done = sanction(annotator=c.member(0), action=action, reason="At once")
            assert done is not None
            lift(sanction=done, by=None)

    def stage() -> None:
        for n in range(8):
            assert set_stage(project=c.project, member_id=somebody, stage=Stage.QUALIFIED if n % 2 else Stage.TRAINING)

    def work() -> None:
        for _ in range(12):
            with suppress(AnnotatorBlocked, AnnotatorPaused):
                leases, _why = lease_tasks(member=c.member(0), count=20)
                submit_votes(member=c.member(0), votes=[VoteInput(lease.id, "cat") for lease in leases[::2]])

    together([partial(act, Action.DISCARD), partial(act, Action.BLOCK), partial(act, Action.DISCARD), stage, work])

    assert c.member(0).standing == "active"
    assert not Sanction.objects.filter(annotator=somebody, pending=True).exists()
    assert not Vote.objects.filter(annotator=somebody, status="discarded").exists(), "all was lifted"
    assert_counters_are_true(c.project)


def test_leases_and_bans_at_once_leave_true_counters(campaign: Make) -> None:
    c = campaign(tasks=40, annotators=6, redundancy=2)

    def work(annotator: int) -> None:
        for _ in range(15):
            try:
                leases, _why = lease_tasks(member=c.member(annotator), count=2)
            except Exception as error:
                assert getattr(error, "code", "") == "annotator_blocked"
                return
            submit_votes(member=c.member(annotator), votes=[VoteInput(lease.id, "dog") for lease in leases[:1]])

    def ban(annotator: int) -> Sanction | None:
        return sanction(annotator=c.member(annotator), action=Action.DISCARD, reason="All of them")

    together([*(partial(work, a) for a in range(6)), *(partial(ban, a) for a in range(3))])

    assert not Vote.objects.filter(annotator__in=c.annotators[:3], status="counted").exists()
    settle(c.project)
    assert_state_is_fresh(c.project)


def test_a_rule_that_eight_jobs_apply_at_once_acts_once(campaign: Make) -> None:
    c = campaign(tasks=1, annotators=1)
    rule = Rule.objects.create(project=c.project, condition="speed", limit=1, minimum=1, action="warn")

    def apply() -> Sanction | None:
        return sanction(annotator=c.member(0), action=Action.WARN, rule=rule, reason="Fast")

    assert len([done for done in together([apply] * 8) if done]) == 1


def test_lifting_while_votes_are_still_being_discarded(campaign: Make) -> None:
    c = campaign(tasks=60, annotators=1)
    for n in range(60):
        c.vote(0, "cat", n)
    for _ in range(3):
        done = Sanction.objects.create(
            project=c.project, annotator=c.annotators[0], action=Action.DISCARD, reason="Slowly", pending=True
        )

        together([partial(carry_out, sanction_id=done.id), partial(lift, sanction=done, by=None)])

        carry_out(sanction_id=done.id)
        assert set(Vote.objects.filter(project=c.project).values_list("status", flat=True)) == {"counted"}
        assert_counters_are_true(c.project)
    assert Member.objects.get(id=c.annotators[0].id).standing == "active"
