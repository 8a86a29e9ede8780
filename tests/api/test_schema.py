"""The OpenAPI schema: valid, complete, and true of what the API answers."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urljoin, urlsplit

import pytest

from tests.api.support import Cast
from tests.api.test_rights import ENDPOINTS, World, filled, make_world, routes
from tests.support.stack import Stack


@pytest.fixture(scope="module")
def schema(cast: Cast) -> dict[str, Any]:
    return dict(cast.mary.get("/api/schema", headers={"Accept": "application/json"}).json())


@pytest.fixture(scope="module")
def world(cast: Cast) -> World:
    return make_world(cast.mary, cast.ada)


def test_the_schema_is_valid_and_made_without_a_warning(tmp_path: Any) -> None:
    from django.core.management import call_command

    call_command("spectacular", "--validate", "--fail-on-warn", "--file", str(tmp_path / "schema.yml"))
    assert (tmp_path / "schema.yml").stat().st_size > 1000


def test_the_schema_describes_every_endpoint_and_no_other(schema: dict[str, Any]) -> None:
    from crowd.urls import urlpatterns

    described = {
        (method.upper(), path) for path, item in schema["paths"].items() for method in item if method != "parameters"
    }
    ours = {
        (method, "/" + re.sub(r"<\w+:(\w+)>", r"{\1}", route))
        for method, route in routes(urlpatterns)
        if route.startswith("api/") and route not in ("api/schema", "api/reference")
    }
    assert described == ours


def test_every_operation_has_a_name_of_its_own_and_says_what_it_answers(schema: dict[str, Any]) -> None:
    operations = [op for item in schema["paths"].values() for op in item.values()]
    names = [operation["operationId"] for operation in operations]
    assert len(set(names)) == len(names)
    assert all(operation["responses"] for operation in operations)
    assert {"token", "session"} <= set(schema["components"]["securitySchemes"])


def mismatches(value: Any, shape: dict[str, Any], schema: dict[str, Any], path: str) -> list[str]:
    """How a JSON value differs from its OpenAPI 3.0 schema: types, missing fields, fields nobody described."""
    if value is None and shape.get("nullable"):
        return []
    if "allOf" in shape:
        (shape,) = shape["allOf"]
    while "$ref" in shape:
        shape = schema["components"]["schemas"][shape["$ref"].rsplit("/", 1)[1]]
    if value is None:
        return [f"{path} is null"] if shape.get("type") else []
    kinds = {"object": dict, "array": list, "string": str, "integer": int, "number": (int, float), "boolean": bool}
    kind = shape.get("type")
    if kind is None:
        return []
    if not isinstance(value, kinds[kind]) or (kind != "boolean" and isinstance(value, bool)):
        return [f"{path} is {value!r}, no {kind}"]
    found = []
    if kind == "array":
        for i, item in enumerate(value):
            found += mismatches(item, shape["items"], schema, f"{path}[{i}]")
    if kind == "object" and "properties" in shape:
        found += [f"{path}.{name} is missing" for name in shape.get("required", []) if name not in value]
        found += [f"{path}.{name} is not described" for name in value if name not in shape["properties"]]
        for name in value.keys() & shape["properties"].keys():
            found += mismatches(value[name], shape["properties"][name], schema, f"{path}.{name}")
    return found


GETS = sorted(route for method, route in ENDPOINTS if method == "GET" and route not in ("schema", "reference"))


@pytest.mark.parametrize("route", [route for route in GETS if ".csv" not in route and ".jsonl" not in route])
def test_what_the_api_answers_is_what_the_schema_says(
    route: str, world: World, cast: Cast, schema: dict[str, Any]
) -> None:
    answer = cast.mary.ok("GET", filled(route, world.ids(route)))
    described = schema["paths"]["/api/" + re.sub(r"<\w+:(\w+)>", r"{\1}", route)]["get"]["responses"]["200"]
    assert mismatches(answer, described["content"]["application/json"]["schema"], schema, "answer") == []


class Assets(HTMLParser):
    """What a page loads, and the scripts that stand in it."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.inline_scripts = 0
        self.handlers: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.handlers += [name for name in given if name.startswith("on")]
        if tag == "script" and not given.get("src"):
            self.inline_scripts += 1
        if tag in ("script", "img", "iframe") and given.get("src"):
            self.addresses.append(str(given["src"]))
        if tag == "link" and given.get("href"):
            self.addresses.append(str(given["href"]))


@pytest.mark.parametrize(
    "path", ["/", "/sign-in", "/join", "/annotate/", "/projects/1/", "/projects/1/what-if/", "/api/reference"]
)
def test_a_page_loads_our_own_files_only_and_has_no_script_in_it(path: str, cast: Cast, stack: Stack) -> None:
    page = cast.mary.get(path)
    assert page.status_code == 200 and page.headers["content-type"].startswith("text/html")
    policy = dict(part.strip().partition(" ")[::2] for part in page.headers["content-security-policy"].split(";"))
    assert policy["script-src"] == "'self'" and policy["default-src"] == "'self'"
    assert policy["object-src"] == policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    assert page.headers["x-content-type-options"] == "nosniff"
    assert page.headers["x-frame-options"] == "DENY"

    assets = Assets(page.text)

    assert assets.inline_scripts == 0 and assets.handlers == []
    assert assets.addresses
    for address in assets.addresses:
        url = urljoin(stack.url + path, address)
        assert urlsplit(url).netloc == urlsplit(stack.url).netloc, address
        loaded = cast.mary.get(url)
        assert loaded.status_code == 200, address
        if address.endswith(".css"):
            assert not re.search(r"url\(\s*[\"']?(https?:)?//|@import", loaded.text), address


def test_the_reference_page_asks_for_our_schema(cast: Cast) -> None:
    page = cast.mary.get("/api/reference")
    (script,) = [address for address in Assets(page.text).addresses if "script" in address and "static" not in address]
    text = cast.mary.get(urljoin("/api/reference", script)).text
    assert "/api/schema" in text
    assert not re.search(r"https?://(?!127\.0\.0\.1|localhost)", json.dumps(text).replace("http://www.w3.org", ""))
