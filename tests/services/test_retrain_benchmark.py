"""The benchmark of a retraining: on a stack of its own, small, and gone afterwards."""

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_each_stage_is_measured_beside_people_who_vote(tmp_path: Path) -> None:
    report = tmp_path / "figures.json"
    command = [sys.executable, "benchmarks/retrain.py", "--tasks", "3000", "--taught", "400", "--seconds", "1"]
    done = subprocess.run([*command, "--json", str(report)], cwd=ROOT, env=os.environ, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr

    figures = json.loads(report.read_text())
    assert figures["counts"]["predicted"] == 3000 and figures["counts"]["trained_on"] >= 400
    assert set(figures["stages"]) <= {"waiting", "training", "predicting", "applying"}
    assert figures["peak_mb"] > 50 and figures["voting_ratio"] > 0
    assert figures["voting_ms"]["quiet"]["p99"] > 0 and figures["voting_ms"]["busy"]["p99"] > 0
    assert figures["alone"]["counts"]["predicted"] == 3000 and figures["alone"]["seconds"] > 0
    assert "3,000 tasks, 400 taught" in done.stdout
