"""`compat="kustomize"` against the real `kustomize edit set image`: the values must be the same, rule for rule.

Files and arguments are generated; both sides edit the same file, and what each left is compared as data.
"""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from ci_gitops import set_images
from ci_gitops.core.yamlscalar import write_string
from ci_gitops.errors import CiGitopsError
from tests.conftest import SEED

NAMES = st.sampled_from(["a", "b", "app", "reg:5000/a", "reg.io/x/y", "a.b", "A", "a-b"])
TAGS = st.sampled_from(["v1", "1.10", "yes", "12e4567", "0123", "latest", "1.2.3", "2024-01-01", "12:30", "null"])
DIGESTS = st.sampled_from(["sha256:" + "a" * 64, "sha256:" + "b" * 64, "d"])
PART = st.one_of(st.just("*"), st.none(), st.just(""))


@st.composite
def entries(draw: st.DrawFn) -> str:
    """One entry of `images`, in one of the ways to write it."""
    fields = {"name": draw(NAMES)}
    for field, values in (("newName", NAMES), ("newTag", TAGS), ("digest", DIGESTS), ("tagSuffix", st.just("-s"))):
        if draw(st.booleans()):
            fields[field] = draw(values)
    keys = draw(st.permutations(list(fields)))
    flow = draw(st.booleans())
    pairs = [f"{key}: {write_string(fields[key], draw(st.sampled_from(['', chr(39), chr(34)])), flow=flow)[0]}"
             for key in keys]  # fmt: skip
    if flow:
        return "{" + ", ".join(pairs) + "}"
    comments = ["", "", " # why"]
    return "\n  ".join(pair + draw(st.sampled_from(comments)) for pair in pairs)


@st.composite
def kustomizations(draw: st.DrawFn) -> str:
    listed = draw(st.lists(entries(), max_size=4))
    before = draw(st.sampled_from(["", "# head\n", "namePrefix: x-\n", "resources:\n  - a.yaml\n", "---\n"]))
    after = draw(st.sampled_from(["", "\n# tail\n", "namespace: shop\n"]))
    images = "images:\n" + "".join(f"- {entry}\n" for entry in listed)
    if not listed:
        images = draw(st.sampled_from(["", "images: []\n", "images:\n"]))
    text = before + images + after
    if draw(st.booleans()):
        text = text.rstrip("\n")
    return text.replace("\n", "\r\n") if draw(st.booleans()) else text


@st.composite
def arguments(draw: st.DrawFn) -> str:
    name = draw(NAMES)
    tag, digest = draw(st.one_of(TAGS, PART)), draw(st.one_of(DIGESTS, PART))
    new_name = draw(st.one_of(st.none(), st.just("*"), NAMES))
    text = name if new_name is None else f"{name}={new_name}"
    return text + ("" if tag is None else f":{tag}") + ("" if digest is None else f"@{digest}")


def images_of(text: str) -> list[dict[str, Any]]:
    """The entries as kustomize would see them: no empty fields, in the order of their names."""
    root = yaml.load(text, yaml.CBaseLoader) or {}
    listed = [{key: value for key, value in entry.items() if value != ""} for entry in root.get("images") or []]
    return sorted(listed, key=lambda entry: entry.get("name", ""))


def others_of(text: str) -> dict[str, Any]:
    root = yaml.load(text, yaml.CBaseLoader) or {}
    return {key: value for key, value in root.items() if key not in ("images", "apiVersion", "kind")}


def check(kustomize: str, folder: Path, text: str, given_images: list[str]) -> None:
    file = folder / "kustomization.yaml"
    file.write_bytes(text.encode())
    command = [kustomize, "edit", "set", "image", *given_images]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        with pytest.raises(CiGitopsError):
            set_images(text, given_images, path="kustomization.yaml", compat="kustomize")
        return
    edit = set_images(text, given_images, path="kustomization.yaml", compat="kustomize")
    assert images_of(edit.new) == images_of(file.read_text())
    assert others_of(edit.new) == others_of(text)
    assert not set_images(edit.new, given_images, path="kustomization.yaml", compat="kustomize").changed or _dropping(
        given_images
    )


def _dropping(given_images: list[str]) -> bool:
    """`a:*` drops what it does not name, so that a second call may find less to keep."""
    return any("*" in image for image in given_images)


SAMPLE = {"database": None, "deadline": None, "suppress_health_check": list(HealthCheck)}


@seed(SEED)
@settings(max_examples=100, **SAMPLE)
@given(text=kustomizations(), images=st.lists(arguments(), min_size=1, max_size=3))
def test_a_sample_of_files_and_arguments(
    kustomize: str, tmp_path_factory: pytest.TempPathFactory, text: str, images: list[str]
) -> None:
    check(kustomize, tmp_path_factory.getbasetemp(), text, images)


@pytest.mark.full
@pytest.mark.timeout(900)
@seed(SEED)
@settings(max_examples=5000, **SAMPLE)
@given(text=kustomizations(), images=st.lists(arguments(), min_size=1, max_size=4))
def test_thousands_of_files_and_arguments(
    kustomize: str, tmp_path_factory: pytest.TempPathFactory, text: str, images: list[str]
) -> None:
    check(kustomize, tmp_path_factory.getbasetemp(), text, images)


ENTRY = "images:\n- name: a\n  newName: old\n  newTag: o\n  digest: dd\n  tagSuffix: -s\n- name: b\n  newTag: x\n"


@pytest.mark.parametrize(
    "image",
    ["a:v1@d", "a@d:x", "a@d@e", "a:v@d@e", "a:v:w@d", "a=b/c@x:y", "/a:v", "a:", "a@", "a:@", "a=", "a=:v", "=:v",
     "=b", ":v1", "@d", "a=*", "a=*:*@*", "a:*", "*:v", "a=b:c=d", "=a", "a//b:c", "x=/:v", "", "=", ":",
     "a", "reg:5000/a", "a=@d", "a b:c", "reg:5000:v1@d", "a=b=c:v1", "a=a", "oci://a:v1", "a=*:v2@*", "a=new:*",
     "b=*@*", "a:bad tag"],
)  # fmt: skip
def test_the_rules_one_by_one(kustomize: str, tmp_path: Path, image: str) -> None:
    check(kustomize, tmp_path, ENTRY, [image])


@pytest.mark.parametrize(
    ("text", "images"),
    [
        ("images:\n- name: a\n  newTag: v1\n- name: a\n  newName: n\n", ["b:v1"]),
        ("images:\n- name: a\n  newTag: v1\n- name: a\n  newName: n\n", ["a=*:*"]),
        ("images:\n- name: a\n  newTag: 1.10\n", ["b:v1"]),
        ("images:\n- name: a\n  newTag: 1.10\n", ["a:v1"]),
        ("images:\n- newTag: v1\n", [":v2"]),
        ("images:\n- newTag: v1\n", [":"]),
        ("images:\n- {}\n", [":v1"]),
        (ENTRY, ["a:v1", "a:v2", "b=a:v1"]),
        (ENTRY, ["a:v1", "nothing"]),
    ],
)
def test_files_that_are_odd(kustomize: str, tmp_path: Path, text: str, images: list[str]) -> None:
    check(kustomize, tmp_path, text, images)


def test_the_bytes_around_stay_even_so() -> None:
    text = "# head\nimages: # list\n- name: a # why\n  tagSuffix: -s\n  newTag: 'v1' # x\n"
    edit = set_images(text, ["a:v2"], path="kustomization.yaml", compat="kustomize")
    assert edit.new == "# head\nimages: # list\n- name: a # why\n  newTag: 'v2' # x\n"
