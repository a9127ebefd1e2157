"""One chart's versions out of an index, however large and whoever wrote it."""

from __future__ import annotations

import json
import time

import pytest
import yaml

from ci_gitops.core.chart_index import versions_in
from ci_gitops.errors import RegistryError


def versions(index: bytes, chart: str = "redis") -> list[str]:
    return [each.version for each in versions_in(index, chart, "https://charts.example.com")]


def index_of(charts: dict[str, list[str]], **extra: object) -> dict[str, object]:
    return {
        "apiVersion": "v1",
        "entries": {
            name: [{"name": name, "version": each, "created": "2026-01-01T00:00:00Z", **extra} for each in found]
            for name, found in charts.items()
        },
        "generated": "2026-01-01T00:00:00Z",
    }


CHARTS = {"redis-cluster": ["9.0.0"], "redis": ["1.2.3", "1.10.0"], "web": ["0.1.0"]}
TRICKY = "redis:\n- version: 6.6.6\n  redis:\n  - version: 7.7.7\nentries:\n"


@pytest.mark.parametrize("indent", [2, 4])
@pytest.mark.parametrize("chart", CHARTS)
def test_as_helm_and_others_write_it(indent: int, chart: str) -> None:
    written = yaml.safe_dump(index_of(CHARTS, description=TRICKY), indent=indent, sort_keys=False).encode()
    assert versions(written, chart) == CHARTS[chart]
    assert versions(written.replace(b"\n", b"\r\n"), chart) == CHARTS[chart]


def test_other_layouts() -> None:
    document = index_of(CHARTS)
    assert versions(json.dumps(document).encode()) == CHARTS["redis"]
    assert versions(yaml.safe_dump(document, default_flow_style=True).encode()) == CHARTS["redis"]
    spaced = b"entries:\n  # ours\n  'redis':\n\n  - {version: 1.0.0}\n\n  # more\n  - version: 1.1.0\n  web: []\n"
    assert versions(spaced) == ["1.0.0", "1.1.0"]
    assert versions(b"entries:\n  redis:\n    - version: 1.0.0\n") == ["1.0.0"]
    assert versions(b"x: &v 1.0.0\nentries:\n  redis:\n  - version: *v\n") == ["1.0.0"]
    assert versions(b"entries:\n  redis:\n  - version: 1.0\n  - novers: 1\n  - text\n  - version: null\n") == ["1.0"]


def test_a_large_one_is_read_in_a_moment() -> None:
    charts = {f"chart-{number}": [f"1.{each}.0" for each in range(150)] for number in range(20)}
    part = yaml.dump(index_of(charts, description="x" * 200), Dumper=yaml.CSafeDumper).encode()
    head, _, tail = part.partition(b"entries:\n")
    body, _, _ = tail.partition(b"\ngenerated:")
    many = b"\n".join(body.replace(b"chart-", b"chart-%d-" % number) for number in range(20))
    whole = head + b"entries:\n" + many + b"\ngenerated: x\n"
    assert len(whole) > 15_000_000
    began = time.process_time()
    assert len(versions(whole, "chart-19-7")) == 150
    assert time.process_time() - began < 5  # a tenth of it on most machines; parsed as a whole it takes half a minute
    with pytest.raises(RegistryError, match="no chart 'chart-19-77'") as caught:
        versions(whole, "chart-19-77")
    assert "chart-19-7" in str(caught.value.hint)


def test_bombs_end() -> None:
    bomb = b"a: &a [x, x]\n" + b"".join(
        b"%s: &%s [*%s, *%s, *%s]\n" % (two, two, one, one, one)
        for one, two in zip([b"a", b"b", b"c", b"d"], [b"b", b"c", b"d", b"e"], strict=True)
    )
    with pytest.raises(RegistryError):
        versions(bomb + b"entries: *e\n")
    with pytest.raises(RegistryError):
        versions(b"[" * 100_000)
    with pytest.raises(RegistryError):
        versions(b"entries:\n  redis: !!python/object/apply:os.system ['true']\n")
