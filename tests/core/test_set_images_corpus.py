"""Other people's files: each image is bumped, the diff has exactly the expected lines, and the way back is exact.

What counts as expected is computed here from the file's own lines, not by the code under test.
"""

from __future__ import annotations

import random
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from ci_gitops import Edit, ImageUse, image_uses, set_images
from ci_gitops.core.yamlscalar import kind_of
from ci_gitops.errors import EditError

TAG = "v987.65.4-ci"
DIGEST = "sha256:" + "c0de" * 16
SAMPLE = 60


@dataclass(frozen=True)
class Case:
    path: Path
    text: str
    use: ImageUse


def cases(corpus: Path) -> list[Case]:
    """Each image of each file; what a file declares several times under one name is one case."""
    found = []
    for path in sorted(corpus.rglob("*")):
        if not path.is_file() or (path.suffix not in (".yaml", ".yml") and path.name != "Kustomization"):
            continue
        text = path.read_bytes().decode()
        seen: set[str] = set()
        for use in image_uses(text, path=str(path.relative_to(corpus))):
            if use.name not in seen:
                seen.add(use.name)
                found.append(Case(path.relative_to(corpus), text, use))
    return found


def changed_lines(edit: Edit) -> tuple[list[str], list[str]]:
    body = [line for line in edit.diff(context=0) if not line.startswith(("---", "+++", "@@", "\\"))]
    return [line[1:] for line in body if line[0] == "-"], [line[1:] for line in body if line[0] == "+"]


def argument(use: ImageUse, tag: str | None, digest: str | None) -> str:
    name = use.name if use.kind == "kustomization" or use.new_name is None else use.new_name
    return name + (f":{tag}" if tag else "") + (f"@{digest}" if digest else "")


def was_text(text: str) -> bool:
    """No tag of the file is one that some reader takes for a number: such a one comes back in quotes."""
    tags = re.findall(r"(?m)^\s*(?:- )?(?:tag|newTag):[ ]*([^\s'\"#]+)", text)
    return all(kind_of(tag) == "str" for tag in tags)


def check(case: Case) -> None:
    use, path = case.use, str(case.path)
    try:
        edit = set_images(case.text, [argument(use, TAG, None)], path=path)
    except EditError as error:
        assert "two entries named" in error.message  # noqa: PT017 - the one reason that is right here
        return
    same = [each for each in image_uses(case.text, path=path) if each.name == use.name]
    removed, added = changed_lines(edit)
    dropped = sum(1 for each in same if each.digest and each.kind == "kustomization")
    assert len(added) == len([change for change in edit.changes if change.new is not None])
    assert len(removed) == len([change for change in edit.changes if change.old is not None or change.new == ""])
    assert len(removed) <= len(same) + dropped
    assert all(TAG in line for line in added if '""' not in line)
    bumped = [each for each in image_uses(edit.new, path=path) if each.name == use.name]
    assert [(each.tag, each.digest) for each in bumped] == [(TAG, None)] * len(same)
    assert parsed_but_images(edit.new) == parsed_but_images(case.text)
    assert not set_images(edit.new, [argument(use, TAG, None)], path=path).changed
    way_back(case, edit, same)


def way_back(case: Case, edit: Edit, same: list[ImageUse]) -> None:
    """Bumped back, every byte is as it was: where the places did not differ and a tag took a tag's place."""
    if len({(each.tag, each.digest) for each in same}) > 1 or not same[0].tag or same[0].digest:
        return
    if not was_text(case.text):
        return
    back = set_images(edit.new, [argument(same[0], same[0].tag, None)], path=str(case.path))
    assert back.new.encode() == case.text.encode()
    there = set_images(case.text, [argument(same[0], TAG, DIGEST)], path=str(case.path))
    if same[0].kind != "values":  # an emptied digest of values stays as a key
        back = set_images(there.new, [argument(same[0], same[0].tag, None)], path=str(case.path))
        assert back.new.encode() == case.text.encode()


