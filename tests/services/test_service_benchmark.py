"""The benchmark of a refit's steps: on a server of its own, small, and gone afterwards."""

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_each_step_is_measured_and_nothing_is_left(tmp_path: Path) -> None:
    place, report = tmp_path / "place", tmp_path / "figures.json"
    place.mkdir()
    command = [sys.executable, "benchmarks/service.py", "--votes", "500", "--label-model", "majority_vote"]
    environment = os.environ | {"TMPDIR": str(place)}
    done = subprocess.run([*command, "--json", str(report)], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert list(place.iterdir()) == []

    figures = json.loads(report.read_text())
    assert [figures[name] for name in ("votes", "tasks", "annotators", "gold")] == [500, 100, 10, 25]
    for part in ("first", "second"):
        assert list(figures[part]) == ["load", "fit", "calibrate", "make_current", "publish"]
        assert all(step["seconds"] > 0 and step["peak_mb"] > 10 for step in figures[part].values())
    assert figures["first"]["calibrate"]["n_gold"] == 25
    assert figures["first"]["publish"]["rows"]["aggregation_consensus"] == 100
    assert figures["second"]["publish"]["rows"]["aggregation_consensus"] <= 1, "there was one new vote"
    assert figures["second"]["make_current"]["rows"]["projects_livemodel"] == 1
    assert figures["orm"]["publish"]["rows"]["aggregation_consensus"] == figures["orm"]["publish"]["tasks"] == 100
    assert set(figures["ratio"]) == {"load", "make_current", "publish"}
    assert "500 votes, 100 tasks, 10 annotators, 25 gold, majority_vote" in done.stdout
