"""Progress: signs of life while nobody knows how long it takes."""

from __future__ import annotations

import threading

import pytest

from aggregation.offline import progress


class Terminal:
    """A bar on which somebody looks, or nobody; it says when it was refreshed twice."""

    def __init__(self, disable: bool) -> None:
        self.disable, self.refreshed, self.twice = disable, 0, threading.Event()

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def refresh(self) -> None:
        self.refreshed += 1
        if self.refreshed == 2:
            self.twice.set()


def test_a_clock_goes_on_while_work_does_and_stops_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = Terminal(disable=False)
    monkeypatch.setattr(progress, "bar", lambda *_, **__: shown)
    monkeypatch.setattr(progress, "BEAT", 0.001)
    before = threading.active_count()
    with pytest.raises(KeyError), progress.clock("fitting"):
        assert shown.twice.wait(60)
        raise KeyError
    assert threading.active_count() == before


def test_nothing_runs_where_nobody_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "bar", lambda *_, **__: Terminal(disable=True))
    before = threading.active_count()
    with progress.clock("fitting"):
        assert threading.active_count() == before
