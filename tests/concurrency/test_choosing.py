"""Many annotators choose at once among the same first tasks: nobody waits, and no task gets a vote too many."""

from collections import Counter
from functools import partial

import pytest

from projects.models import Assignment
from projects.services.leases import lease_tasks
from tests.concurrency.races import together
from tests.services.campaign import assert_counters_are_true
from tests.services.test_choosing import Make, choosing


@pytest.mark.parametrize("round_", range(3))
def test_twelve_people_who_are_good_at_the_same_tasks_are_given_different_ones(campaign: Make, round_: int) -> None:
    c = choosing(campaign, tasks=40)
    bens = c.annotators[1:2] + [c.join() for _ in range(11)]
    for ben in bens[1:]:
        ben.confusions.bulk_create(
            [type(each)(annotator=ben, voted=each.voted, vector=each.vector) for each in bens[0].confusions.all()]
        )
    c.annotators = bens

    answers = together([partial(lease_tasks, member=c.member(a), count=2) for a in range(12)])

    assert {(len(leases), why) for leases, why in answers} == {(2, "ok")}
    given = Counter(lease.data["n"] for leases, _ in answers for lease in leases)
    assert set(given.values()) == {1}, "there are enough for everybody"
    assert sum(n % 2 for n in given) >= 16, "nearly all of the twenty that they are good at"
    assert_counters_are_true(c.project)


@pytest.mark.parametrize("round_", range(3))
def test_sixteen_people_choose_for_the_last_free_slots(campaign: Make, round_: int) -> None:
    c = choosing(campaign, tasks=2, redundancy=3)
    c.annotators += [c.join() for _ in range(13)]

    answers = together([partial(lease_tasks, member=c.member(a), count=2) for a in range(16)])

    assert {why for leases, why in answers if not leases} <= {"waiting", "retry"}
    assert_counters_are_true(c.project)
    for annotator in range(16):  # whoever was told to try again does
        lease_tasks(member=c.member(annotator), count=2)
    assert Assignment.objects.filter(project=c.id, status="open").count() == 6
    assert_counters_are_true(c.project)