def parsed_but_images(text: str) -> list[Any]:
    """The documents as data, with every value that an image edit may touch taken out."""

    def strip(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: strip(item) for key, item in value.items()
                    if key not in ("image", "newTag", "digest", "tag")}  # fmt: skip
        if isinstance(value, list):
            return [strip(item) for item in value]
        return value

    return [strip(document) for document in yaml.load_all(text, yaml.CBaseLoader)]


def test_there_are_as_many_images_as_the_index_says(corpus: Path) -> None:
    kinds = [case.use.kind for case in cases(corpus)]
    assert kinds.count("kustomization") >= 40
    assert kinds.count("manifest") >= 150
    assert kinds.count("values") >= 7


def test_a_sample_is_bumped_and_comes_back(corpus: Path, rng: random.Random) -> None:
    found = cases(corpus)
    by_kind = [case for case in found if case.use.kind != "manifest"]
    for case in [*by_kind, *rng.sample(found, SAMPLE)]:
        check(case)


@pytest.mark.full
def test_every_image_is_bumped_and_comes_back(corpus: Path) -> None:
    for case in cases(corpus):
        check(case)


def built(kustomize: str, folder: Path) -> set[str]:
    done = subprocess.run([kustomize, "build", str(folder)], capture_output=True, text=True, check=True)
    return {use.effective + (f":{use.tag}" if use.tag else "") for use in image_uses(done.stdout, path="built.yaml")}


def buildable(corpus: Path) -> Iterator[Path]:
    """The folders that build and whose own kustomization or manifests declare an image that the build shows."""
    for line in (corpus / "buildable.txt").read_text().splitlines():
        folder = Path(line.split("\t")[0].split("  ")[0].strip())
        if line.strip() and not line.startswith("#"):
            yield folder


def check_build(kustomize: str, corpus: Path, folder: Path, work: Path) -> int:
    """Bump each image that the folder itself declares; the build must show it. How many were seen."""
    repository = work / folder.parts[0]
    if not repository.exists():
        shutil.copytree(corpus / folder.parts[0], repository)
    before = built(kustomize, work / folder)
    seen = 0
    for path in sorted((work / folder).iterdir()):
        if not path.is_file() or (path.suffix not in (".yaml", ".yml") and path.name != "Kustomization"):
            continue
        text = path.read_bytes().decode()
        for use in {use.name: use for use in image_uses(text, path=path.name)}.values():
            shown = use.effective + (f":{use.tag}" if use.tag else "")
            if shown not in before or use.kind == "values":
                continue
            edit = set_images(text, [argument(use, TAG, None)], path=path.name)
            path.write_bytes(edit.new.encode())
            after = built(kustomize, work / folder)
            path.write_bytes(text.encode())
            assert f"{use.effective}:{TAG}" in after or _overridden(path.parent, use), (
                f"{folder}/{path.name}: {use.name}"
            )
            seen += 1
    return seen


def _overridden(folder: Path, use: ImageUse) -> bool:
    """The folder's own kustomization gives the manifest's image another tag, or the same again."""
    uses = [each for path in folder.glob("[Kk]ustomization*") for each in image_uses(path.read_text(), path=path.name)]
    return use.kind == "manifest" and use.name in {each.name for each in uses}


def test_builds_of_a_sample_show_the_new_image(
    kustomize: str, corpus: Path, tmp_path: Path, rng: random.Random
) -> None:
    folders = [folder for folder in buildable(corpus) if _declares(corpus / folder)]
    assert sum(check_build(kustomize, corpus, folder, tmp_path) for folder in rng.sample(folders, 6)) > 0


@pytest.mark.full
def test_every_build_shows_the_new_image(kustomize: str, corpus: Path, tmp_path: Path) -> None:
    assert sum(check_build(kustomize, corpus, folder, tmp_path) for folder in buildable(corpus)) > 50


def _declares(folder: Path) -> bool:
    return any(
        image_uses(path.read_text(), path=path.name)
        for path in folder.iterdir()
        if path.suffix in (".yaml", ".yml") or path.name == "Kustomization"
    )
