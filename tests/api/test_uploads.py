"""Uploads of tasks: three formats, every way in which a file can be wrong, and nothing half-stored."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.api.support import CSV, JSON, NDJSON, Cast, Database, at_once, codes, ndjson, refused
from tests.support.client import create_project

KINDS = {"ndjson": NDJSON, "csv": CSV, "json": JSON}


def send(cast: Cast, project: int, kind: str, content: Any) -> Any:
    return cast.mary.post(f"/api/projects/{project}/tasks", content=content, headers=KINDS[kind])


def created(cast: Cast, project: int, kind: str, content: Any) -> tuple[int, int, int]:
    response = send(cast, project, kind, content)
    assert response.status_code == 201, response.text[:500]
    answer = response.json()
    assert set(answer) == {"created", "already_there", "gold"}
    return answer["created"], answer["already_there"], answer["gold"]


def tasks_of(cast: Cast, project: int) -> list[dict[str, Any]]:
    return list(cast.mary.pages(f"/api/projects/{project}/tasks"))


BOM = b"\xef\xbb\xbf"
DEEP = b"[" * 300_000
GOOD = b'{"key":"good","data":{"text":"good"}}'

#: what it is, its kind, the file, the field that is named, the code of the error
WRONG: list[tuple[str, str, bytes, str, str]] = [
    ("a task that is a list", "ndjson", GOOD + b"\n[1]\n", "line 2", "not_an_object"),
    ("a task that is a text", "ndjson", b'"text"', "line 1", "not_an_object"),
    ("a task that is null", "json", b'[{"data":{}},null]', "item 2", "not_an_object"),
    ("a task that is a number", "json", b"[5]", "item 1", "not_an_object"),
    ("no data", "ndjson", b'{"key":"a"}', "line 1.data", "not_an_object"),
    ("data that is a text", "json", b'{"tasks":[{"data":"text"}]}', "item 1.data", "not_an_object"),
    ("an unknown field", "ndjson", b'{"data":{},"id":1}', "line 1.id", "unknown_field"),
    ("a status", "json", b'[{"data":{},"retired":"x"}]', "item 1.retired", "unknown_field"),
    ("an unknown gold label", "ndjson", b'{"data":{},"gold":"cow"}', "line 1.gold", "unknown_label"),
    ("gold that is a number", "json", b'[{"data":{},"gold":0}]', "item 1.gold", "unknown_label"),
    ("an unknown gold label", "csv", b"text,gold\na,cat\nb,cow\n", "line 3.gold", "unknown_label"),
    ("a key that is a list", "json", b'[{"data":{},"key":[]}]', "item 1.key", "invalid_key"),
    ("a blank key", "ndjson", b'{"data":{},"key":" "}', "line 1.key", "invalid_key"),
    ("a key too long", "csv", b"key,text\n" + b"k" * 201 + b",a\n", "line 2.key", "invalid_key"),
    ("a key with NUL", "ndjson", b'{"data":{},"key":"a\\u0000"}', "line 1.key", "invalid_key"),
    ("a key with NUL", "csv", b"key,text\na\0,b\n", "line 2.key", "invalid_key"),
    ("a key twice", "ndjson", GOOD + b"\n\n" + GOOD, "line 3.key", "repeated_key"),
    ("a key twice", "json", b"[" + GOOD + b"," + GOOD + b"]", "item 2.key", "repeated_key"),
    ("a key twice", "csv", b'key,text\na,"1\n2"\na,3\n', "line 4.key", "repeated_key"),
    ("redundancy -1", "ndjson", b'{"data":{},"redundancy":-1}', "line 1.redundancy", "invalid_redundancy"),
    ("redundancy 1001", "csv", b"text,redundancy\na,1001\n", "line 2.redundancy", "invalid_redundancy"),
    ("redundancy of 5,000 digits", "csv", b"a,redundancy\nb," + b"9" * 5000, "line 2.redundancy", "invalid_redundancy"),
    ("redundancy that is text", "csv", "a,redundancy\nb,²\n".encode(), "line 2.redundancy", "invalid_redundancy"),
    ("NaN", "ndjson", b'{"data":{"n":NaN}}', "line 1", "not_json"),
    ("NaN", "json", b'[{"data":{}},{"data":{"n":NaN}}]', "item 2", "not_json"),
    ("infinity in digits", "ndjson", b'{"data":{"n":1e999}}', "line 1", "not_json"),
    ("infinity in digits", "json", b'[{"data":{"n":1e999}}]', "item 1", "not_json"),
    ("an integer we would round", "ndjson", b'{"data":{"n":123456789012345678901}}', "line 1.data", "invalid_data"),
    ("an integer we would round", "json", b'[{"data":{"n":123456789012345678901}}]', "item 1.data", "invalid_data"),
    ("NUL in data", "ndjson", b'{"data":{"t":"a\\u0000"}}', "line 1.data", "nul_character"),
    ("NUL in a name of data", "json", b'[{"data":{"a\\u0000":1}}]', "item 1.data", "nul_character"),
    ("NUL in data", "csv", b"text\na\0b\n", "line 2.data", "nul_character"),
    ("a lone surrogate", "ndjson", b'{"data":{"t":"\\ud800"}}', "line 1", "not_json"),
    ("a lone surrogate", "json", b'[{"data":{"t":"\\udc00"}}]', "item 1", "not_json"),
    ("no UTF-8", "ndjson", GOOD + b'\n{"data":{"t":"\xff"}}', "line 2", "not_utf8"),
    ("no UTF-8", "json", b'[{"data":{"t":"\xff"}}]', "item 1", "not_utf8"),
    ("no UTF-8", "csv", b"text\nfine\nn\xe4h\n", "line 3", "not_utf8"),
    ("UTF-16", "csv", "text\nfine\n".encode("utf-16"), "line 1", "not_utf8"),
    ("lists in lists", "ndjson", DEEP, "line 1", "not_json"),
    ("lists in lists", "json", DEEP, "item 1", "not_json"),
    ("lists in lists, all closed", "json", DEEP + b"]" * len(DEEP), "item 1", "not_json"),
    ("data 500 deep", "ndjson", b'{"data":{"t":' + b"[" * 500 + b"]" * 500 + b"}}", "line 1.data", "invalid_data"),
    ("data 500 deep", "json", b'[{"data":{"t":' + b"[" * 500 + b"]" * 500 + b"}}]", "item 1.data", "invalid_data"),
    ("no JSON", "ndjson", GOOD + b"\n{'data': {}}\n", "line 2", "not_json"),
    ("JSON lines without line ends", "ndjson", GOOD + GOOD, "line 1", "not_json"),
    ("a list cut off", "json", b"[" + GOOD, "item 1", "not_json"),
    ("a list cut off after a comma", "json", b"[" + GOOD + b",", "item 2", "not_json"),
    ("an object cut off", "json", b'{"tasks":[' + GOOD + b"]", "item 2", "not_json"),
    ("something after the list", "json", b"[" + GOOD + b"] x", "item 2", "not_json"),
    ("a comma too many", "json", b"[" + GOOD + b",]", "item 2", "not_json"),
    ("a column too many", "csv", b"a,b\n1,2\n1,2,3\n", "line 3", "wrong_columns"),
    ("a column too few", "csv", b"a,b\n1,2\n\n1\n", "line 4", "wrong_columns"),
    ("a column without a name", "csv", b"a,\n1,2\n", "line 1", "invalid_header"),
    ("a column named twice", "csv", b"a,b, a\n1,2,3\n", "line 1", "invalid_header"),
    ("no header", "csv", b"\na,b\n", "line 1", "invalid_header"),
    ("a quote that does not end", "csv", b'a,b\n1,"2\n3,4\n', "line 2", "not_csv"),
    ("a quote in the middle", "csv", b'a,b\n1,"2"3\n', "line 2", "not_csv"),
    ("line ends of 1984", "csv", b"a,b\r1,2\r3,4\r", "line 1", "not_csv"),
    ("only keys and gold", "csv", b"key,gold\n1,cat\n", "line 2", "no_data"),
]


@pytest.mark.parametrize(
    ("kind", "content", "field", "code"), [row[1:] for row in WRONG], ids=[f"{row[0]} ({row[1]})" for row in WRONG]
)
def test_a_wrong_file_is_refused_by_its_line_and_nothing_of_it_is_stored(
    kind: str, content: bytes, field: str, code: str, cast: Cast, project: int, db: Database
) -> None:
    before = db.holds(project)
    body = refused(send(cast, project, kind, content), 400, "invalid_tasks", field)
    assert codes(body) == [code]
    assert db.holds(project) == before


@pytest.mark.parametrize(
    ("kind", "content", "code"),
    [
        ("ndjson", b"", "empty"),
        ("ndjson", b"\n\r\n \n", "empty"),
        ("csv", b"", "empty"),
        ("csv", b"key,text\n", "empty"),
        ("csv", BOM, "empty"),
        ("json", b"[]", "empty"),
        ("json", b' {"tasks": [ ]} ', "empty"),
        ("json", b"", "not_a_list"),
        ("json", b"{}", "not_a_list"),
        ("json", b'"tasks"', "not_a_list"),
        ("json", b'{"tasks": {"item": {"data": {}}}}', "not_a_list"),
        ("json", GOOD, "not_a_list"),
    ],
)
def test_a_file_without_tasks_says_so(
    kind: str, content: bytes, code: str, cast: Cast, project: int, db: Database
) -> None:
    before = db.holds(project)
    body = send(cast, project, kind, content)
    if kind == "csv" and content == BOM:
        refused(body, 400, "invalid_tasks", "line 1")
    else:
        refused(body, 400, code)
    assert db.holds(project) == before


@pytest.mark.parametrize("media_type", ["text/plain", "", "application/xml", "multipart/form-data; boundary=x", "*/*"])
def test_a_file_of_another_media_type_is_415(media_type: str, cast: Cast, project: int) -> None:
    for path in ("tasks", "votes/import"):
        response = cast.mary.post(f"/api/projects/{project}/{path}", content=GOOD, headers={"Content-Type": media_type})
        refused(response, 415, "unsupported_media_type")


def test_the_error_of_line_40312_names_line_40312(cast: Cast, project: int, db: Database) -> None:
    lines = ["key,text,gold"] + [f"k{i},text {i}," for i in range(2, 50_001)]
    lines[40_312 - 1] = "k40312,text,with commas,"
    lines[49_999 - 1] = "k49999,text,horse"
    before = db.holds(project)

    response = send(cast, project, "csv", "\n".join(lines).encode())

    body = refused(response, 400, "invalid_tasks", "line 40312", "line 49999.gold")
    assert codes(body) == ["wrong_columns", "unknown_label"]
    assert db.holds(project) == before


def test_of_thousands_of_wrong_lines_the_first_hundred_are_named(cast: Cast, project: int) -> None:
    fields = [f"line {i}.gold" for i in range(1, 101)]
    refused(send(cast, project, "ndjson", b'{"data":{},"gold":"x"}\n' * 5000), 400, "invalid_tasks", *fields)
    refused(
        send(cast, project, "json", b"[" + b"5," * 5000 + b"5]"),
        400,
        "invalid_tasks",
        *[f"item {i}" for i in range(1, 101)],
    )


def test_a_good_file_of_each_format_is_stored_as_it_was_sent(cast: Cast) -> None:
    project = create_project(cast.mary, name="Formats")
    data = {"text": 'a "quoted", b\nc', "Ü": "🐈 \\u0000 =1+1", "n": 1.5, "big": 2**53 + 1, "deep": [[{"a": None}]]}
    for kind, content in {
        "ndjson": BOM + ndjson({"key": "ndjson", "data": data, "gold": " cat "}),
        "json": json.dumps({"tasks": [{"key": "json", "data": data, "gold": None}]}).encode(),
        "csv": BOM + b'key,text,gold,redundancy\r\ncsv,"a ""quoted"", b\r\nc",dog,0\r\n\r\n,no key,,\r\n',
    }.items():
        assert created(cast, project, kind, content) == ((2, 0, 1) if kind == "csv" else (1, 0, int(kind == "ndjson")))

    stored = {task["key"]: task for task in tasks_of(cast, project)}

    assert stored["ndjson"]["data"] == stored["json"]["data"] == data
    assert stored["csv"]["data"] == {"text": 'a "quoted", b\r\nc'}
    assert stored[None]["data"] == {"text": "no key"}
    assert {key: task["gold"] for key, task in stored.items()} == {
        "ndjson": "cat",
        "json": None,
        "csv": "dog",
        None: None,
    }
    assert [stored[key]["redundancy"] for key in ("ndjson", "csv")] == [3, 0]
    assert stored["csv"]["retired"] == "redundancy", "redundancy 0: never handed out"


def test_a_file_sent_in_chunks_of_unknown_length_is_read_to_its_end(cast: Cast) -> None:
    project = create_project(cast.mary, name="Chunks")

    def chunks() -> Iterator[bytes]:
        for i in range(50):
            yield ndjson({"key": str(i), "data": {"n": i}})[:7]
            yield ndjson({"key": str(i), "data": {"n": i}})[7:]

    assert created(cast, project, "ndjson", chunks()) == (50, 0, 0)
    response = cast.mary.post("/api/projects", content=iter([b'{"name": "x", "labels": ["a", "b"]}']), headers=JSON)
    refused(response, 411, "length_required")


def test_an_upload_can_be_repeated_and_a_key_keeps_its_data_and_gold(cast: Cast, db: Database) -> None:
    project = create_project(cast.mary, name="Keys")
    file = ndjson(*[{"key": f"k{i}", "data": {"n": i}} for i in range(10)], {"key": "g", "data": {}, "gold": "cat"})
    assert created(cast, project, "ndjson", file) == (11, 0, 1)
    before = db.holds(project)

    assert created(cast, project, "ndjson", file) == (0, 11, 0)
    assert db.holds(project) == before
    other = ndjson({"key": "new", "data": {}}, {"key": "k3", "data": {"n": 4}}, {"key": "g", "data": {}, "gold": "dog"})
    body = refused(send(cast, project, "ndjson", other), 400, "invalid_tasks", "line 2.data", "line 3.gold")
    assert codes(body) == ["task_conflict", "task_conflict"]
    assert db.holds(project) == before

    more = ndjson({"key": "k0", "data": {"n": 0}, "gold": "dog"}, {"key": "new", "data": {}})
    assert created(cast, project, "ndjson", more) == (1, 1, 1), "gold may be added later"


def test_uploads_of_the_same_keys_at_the_same_moment_store_each_once(cast: Cast, db: Database) -> None:
    project = create_project(cast.mary, name="Raced uploads")
    file = ndjson(*[{"key": f"k{i}", "data": {"n": i}} for i in range(500)])

    answers = at_once([lambda: created(cast, project, "ndjson", file)] * 4)

    assert sorted(answers) == [(0, 500, 0)] * 3 + [(500, 0, 0)]
    assert db.holds(project)["task"] == db.holds(project)["taskstate"] == db.holds(project)["taskqueue"] == 500


def test_a_hundred_thousand_tasks_in_one_request_and_again(cast: Cast, db: Database) -> None:
    project = create_project(cast.mary, name="Many")
    file = b"".join(b'{"key":"k%d","data":{"text":"text number %d"}}\n' % (i, i) for i in range(100_000))

    assert created(cast, project, "ndjson", file) == (100_000, 0, 0)
    assert created(cast, project, "ndjson", file) == (0, 100_000, 0)
    assert set(db.holds(project).values()) == {100_000, 0, 1}


def test_a_list_of_ten_thousand_tasks_streams_too(cast: Cast, db: Database) -> None:
    project = create_project(cast.mary, name="Many in a list")
    file = json.dumps({"tasks": [{"data": {"text": f'"],[{{ {i}'}} for i in range(10_000)]}, indent=1).encode()
    assert created(cast, project, "json", file) == (10_000, 0, 0)
    assert db.holds(project)["task"] == 10_000
