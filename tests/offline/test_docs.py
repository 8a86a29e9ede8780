"""docs/offline.md: its commands run, and it names every option and figure that there is."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

from aggregation.management.commands.aggregate import Command
from tests.offline.support import ROOT, SMALL, SMALL_GOLD, aggregate_here, file

PAGE = (ROOT / "docs" / "offline.md").read_text()
COMMANDS = [
    line for block in re.findall(r"```bash\n(.*?)```", PAGE, flags=re.DOTALL) for line in block.splitlines() if line
]


def test_every_command_of_the_page_runs(tmp_path: Path) -> None:
    votes = SMALL.replace(b"cat", b"no").replace(b"dog", b"yes")
    file(tmp_path, "votes.csv", votes)
    file(tmp_path, "gold.csv", SMALL_GOLD.replace(b"cat", b"no").replace(b"dog", b"yes"))
    ratings = "".join(
        json.dumps({"item": i, "user": f"u{j}", "stars": 1 + i % 5}) + "\n" for i in range(9) for j in range(3)
    )
    file(tmp_path, "ratings.jsonl.gz", ratings)
    assert len(COMMANDS) == 4
    for command in COMMANDS:
        here = command.replace("uv run manage.py", f"{sys.executable} {ROOT}/manage.py")
        done = subprocess.run(["bash", "-c", here], cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, f"{command}: {done.stderr}"
        for output in re.findall(r"--(?:out|annotators|report) (\S+)", command):
            assert (tmp_path / output).stat().st_size
    assert "Krippendorff" in (tmp_path / "report.html").read_text()


def test_the_page_names_every_option_and_no_other() -> None:
    parser = Command().create_parser("manage.py", "aggregate")
    djangos = {"--help", "--version", "--settings", "--pythonpath", "--traceback", "--verbosity", "--no-color"}
    djangos |= {"--force-color", "--skip-checks"}
    options = {option for action in parser._actions for option in action.option_strings if option.startswith("--")}
    assert set(re.findall(r"^\| `(--[a-z-]+)", PAGE, flags=re.MULTILINE)) == options - djangos


def test_the_page_names_figures_that_there_are(tmp_path: Path) -> None:
    aggregate_here(file(tmp_path, "votes.csv", SMALL), "--report", tmp_path / "report.json")
    found = json.loads((tmp_path / "report.json").read_text())
    rows = PAGE.partition("| key | |")[2].partition("\n\n")[0]
    named = [name for row in rows.strip().splitlines() for name in re.findall(r"`(\w+)`", row.split("|")[1])]
    assert len(named) >= 10
    assert set(named) <= set(found)
