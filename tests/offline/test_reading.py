"""Reading files: values as they are written, and what is wrong with its line."""

from __future__ import annotations

import csv
import gzip
import io
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aggregation.offline import files, pieces, reading
from aggregation.offline.files import BadFile, source
from aggregation.offline.reading import read
from tests.offline.support import HEADER, file

COLUMNS = ["task", "worker", "label"]


def rows_read(path: Path) -> list[tuple[str, ...]]:
    columns = read(source(str(path)), COLUMNS)
    return list(zip(*([column.names[int(i)].as_py() for i in column.index] for column in columns), strict=True))


def parquet(**columns: Any) -> bytes:
    written = io.BytesIO()
    pq.write_table(pa.table(columns), written)
    return written.getvalue()


def two(label: Any, **other: Any) -> bytes:
    """A Parquet file of two votes with these labels."""
    return parquet(**{"task": ["a", "b"], "worker": ["w", "w"], "label": label} | other)


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("v.csv", HEADER + b"a,w,x\n", [("a", "w", "x")]),
        (
            "v.csv",
            HEADER + b'a,w,"yes, really"\nb,w,"say ""no"""\n',
            [("a", "w", "yes, really"), ("b", "w", 'say "no"')],
        ),
        ("v.csv", HEADER + b'a,w,"two\nlines"\n', [("a", "w", "two\nlines")]),
        ("v.csv", HEADER + b"007,1e3,TRUE\n", [("007", "1e3", "TRUE")]),
        ("v.csv", HEADER + b"a,w,NaN\nb,w, x \n", [("a", "w", "NaN"), ("b", "w", " x ")]),
        ("v.csv", HEADER + b'a,w,5" nail\nb,w,a"b"\n', [("a", "w", '5" nail'), ("b", "w", 'a"b"')]),
        ("v.csv", b'\xef\xbb\xbf"task","worker","label"\r\n"a","w",""""\r\n', [("a", "w", '"')]),
        ("v.csv", HEADER + "ä,名,🐦\n".encode(), [("ä", "名", "🐦")]),
        ("v.csv", HEADER + b"=1+1,@w,-x\n", [("=1+1", "@w", "-x")]),
        ("v.csv", b"\xef\xbb\xbf" + HEADER + b"a,w,x\n", [("a", "w", "x")]),
        ("v.csv", b"\n" + HEADER + b"a,w,x\n\n\nb,w,y", [("a", "w", "x"), ("b", "w", "y")]),
        ("v.csv", (HEADER + b"a,w,x\n").replace(b"\n", b"\r\n"), [("a", "w", "x")]),
        ("v.csv", b"when,label,task,worker\n\xff,x,a,w\n".replace(b"\xff", b"1"), [("a", "w", "x")]),
        ("v.csv.gz", HEADER + b"a,w,x\n", [("a", "w", "x")]),
        ("v.jsonl", b'{"task": 1, "worker": 2.50, "label": true}\n', [("1", "2.50", "true")]),
        ("v.jsonl", b'{"label": "\\u00e9", "worker": "w", "task": "a", "x": [1]}\n\n', [("a", "w", "é")]),
        (
            "v.jsonl",
            b'{"task": 123456789012345678901, "worker": -0, "label": 1E3}',
            [("123456789012345678901", "-0", "1E3")],
        ),
        ("v.jsonl", b'\xef\xbb\xbf{"task": "a", "worker": "w", "label": "x"}\n', [("a", "w", "x")]),
        ("v.ndjson.gz", b'{"task": "a", "worker": "w", "label": false}\n', [("a", "w", "false")]),
        ("v.parquet", two(["x", "y"]), [("a", "w", "x"), ("b", "w", "y")]),
        ("v.parquet", two([True, False], task=[7, 8]), [("7", "w", "true"), ("8", "w", "false")]),
        ("v.parquet", two(pa.array(["x", "x"]).dictionary_encode()), [("a", "w", "x"), ("b", "w", "x")]),
        ("v.parquet", two(pa.array([7, 7]).dictionary_encode()), [("a", "w", "7"), ("b", "w", "7")]),
        ("v.parquet", two(pa.array([0.5, 1.0])), [("a", "w", "0.5"), ("b", "w", "1")]),
        ("v.parquet.gz", two(pa.array(["x", "y"], pa.large_string())), [("a", "w", "x"), ("b", "w", "y")]),
    ],
)
def test_values_are_texts_as_they_are_written(
    tmp_path: Path, name: str, content: bytes, expected: list[tuple[str, ...]]
) -> None:
    assert rows_read(file(tmp_path, name, content)) == expected


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("v.csv", b"", "v.csv is empty"),
        ("v.csv", b"\n\n", "v.csv is empty"),
        ("v.csv.gz", b"", "v.csv.gz is empty"),
        ("v.csv", HEADER, "v.csv: holds no rows"),
        ("v.csv", b"item,worker,label\na,w,x\n", "has no column 'task'; it has 'item', 'worker', 'label'"),
        ("v.csv", b"task;worker;label\na;w;x\n", "separate the columns with commas"),
        ("v.csv", b"task,task,worker,label\na,a,w,x\n", "has two columns 'task'"),
        ("v.csv", HEADER + b"a,w,x\nb,w\n", "v.csv line 3: has 2 cells, the header has 3"),
        ("v.csv", HEADER + b'a,w,"two\n\nlines"\nb,w,x,y\n', "v.csv line 5: has 4 cells, the header has 3"),
        ("v.csv", HEADER + b"a,w,x\nb,,x\n", "v.csv line 3: 'worker' is missing"),
        ("v.csv", b"\r\n" + HEADER + b'a,w,"two\r\nlines"\r\n , w,x\n', "v.csv line 5: 'task' is missing"),
        ("v.csv", HEADER + b'a,w,x\nb,w,"x\nc,w,y\n', "v.csv line 3: is not CSV (unexpected end of data); is a quote"),
        ("v.csv", HEADER + b'a,w,"x\nb,w,y\nc,w,"z"\n', "v.csv line 2: is not CSV"),
        (
            "v.csv",
            HEADER + b'a,w,x\nb,w,"x"y\n',
            "v.csv line 3: is not CSV (',' expected after '\"'); is a quote missing?",
        ),
        ("v.csv", HEADER + b'"a"1,w,x\n', "v.csv line 2: is not CSV"),
        ("v.csv", HEADER + b'a,w,"x" \n', "v.csv line 2: is not CSV"),
        ("v.csv", HEADER + b'a,w,"""x"""y\n', "v.csv line 2: is not CSV"),
        ("v.csv", HEADER + b"a,w,x\nb,w,caf\xe9\n", "v.csv line 3: is not UTF-8 (b'\\xe9'); save the file as UTF-8"),
        ("v.csv", b"t\xffask,worker,label\na,w,x\n", "v.csv line 1: is not UTF-8"),
        ("v.csv", (HEADER + b"a,w,x\n").decode().encode("utf-16"), "v.csv line 1: is UTF-16"),
        ("v.jsonl", b"", "v.jsonl is empty"),
        ("v.jsonl", b"\n", "v.jsonl: holds no rows"),
        ("v.jsonl", b'{"task": "a", "worker": "w"}\n', "has no column 'label'; it has 'task', 'worker'"),
        ("v.jsonl", b'\n\n{"task":1,"worker":1}\n', "has no column 'label'; it has 'task', 'worker'"),
        ("v.jsonl", b'{"task":1,"worker":1,"label":1}\n\n{"task":1}\n', "v.jsonl line 3: has no 'worker'"),
        ("v.jsonl", b'{"task":1,"worker":1,"label":null}\n', "v.jsonl line 1: 'label' is missing"),
        ("v.jsonl", b'{"task":1,"worker":"","label":1}\n', "v.jsonl line 1: 'worker' is missing"),
        ("v.jsonl", b'{"task":1,"worker":1,"label":NaN}\n', "v.jsonl line 1: is not JSON"),
        ("v.jsonl", b'{"task":1,"worker":1,"label":[1]}\n', "v.jsonl line 1: 'label' is a list or an object"),
        ("v.jsonl", b'{"task":1,"worker":1,"label":"\xe9"}\n', "v.jsonl line 1: is not JSON in UTF-8"),
        ("v.jsonl", b'["a", "w", "x"]\n', "v.jsonl line 1: is not an object"),
        ("v.jsonl", b'{"task":1,"worker":1,"label":1}\nnot json\n', "v.jsonl line 2: is not JSON"),
        ("v.parquet", two(["x", None]), "v.parquet row 2 (counted from 1): 'label' is missing"),
        ("v.parquet", two([1.0, float("nan")]), "v.parquet row 2 (counted from 1): 'label' is missing"),
        ("v.parquet", two([[1], [2]]), "column 'label' holds list<"),
        ("v.parquet", two([b"x", b"y"]), "column 'label' holds binary"),
        ("v.parquet", two(pa.array([b"x", b"y"]).dictionary_encode()), "column 'label' holds binary"),
        ("v.parquet", parquet(task=["a"], worker=["w"]), "has no column 'label'; it has 'task', 'worker'"),
        ("v.parquet", two(pa.array([], pa.string()), task=[], worker=[]), "v.parquet: holds no rows"),
        ("v.parquet", b"PAR1 and no more", "v.parquet: cannot be read as parquet"),
        ("v.txt", HEADER, "expected a name ending in .csv, .jsonl, .ndjson or .parquet"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(tmp_path: Path, name: str, content: bytes, said: str) -> None:
    path = file(tmp_path, name, content)
    with pytest.raises(BadFile) as raised:
        rows_read(path)
    assert said in str(raised.value).replace(str(path), name)


PACKED = gzip.compress(HEADER + b"a,w,x\n" * 1000, mtime=0)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("v.csv.gz", HEADER + b"a,w,x\n", "is not gzip-compressed"),
        ("v.csv", PACKED, "is gzip-compressed: give it a name that says so (v.csv.gz)"),
        ("v.csv.gz", PACKED[:-20], "is damaged and cannot be decompressed"),
        ("v.csv.gz", PACKED[:-8] + b"12345678", "is damaged and cannot be decompressed"),
        ("v.jsonl.gz", PACKED[:15], "is damaged and cannot be decompressed"),
        ("v.parquet.gz", PACKED[:15], "is damaged and cannot be decompressed"),
    ],
)
def test_wrong_compression_is_said(tmp_path: Path, name: str, content: bytes, said: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(BadFile, match=r"v\.\w+") as raised:
        rows_read(path)
    assert said in str(raised.value)


def test_a_file_that_is_not_there_or_is_a_folder_is_said(tmp_path: Path) -> None:
    (tmp_path / "folder.csv").mkdir()
    for name in ("none.csv", "folder.csv"):
        with pytest.raises(BadFile, match=name):
            source(str(tmp_path / name))


def test_a_cell_may_span_lines_where_a_block_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "BYTES", 100)
    rows = [(f"t{i}", "w", "one\n" * (i % 9) + "two") for i in range(40)]
    content = HEADER + "".join(f'{task},{worker},"{label}"\n' for task, worker, label in rows).encode()
    assert rows_read(file(tmp_path, "v.csv", content)) == rows


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_pieces_are_whole_rows_and_end_at_a_misplaced_quote(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "BYTES", size)
    good = b'"task",label\n"a ""b""","x,\ny"\r\n\n\n"",""""\n'
    found = list(pieces.whole_rows(io.BytesIO(good)))
    assert all(piece.count(b'"') % 2 == 0 and piece.endswith(b"\n") for piece in found)
    assert b"".join(found).split() == good.split()
    assert len(found) == 1 or size < 1000
    marked = b"\xef\xbb\xbf" + good
    assert b"".join(pieces.whole_rows(io.BytesIO(marked))).split() == good.split()
    for bad in (b'task\n"a"b\n', b'task\na"b\n', b'task\n"a" ,b\n', b'"task" \n', b'task\n"a'):
        with pytest.raises(pieces.Misplaced):
            list(pieces.whole_rows(io.BytesIO(bad)))


