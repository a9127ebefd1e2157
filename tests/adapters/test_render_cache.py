"""What was rendered before is believed only where nobody else can have written it."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from ci_gitops.adapters.render_cache import RenderCache, documents, manifests, programs
from ci_gitops.core.manifests import parse

VALUE = [{"kind": "ConfigMap", "data": {"a": "b"}}]


def opened(home: Path, **environ: str) -> RenderCache:
    cache = RenderCache.open({"HOME": str(home), **environ})
    assert cache
    return cache


def entries(home: Path) -> list[Path]:
    return sorted((home / ".cache/ci-gitops/rendered").iterdir())


def test_what_was_kept_is_there_for_the_next_run(tmp_path: Path) -> None:
    cache = opened(tmp_path)
    key = cache.key("tree", {"recipe": 1})
    assert cache.get(key) is None
    cache.put(key, VALUE)
    assert opened(tmp_path).get(key) == VALUE
    assert cache.get(cache.key("tree", {"recipe": 2})) is None
    (entry,) = entries(tmp_path)
    assert entry.stat().st_mode & 0o777 == 0o600
    assert (tmp_path / ".cache/ci-gitops/rendered").stat().st_mode & 0o777 == 0o700


def test_what_another_has_written_or_changed_is_not_believed(tmp_path: Path) -> None:
    cache = opened(tmp_path)
    one, other = cache.key("one"), cache.key("other")
    cache.put(one, VALUE)
    (entry,) = entries(tmp_path)
    signed = entry.read_bytes()
    entry.write_bytes(signed.replace(b"ConfigMap", b"ClusterRo"))
    assert cache.get(one) is None
    assert entries(tmp_path) == []
    entry.with_name(other).write_bytes(signed)  # right, and of another key
    assert cache.get(other) is None
    entry.write_bytes(signed)
    elsewhere = opened(tmp_path / "machine", CI_GITOPS_CACHE_DIR=str(tmp_path / ".cache/ci-gitops"))
    assert elsewhere.get(one) is None
    entry.write_bytes(signed[:-3])
    assert cache.get(one) is None
    entry.symlink_to("/etc/passwd")
    assert cache.get(one) is None


def test_what_does_not_come_back_as_it_is_is_not_kept(tmp_path: Path) -> None:
    cache = opened(tmp_path)
    values: list[Any] = [{1: "a"}, [float("nan")], {"a": {1, 2}}, ["x" * (33 * 1024 * 1024)]]
    for number, value in enumerate(values):
        cache.put(cache.key(number), value)
        assert cache.get(cache.key(number)) is None
    assert entries(tmp_path) == []


def test_it_stays_small(tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    folder.mkdir()
    cache = RenderCache(folder, b"k" * 32, limit=10_000)
    for number in range(120):
        cache.put(cache.key(number), ["x" * 1000])
        os.utime(folder / cache.key(0)) if (folder / cache.key(0)).exists() else None
    assert sum(file.stat().st_size for file in folder.iterdir()) < 10_000 + 50 * 1100


@pytest.mark.parametrize("environ", [{}, {"HOME": "/nonexistent/x"}, {"HOME": "/tmp", "CI_GITOPS_CACHE_DIR": ""}])
def test_without_a_place_of_our_own_there_is_none(environ: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*words: Any, **more: Any) -> None:
        raise PermissionError

    monkeypatch.setattr(Path, "mkdir", refuse)
    assert RenderCache.open(environ) is None


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_a_folder_of_somebody_else_is_not_used(tmp_path: Path) -> None:
    folder = tmp_path / "shared"
    (folder / "rendered").mkdir(parents=True)
    os.chown(folder / "rendered", 12345, 12345)
    assert RenderCache.open({"HOME": str(tmp_path), "CI_GITOPS_CACHE_DIR": str(folder)}) is None
    link = tmp_path / "link"
    link.mkdir()
    (link / "rendered").symlink_to(tmp_path)
    assert RenderCache.open({"HOME": str(tmp_path), "CI_GITOPS_CACHE_DIR": str(link)}) is None


def test_many_at_once(tmp_path: Path) -> None:
    def work(number: int) -> Any:
        cache = opened(tmp_path)
        cache.put(cache.key("same"), VALUE)
        return cache.get(cache.key("same"))

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(work, range(40))) == [VALUE] * 40
    assert len(entries(tmp_path)) == 1


def test_manifests_come_back_as_they_were() -> None:
    secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: a, namespace: b}\n"
    hook = "apiVersion: batch/v1\nkind: Job\nmetadata: {generateName: x-, annotations: {ci-gitops/hook: PreSync}}\n"
    found = parse(f"{secret}---\n{hook}", "")
    assert manifests(documents(found)) == found


def test_another_program_is_another_key(tmp_path: Path) -> None:
    program = tmp_path / "helm"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    before = programs({"PATH": str(tmp_path)})
    program.write_text("#!/bin/sh\necho\n")
    assert programs({"PATH": str(tmp_path)}) != before
    assert [each[0] for each in before] == ["helm"]
