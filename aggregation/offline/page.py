"""The report as one HTML file for people: no script, nothing loaded from elsewhere, fit for phone and paper."""

from __future__ import annotations

from typing import Any, BinaryIO

from aggregation.offline import plots
from aggregation.offline.markup import Figure, Html, table, tag, text
from aggregation.offline.summary import calibration, counts, sureness
from aggregation.offline.words import count

SHOWN_LABELS = 50
NOTHING = Html()
STYLE = """
:root { color-scheme: light dark; --ink: #1d2530; --soft: #5b6675; --line: #d5dbe3; --tint: #f3f5f8; --mark: #1f6feb;
  --warn: #fff4d6; --page: #fff; --shade: #0003; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6ebf2; --soft: #9aa7b8; --line: #38424f; --tint: #1b222b;
  --mark: #6aa8ff; --warn: #3b3215; --page: #12171d; --shade: #fff3; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.5rem 1rem 4rem; max-width: 52rem; color: var(--ink);
  background: var(--page);
  font: 1rem/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.6rem; margin: 0; } h2 { font-size: 1.2rem; margin: 2.5rem 0 .5rem; } p { margin: .5rem 0; }
.soft, caption { color: var(--soft); }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(9.5rem, 1fr)); gap: .6rem; margin: 1.2rem 0; }
.tile { background: var(--tint); border-radius: .5rem; padding: .7rem .9rem; }
.tile b { display: block; font-size: 1.5rem; line-height: 1.3; } .tile span { color: var(--soft); font-size: .85rem; }
.notes { background: var(--warn); border-radius: .5rem; padding: .6rem .9rem .6rem 2rem; margin: 1rem 0; }
.scroll { overflow-x: auto; margin: .8rem 0;
  background: linear-gradient(90deg, var(--page), transparent), linear-gradient(270deg, var(--page), transparent) right,
  linear-gradient(90deg, var(--shade), transparent), linear-gradient(270deg, var(--shade), transparent) right;
  background-repeat: no-repeat; background-size: 2.5rem 100%, 2.5rem 100%, .8rem 100%, .8rem 100%;
  background-attachment: local, local, scroll, scroll; }
table { border-collapse: collapse; min-width: 60%; font-size: .92rem; } caption { text-align: left; padding: .2rem 0; }
th, td { text-align: left; padding: .25rem .9rem .25rem 0; border-bottom: 1px solid var(--line); vertical-align: top;
  overflow-wrap: break-word; max-width: 22rem; }
td { white-space: pre-wrap; } td.figure { font-variant-numeric: tabular-nums; white-space: nowrap; }
@media (max-width: 34rem) { table { font-size: .8rem; min-width: 100%; }
  th, td { padding-right: .55rem; max-width: 45vw; } }
.plot svg { width: 100%; height: auto; display: block; }
svg text { fill: var(--soft); font: 12px system-ui, sans-serif; }
.grid { stroke: var(--line); stroke-width: .6; } .axis { stroke: var(--soft); } .bar, .dot { fill: var(--mark); }
.ideal { stroke: var(--soft); stroke-dasharray: 4 4; } .whisker { stroke: var(--mark); stroke-width: 2; opacity: .55; }
@media print { body { max-width: none; padding: 0; font-size: 10pt; } .scroll { overflow: visible; }
  tr, .plot, .tile { break-inside: avoid; } h2 { break-after: avoid; }
  .bar, .dot, .tile, .notes { print-color-adjust: exact; -webkit-print-color-adjust: exact; } }
"""


def write_html(found: dict[str, Any], file: BinaryIO) -> None:
    """Write a report (see `report`) as a page."""
    file.write(page(found).encode())


def page(found: dict[str, Any]) -> Html:
    sections = [_head(found), _tiles(found), _notes(found), _method(found), _reliability(found), _sure(found)]
    sections += [_labels(found), _annotators(found), _copying(found), _doubtful(found), _ambiguous(found)]
    head = tag(
        "head",
        Html('<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'),
        tag("title", "Consensus report"),
        Html(f"<style>{STYLE}</style>"),
    )
    return text(
        Html("<!doctype html>\n"), tag("html", head, tag("body", tag("main", *sections)), lang="en"), Html("\n")
    )


def _head(found: dict[str, Any]) -> Html:
    return text(tag("h1", "Consensus report"), tag("p", counts(found), class_="soft"))


