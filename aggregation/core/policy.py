"""A policy: those of a project's settings that decide which votes are asked for and what is made of them."""

from __future__ import annotations

from dataclasses import dataclass, fields

from aggregation.core.label_models import DEFAULT_LABEL_MODEL, LABEL_MODELS
from aggregation.core.queue import DOUBTS, ORDERS

#: Who says whether the machine was right: people's votes, as far as gold has shown how often they are, or experts.
AUDITS_BY = ("votes", "experts")


@dataclass(frozen=True)
class Policy:
    """Named as a project's settings are, with a new project's values.

    redundancy: votes wanted per task; None: as many as were recorded. target_confidence: a task retires at it, once it
    has min_votes. flag_below: one that is less sure once it has all its votes is an expert's. newcomer_votes: whoever
    has fewer votes weighs what somebody weighs whom nobody knows. explore_share: so many of the tasks asked about are
    left to chance. gold: how many tasks, drawn at random, have answers that are known beforehand. learner: its name,
    and learner_fields those of the tasks' data that it reads; None: people alone. auto_label_error: the machine labels
    alone as long as audits prove, with auto_label_confidence, that at most this share of it is wrong; None: never.
    audit_share: at most so many of the tasks are audits of one learner. audits_by: whose answers those are judged by;
    "experts" know the truth. Raises ValueError naming the setting that is out of range, and what is expected.
    """

    label_model: str = DEFAULT_LABEL_MODEL
    order: str = "priority"
    acquisition: str = "entropy"
    redundancy: int | None = None
    min_votes: int = 1
    target_confidence: float | None = None
    flag_below: float | None = None
    newcomer_votes: int = 0
    explore_share: float | None = None
    gold: int = 0
    learner: str | None = None
    learner_fields: tuple[str, ...] = ()
    auto_label_error: float | None = None
    auto_label_confidence: float = 0.95
    audit_share: float = 0.05
    audits_by: str = "votes"

    def __post_init__(self) -> None:
        _one_of("label_model", self.label_model, LABEL_MODELS)
        _one_of("order", self.order, ORDERS)
        if self.acquisition == "information_gain":
            raise ValueError(
                "acquisition is 'information_gain', which goes by who asks, but a replay draws the next vote at random "
                f"from those recorded; expected one of {', '.join(DOUBTS)}"
            )
        _one_of("acquisition", self.acquisition, DOUBTS)
        _whole("redundancy", self.redundancy, 1)
        _whole("min_votes", self.min_votes, 1, none=False)
        _whole("newcomer_votes", self.newcomer_votes, 0, none=False)
        _whole("gold", self.gold, 0, none=False)
        _one_of("audits_by", self.audits_by, AUDITS_BY)
        _share("target_confidence", self.target_confidence, 0.5, 1.0)
        _share("flag_below", self.flag_below, 0.0, 1.0)
        _share("explore_share", self.explore_share, 0.001, 1.0, all_of_it=True)
        _share("auto_label_error", self.auto_label_error, 0.001, 0.5, all_of_it=True)
        _share("auto_label_confidence", self.auto_label_confidence, 0.5, 1.0, none=False)
        _share("audit_share", self.audit_share, 0.001, 1.0, none=False, all_of_it=True)
        if not all(isinstance(name, str) for name in (*self.learner_fields, self.learner or "")):
            raise ValueError("learner and learner_fields must be texts")


SETTINGS = tuple(field.name for field in fields(Policy))


def _one_of(name: str, value: object, known: object) -> None:
    assert isinstance(known, dict | tuple)
    if not isinstance(value, str) or value not in known:
        raise ValueError(f"{name} is {value!r}; expected one of {', '.join(known)}")


def _share(name: str, value: object, least: float, most: float, none: bool = True, all_of_it: bool = False) -> None:
    """all_of_it: whether it may be `most` itself."""
    if none and value is None:
        return
    possible = isinstance(value, float | int) and not isinstance(value, bool) and least <= value <= most
    if not possible or (value == most and not all_of_it):
        words = "at most" if all_of_it else "less than"
        raise ValueError(f"{name} is {value!r}; expected at least {least:g} and {words} {most:g}")


def _whole(name: str, value: object, least: int, none: bool = True) -> None:
    if not (none and value is None) and (not isinstance(value, int) or isinstance(value, bool) or value < least):
        raise ValueError(f"{name} is {value!r}; expected a whole number from {least} up")


#: What to do where nobody says otherwise. Tasks are asked about the more often the harder they look, and from such
#: votes two kinds of tasks are easily told apart wrongly, so that labels change back and forth as votes come. So while
#: votes are collected the label model has one kind: fewer votes than "auto" needs, on the mean of any seven of eight
#: crowds.
DEFAULT = Policy(label_model="hierarchical_dawid_skene")