def test_a_misplaced_quote_is_found_in_any_piece(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "BYTES", 64)
    lines = [f'"t{i}",w,x\n' for i in range(100)]
    assert len(rows_read(file(tmp_path, "v.csv", HEADER + "".join(lines).encode()))) == 100
    with pytest.raises(BadFile, match="line 92: is not CSV"):
        rows_read(file(tmp_path, "v.csv", HEADER + "".join([*lines[:90], '"t"90,w,x\n', *lines[91:]]).encode()))
    odd = HEADER + "".join([*lines[:90], 't"90,w,x\n', *lines[91:]]).encode()
    assert rows_read(file(tmp_path, "v.csv", odd))[90] == ('t"90', "w", "x")


class Bar:
    """Counts what it is told."""

    def __init__(self, what: str, total: int, unit: str) -> None:
        self.total, self.steps = total, [0]

    def __enter__(self) -> Bar:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def update(self, n: int) -> None:
        self.steps.append(self.steps[-1] + n)


@pytest.mark.parametrize("name", ["v.csv", "v.csv.gz", "v.jsonl", "v.jsonl.gz"])
def test_the_bar_grows_with_the_bytes_that_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    bars: list[Bar] = []
    monkeypatch.setattr(reading, "bar", lambda *told: bars.append(Bar(*told)) or bars[-1])
    monkeypatch.setattr(files, "PIECE", 1024)
    monkeypatch.setattr(pieces, "BYTES", 4096)
    rows = [(f"task {i * 7919 % 10007}", f"w{i % 9}", "x") for i in range(2000)]
    lines = "".join(f'{{"task":"{t}","worker":"{w}","label":"{x}"}}\n' for t, w, x in rows)
    content = lines if "json" in name else HEADER.decode() + "".join(",".join(row) + "\n" for row in rows)
    path = file(tmp_path, name, content)
    assert rows_read(path) == rows
    (shown,) = bars
    assert shown.steps[-1] == shown.total == path.stat().st_size
    assert len(set(shown.steps)) > 2


