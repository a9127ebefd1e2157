"""Other people's trees come out of the box as they come out of the tools themselves."""

from __future__ import annotations

import random
import subprocess
from pathlib import Path

import pytest

from ci_gitops.adapters.renderers import render
from ci_gitops.core.manifests import parse
from ci_gitops.core.recipes import Recipe
from tests.rig.parts import program
from tests.rig.renderers import renderer_path

_SAMPLE = 25
_CHARTS = (
    "stefanprodan-podinfo/charts/podinfo",
    "GoogleCloudPlatform-microservices-demo/helm-chart",
    "argoproj-argo-cd/test/e2e/testdata/helm",
)


def bare(*words: str, home: Path) -> str:
    done = subprocess.run(words, env={"HOME": str(home)}, check=True, capture_output=True, text=True, timeout=60)
    return done.stdout


def same(corpus: Path, place: str, expected: str, path: str) -> bool:
    repository, _, folder = place.partition("/")
    ours = render(
        corpus / repository, folder or ".", {"PATH": path}, Recipe(app="same", sandbox="require", kube_version="1.34.0")
    )
    return [each.document for each in ours] == [each.document for each in parse(expected, place)]


def check_kustomizations(corpus: Path, places: list[str], home: Path) -> None:
    path = renderer_path("kustomize", "helm")
    tool = program("kustomize", "Debian's package kustomize")
    wrong = [
        place for place in places if not same(corpus, place, bare(tool, "build", str(corpus / place), home=home), path)
    ]
    assert wrong == []


def buildable(corpus: Path) -> list[str]:
    return (corpus / "buildable.txt").read_text().split()


def test_a_sample_of_kustomizations(corpus: Path, rng: random.Random, tmp_path: Path) -> None:
    check_kustomizations(corpus, rng.sample(buildable(corpus), _SAMPLE), tmp_path)


@pytest.mark.full
def test_all_kustomizations(corpus: Path, tmp_path: Path) -> None:
    check_kustomizations(corpus, buildable(corpus), tmp_path)


@pytest.mark.parametrize("place", _CHARTS)
def test_charts(corpus: Path, place: str, tmp_path: Path) -> None:
    path = renderer_path("helm")
    words = ("template", "same", str(corpus / place), "--include-crds", "--skip-tests", "--kube-version", "1.34.0")
    assert same(corpus, place, bare(f"{path}/helm", *words, home=tmp_path), path)
