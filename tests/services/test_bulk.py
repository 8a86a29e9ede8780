"""Columns copied out of the database are what a query gives, row by row."""

from collections.abc import Callable

import numpy as np
import pytest
from django.db import connection

from aggregation.services.bulk import copy_columns
from aggregation.services.fitting import load_votes
from projects.models import TaskState, Vote
from tests.services.campaign import Campaign

pytestmark = pytest.mark.usefixtures("orm")

NUMBERS = "SELECT n::bigint * 4294967296, n, (-n / 4)::smallint FROM generate_series(1, %(last)s) AS n"


@pytest.mark.parametrize("last", [0, 1, 70_000])
def test_values_come_in_their_order_and_type(last: int) -> None:
    columns = copy_columns(NUMBERS, {"last": last}, big="i8", whole="i4", small="i2")
    with connection.cursor() as cursor:
        cursor.execute(NUMBERS, {"last": last})
        rows = np.array(cursor.fetchall(), dtype=np.int64).reshape(-1, 3)
    for place, (name, kind) in enumerate({"big": "i8", "whole": "i4", "small": "i2"}.items()):
        assert columns[name].dtype == np.dtype(kind)
        assert len(columns[name]) == last and (columns[name] == rows[:, place]).all()


@pytest.mark.parametrize("query", ["SELECT 1::bigint", "SELECT NULL::integer", "SELECT 1::integer, 2::integer"])
def test_other_types_and_nulls_are_refused(query: str) -> None:
    with pytest.raises(ValueError, match="not of types {'n': 'i4'}, or a value is null"):
        copy_columns(query, {}, n="i4")


def test_a_fit_is_given_the_votes_that_count_and_the_gold(campaign: Callable[..., Campaign]) -> None:
    c = campaign(labels=["cat", "dog"], annotators=2, redundancy=9)
    c.upload([{"key": str(n), "data": {"n": n}, **({"gold": "dog"} if n == 2 else {})} for n in range(4)])
    c.import_votes([("0", "ann", "cat"), ("0", "bob", "dog"), ("3", "bob", "dog")])
    loaded = load_votes(project=c.project)
    found = {
        (int(loaded.task_ids[t]), int(loaded.annotator_ids[a]), int(label))
        for t, a, label in zip(loaded.votes.task, loaded.votes.annotator, loaded.votes.label, strict=True)
    }
    assert found == set(Vote.objects.filter(project=c.project).values_list("task_id", "annotator_id", "label"))
    states = TaskState.objects.filter(task__project=c.project)
    assert dict(zip(loaded.task_ids.tolist(), loaded.versions.tolist(), strict=True)) == {
        task: version for task, version in states.values_list("task_id", "version") if task in loaded.task_ids
    }
    assert sorted(loaded.gold.tolist()) == [-1, -1, 1]
