"""The feed has no gap: who follows its cursor sees every task's last change, however slow some writers are."""

from __future__ import annotations

import random
from functools import partial
from typing import Any

import psycopg
import pytest

from aggregation import queries
from aggregation.models import Consensus, Run
from aggregation.services.consensus import ConsensusRow, read_feed
from tests.concurrency.races import together
from tests.services.campaign import Campaign, other_connection
from tests.support.client import wait_for


class Reader:
    """Follows the feed with a cursor and remembers the last it heard of each task, and all that it was told."""

    def __init__(self, c: Campaign) -> None:
        self.c, self.revision, self.task = c, 0, 0
        self.told: list[ConsensusRow] = []

    def read(self, limit: int = 1000) -> list[ConsensusRow]:
        rows = read_feed(project=self.c.project, revision=self.revision, task=self.task, limit=limit)
        if rows:
            self.revision, self.task = rows[-1].revision, rows[-1].task
        self.told += rows
        return rows

    @property
    def heard(self) -> dict[int, int]:
        return {row.task: row.votes for row in self.told}


@pytest.fixture
def c(orm: None) -> Campaign:
    """Twelve tasks to publish by hand; ``votes`` counts how often a task has been published."""
    made = Campaign(tasks=12)
    made.run = Run.objects.create(project=made.project, kind="refit", status="done")
    return made


def publish(somebody: psycopg.Connection[Any], c: Campaign, numbers: list[int], votes: int) -> None:
    """What a refit's transaction does for a chunk; the test commits it."""
    somebody.execute(queries.REFITTED_TABLE)
    for n in numbers:
        somebody.execute(
            "INSERT INTO refitted (task_id, label, confidence, votes, source, posterior)"
            " VALUES (%s, 0, 0.9, %s, 'votes', '[0.9, 0.1]')",
            [c.task(n), votes],
        )
    parameters = {"project": c.id, "run": c.run.id, "tolerance": 0.001, "calibrated": False}
    somebody.execute(queries.PUBLISH, parameters)


def test_a_slow_writers_rows_are_not_jumped_over(c: Campaign) -> None:
    reader = Reader(c)
    with other_connection() as slow, other_connection() as fast:
        publish(slow, c, [0, 1], votes=1)  # begun first, so it has the smaller revision …
        publish(fast, c, [2, 3], votes=1)
        fast.commit()  # … and is committed last
        assert Consensus.objects.filter(project=c.id).count() == 2

        # Were the fast writer's rows given out now, the cursor would stand behind the slow one's.
        assert reader.read() == []
        slow.commit()

    wait_for(lambda: not reader.read() and len(reader.heard) == 4, what="the rows of both")
    assert set(reader.heard) == {c.task(n) for n in range(4)}
    assert [row.revision for row in reader.told] == sorted(row.revision for row in reader.told)


def test_a_change_of_a_row_already_read_is_told_again(c: Campaign) -> None:
    reader = Reader(c)
    with other_connection() as somebody:
        publish(somebody, c, [0, 1, 2], votes=1)
        somebody.commit()
        wait_for(lambda: not reader.read(limit=2) and len(reader.heard) == 3, what="three rows in pages of two")

        publish(somebody, c, [0], votes=1)  # says nothing new
        publish(somebody, c, [1], votes=2)
        somebody.commit()

    (row,) = wait_for(reader.read, what="the change")
    assert (row.task, row.votes) == (c.task(1), 2)
    assert reader.read() == []


def test_slow_and_fast_writers_interleaved(c: Campaign) -> None:
    """Four writers publish random tasks again and again, each holding its transaction open for a while; two readers
    follow at the same time. In the end both have heard the last of every task."""
    readers = [Reader(c), Reader(c)]
    done: list[int] = []

    def write(seed: int) -> None:
        dice = random.Random(seed)
        try:
            with other_connection() as somebody:
                for round_ in range(25):
                    # In task order, as a refit locks them.
                    publish(somebody, c, sorted(dice.sample(range(12), 3)), votes=1000 * round_ + seed)
                    if dice.random() < 0.5:
                        somebody.execute("SELECT pg_sleep(%s)", [dice.random() / 50])
                    somebody.commit()
        finally:
            done.append(seed)

    def follow(reader: Reader) -> None:
        while len(done) < 4:
            reader.read(limit=3)

    together([*(partial(write, seed) for seed in range(4)), *(partial(follow, reader) for reader in readers)])

    last = dict(Consensus.objects.filter(project=c.id).values_list("task", "votes"))
    assert len(last) == 12
    for reader in readers:
        wait_for(lambda reader=reader: not reader.read() and reader.heard == last, what="the last change of every task")
        positions = [(row.revision, row.task) for row in reader.told]
        assert positions == sorted(set(positions)), "in order, nothing told twice"


def test_an_export_is_one_snapshot(c: Campaign) -> None:
    """Rows published while an export is being read are not in it."""
    from aggregation.services import consensus

    with other_connection() as somebody:
        publish(somebody, c, list(range(12)), votes=1)
        somebody.commit()
        rows = consensus.export_rows(project=c.project)
        first = next(rows)
        publish(somebody, c, list(range(12)), votes=2)
        somebody.commit()
        assert {row.votes for row in [first, *rows]} == {1}
