"""The check that holds the fakes to the forges' own descriptions must itself find what is wrong."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.fakes.openapi import HOW, Spec, load_spec
from tests.fakes.spec_gaps import GITHUB, GITLAB, Gap
from tests.rig.parts import missing

PARTS: dict[str, Any] = {
    "Thing": {
        "type": "object",
        "required": ["name"],
        "properties": {
            "name": {"type": "string"},
            "count": {"type": "integer", "nullable": True},
            "kind": {"type": "string", "enum": ["a", "b"]},
            "tags": {"type": "array", "items": {"type": "string"}},
        },
    }
}
THING = {"$ref": "#/components/schemas/Thing"}
DESCRIPTION: dict[str, Any] = {
    "components": {"schemas": PARTS},
    "paths": {
        "/things/{id}": {
            "get": {
                "parameters": [
                    {"in": "query", "name": "state", "schema": {"type": "string", "enum": ["open"]}},
                    {"in": "query", "name": "page", "required": True, "schema": {"type": "integer"}},
                ],
                "responses": {"200": {"content": {"application/json": {"schema": {"type": "array", "items": THING}}}}},
            },
            "put": {
                "requestBody": {"content": {"application/json": {"schema": THING}}},
                "responses": {"200": {"content": {"application/json": {"schema": THING}}}},
            },
        },
        "/things/new": {"get": {"responses": {"200": {}}}},
    },
}
SPEC = Spec(DESCRIPTION)


@pytest.mark.parametrize(
    ("method", "path", "query", "body", "problem"),
    [
        ("GET", "/things/7", {"page": ["1"], "state": ["open"]}, None, None),
        ("GET", "/things/new", {}, None, None),
        ("GET", "/others", {}, None, "GET /others is not in the description"),
        ("DELETE", "/things/7", {}, None, "DELETE /things/7 is not in the description"),
        ("GET", "/things/7", {}, None, "the query parameter page is missing"),
        ("GET", "/things/7", {"page": ["one"]}, None, "page=one does not fit"),
        ("GET", "/things/7", {"page": ["1"], "state": ["shut"]}, None, "state=shut does not fit"),
        ("GET", "/things/7", {"page": ["1"], "sort": ["x"]}, None, "no query parameter sort"),
        ("PUT", "/things/7", {}, {"name": "x", "count": None, "tags": ["a"]}, None),
        ("PUT", "/things/7", {}, {"count": 1}, "body.name is missing"),
        ("PUT", "/things/7", {}, {"name": 7}, "body.name should be string"),
        ("PUT", "/things/7", {}, {"name": "x", "kind": "c"}, "body.kind is 'c'"),
        ("PUT", "/things/7", {}, {"name": "x", "tags": [1]}, "body.tags[0] should be string"),
        ("PUT", "/things/7", {}, {"name": "x", "colour": "red"}, "body.colour is not in the description"),
    ],
)
def test_requests(method: str, path: str, query: dict[str, list[str]], body: Any, problem: str | None) -> None:
    found = SPEC.check_request(method, path, query, body)
    assert (found == []) if problem is None else (len(found) == 1 and problem in found[0])


def test_answers() -> None:
    assert SPEC.check_answer("GET", "/things/7", 200, [{"name": "x"}]) == []
    assert SPEC.check_answer("GET", "/things/7", 404, None) == [], "who asks is answered everywhere"
    assert "answered 418" in SPEC.check_answer("GET", "/things/7", 418, None)[0]
    assert "answer[0].colour" in SPEC.check_answer("GET", "/things/7", 200, [{"colour": "red"}])[0]
    assert "answer should be array" in SPEC.check_answer("GET", "/things/7", 200, {"name": "x"})[0]


def test_a_loose_description_says_nothing_of_strings() -> None:
    loose = Spec(DESCRIPTION, loose=True)
    assert loose.check_answer("PUT", "/things/7", 200, {"name": True, "kind": None}) == []
    assert loose.check_answer("PUT", "/things/7", 200, {"count": "many"}) != []


def test_gaps_are_for_what_they_name_alone() -> None:
    gaps = (Gap(r"PUT /things/\{id\}", "request", ("colour",), "…"), Gap(r"GET /others", "call", (), "…"),
            Gap(r"PUT /things/\{id\}", "status", ("202",), "…"))  # fmt: skip
    spec = Spec(DESCRIPTION, gaps)
    assert spec.check_request("PUT", "/things/7", {}, {"name": "x", "colour": "red"}) == []
    assert spec.check_request("PUT", "/things/7", {}, {"name": "x", "size": 1}) != []
    assert spec.check_request("GET", "/others", {}, None) == []
    assert spec.check_answer("PUT", "/things/7", 202, None) == []


@pytest.mark.parametrize(("name", "gaps"), [("gitlab-openapi.yaml", GITLAB), ("github-openapi.json", GITHUB)])
def test_gaps_are_still_there(name: str, gaps: tuple[Gap, ...]) -> None:
    """A newer description may have filled it; and what is not described has no parts that are wrong."""
    spec = load_spec(name, gaps, loose=name.startswith("gitlab"))
    if spec is None:
        missing(f"the description {name}", HOW)
        return
    calls = [f"{method.upper()} {path}" for path, item in spec.data["paths"].items() for method in item]
    for gap in gaps:
        fits = [call for call in calls if re.fullmatch(gap.call, call)]
        assert bool(fits) != (gap.part == "call"), f"{gap.call}: {gap.why}"
