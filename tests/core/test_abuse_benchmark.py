"""The abuse benchmark: the crowd is the one it describes, and its figures are what their names say."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np

from benchmarks import abuse

ROOT = Path(__file__).resolve().parents[2]


def test_the_crowd_is_the_one_described():
    votes, truth, bad = abuse.crowd(np.random.default_rng(0), 100)
    assert (len(votes), votes.n_tasks, bad.sum()) == (5000, 1000, 50)
    assert (np.bincount(votes.task) == 5).all() and (np.bincount(votes.annotator) == 50).all()
    assert len(np.unique(votes.task.astype(np.int64) * 100 + votes.annotator)) == 5000  # nobody meets a task twice
    right = np.bincount(votes.annotator, votes.label == truth[votes.task]) / 50
    assert abs(right[~bad].mean() - 8 / 11) < 0.05 and abs(right[bad].mean() - 1 / 4) < 0.05


def test_recall_leaves_one_honest_annotator_in_twenty_below():
    bad = np.arange(60) < 20
    skill = np.where(bad, 0.3, 0.6)
    skill[20:22] = 0.1  # two of forty honest ones: as many as may be suspected
    assert abuse.recall(skill, bad) == 1.0
    skill[22] = 0.1
    assert abuse.recall(skill, bad) == 0.0


def test_bad_annotators_spoil_little_and_are_told_from_the_others(tmp_path):
    report = tmp_path / "abuse.json"
    command = [sys.executable, ROOT / "benchmarks" / "abuse.py", "--seeds", "2", "--json", report]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = json.loads(report.read_text())
    assert set(found["mean"]) == {"accuracy", "honest", "ratio", "recall"} and len(found["seeds"]) == 2
    assert found["mean"]["ratio"] > 0.95 and found["mean"]["recall"] > 0.9
    assert "ratio" in shown and "worst" in shown
