"""The report: its figures as JSON, and the page that shows them."""

from __future__ import annotations

import io
import json
import re
import xml.etree.ElementTree as ElementTree
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from aggregation.core import copying_pairs
from aggregation.offline.analysis import analyse
from aggregation.offline.crowd import read_crowd
from aggregation.offline.files import source
from aggregation.offline.markup import Html, table, tag, text
from aggregation.offline.page import page
from aggregation.offline.report import details, figures, wilson, write_json
from aggregation.offline.summary import summary
from tests.offline.support import BLUEBIRD, file, votes_csv

EVIL = '<script>alert("x")</script>&\u0000\u202e'


def report_of(folder: Path, votes: bytes, gold: bytes | None = None, method: str = "majority_vote") -> dict[str, Any]:
    known = None if gold is None else source(str(file(folder, "gold.csv", b"task,label\n" + gold)))
    analysis = analyse(read_crowd(source(str(file(folder, "votes.csv", votes))), known), method)
    return figures(analysis) | details(analysis)


def crowd(n_tasks: int = 12, wrong: int = 2) -> bytes:
    """Three annotators, the third of whom is wrong on the last `wrong` tasks."""
    rows = []
    for task in range(n_tasks):
        truth, other = ("x", "y") if task % 2 else ("y", "x")
        rows += [(f"t{task}", "ann", truth), (f"t{task}", "bob", truth)]
        rows.append((f"t{task}", "eve", truth if task < n_tasks - wrong else other))
    return votes_csv(*rows)


def test_it_has_every_figure_and_null_where_nobody_can_know(tmp_path: Path) -> None:
    found = report_of(tmp_path, votes_csv(("a", "w", "x"), ("b", "w", "x"), ("a", "w", "x")))
    assert (found["method"], found["tasks"], found["annotators"], found["votes"]) == ("majority_vote", 2, 1, 2)
    assert (found["repeated_votes"], found["conflicting_repeats"]) == (1, 0)
    for unknown in ("alpha", "alpha_interval", "fleiss_kappa", "ece", "accuracy", "gold", "cross_validation"):
        assert found[unknown] is None
    written = io.BytesIO()
    write_json(found, written)
    assert json.loads(written.getvalue()) == found
    assert "undefined" in summary(found, {})
    assert "1 vote of an annotator who had voted on the task before, not counted" in summary(found, {})
    assert "–" in page(found)


def test_figures_of_gold_are_those_of_held_out_tasks(tmp_path: Path) -> None:
    found = report_of(tmp_path, crowd(), b"t0,y\nt1,y\nt2,y\nt3,y\nnew,x\n")
    assert (found["gold"], found["gold_unseen"], found["accuracy"]) == (4, 1, 0.5)
    checked = found["cross_validation"]
    majority = checked["majority_vote"]
    assert (checked["folds"], checked["tasks"]) == (4, 4)
    assert (majority["mean_confidence"], majority["ece"], majority["accuracy"]) == (1.0, 0.5, 0.5)
    assert checked["mean_confidence"] <= 1.0 and found["ece"] == checked["ece"] > 0
    assert sum(bin["tasks"] for bin in checked["reliability"]) == 4
    assert sum(bin["tasks"] * bin["right"] for bin in checked["reliability"]) == 2
    low, high = checked["ece_interval"]
    assert 0 <= low <= found["ece"] <= high <= 1
    assert "accuracy   0.500 (0.150 to 0.850) on 4 held-out gold tasks" in summary(found, {})


def test_doubt_is_about_tasks_without_gold(tmp_path: Path) -> None:
    found = report_of(tmp_path, crowd(), b"t11,x\nt0,y\n")
    assert found["confidence"]["tasks"] == 10
    first = found["doubtful_tasks"][0]
    assert first == {"task": "t10", "label": "y", "confidence": first["confidence"], "votes": {"y": 2, "x": 1}}
    assert 0.5 < first["confidence"] < 0.8
    assert list(found["doubtful_tasks"][0]["votes"]) == ["y", "x"]  # the most frequent first
    assert "t11" not in [row["task"] for row in found["doubtful_tasks"]]
    gold = "".join(f"t{task},{'x' if task % 2 else 'y'}\n" for task in range(12)).encode()
    everything = report_of(tmp_path, crowd(), gold)
    assert (everything["doubtful_tasks"], everything["confidence"]["mean"]) == ([], None)
    assert "Every task has gold" in page(everything) and "every task has gold" in summary(everything, {})
    assert "undefined" not in summary(everything, {}) and "uncalibrated" not in summary(everything, {})


