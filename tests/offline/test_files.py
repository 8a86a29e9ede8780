"""Outputs appear whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import pytest

from aggregation.offline.files import BadFile, check_outputs, write_all

ANY = {".csv": "csv"}


def says(text: bytes) -> Callable[[BinaryIO], int]:
    return lambda file: file.write(text)


def fails(file: BinaryIO) -> None:
    file.write(b"half")
    raise OSError(28, "No space left on device")


def test_all_outputs_appear_together(tmp_path: Path) -> None:
    one, two = tmp_path / "one.csv", tmp_path / "two.csv"
    one.write_text("old")
    write_all([(str(one), says(b"new")), (str(two), says(b"newer"))])
    assert (one.read_bytes(), two.read_bytes()) == (b"new", b"newer")
    assert len(list(tmp_path.iterdir())) == 2


def test_a_failure_leaves_everything_as_it_was(tmp_path: Path) -> None:
    one, two = tmp_path / "one.csv", tmp_path / "two.csv"
    one.write_text("old")
    with pytest.raises(BadFile, match="two.csv: cannot be written: No space left on device"):
        write_all([(str(one), says(b"new")), (str(two), fails)])
    assert one.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["one.csv"]


def test_any_other_failure_leaves_nothing_behind_either(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        write_all([(str(tmp_path / "one.csv"), lambda file: (_ for _ in ()).throw(KeyboardInterrupt()))])
    assert list(tmp_path.iterdir()) == []


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "link.csv").symlink_to(tmp_path / "real.csv")
    write_all([(str(tmp_path / "link.csv"), says(b"new"))])
    assert (tmp_path / "link.csv").is_symlink()
    assert (tmp_path / "real.csv").read_bytes() == b"new"


def test_outputs_get_ordinary_rights(tmp_path: Path) -> None:
    write_all([(str(tmp_path / "one.csv"), says(b""))])
    plain = tmp_path / "plain"
    plain.write_text("")
    assert (tmp_path / "one.csv").stat().st_mode == plain.stat().st_mode


def test_what_is_no_ordinary_file_is_never_replaced(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.csv"
    os.mkfifo(pipe)
    (tmp_path / "folder.csv").mkdir()
    for path in (pipe, tmp_path / "folder.csv"):
        with pytest.raises(BadFile, match="is not an ordinary file"):
            check_outputs([], {"--out": (str(path), ANY)})


def test_an_output_under_another_name_is_still_the_input(tmp_path: Path) -> None:
    (tmp_path / "votes.csv").write_text("")
    (tmp_path / "link.csv").symlink_to(tmp_path / "votes.csv")
    with pytest.raises(BadFile, match="is an input as well"):
        check_outputs([str(tmp_path / "votes.csv")], {"--out": (str(tmp_path / "link.csv"), ANY)})
