"""A refit never overwrites a newer vote, and loses no news: step by step, and in a loop under voting."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import pytest

from aggregation.models import Consensus, Run
from aggregation.services import refit as refits
from aggregation.services.current import make_current
from aggregation.services.fitting import fit_label_model, load_votes
from aggregation.services.publishing import PUBLISH_TOLERANCE, publish
from projects.models import Event, Project, TaskState, Vote
from projects.services.ballots import VoteInput
from projects.services.leases import lease_tasks
from projects.services.voting import submit_votes
from tests.concurrency.races import beside, together
from tests.services.campaign import (
    Campaign,
    assert_counters_are_true,
    assert_state_is_fresh,
    other_connection,
    recomputed,
    settle,
)
from tests.support.client import wait_for

Make = Callable[..., Campaign]


@pytest.fixture
def steps(orm: None) -> Iterator[Campaign]:
    """Ten tasks, two votes each; the stack's worker is kept away, for the test takes a refit's steps itself."""
    c = Campaign(annotators=4, redundancy=8)
    with c.alone():
        c.upload([{"data": {"n": n}} for n in range(10)])
        for annotator in range(2):
            for n in range(10):
                c.vote(annotator, "cat" if n % 2 else "dog", n)
        yield c


def start_of_run(c: Campaign) -> Run:
    return Run.objects.create(project=c.project, kind="refit")


def test_a_vote_between_load_and_publish_is_not_overwritten(steps: Campaign) -> None:
    c = steps
    loaded = load_votes(project=c.project)
    fit = fit_label_model(project=c.project, votes=loaded.votes, gold=loaded.gold)
    run = start_of_run(c)

    c.vote(2, "dog", 3)  # "cat" twice so far
    make_current(project=c.project, run=run, loaded=loaded, fit=fit, calibration=None, report=None)
    c.vote(2, "dog", 5)  # with the new skills already
    newer = publish(project=c.project, run=run, loaded=loaded, fit=fit).recomputed

    assert newer == 2
    assert (c.state(3).votes, c.state(5).votes) == (3, 3)
    assert_state_is_fresh(c.project)
    for n in (3, 5):
        published, summary = c.consensus(n), recomputed(c.project)[c.task(n)]
        assert (published.votes, published.run_id) == (3, run.id), "published with its newer vote"
        assert published.confidence == pytest.approx(summary.confidence, abs=1e-9)
    assert Consensus.objects.filter(project=c.project, run=run.id).count() == 10


def test_a_vote_whose_transaction_is_open_while_its_task_is_published(steps: Campaign) -> None:
    """Publishing passes the locked row over and comes back to it: it waits for the vote, and then sees it."""
    c = steps
    loaded = load_votes(project=c.project)
    fit = fit_label_model(project=c.project, votes=loaded.votes, gold=loaded.gold)
    run = start_of_run(c)
    make_current(project=c.project, run=run, loaded=loaded, fit=fit, calibration=None, report=None)

    with other_connection() as somebody:
        _vote_by_hand(somebody, c, annotator=3, n=4, label=0)

        def commit() -> None:
            # All but the locked one are published meanwhile: nobody waits for a slow vote.
            wait_for(lambda: Consensus.objects.filter(project=c.project, run=run.id).count() == 9, what="nine tasks")
            assert not Consensus.objects.filter(task=c.task(4)).exists()
            somebody.commit()

        with beside(commit):
            newer = publish(project=c.project, run=run, loaded=loaded, fit=fit).recomputed

    assert newer == 1
    assert c.consensus(4).votes == c.state(4).votes == 3
    assert_state_is_fresh(c.project)


def test_a_slow_writers_event_outlives_the_refit_that_could_not_see_it(steps: Campaign) -> None:
    """Its event has the smaller id but commits later: a watermark would jump over it, a flag be cleared too soon."""
    c = steps
    with other_connection() as slow:
        _vote_by_hand(slow, c, annotator=3, n=4, label=0)
        c.vote(2, "cat", 7)  # a fast one, with a larger event id, commits first

        # The slow writer ends in the midst of the refit: after its events were noted, before they are deleted.
        def commit() -> None:
            wait_for(lambda: Consensus.objects.filter(project=c.project).count() == 9, what="the other nine tasks")
            slow.commit()

        with beside(commit):
            run = c.refit()

    assert run.counts["votes"] == 21
    left = list(Event.objects.filter(project=c.project).values_list("task", flat=True))
    assert left == [c.task(4)], "the news that this refit has not seen"

    run = c.refit()

    assert run.counts["votes"] == 22 and run.counts["events"] == 1
    assert not Event.objects.filter(project=c.project).exists()
    assert c.consensus(4).votes == 3
    assert_state_is_fresh(c.project)


def test_a_request_made_during_a_refit_stays_due(steps: Campaign) -> None:
    from projects.services.projects import request_refit

    c = steps
    with other_connection() as somebody:
        # Publishing waits at this row until the request is there.
        somebody.execute("SELECT 1 FROM projects_taskstate WHERE task_id = %s FOR UPDATE", [c.task(0)])

        def ask() -> None:
            wait_for(lambda: Consensus.objects.filter(project=c.project).exists(), what="the other tasks")
            request_refit(project_id=c.id)
            somebody.rollback()

        with beside(ask):
            c.refit()

    assert c.fresh().refit_requested_at is not None
    assert c.refit().counts["events"] == 0
    assert c.fresh().refit_requested_at is None


def test_refits_in_a_loop_under_voting_overwrite_no_newer_vote(orm: None) -> None:
    c = Campaign(annotators=8, redundancy=8)

    def label_all(annotator: int) -> None:
        member = c.member(annotator)
        while True:
            leases, why = lease_tasks(member=member, count=1)
            if why == "finished":
                return
            votes = [VoteInput(x.id, "cat" if (x.data["n"] + (annotator == 0)) % 2 else "dog") for x in leases]
            assert submit_votes(member=member, votes=votes) == [None] * len(votes)

    refits_under_voting = 0
    with c.alone():
        c.upload([{"data": {"n": n}} for n in range(60)])
        with beside(*(partial(label_all, annotator) for annotator in range(8))) as voters:
            while not all(voter.done() for voter in voters):
                refits._refit(c.fresh())  # without the rest that the job takes between two
                refits_under_voting += 1

    assert refits_under_voting > 3
    assert Vote.objects.filter(project=c.id).count() == 480
    assert_counters_are_true(c.project)
    assert set(TaskState.objects.filter(project=c.id).values_list("votes", "retired")) == {(8, "redundancy")}

    settle(c.project)

    # The last refit has seen every vote: what is stored and what is published are what the votes make.
    assert_state_is_fresh(c.project)
    fresh = recomputed(c.project)
    published = Consensus.objects.filter(project=c.id)
    assert published.count() == 60
    for row in published:
        summary = fresh[row.task_id]
        assert (row.label, row.votes, row.retired) == (summary.label, 8, "redundancy")
        assert row.confidence == pytest.approx(summary.confidence, abs=PUBLISH_TOLERANCE)


def test_two_refits_of_a_project_never_run_at_once(orm: None) -> None:
    c = Campaign(tasks=5, annotators=1)
    c.vote(0, "cat")
    with c.alone():
        # Each thread has a connection of its own: the lock is held by ours.
        assert together([partial(refits.refit, project_id=c.id)] * 4) == [None] * 4
        assert Event.objects.filter(project=c.id).exists()
    settle(c.project)
    assert Project.objects.get(id=c.id).live_model.run is not None


def _vote_by_hand(somebody: object, c: Campaign, *, annotator: int, n: int, label: int) -> None:
    """The statement that stores a vote, in a transaction that the test holds open."""
    from psycopg.types.json import Jsonb

    from projects import queries

    lease = c.lease(annotator, n)
    who = {"assignments": [lease.id], "annotators": [c.annotators[annotator].id]}
    vote = {"answers": Jsonb([{"label": c.project.labels[label]}]), "labels": [label], "seconds": [None]}
    assert somebody.execute(queries.STORE_VOTES, {**who, **vote}).fetchone()