def test_one_is_not_many(tmp_path: Path) -> None:
    found = report_of(tmp_path, votes_csv(("a", "w", "x"), ("a", "w", "x"), ("b", "w", "x")), b"b,x\n")
    for shown in (summary(found, {}), page(found)):
        assert "2 votes on 2 tasks by 1 annotator, 1 label" in shown
        assert "1 vote of an annotator" in shown or "1 more vote by" in shown
        assert not re.search(r"\b1 (votes|tasks|gold tasks|iterations|annotators|labels|folds)\b", shown)


def test_it_says_everywhere_how_far_confidence_is_to_be_believed(tmp_path: Path) -> None:
    gold = "".join(f"t{task},{'x' if task % 2 else 'y'}\n" for task in range(20)).encode()
    few = gold[: gold.index(b"t3")]
    said = {
        None: "uncalibrated: without gold it is what the label model believes",
        few: "uncalibrated: with 3 gold tasks, fewer than 20, it is what the label model believes",
        gold: "calibrated on 20 gold tasks",
    }
    for known, words in said.items():
        found = report_of(tmp_path, crowd(30, 8), known)
        assert found["calibrated"] == (known == gold)
        assert found["calibration"]["state"] == ("gold" if known == gold else "uncalibrated")
        assert words in summary(found, {}) and words in page(found)
        assert ("uncalibrated" in page(found)) == (known != gold)


def test_nobody_is_listed_twice_and_the_least_skilled_come_first(tmp_path: Path) -> None:
    found = report_of(tmp_path, crowd(wrong=5))
    assert [row["worker"] for row in found["lowest_skill"]] == ["eve", "ann"]
    assert [row["worker"] for row in found["highest_skill"]] == ["bob"]


