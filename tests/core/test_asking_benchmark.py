"""benchmarks/asking.py: simulated crowds in which who asks matters, or doesn't."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks import asking

ROOT = Path(__file__).resolve().parents[2]


def test_it_tells_the_accuracy_of_both_and_their_difference(tmp_path):
    command = [sys.executable, str(ROOT / "benchmarks/asking.py"), "--seeds", "2", "--tasks", "30"]
    subprocess.run([*command, "--crowds", "predicted", "--json", str(tmp_path / "out.json")], check=True, timeout=300)
    report = json.loads((tmp_path / "out.json").read_text())
    found = report["crowds"]["predicted"]
    assert report["simulated"] and 0.5 < found["full_accuracy"] <= 1
    for key, of_queue in found["entropy"].items():
        apart = found["information_gain"][key] - of_queue
        assert found["difference"][key] == pytest.approx(apart) and found["standard_error"][key] is not None


def test_votes_are_given_to_the_same_tasks_where_all_people_are_known_to_be_alike():
    answers = np.zeros((asking.ANNOTATORS, 12), np.int32)  # nobody ever errs, so everybody is taken to be as good
    one, other = (asking.Campaign(answers, None, policy) for policy in asking.POLICIES)
    for annotator in (3, 1, 3, 0, 7):
        one.ask(annotator)
        other.ask(annotator)
    assert one.asked == other.asked


def test_a_specialist_knows_about_half_of_the_labels():
    confusion = asking.specialists(np.random.default_rng(0))
    np.testing.assert_allclose(confusion.sum(axis=2), 1.0)
    known = np.einsum("akk->ak", confusion) == 0.95
    assert 0.3 < known.mean() < 0.7 and (known.any(axis=0)).all()


def test_a_curve_is_never_again_below_a_bar_from_here_on():
    curve = np.linspace(0.0, 1.0, asking.REFITS)
    assert curve[asking._never_below(curve, 0.5)] >= 0.5 > curve[asking._never_below(curve, 0.5) - 1]
    assert asking._never_below(curve, 2.0) == asking.REFITS - 1 and asking._never_below(curve, 0.0) == 0
