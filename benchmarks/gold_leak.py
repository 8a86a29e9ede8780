"""Can annotators tell gold from other tasks? A classifier that is shown everything they are sent tries to.

    uv run benchmarks/gold_leak.py [--responses 2000] [--share 0.5] [--json FILE]

Starts everything that `manage.py up` starts, in a throw-away folder; uploads tasks and gold whose texts are drawn from
the same distribution; lets annotators lease, renew and vote over HTTP; and notes of each assignment what its responses
looked like: status, headers, sizes, ids, times of expiry, places in the answer, length of the payload, and how long
they took. A random forest is trained to tell from that which assignments were gold. AUC 0.5 is guessing; its mean over
five held-out folds is printed without and with the times that responses took. A fold has tasks of its own: people who
compare what they were given are another matter (docs/gold.md).
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from crowd.demo.client import Client, join_by_link, sign_in_by_link
from crowd.supervisor.stack import running_stack

LABELS = ["cat", "dog"]
WORDS = "lorem ipsum dolor sit amet "
REDUNDANCY = 3
#: More is a leak.
MOST = 0.55
#: People at work at the same moment.
AT_ONCE = 4
#: Requests until somebody else takes their place: gold must not run out for anybody.
SHIFT = 40
FOLDS = 5
NINETY_FIVE = 1.645

Features = dict[str, float]


@dataclass(frozen=True, eq=False)
class Observed:
    """What annotators saw of each assignment that they voted on, its text, and whether it was gold."""

    features: list[Features]
    texts: list[str]
    gold: NDArray[np.bool_]
    responses: int


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--responses", type=int, default=2000)
    parser.add_argument("--share", type=float, default=0.5, help="the project's gold_share")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures here")
    wanted = parser.parse_args()
    with running_stack() as stack:
        manager = sign_in_by_link(stack.link, name="benchmark")
        observed = collect(manager, responses=wanted.responses, share=wanted.share)
    figures = {"share": wanted.share, **measure(observed)}
    print(table(figures))
    if wanted.json:
        wanted.json.write_text(json.dumps(figures, indent=2) + "\n")


def collect(manager: Client, *, responses: int, share: float, seed: int = 0) -> Observed:
    """Of a new project, in so many responses or a few more. share: of gold, 0..1."""
    chance = random.Random(seed)
    settings = {"name": "Gold", "labels": LABELS, "redundancy": REDUNDANCY, "gold_share": share}
    project = int(manager.ok("POST", "/api/projects", settings)["id"])
    gold = upload(manager, project, tasks=responses, gold=4 * SHIFT, chance=chance)
    link = manager.ok("POST", f"/api/projects/{project}/invites", {"role": "annotator"})["link"]
    shifts = -(-responses // SHIFT)
    with httpx.HTTPTransport() as transport:
        people = [join_by_link(link, f"annotator {project}-{n}", transport) for n in range(shifts)]
        with ThreadPoolExecutor(AT_ONCE) as pool:
            shifts_done = list(pool.map(lambda one: Annotator(one[1], project, one[0]).work(SHIFT), enumerate(people)))
    seen = [each for shift in shifts_done for each in shift]
    features, texts = map(list, zip(*seen, strict=True))
    return Observed(features, texts, np.array([text in gold for text in texts]), shifts * SHIFT)


def upload(manager: Client, project: int, *, tasks: int, gold: int, chance: random.Random) -> set[str]:
    """The texts of the gold among the tasks; nothing else about them differs."""
    texts = [
        f"{n:06x} {WORDS[: chance.randint(1, len(WORDS))] * chance.randint(1, 20)}"
        for n in chance.sample(range(1 << 24), tasks + gold)
    ]
    known = set(texts[:gold])
    chance.shuffle(texts)
    rows = [{"data": {"text": text}} | ({"gold": chance.choice(LABELS)} if text in known else {}) for text in texts]
    manager.ok("POST", f"/api/projects/{project}/tasks", rows)
    return known


class Annotator:
    """Somebody who leases, renews and votes in different ways, and looks closely at every answer."""

    def __init__(self, client: Client, project: int, number: int) -> None:
        self.client, self.path, self.chance = client, f"/api/projects/{project}", random.Random(number)
        self.held: dict[str, tuple[Features, str]] = {}
        self.done: list[tuple[Features, str]] = []

    def work(self, requests: int) -> list[tuple[Features, str]]:
        """What was seen of each assignment that was voted on, and its text."""
        for _ in range(requests):
            self.act()
        return self.done

    def act(self) -> None:
        if not self.held:
            response = self.post("/assignments", {"count": self.chance.randint(1, 3)})
            self.note_given(response)
            return
        assignment = next(iter(self.held))
        if self.chance.random() < 0.2 and "renewed ms" not in self.held[assignment][0]:
            response = self.post(f"/assignments/{assignment}/renew")
            self.held[assignment][0].update(look("renewed", response), **expiry("renewed", response.json()))
            return
        vote = {"assignment": assignment, "label": self.chance.choice(LABELS), "seconds": 1.5}
        response = self.post(f"/votes?next={self.chance.randint(0, 3)}", {"votes": [vote]})
        features, text = self.held.pop(assignment)
        # What comes next in the same answer says nothing of this one but by its size.
        following = sum(len(each["data"]["text"]) for each in response.json()["assignments"])
        voted = look("voted", response)
        voted["voted bytes without payloads"] = voted["voted bytes"] - following
        self.done.append((features | voted, text))
        self.note_given(response)

    def post(self, path: str, body: Any = None) -> httpx.Response:
        return self.client.post(self.path + path, body).raise_for_status()

    def note_given(self, response: httpx.Response) -> None:
        given = response.json()["assignments"]
        sizes = [len(each["data"]["text"]) for each in given]
        for place, each in enumerate(given):
            if each["id"] not in self.held:
                id_ = UUID(each["id"]).int
                features = {
                    **look("given", response),
                    **expiry("given", each),
                    "given together": len(given),
                    "given place": place,
                    "given fields": len(each) + 100 * len(each["data"]),
                    "text": sizes[place],
                    "id high": id_ >> 96,
                    "id low": id_ & 0xFFFFFFFF,
                }
                self.held[each["id"]] = features, each["data"]["text"]
                features["given bytes without payloads"] = features["given bytes"] - sum(sizes)


def look(at: str, response: httpx.Response) -> Features:
    """What everybody can see of a response without reading it."""
    raw = response.headers.raw
    return {
        f"{at} status": response.status_code,
        f"{at} bytes": len(response.content),
        f"{at} headers": len(raw),
        f"{at} header bytes": sum(len(name) + len(value) for name, value in raw),
        f"{at} header names": sum(hash(name) % 9973 for name, _ in raw),
        f"{at} ms": 1000 * response.elapsed.total_seconds(),
    }


def expiry(at: str, answer: dict[str, Any]) -> Features:
    expires_at = datetime.fromisoformat(answer["expires_at"])
    return {f"{at} expiry": expires_at.timestamp(), f"{at} expiry fraction": expires_at.microsecond}


def measure(observed: Observed) -> dict[str, Any]:
    """AUC of a classifier on what was observed of each assignment, without and with times that responses took.

    sampling_error: one-sided, 95 %, of the AUC of one that guesses.
    """
    gold, others = int(observed.gold.sum()), int((~observed.gold).sum())
    names = sorted({name for features in observed.features for name in features})
    timing = [name for name in names if name.endswith(" ms")]
    return {
        "responses": observed.responses,
        "assignments": gold + others,
        "gold": gold,
        "auc": auc(observed, [name for name in names if name not in timing]),
        "auc_with_times": auc(observed, names),
        "auc_of_times": auc(observed, timing),
        "sampling_error": NINETY_FIVE * float(np.sqrt((gold + others + 1) / (12 * gold * others))),
    }


def auc(observed: Observed, names: list[str]) -> float:
    """Mean over held-out folds. What was not seen of an assignment is -1."""
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.model_selection import StratifiedGroupKFold, cross_val_score

    seen = np.array([[features.get(name, -1.0) for name in names] for features in observed.features])
    forest = RandomForestClassifier(100, min_samples_leaf=5, random_state=0)
    folds = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=0)
    scores = cross_val_score(forest, seen, observed.gold, groups=observed.texts, cv=folds, scoring="roc_auc")
    return float(scores.mean())


def table(figures: dict[str, Any]) -> str:
    """For people."""
    worst = max(figures["auc"], figures["auc_with_times"])
    return "\n".join(
        [
            "{responses:,} responses, {assignments:,} assignments, {gold:,} of them gold".format(**figures),
            "AUC of a classifier that guesses   0.500 +- {sampling_error:.3f}".format(**figures),
            "AUC without times                  {auc:.3f}".format(**figures),
            "AUC of times alone                 {auc_of_times:.3f}".format(**figures),
            "AUC of everything                  {auc_with_times:.3f}".format(**figures),
            f"{'no leak' if worst <= MOST else 'LEAK'}: at most {MOST} is wanted",
        ]
    )


if __name__ == "__main__":
    main()