def test_a_planted_copier_and_ambiguous_tasks_are_found(tmp_path: Path) -> None:
    """Eight annotators err on tasks of their own, but `copier` on those of `model`; three tasks split them evenly."""
    rows = []
    for task in range(80):
        truth = "abcd"[task % 4]
        wrong = "abcd"[(task + 1) % 4]
        for number, who in enumerate(["model", *(f"w{i}" for i in range(6)), "copier"]):
            errs = (task // 4) % 7 == (0 if who == "copier" else number)
            rows.append((f"t{task}", who, wrong if errs else truth))
    for task in range(3):  # split each time in another way
        people = enumerate(["model", *(f"w{i}" for i in range(6)), "copier"])
        rows += [(f"odd{task}", who, "a" if number >> task & 1 else "c") for number, who in people]
    found = report_of(tmp_path, votes_csv(*rows), method="hierarchical_dawid_skene")
    assert [row["workers"] for row in found["suspected_pairs"]] == [["model", "copier"]]
    assert {row["task"] for row in found["ambiguous_tasks"]} == {"odd0", "odd1", "odd2"}
    assert all(row["between"] == ["a", "c"] for row in found["ambiguous_tasks"])
    shown = page(found)
    assert "model and copier" in shown and "a or c" in shown


def test_it_says_whom_there_was_no_time_to_test_for_copying(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    votes = votes_csv(*((f"t{t}", f"w{a}", "abc"[t % (a + 2) % 3]) for a in range(5) for t in range(30)))
    found = report_of(tmp_path, votes)
    assert (found["pairs_not_tested"], found["annotators_not_tested"]) == (0, 0) and "Not " not in page(found)
    monkeypatch.setattr(copying_pairs, "MOST_CO_VOTES", 6 * 30)
    monkeypatch.setattr(copying_pairs, "MOST_TESTED", 30)
    found = report_of(tmp_path, votes)
    assert (found["pairs_not_tested"], found["annotators_not_tested"]) == (5, 1)
    assert "Not tested: 5 pairs that agree less in doubtful answers." in page(found)
    assert "Not looked at: 1 annotator with no more votes than the others." in page(found)


class Structure(HTMLParser):
    """Tags that are open, and all that were seen."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: set[str] = set()

    def handle_starttag(self, name: str, attributes: list[tuple[str, str | None]]) -> None:
        self.seen.add(name)
        assert not any(key.startswith("on") or key in ("href", "src") for key, _ in attributes)
        if name != "meta":
            self.open.append(name)

    def handle_endtag(self, name: str) -> None:
        assert self.open.pop() == name


def test_what_people_typed_is_never_markup(tmp_path: Path) -> None:
    evil = EVIL.replace('"', '""')
    rows = [
        (f'"{evil}{task}"', f'"{evil}{who}"', f'"{evil}{(task + who) % 2}"') for task in range(8) for who in range(3)
    ]
    gold = f'"{evil}0","{evil}0"\n"{evil}1","{evil}1"\n'.encode()
    found = report_of(tmp_path, votes_csv(*rows), gold)
    shown = page(found)
    structure = Structure()
    structure.feed(shown)
    assert not structure.open
    assert "script" not in structure.seen
    assert "&lt;script&gt;" in shown
    assert "\u0000" not in shown and "\u202e" not in shown


def test_the_page_is_whole_and_loads_nothing(tmp_path: Path) -> None:
    analysis = analyse(
        read_crowd(source(str(BLUEBIRD / "votes.csv")), source(str(BLUEBIRD / "gold.csv"))), "majority_vote"
    )
    shown = page(figures(analysis) | details(analysis))
    structure = Structure()
    structure.feed(shown)
    assert not structure.open
    assert {"svg", "table", "caption"} <= structure.seen
    assert "http" not in shown and "url(" not in shown and "@import" not in shown
    for svg in shown.split("<svg")[1:]:
        ElementTree.fromstring("<svg" + svg.split("</svg>")[0] + "</svg>")


@pytest.mark.parametrize("n_labels", [3, 60])
def test_many_labels_are_cut_on_the_page_only(tmp_path: Path, n_labels: int) -> None:
    rows = [(f"t{task}", f"w{who}", f"label{task % n_labels:02}") for task in range(n_labels) for who in range(2)]
    found = report_of(tmp_path, votes_csv(*rows))
    assert len(found["label_counts"]) == n_labels
    assert ("10 more labels with fewer votes" in page(found)) == (n_labels == 60)


def test_the_interval_is_wilsons() -> None:
    # Newcombe, Statistics in Medicine 17, 1998, table I: 81 of 263, 15 of 148, 0 of 20, 1 of 29.
    published = {
        (81, 263): (0.2553, 0.3662),
        (15, 148): (0.0624, 0.1605),
        (0, 20): (0.0, 0.1611),
        (1, 29): (0.0061, 0.1718),
    }
    for (right, n), expected in published.items():
        assert wilson(right / n, n) == pytest.approx(expected, abs=5e-5)


def test_bins_are_named_by_their_bounds(tmp_path: Path) -> None:
    # Of ten votes on each task seven are alike: majority vote states 0.7 for all, whose mean is a little less.
    rows = [(f"t{task}", f"w{who}", "a" if who < 7 else "b") for task in range(30) for who in range(10)]
    gold = "".join(f"t{task},{'a' if task else 'b'}\n" for task in range(19))
    (only,) = report_of(tmp_path, votes_csv(*rows), gold.encode())["cross_validation"]["reliability"]
    assert (only["from"], only["to"], only["tasks"]) == (0.7, 0.8, 19)
    assert only["right"] == pytest.approx(18 / 19)


def test_markup_escapes_all_but_markup() -> None:
    assert tag("p", "<b>", tag("i", "&"), class_='"') == '<p class="&quot;">&lt;b&gt;<i>&amp;</i></p>'
    assert text("a\u0007b") == "a\ufffdb"
    assert text("👩\u200d🔬 \u200fש") == "👩\u200d🔬 \u200fש"  # joiners and marks belong to the text
    assert "<td>&lt;b&gt;</td>" in table(["<h>"], [["<b>"]], "c")
    assert isinstance(tag("p"), Html)
