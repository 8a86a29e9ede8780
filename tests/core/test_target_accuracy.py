"""The share of all of a project's labels that audits certify to be right, and how many audits are missing."""

from __future__ import annotations

import numpy as np
import pytest

from aggregation.core.certificate import Audits, FrozenLabels
from aggregation.core.target_accuracy import Ahead, AuditedWhole, Whole
from benchmarks.target import KINDS, TARGET, Campaign, measure

TASKS = 200


def audited(
    n: int,
    *,
    wrong: int = 0,
    known: int = 0,
    current: np.ndarray | None = None,
    tasks: int = TASKS,
    is_known: np.ndarray | None = None,
) -> AuditedWhole:
    """Label 0 is frozen of all tasks; the first n are audited, so many of them wrong, and known since."""
    truth = np.zeros(n, np.int32)
    truth[:wrong] = 1
    now = np.zeros(TASKS, np.int32)
    now[:wrong] = 1
    knows = np.zeros(TASKS, np.bool_)
    knows[:n] = True
    return AuditedWhole(
        FrozenLabels("run 1", "all", np.arange(TASKS), np.zeros(TASKS, np.int32)),
        Audits(np.arange(n), truth),
        now if current is None else current,
        knows if is_known is None else is_known,
        Whole(tasks, n + known),
        0.05,
    )


def test_everything_audited_is_known_and_so_right() -> None:
    assert audited(TASKS, wrong=50).certified().bound == 1.0


def test_tasks_without_a_label_count_as_wrong_and_known_answers_as_right() -> None:
    alone = audited(60).certified().bound * TASKS
    assert audited(60, tasks=2 * TASKS).certified().bound * 2 * TASKS == pytest.approx(alone)
    assert audited(60, tasks=2 * TASKS, known=TASKS).certified().bound * 2 * TASKS == pytest.approx(alone + TASKS)


def test_a_wrong_label_that_an_audit_found_lowers_the_bound_though_it_is_mended() -> None:
    right, wrong = audited(60).certified(), audited(60, wrong=3).certified()
    assert wrong.right == 57 and wrong.bound < right.bound - 0.02


def test_labels_that_changed_since_they_were_frozen_count_as_wrong() -> None:
    changed = np.zeros(TASKS, np.int32)
    changed[-10:] = 1
    before, after = audited(60).certified(), audited(60, current=changed).certified()
    assert after.left == before.left + 10
    assert after.bound * TASKS == pytest.approx(before.bound * TASKS - 10)


def test_without_any_frozen_label_in_force_known_answers_are_all_there_is() -> None:
    assert audited(20, current=np.ones(TASKS, np.int32)).certified().bound == 20 / TASKS


@pytest.mark.parametrize("wrong", [0, 2, 5])
def test_what_is_said_to_be_missing_is_what_certifies(wrong: int) -> None:
    now = audited(40, wrong=wrong)
    more = now.ahead(0.95).audits_needed(1.0, TASKS)
    assert more is not None and more > 0

    def later(n: int) -> float:
        return audited(40 + n, wrong=wrong).certified().bound

    assert later(more) >= 0.95 > later(more - 1)


def test_more_audits_are_missing_the_more_labels_are_wrong_until_none_do() -> None:
    fresh = Whole(5_000, 0).ahead(0.9, 0.05)
    needed = [fresh.audits_needed(share, 1_000) for share in (1.0, 0.99, 0.97, 0.95)]
    assert None not in needed and needed == sorted(needed) and needed[0] < needed[-1]  # type: ignore[type-var]  # no None, as just asserted
    assert fresh.audits_needed(0.9, 1_000) is None


def test_the_aim_is_the_accuracy_with_which_the_audits_do() -> None:
    fresh = Whole(5_000, 0).ahead(0.9, 0.05)
    aim = fresh.aim(300)
    assert aim is not None and 0.9 < aim < 1.0
    assert fresh.enough(300, aim) and not fresh.enough(300, aim - 0.005)
    assert fresh.aim(10) is None, "ten audits certify nothing"


def test_audits_are_given_up_once_even_the_best_that_they_allow_would_not_do() -> None:
    labels = {"labels": 5_000, "missing": 4_500, "alpha": 0.05}
    assert not Ahead(np.ones(5, np.bool_), **labels).leads_nowhere(300)
    assert Ahead(np.arange(60) % 4 > 0, **labels).leads_nowhere(300)
    assert Ahead(np.ones(5, np.bool_), **labels).leads_nowhere(0)
    assert Ahead(np.ones(5, np.bool_), labels=400, missing=401, alpha=0.05).leads_nowhere(300)


def test_a_project_that_is_right_enough_stops_and_one_that_is_not_goes_on() -> None:
    good, short = Campaign(KINDS["good"], seed=0).run(), Campaign(KINDS["churning"], seed=0).run()
    assert good.stopped and good.right >= TARGET and not short.stopped


def test_projects_that_stop_have_rarely_missed_their_target() -> None:
    assert measure("short", 15)["failed"] <= 2 / 15  # the docs' thousand campaigns take minutes
