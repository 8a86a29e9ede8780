"""A certificate is about named, frozen labels: what leaves them can't make it claim too much."""

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from aggregation.core.bounds import draw_audits, lower_bounds
from aggregation.core.certificate import Audits, FrozenLabels, certify

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "certified-bounds.md").read_text()

TASK = np.arange(1000, 2000)
LABEL = np.arange(1000, dtype=np.int32) % 3
FROZEN = FrozenLabels("run 28", "confidence >= 0.95", TASK, LABEL)


def audit(n, wrong=()):
    """The first n tasks, all right but for some."""
    truth = LABEL[:n].copy()
    truth[list(wrong)] = (truth[list(wrong)] + 1) % 3
    return Audits(TASK[:n], truth)


def test_it_names_what_it_certifies_and_says_how_it_came_about():
    certificate = certify(FROZEN, audit(200, wrong=[5, 150]))
    assert (certificate.run, certificate.rule, certificate.alpha) == ("run 28", "confidence >= 0.95", 0.05)
    assert (certificate.tasks, certificate.left, certificate.audits, certificate.right) == (1000, 0, 200, 198)
    assert certificate.estimate == pytest.approx(0.99)
    right = np.ones(200, np.bool_)
    right[[5, 150]] = False
    assert certificate.bound == lower_bounds(right, 1000)[-1]
    assert 0.94 < certificate.bound < 0.97


def test_the_estimate_of_even_draws_is_the_share_right_in_any_order():
    for wrong in ([0, 1], [50, 198], [198, 199]):
        assert certify(FROZEN, audit(200, wrong)).estimate == pytest.approx(0.99)
    assert certify(FROZEN, audit(1000, range(100))).estimate == pytest.approx(0.9)


def test_without_audits_nothing_is_certain():
    certificate = certify(FROZEN, audit(0))
    assert (certificate.bound, certificate.estimate, certificate.audits) == (0.0, None, 0)


def test_the_order_of_the_frozen_tasks_does_not_matter():
    shuffled = np.random.default_rng(0).permutation(1000)
    frozen = FrozenLabels("run 28", "all", TASK[shuffled], LABEL[shuffled])
    assert certify(frozen, audit(100, wrong=[7])).bound == certify(FROZEN, audit(100, wrong=[7])).bound


def test_an_audit_that_is_not_answered_counts_as_wrong_until_it_is():
    pending = audit(100)
    pending.truth[3] = -1
    assert certify(FROZEN, pending).bound == certify(FROZEN, audit(100, wrong=[3])).bound
    assert certify(FROZEN, pending).bound < certify(FROZEN, audit(100)).bound


def test_draws_are_weighed_by_their_probability():
    weight = np.where(LABEL == 0, 4.0, 1.0)
    row, probability, least = draw_audits(weight, 300, seed=1)
    truth = np.where(LABEL == 0, 0, LABEL + 3)  # right where it is drawn most, wrong elsewhere: a third is right
    certificate = certify(FROZEN, Audits(TASK[row], truth[row].astype(np.int32), probability, least))
    even = certify(FROZEN, Audits(TASK[row], truth[row].astype(np.int32)))
    assert certificate.bound < 1 / 3 < even.bound < even.estimate
    assert certificate.estimate == pytest.approx(1 / 3, abs=0.05)


def test_an_error_found_by_the_audit_still_counts_once_its_label_is_corrected():
    audits = audit(200, wrong=[5, 150])
    current = LABEL.copy()
    current[[5, 150]] = audits.truth[[5, 150]]
    before, after = certify(FROZEN, audits), certify(FROZEN, audits, current)
    assert (after.tasks, after.left, after.audits, after.right) == (998, 2, 200, 198)
    # As many right labels among two fewer, and no more than that.
    assert after.bound * 998 == pytest.approx(before.bound * 1000)
    assert after.bound < certify(FROZEN, audit(200)).bound


def test_labels_that_leave_are_taken_for_right():
    current = LABEL.copy()
    current[900:] = -1
    before, after = certify(FROZEN, audit(200)), certify(FROZEN, audit(200), current)
    assert (after.tasks, after.left) == (900, 100)
    assert after.bound * 900 == pytest.approx(before.bound * 1000 - 100)
    current[:] = -1
    current[:10] = LABEL[:10]
    assert certify(FROZEN, audit(200, wrong=[0]), current).bound == 0.9  # those held were audited, all ten


def test_a_label_that_leaves_before_its_audit_is_answered_is_taken_for_right():
    pending, current = audit(200), LABEL.copy()
    pending.truth[3] = -1
    current[3] += 1
    before, after = certify(FROZEN, pending), certify(FROZEN, pending, current)
    assert after.bound * 999 == pytest.approx(before.bound * 1000 - 1)


