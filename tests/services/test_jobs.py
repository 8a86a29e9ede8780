"""Jobs that take minutes leave the processors to people who vote."""

import os
from threading import get_native_id

import pytest

from aggregation.jobs import LOWER_PRIORITY, behind_voting


def test_a_long_job_runs_behind_others_and_whoever_waits_for_it_does_not() -> None:
    before = os.getpriority(os.PRIO_PROCESS, get_native_id())
    found: list[int] = []

    behind_voting(lambda: found.append(os.getpriority(os.PRIO_PROCESS, get_native_id())))

    assert found == [max(LOWER_PRIORITY, before)] and os.getpriority(os.PRIO_PROCESS, get_native_id()) == before


def test_what_goes_wrong_in_it_is_told() -> None:
    def fails() -> None:
        raise ValueError("no votes")

    with pytest.raises(ValueError, match="no votes"):
        behind_voting(fails)
