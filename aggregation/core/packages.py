"""Packages that some learners need and that are not installed with the rest."""

from __future__ import annotations

#: By learner.
NEEDED = {"sentences": "wordllama"}


def how_to_install(learner: str) -> str:
    """What to tell whoever asks for a learner whose package is not there."""
    return f"The learner {learner} needs the package {NEEDED[learner]}: pip install {NEEDED[learner]}"