def _tiles(found: dict[str, Any]) -> Html:
    checked, sure = found["cross_validation"], found["confidence"]
    interval = "{:.3f} to {:.3f}, held-out gold".format(*checked["accuracy_interval"]) if checked else "needs gold"
    tiles = [
        ("accuracy", _figure(found["accuracy"]), interval),
        ("calibration error (ECE)", _figure(found["ece"]), "calibrated" if found["calibrated"] else "uncalibrated"),
        (
            "agreement",
            _figure(found["alpha"]),
            f"Krippendorff's alpha, {found['alpha_level']}{_between(found)}; 0 is chance",
        ),
        ("mean confidence", _figure(sure["mean"]), sureness(found) if sure["tasks"] else "every task has gold"),
    ]
    return tag(
        "div",
        *(tag("div", name, tag("b", value), tag("span", under), class_="tile") for name, value, under in tiles),
        class_="tiles",
    )


def _between(found: dict[str, Any]) -> str:
    bounds = found["alpha_interval"]
    return "" if bounds is None else ", {:.3f} to {:.3f}".format(*bounds)


def _notes(found: dict[str, Any]) -> Html:
    notes = list(found["warnings"])
    if found["repeated_votes"]:
        notes.append(
            f"{count(found['repeated_votes'], 'more vote')} by an annotator who had voted on the task before: only the "
            f"first counts. Contradicting it: {found['conflicting_repeats']:,}."
        )
    return tag("ul", *(tag("li", note) for note in notes), class_="notes") if notes else Html()


def _method(found: dict[str, Any]) -> Html:
    ended = "Converged" if found["converged"] else "Stopped before it converged,"
    said = [*found["explanation"], f"{ended} after {count(found['iterations'], 'iteration')}."]
    return text(tag("h2", "Method: ", found["method"]), *(tag("p", sentence) for sentence in said))


def _reliability(found: dict[str, Any]) -> Html:
    checked = found["cross_validation"]
    title = tag("h2", "Is the confidence true?")
    if not checked:
        return text(title, tag("p", "Nobody can know without gold: give some tasks' true labels with --gold."))
    words = (
        f"Each gold task was scored by a fit that did not know its answer ({count(checked['folds'], 'fold')}, "
        f"{count(checked['tasks'], 'task')}). On the dashed line, stated confidence is the share that was right; below "
        "it, confidence is too high. Bars are 95 % intervals; larger dots stand for more tasks."
    )
    mean = (
        f"On average it states {checked['mean_confidence']:.3f}, and {checked['accuracy']:.3f} are right. ECE is above "
        "0 by chance alone; the true one is likely between {:.3f} and {:.3f}.".format(*checked["ece_interval"])
    )
    rows = [
        [
            Figure(f"{bin['from']:.1f} to {bin['to']:.1f}"),
            Figure(f"{bin['tasks']:,}"),
            Figure(f"{bin['confidence']:.3f}"),
            Figure(f"{bin['right']:.3f}"),
            Figure("{:.3f} to {:.3f}".format(*bin["right_interval"])),
        ]
        for bin in checked["reliability"]
    ]
    shown = table(["confidence", "tasks", "mean confidence", "share right", "95 % interval"], rows, "Reliability")
    figures = [
        [name, *(Figure(f"{scored[key]:.3f}") for key in ("accuracy", "ece", "brier", "log_loss"))]
        for name, scored in ((found["method"], checked), ("majority vote", checked["majority_vote"]))
    ]
    compared = table(["", "accuracy", "ECE", "Brier score", "log loss"], figures, "On held-out gold")
    return text(title, tag("p", words), tag("p", mean), plots.reliability(checked["reliability"]), shown, compared)


def _sure(found: dict[str, Any]) -> Html:
    title = tag("h2", "How sure is the consensus?")
    tasks = found["confidence"]["tasks_by_twentieth"]
    rows = [
        [Figure(f"{number / 20:.2f} to {(number + 1) / 20:.2f}"), Figure(f"{count:,}")]
        for number, count in enumerate(tasks)
        if count
    ]
    shown = tag("details", tag("summary", "As a table"), table(["confidence", "tasks"], rows, "Tasks by confidence"))
    if not sum(tasks):
        return text(title, tag("p", "Every task has gold: nothing is in question."))
    words = "Shown are the tasks without gold. " if found["gold"] else ""
    said = calibration(found)
    return text(title, tag("p", f"{words}Confidence is {said}."), plots.histogram(tasks), shown)


