"""docs/learning-loop.md names every learner and every acquisition function, and its example runs."""

import re
from pathlib import Path

import numpy as np

from aggregation.core import acquisition
from aggregation.learners import LEARNERS

PAGE = (Path(__file__).parents[2] / "docs/learning-loop.md").read_text()


def test_the_page_names_every_learner_and_acquisition_function():
    functions = [name for name in acquisition.__all__ if name.islower() and name != "priority"]
    assert [name for name in [*LEARNERS, *functions] if f"`{name}`" not in PAGE] == []


def test_the_example_of_the_page_runs():
    (example,) = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
    payloads = [{"text": "a bird"}, {"text": "a fish"}] * 5
    around = {
        "payloads": payloads,
        "posterior": np.tile([[0.9, 0.1], [0.2, 0.8]], (5, 1)),
        "batches": [([1, 2], payloads[:2])],
    }
    exec(example, around)
    assert around["same"].predict_proba(payloads).shape == around["fit"].held_out.shape == (10, 2)
