"""A project in Label Studio's words: its labelling configuration, its tasks, and the token for its call-backs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from xml.sax.saxutils import quoteattr

from django.core import signing
from django.utils.crypto import salted_hmac

#: A backend may call back for so long after a training was started, in seconds.
TOKEN_SECONDS = 24 * 3600
SALT = "crowd.remote-learner"


def label_config(labels: Sequence[str], field: str) -> str:
    """A text and one choice among the labels."""
    choices = "".join(f"<Choice value={quoteattr(label)}/>" for label in labels)
    shown = f'<Text name="task" value={quoteattr("$" + field)}/>'
    return f'<View>{shown}<Choices name="label" toName="task" choice="single">{choices}</Choices></View>'


def backend_mark(url: str, username: str, password: str) -> str:
    """Another one for every address and every password, which tells neither."""
    return salted_hmac(SALT, "\0".join((url, username, password))).hexdigest()[:20]


def call_back_token(project: int, mark: str) -> str:
    """Reads this project's tasks and votes' consensus, and nothing else; a day long, while its backend is the same."""
    return signing.dumps({"project": project, "backend": mark}, salt=SALT)


def read_token(token: str) -> tuple[int, str] | None:
    """The project and the mark of its backend, if the token is ours and not too old."""
    try:
        said = signing.loads(token, salt=SALT, max_age=TOKEN_SECONDS)
        return int(said["project"]), str(said["backend"])
    except (signing.BadSignature, KeyError, TypeError, ValueError):
        return None


def as_task(id_: int, data: Any, label: str | None, project: int) -> dict[str, Any]:
    """A task as Label Studio lists it; consensus from votes, if there is any, is its one annotation."""
    annotation = {
        "id": id_,
        "result": [
            {
                "id": f"label{id_}",
                "from_name": "label",
                "to_name": "task",
                "type": "choices",
                "value": {"choices": [label]},
            }
        ],
        "was_cancelled": False,
        "ground_truth": False,
        "task": id_,
        "project": project,
    }
    annotations = [] if label is None else [annotation]
    return {
        "id": id_,
        "data": data,
        "project": project,
        "annotations": annotations,
        "predictions": [],
        "total_annotations": len(annotations),
        "is_labeled": bool(annotations),
    }
