"""docs/label-models.md: its commands run, and it names every label model."""

import re
import subprocess
import sys
from pathlib import Path

from aggregation.core.label_models import LABEL_MODELS

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/label-models.md").read_text()
COMMANDS = re.findall(r"```bash\n(.*?)```", PAGE, flags=re.DOTALL)[0].strip().splitlines()
#: The same measurements in small, so that they end in seconds.
SMALL = {
    "benchmarks/accuracy.py": " --methods auto,majority_vote --draws 1",
    "benchmarks/aggregation.py": " --sizes 3000 --repeats 1",
}


def test_every_command_of_the_page_runs(tmp_path, monkeypatch):
    monkeypatch.delenv("CROWD_DATASETS", raising=False)
    rows = [f"t{t},w{w},{'cat' if (t + w) % 4 else 'dog'}\n" for t in range(20) for w in range(5)]
    (tmp_path / "votes.csv").write_text("task,worker,label\n" + "".join(rows))
    for command in COMMANDS:
        for script, less in SMALL.items():
            command += less if script in command else ""
        here = re.sub(r"uv run (\S+)", rf"{sys.executable} {ROOT}/\1", command)
        done = subprocess.run(["bash", "-c", here], cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, f"{command}: {done.stderr}"
        (output,) = re.findall(r"--(?:json|report) (\S+)", command)
        assert (tmp_path / output).stat().st_size


def test_the_page_names_every_label_model():
    page = PAGE.replace("`…_", "`crowd_kit_")
    assert [name for name in LABEL_MODELS if f"`{name}`" not in page] == []