@given(st.data())
def test_whatever_leaves_a_bound_that_was_true_stays_true(data):
    tasks = data.draw(st.integers(1, 30))
    labels = st.lists(st.integers(0, 1), min_size=tasks, max_size=tasks).map(lambda drawn: np.array(drawn, np.int32))
    label, truth, current = data.draw(labels), data.draw(labels), data.draw(labels)
    row = np.array(data.draw(st.permutations(range(tasks))))[: data.draw(st.integers(0, tasks))].astype(np.int64)
    frozen = FrozenLabels("run 1", "all", np.arange(tasks), label)
    audits = Audits(row, np.where(row % 4 == 3, -1, truth[row]).astype(np.int32))
    held = current == label
    assume(held.any() and certify(frozen, audits, alpha=0.5).bound <= (label == truth).mean())
    certificate = certify(frozen, audits, current, alpha=0.5)
    assert certificate.bound <= (label == truth)[held].mean()
    assert 0.0 <= certificate.bound <= 1.0


HALF, TENTH = np.array([0.5, 0.5]), np.array([0.1, 0.1])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: certify(FROZEN, Audits(TASK[:2] - 1, LABEL[:2])),
            "task in row 0 is 999; expected a task of the frozen set",
        ),
        (lambda: Audits(TASK[[4, 4]], LABEL[:2]), "task in row 1 is 1004; expected each task once in the audits"),
        (lambda: Audits(TASK[:2], LABEL[:3]), "truth has 3 rows, task has 2"),
        (lambda: Audits(TASK[:2], LABEL[:2] - 2), "truth in row 0 is -2; expected -1 or more"),
        (
            lambda: Audits(TASK[:2], LABEL[:2] * 1.0),
            "truth must be one-dimensional integers, not 1-dimensional float64",
        ),
        (lambda: Audits(TASK[:2], LABEL[:2], HALF), "probability and least belong together"),
        (
            lambda: Audits(TASK[:2], LABEL[:2], HALF * 3, TENTH),
            "probability in row 0 is 1.5; expected more than 0 and at",
        ),
        (lambda: Audits(TASK[:2], LABEL[:2], HALF, TENTH * 0), "least in row 0 is 0.0; expected more than 0"),
        (lambda: Audits(TASK[:2], LABEL[:2], HALF * np.nan, TENTH), "probability in row 0 is nan"),
        (lambda: Audits(TASK[:2], LABEL[:2], TENTH, HALF), "least in row 0 is 0.5; expected at most the task's own"),
        (lambda: Audits(TASK[:2], LABEL[:2], HALF[:1], TENTH), r"probability has shape \(1,\); expected \(2,\)"),
        (lambda: FrozenLabels("run 28", " ", TASK, LABEL), "rule is empty"),
        (lambda: FrozenLabels("", "all", TASK, LABEL), "run is empty"),
        (lambda: FrozenLabels("run 28", "all", TASK[:0], LABEL[:0]), "task has no rows; there is nothing to certify"),
        (
            lambda: FrozenLabels("run 28", "all", TASK[[0, 1, 0]], LABEL[:3]),
            "task in row 2 is 1000; expected each task once",
        ),
        (lambda: FrozenLabels("run 28", "all", TASK[:3], LABEL[:3] - 1), "label in row 0 is -1; expected 0 or more"),
        (lambda: certify(FROZEN, audit(1), LABEL[:5]), "current has 5 rows, task has 1000"),
        (lambda: certify(FROZEN, audit(1), LABEL + 3), "no label of run 28, confidence >= 0.95, is still held"),
        (lambda: certify(FROZEN, audit(1), alpha=0.0), "alpha is 0.0; expected a number between 0 and 1"),
    ],
)
def test_what_makes_no_sense_is_refused_by_name(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_the_example_in_the_documentation_prints_what_the_page_shows(capsys):
    example, shown = re.findall(r"```(?:python)?\n(.*?)```", PAGE, flags=re.DOTALL)[:2]
    exec(compile(example, "certified-bounds.md", "exec"), {})
    assert capsys.readouterr().out == shown


def test_the_benchmark_in_the_documentation_runs_and_writes_its_figures(tmp_path):
    script = re.findall(r"uv run (benchmarks/\S+)", PAGE)[0]
    figures = tmp_path / "bounds.json"
    command = [sys.executable, ROOT / script, "--campaigns", "4", "--looks", "60", "--json", figures]
    printed = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path).stdout
    written = json.loads(figures.read_text())
    for draws in ("even", "uneven"):
        assert list(written[draws]) == ["0.6", "0.9", "0.99"]
        for row in written[draws].values():
            assert row["misses"] <= row["misses_upper_99"] <= 1 and list(row["ratio"]) == ["50", "100", "300", "1000"]
            assert f"({row['misses_upper_99']:6.2%})" in printed
