"""The accuracy benchmark: its scores, its data and its report."""

import gzip
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks import datasets, scores

ROOT = Path(__file__).resolve().parents[2]
KEYS = (
    *("accuracy", "accuracy_50", "ece_raw", "ece_50", "brier_50", "right_at_95", "stated_at_95", "share_at_95"),
    *("oracle_share_at_95", "share_of_oracle_at_95", "excess_ece_50", "log_loss_50", "auc_50", "auc_raw"),
    *("loss", "loss_50", "seconds"),
)


def test_a_tie_is_right_as_often_as_a_random_choice_would_be():
    posterior = np.array([[0.5, 0.5, 0.0], [1 / 3, 1 / 3, 1 / 3], [0.2, 0.7, 0.1], [0.4, 0.3, 0.3]])
    np.testing.assert_allclose(scores.correct(posterior, np.array([1, 2, 1, 1])), [1 / 2, 1 / 3, 1, 0])


def test_the_calibration_error_weighs_ten_bins_by_their_tasks():
    sure, right = np.array([0.95, 0.91, 0.55, 1.0]), np.array([1.0, 0.0, 1.0, 1.0])
    # The last bin holds three: together they claim 2.86 and are 2 right; the other claims 0.55 and is 1.
    assert scores.ece(sure, right) == pytest.approx((0.86 + 0.45) / 4)


def test_perfect_calibration_has_an_error_but_no_excess():
    random = np.random.default_rng(0)
    sure = random.uniform(0.5, 1.0, 300)
    right = [(random.random(300) < sure).astype(float) for _ in range(200)]
    assert np.mean([scores.ece(sure, r) for r in right]) > 0.02
    assert abs(np.mean([scores.excess_ece(sure, r, seed) for seed, r in enumerate(right)])) < 0.005
    assert scores.excess_ece(sure, np.ones(300), 0) > 0.15


def test_brier_and_log_loss_by_hand():
    posterior, truth = np.array([[0.8, 0.2], [0.6, 0.4]]), np.array([0, 1])
    assert scores.brier(posterior, truth) == pytest.approx((2 * 0.2**2 + 2 * 0.6**2) / 2)
    assert scores.log_loss(posterior, truth) == pytest.approx(-(np.log(0.8) + np.log(0.4)) / 2)


def test_auc_counts_pairs_of_right_and_wrong_and_ties_half():
    sure, right = np.array([0.9, 0.8, 0.8, 0.6]), np.array([1.0, 1.0, 0.0, 0.0])
    assert scores.auc(sure, right) == pytest.approx((1 + 1 + 0.5 + 1) / 4)
    assert scores.auc(sure, np.ones(4)) is None
    assert scores.auc(sure, np.array([1.0, 0.5, 0.5, 0.0])) == pytest.approx(
        (0.5 + 0.5 + 1 + 2 * (0.25 + 0.5)) / 4 - 0.0
    )


def test_the_oracle_goes_down_the_order_as_far_as_95_in_100_are_right():
    right = np.ones(60)
    right[[30, 55, 56, 57]] = 0
    sure = np.linspace(1.0, 0.5, 60)
    assert scores.oracle(sure, right) == 56  # 54 of them; of 57 or more too few
    assert scores.oracle(np.ones(60), right) == 0  # equally sure tasks go together, and 56 of 60 are too few
    assert scores.oracle(sure, np.zeros(60)) == 0


@pytest.mark.parametrize(("n_sure", "share"), [(0, 0.0), (10, 0.25), (60, 1.0)])
def test_ours_as_a_share_of_the_oracles(n_sure, share):
    sure, right = np.linspace(0.9, 0.5, 60), np.ones(60)
    sure[:n_sure] = 0.97
    right[40:] = 0
    right[40:42] = 1  # 40 of the first 40, 42 of 42, 42 of 44
    measured = scores.at_target(sure, right)
    oracle = measured["oracle_share_at_95"] * 60
    assert measured["share_at_95"] == n_sure / 60
    if n_sure == 60:
        assert oracle == 0 and measured["share_of_oracle_at_95"] is None
    else:
        assert oracle == 44 and measured["share_of_oracle_at_95"] == pytest.approx(n_sure / 44)