def test_blocks_share_their_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "BYTES", 64)
    monkeypatch.setattr(reading, "BLOCK_ROWS", 3)
    rows = [(f"t{i % 7}", f"w{i % 3}", f"l{i % 2}") for i in range(50)]
    lines = "".join(f'{{"task":"{t}","worker":"{w}","label":"{x}"}}\n' for t, w, x in rows)
    task, worker, label = zip(*rows, strict=True)
    for name, content in (
        ("v.csv", HEADER + "".join(",".join(row) + "\n" for row in rows).encode()),
        ("v.jsonl", lines.encode()),
        ("v.parquet", parquet(task=task, worker=worker, label=label)),
    ):
        path = file(tmp_path, name, content)
        columns = read(source(str(path)), COLUMNS)
        assert columns[0].names.to_pylist() == [f"t{i}" for i in range(7)]  # by first appearance, each once
        assert rows_read(path) == rows


texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00\r"), min_size=1).filter(str.strip)


@given(st.lists(st.tuples(texts, texts, texts), min_size=1, max_size=5))
@settings(deadline=None, max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_a_csv_writer_writes_is_read_back(tmp_path: Path, rows: list[tuple[str, str, str]]) -> None:
    written = io.StringIO()
    csv.writer(written, lineterminator="\n").writerows([COLUMNS, *rows])
    assert rows_read(file(tmp_path, "v.csv", written.getvalue())) == rows
