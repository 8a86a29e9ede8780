"""The settings' form and the API know the same settings."""

from __future__ import annotations

import re
from pathlib import Path

from aggregation.core.label_models import OURS
from aggregation.core.queue import DOUBTS
from projects.models import Acquisition, Learner
from projects.serializers.projects import ProjectSettings

PAGES = Path(__file__).parents[2] / "crowd/static/crowd"
FORM = (PAGES / "project-fields.js").read_text()


def test_every_setting_of_the_api_has_a_field_on_the_page() -> None:
    (defaults,) = re.findall(r"DEFAULTS = \{(.*?)\n\};", FORM, re.DOTALL)
    shown = set(re.findall(r"^  (\w+):", defaults, re.MULTILINE))
    # Labels have a field of their own kind, and there is one label type.
    assert shown == set(ProjectSettings().fields) - {"labels", "label_type"}
    assert [name for name in shown if f'"{name}"' not in FORM] == []


def test_every_label_model_can_be_chosen_on_the_page() -> None:
    (models,) = re.findall(r"LABEL_MODELS = \{(.*?)\n\};", FORM, re.DOTALL)
    assert set(re.findall(r"^  (\w+):", models, re.MULTILINE)) == set(OURS)


def test_every_acquisition_can_be_chosen_on_the_page_and_asked_about_if_it_can_be_replayed() -> None:
    (acquisitions,) = re.findall(r"ACQUISITIONS = \{(.*?)\n\};", FORM, re.DOTALL)
    assert set(re.findall(r"^  (\w+):", acquisitions, re.MULTILINE)) == set(Acquisition.values)
    (left_out,) = re.findall(r"NOT_REPLAYED = \[(.*?)\]", (PAGES / "what-if.js").read_text())
    assert set(re.findall(r"\w+", left_out)) == set(Acquisition.values) - set(DOUBTS)


def test_every_learner_can_be_chosen_on_the_page() -> None:
    (learners,) = re.findall(r"LEARNERS = \{(.*?)\};", FORM)
    assert set(re.findall(r"(\w+): \"", learners)) == set(Learner.values)
