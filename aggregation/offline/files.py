"""Files as they come and go: format and compression by name, and outputs that appear whole or not at all."""

from __future__ import annotations

import gzip
import io
import os
import sys
import zlib
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

GZIP_MAGIC = b"\x1f\x8b"
BOM = b"\xef\xbb\xbf"
#: By the end of a name, a further .gz left out.
INPUTS = {".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet"}

#: Bytes read at a time where somebody watches.
PIECE = 1 << 18

Write = Callable[[BinaryIO], None]
Watch = Callable[[bytes], object]


class BadFile(Exception):
    """A file that cannot be used; the message names it, the place in it, and what to do."""


@dataclass(frozen=True)
class Source:
    """A file to read. `content` holds what came through standard input, which can be read only once. blank: columns
    whose texts may be empty."""

    name: str
    format: str
    gzipped: bool
    content: bytes | None = None
    blank: frozenset[str] = frozenset()

    def size(self) -> int:
        """Bytes as stored, before any decompression."""
        return len(self.content) if self.content is not None else os.stat(self.name).st_size

    def raw(self) -> BinaryIO:
        """The bytes as stored."""
        return io.BytesIO(self.content) if self.content is not None else open(self.name, "rb")

    def unpacked(self, raw: BinaryIO) -> BinaryIO:
        """The bytes of the format itself, read from `raw`."""
        return cast(BinaryIO, gzip.GzipFile(fileobj=raw, mode="rb")) if self.gzipped else raw


class _Watched(io.RawIOBase):
    """Bytes of which somebody else is told as they are read."""

    def __init__(self, raw: BinaryIO, watch: Watch) -> None:
        self.raw, self.watch = raw, watch

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self.raw.read(len(buffer))
        buffer[: len(data)] = data
        self.watch(data)
        return len(data)


def watched(raw: BinaryIO, watch: Watch) -> BinaryIO:
    """The same bytes, read from their start; `watch` is told of each piece."""
    return cast(BinaryIO, io.BufferedReader(_Watched(raw, watch), PIECE))


def source(name: str) -> Source:
    """The file of that name, or standard input for "-" (CSV or JSON lines). Raises BadFile if it cannot be read."""
    if name == "-":
        return _standard_input()
    found = format_of(name, INPUTS)
    if found is None:
        raise BadFile(f"{name}: expected a name ending in {_listed(INPUTS)}, each with or without .gz")
    try:
        with open(name, "rb") as file:
            start = file.read(2)
    except OSError as error:
        raise BadFile(f"{name}: {error.strerror or error}") from error
    gzipped = name.lower().endswith(".gz")
    if not start:
        raise BadFile(f"{name} is empty")
    if gzipped != (start == GZIP_MAGIC):
        wrong, right = ("is not", "without .gz") if gzipped else ("is", f"{Path(name).name}.gz")
        raise BadFile(f"{name} {wrong} gzip-compressed: give it a name that says so ({right})")
    return Source(name, found, gzipped)


def _standard_input() -> Source:
    content = sys.stdin.buffer.read()
    if not content:
        raise BadFile("standard input is empty")
    gzipped = content.startswith(GZIP_MAGIC)
    shown = Source("standard input", "csv", gzipped, content)
    try:
        lines = (line.removeprefix(BOM).strip() for line in shown.unpacked(shown.raw()))
        start = next(filter(None, lines), b"")
    except (OSError, EOFError, zlib.error) as error:
        raise BadFile(f"standard input: cannot be decompressed ({error})") from error
    if start.startswith(b"PAR1"):
        raise BadFile("standard input is Parquet, which is read from its end: give the name of a file")
    return Source(shown.name, "jsonl" if start[:1] in (b"{", b"[") else "csv", gzipped, content)


def format_of(name: str, formats: dict[str, str]) -> str | None:
    """What the end of a name, but for .gz, stands for in `formats`; None if nothing."""
    return formats.get(Path(name.lower().removesuffix(".gz")).suffix)


def check_outputs(inputs: Sequence[str], outputs: dict[str, tuple[str | None, dict[str, str]]]) -> None:
    """Say what is wrong with outputs before hours are spent on them; raises BadFile.

    outputs: by option, the name (None if not asked for) and the formats that it may have.
    """
    taken = {os.path.realpath(name): "an input" for name in inputs if name != "-"}
    for option, (name, formats) in outputs.items():
        if name is None:
            continue
        path = Path(os.path.realpath(name))
        if format_of(name, formats) is None:
            raise BadFile(f"{option} {name}: expected a name ending in {_listed(formats)}")
        if not path.parent.is_dir():
            raise BadFile(f"{option} {name}: there is no folder {path.parent}; make it first")
        if path.exists() and not path.is_file():
            raise BadFile(f"{option} {name}: is not an ordinary file; name one that may be replaced")
        if str(path) in taken:
            raise BadFile(f"{option} {name}: is {taken[str(path)]} as well; name another file")
        taken[str(path)] = option


def write_all(outputs: Sequence[tuple[str, Write]]) -> None:
    """Write files by name: each beside its place first; only when all are complete do they take their names.

    A name ending in .gz is compressed, without a time stamp: equal input, equal bytes. Raises BadFile, and leaves
    whatever was there before, if one cannot be written.
    """
    parts: list[tuple[Path, Path]] = []
    try:
        for name, write in outputs:
            path = Path(os.path.realpath(name))
            part = path.with_name(f".{path.name}.{os.getpid()}.part")
            parts.append((part, path))
            with open(part, "wb") as file:
                _write(file, write, packed=name.lower().endswith(".gz"))
        for part, path in parts:
            os.replace(part, path)
    except OSError as error:
        raise BadFile(f"{name}: cannot be written: {error.strerror or error}") from error
    finally:
        for part, _ in parts:
            with suppress(FileNotFoundError):
                part.unlink()


def _write(file: BinaryIO, write: Write, *, packed: bool) -> None:
    if not packed:
        return write(file)
    with gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0, compresslevel=6) as zipped:
        write(cast(BinaryIO, zipped))


def _listed(formats: dict[str, str]) -> str:
    *first, last = formats
    return f"{', '.join(first)} or {last}" if first else last
