"""The README's API calls, run as they stand: the answers must have the shape that it shows."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

from tests.support.client import Client, wait_for
from tests.support.stack import Stack

README = (Path(__file__).resolve().parent.parent / "README.md").read_text()
CALLS = README.partition("## The first five API calls")[2].partition("\n## ")[0]
EXAMPLES = re.findall(r"```bash\n(curl .*?)```\n```json\n(.*?)```", CALLS, flags=re.DOTALL)


def test_the_readme_shows_five_calls_with_their_answers() -> None:
    assert len(EXAMPLES) == 5


def test_the_first_five_api_calls_answer_what_the_readme_shows(stack: Stack, manager: Client) -> None:
    assert shutil.which("curl"), "The README's examples need curl: apt-get install curl"
    real_project = real_assignment = ""
    shown_assignment = json.loads(EXAMPLES[2][1])["assignments"][0]["id"]
    for number, (command, shown) in enumerate(EXAMPLES, 1):
        command = command.replace("/projects/5/", f"/projects/{real_project}/")
        command = command.replace(shown_assignment, real_assignment)
        expected = json.loads(shown)
        answer = wait_for(lambda c=command, e=expected: _answer(stack, manager, c, e), what=f"call {number}")
        assert _shape(answer) == _shape(expected), f"call {number}: {command}"
        real_project = real_project or str(answer.get("id", ""))
        if number == 3:
            real_assignment = answer["assignments"][0]["id"]
    assert answer["results"][0]["label"] == "cat"


def _answer(stack: Stack, manager: Client, command: str, expected: Any) -> Any:
    """The answer of one call; None for a feed that has nothing yet, which is asked again."""
    environment = {**os.environ, "CROWD": stack.url, "TOKEN": str(manager.token)}
    done = subprocess.run(["bash", "-c", command], env=environment, capture_output=True, text=True, check=True)
    answer = json.loads(done.stdout)
    return None if "more" in expected and not answer["results"] else answer


def _shape(value: Any) -> Any:
    """Keys and kinds, without the values."""
    if isinstance(value, dict):
        return {key: _shape(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_shape(inner) for inner in value]
    return "nothing" if value is None else type(value).__name__
