"""What docs/certified-bounds.md says of auto-labels is what the code does, and its benchmark runs."""

import json
import re
import subprocess
import sys
from pathlib import Path

from aggregation.core.drift import BELIEFS
from aggregation.core.threshold_plan import PARTS, STARTS, WEIGHTS
from aggregation.core.tiers import audits_needed

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "certified-bounds.md").read_text()


def test_the_example_of_the_page_prints_what_it_shows(capsys):
    ((example, shown),) = re.findall(r"```python\n([^`]*plan_thresholds.*?)```\n```\n(.*?)```", PAGE, flags=re.DOTALL)
    exec(compile(example, "certified-bounds.md", "exec"), {})
    assert capsys.readouterr().out == shown


def test_the_numbers_of_the_page_are_those_of_the_code():
    assert f"{audits_needed(0.05)} audits certify 5 % at 95 %, and {audits_needed(0.02)} certify 2 %" in PAGE
    assert len(WEIGHTS) == 7 and STARTS.tolist() == [0.01, 0.1, 0.4] and PARTS.tolist() == [0.25, 0.5, 0.25]
    assert BELIEFS.tolist() == [1.5, 2.0, 3.0, 4.5]


def test_the_benchmark_runs_and_writes_its_figures(tmp_path):
    figures = tmp_path / "tiers.json"
    command = [sys.executable, ROOT / "benchmarks/tiers.py", "--campaigns", "3", "--json", figures]
    command += ["--only", "medium,stream,clueless,burst,drift,digits"]
    printed = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path).stdout
    written = json.loads(figures.read_text())
    assert list(written) == ["campaigns", "seed", "medium", "stream", "clueless", "burst", "drift", "digits"]
    for name in ("medium", "stream", "clueless", "burst"):
        assert written[name]["failed"] <= written[name]["failed_upper_99"] <= 1
        assert f"{name:15} {written[name]['failed']:6.1%} ({written[name]['failed_upper_99']:6.1%})" in printed
    assert written["medium"]["yield"] > 0.2 and written["burst"]["failed"] == 0.0
    assert written["drift"]["jump"]["revoked"] == 1.0 and written["drift"]["jump"]["audits_mean"] < 300
    assert written["digits"]["found"] >= 0.7 and f"found {written['digits']['found']}" in printed


def test_the_benchmark_refuses_what_it_does_not_know():
    command = [sys.executable, ROOT / "benchmarks/tiers.py", "--only", "strong,wek"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2 and "--only does not know wek" in done.stderr