def test_none_of_ours_and_few_of_the_oracles_say_nothing():
    sure, right = np.linspace(0.9, 0.5, 60), np.zeros(60)
    right[:10] = 1
    assert scores.at_target(sure, right)["share_of_oracle_at_95"] is None
    assert scores.at_target(sure, right)["right_at_95"] is None


def test_the_first_vote_counts_and_gold_without_votes_does_not(tmp_path):
    crowd = folder(tmp_path / "pets", "a,ann,cat\na,ann,dog\nb,bob,dog\n", "a,cat\nz,dog\n")
    data = datasets.load(crowd)
    assert data.votes.label.tolist() == [0, 1]
    assert data.gold.tolist() == [0, -1]
    assert datasets.folders(tmp_path) == [crowd]


def test_text_is_left_out_and_so_are_votes_without_gold(tmp_path):
    many = "".join(f"t{i},ann,label {i}\n" for i in range(51))
    with pytest.raises(datasets.Unsuitable, match="51 labels"):
        datasets.load(folder(tmp_path / "text", many, "t0,label 0\n"))
    folder(tmp_path / "unknown", "a,ann,cat\n", "")
    (tmp_path / "unknown/gold.csv.gz").unlink()
    with pytest.raises(datasets.Unsuitable, match="no gold"):
        datasets.load(tmp_path / "unknown")


def folder(path, votes, gold):
    path.mkdir()
    (path / "votes.csv.gz").write_bytes(gzip.compress(("task,worker,label\n" + votes).encode()))
    (path / "gold.csv.gz").write_bytes(gzip.compress(("task,label\n" + gold).encode()))
    return path


def test_without_any_folder_bluebird_is_measured(tmp_path):
    report = run(tmp_path, "--methods", "majority_vote,one_coin,one_coin+temperature", "--draws", "2")
    assert list(report["datasets"]) == ["bluebird"]
    assert list(report["mean"]) == ["majority_vote", "one_coin", "one_coin+temperature"]
    for measures in (*report["datasets"]["bluebird"].values(), *report["mean"].values()):
        assert set(KEYS) <= set(measures)
    assert report["mean"]["majority_vote"]["accuracy"] == pytest.approx(82 / 108)
    assert report["mean"]["majority_vote"]["loss"] == pytest.approx(-1 / 108)
    tempered, calibrated = report["mean"]["one_coin+temperature"], report["mean"]["one_coin"]
    assert calibrated["log_loss_50"] < tempered["log_loss_50"] < 1
    assert calibrated["ece_50"] < calibrated["ece_raw"]
    assert report["calibration_prior"] == {"bluebird": "shipped"}


def test_methods_that_cannot_be_measured_are_left_out_and_folders_said(tmp_path):
    places = tmp_path / "crowds"
    places.mkdir()
    rows = "".join(f"t{t},w{w},{'abc'[(t + (t * w) % 5 // 3) % 3]}\n" for t in range(30) for w in range(4))
    folder(places / "letters", rows, "".join(f"t{t},{'abc'[t % 3]}\n" for t in range(30)))
    folder(places / "text", "".join(f"t{i},ann,label {i}\n" for i in range(51)), "t0,label 0\n")
    report = run(tmp_path, "--data", str(places), "--methods", "wawa,crowd_kit_kos", "--draws", "1")
    assert list(report["datasets"]["letters"]) == ["wawa"]
    assert "51 labels" in report["skipped"]["text"]


def test_losses_on_generated_crowds_are_reported(tmp_path):
    report = run(tmp_path, "--generators", "--methods", "majority_vote,wawa", "--crowds", "2")
    assert len(report["generators"]) == 6
    for rows in report["generators"].values():
        assert set(rows["wawa"]) == {"worst_loss", "worst_loss_50", "mean_loss", "mean_loss_50"}
        assert rows["majority_vote"]["worst_loss"] < 0  # nothing lost, less one task


def test_an_unknown_method_is_refused(tmp_path):
    done = launch("--methods", "oracle")
    assert done.returncode == 2 and "unknown method 'oracle'" in done.stderr


def run(tmp_path, *arguments):
    done = launch(*arguments, "--json", str(tmp_path / "report.json"))
    assert done.returncode == 0, done.stderr
    return json.loads((tmp_path / "report.json").read_text())


def launch(*arguments):
    environment = {name: value for name, value in os.environ.items() if name != "CROWD_DATASETS"}
    command = [sys.executable, str(ROOT / "benchmarks/accuracy.py"), *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True)