def _labels(found: dict[str, Any]) -> Html:
    rows = [
        [row["label"], Figure(f"{row['votes']:,}"), Figure(f"{row['tasks']:,}"), Figure(f"{row['share']:.3f}")]
        for row in sorted(found["label_counts"], key=lambda row: -row["votes"])[:SHOWN_LABELS]
    ]
    more = len(found["label_counts"]) - len(rows)
    rest = tag("p", f"{count(more, 'more label')} with fewer votes.") if more else Html()
    header = ["label", "votes", "tasks (consensus)", "estimated share"]
    return text(tag("h2", "Labels"), table(header, rows, "Labels by votes and consensus"), rest)


def _annotators(found: dict[str, Any]) -> Html:
    lowest, highest = found["lowest_skill"], found["highest_skill"]
    words = (
        "Skill is the share of right answers to expect. A spammer score of 0 means that the votes do not depend on the "
        "truth, 1 that they give it away."
    )
    parts = [tag("h2", "Annotators"), tag("p", words)]
    for title, rows in (("Lowest skill", lowest), ("Highest skill", highest)):
        if rows:
            parts += [tag("h3", title), plots.skills(rows), _annotator_table(title, rows)]
    return text(*parts)


def _annotator_table(title: str, rows: list[dict[str, Any]]) -> Html:
    names = [name for name in rows[0] if name != "worker"]
    cells = [[row["worker"], *(_number(row[name]) for name in names)] for row in rows]
    return table(["annotator", *(name.replace("_", " ") for name in names)], cells, title)


def _doubtful(found: dict[str, Any]) -> Html:
    rows = [
        [row["task"], row["label"], Figure(f"{row['confidence']:.3f}"), _votes(row["votes"])]
        for row in found["doubtful_tasks"]
    ]
    words = "The tasks without gold of lowest confidence: more votes, or an expert, help here most."
    shown = table(["task", "consensus", "confidence", "votes"], rows, "Most doubtful tasks")
    return _listing("Doubtful tasks", words, shown) if rows else Html()


def _ambiguous(found: dict[str, Any]) -> Html:
    rows = [
        [row["task"], " or ".join(row["between"]), Figure(f"{row['probability']:.3f}"), _votes(row["votes"])]
        for row in found["ambiguous_tasks"]
    ]
    words = (
        f"{count(found['ambiguous'], 'task looks', 'tasks look')} ambiguous rather than hard: skilled annotators are "
        "split between two labels. More votes will not settle that; clearer instructions or another label may."
    )
    shown = table(["task", "between", "probability", "votes"], rows, "Most ambiguous tasks")
    none = _listing("Ambiguous tasks", "No task looks ambiguous rather than hard.")
    return _listing("Ambiguous tasks", words, shown) if rows else none


def _copying(found: dict[str, Any]) -> Html:
    rows = [
        [
            " and ".join(row["workers"]),
            *(Figure(f"{row[key]:,}") for key in ("overlap", "wrong", "coincident")),
            Figure(f"{row['expected']:.1f}"),
            Figure(f"{row['p_value']:.2g}"),
        ]
        for row in found["suspected_pairs"]
    ]
    words = (
        f"{count(found['suspected_copying'], 'pair')} of annotators gave the same wrong answers more often than "
        "chance explains (false discovery rate 5 %). Look at their votes before judging anybody."
    )
    header = ["annotators", "tasks of both", "wrong", "same wrong answer", "expected by chance", "p-value"]
    shown = table(header, rows, "Most suspicious pairs")
    none, limits = "No pair of annotators errs alike beyond chance.", _not_tested(found)
    return (
        _listing("Suspected copying", words + limits, shown) if rows else _listing("Suspected copying", none + limits)
    )


def _not_tested(found: dict[str, Any]) -> str:
    """Whom there was no time for, if anybody."""
    pairs, people = found["pairs_not_tested"], found["annotators_not_tested"]
    words = f" Not tested: {count(pairs, 'pair')} that agree less in doubtful answers." if pairs else ""
    return words + (
        f" Not looked at: {count(people, 'annotator')} with no more votes than the others." if people else ""
    )


def _listing(title: str, words: str, shown: Html = NOTHING) -> Html:
    return text(tag("h2", title), tag("p", words), shown)


def _votes(votes: dict[str, int]) -> str:
    return ", ".join(f"{label}\N{NO-BREAK SPACE}×{n:,}" for label, n in votes.items())


def _number(value: float | int | None) -> Figure:
    return Figure("–" if value is None else f"{value:,}" if isinstance(value, int) else f"{value:.3f}")


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"
