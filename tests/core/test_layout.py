"""Layouts that need no configuration file, on made-up trees and on those of other people."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ci_gitops.core.layout import detect, in_order
from ci_gitops.core.sources import last_name, source_name
from ci_gitops.core.targets import Target, environments_of, fill
from tests.rig.parts import missing

CASES = {
    "one repository for application and configuration": (
        [
            ".kubernetes/base/kustomization.yaml",
            ".kubernetes/overlays/staging/kustomization.yaml",
            ".kubernetes/overlays/production/kustomization.yaml",
            "Dockerfile",
        ],
        {"repo": ".kubernetes/overlays/{environment}"},
        ("staging", "production"),
        True,
    ),
    "apps side by side": (
        [
            "apps/a/overlays/dev/kustomization.yaml",
            "apps/b/overlays/prod/kustomization.yml",
            "apps/b/overlays/dev/Kustomization",
            "apps/b/base/kustomization.yaml",
        ],
        {"a": "apps/a/overlays/{environment}", "b": "apps/b/overlays/{environment}"},
        ("dev", "prod"),
        False,
    ),
    "a folder that says nothing is left out of the name": (
        ["services/shop/k8s/overlays/staging/kustomization.yaml"],
        {"shop": "services/shop/k8s/overlays/{environment}"},
        ("staging",),
        False,
    ),
    "equal names take the folder above": (
        ["red/web/overlays/qa/kustomization.yaml", "blue/web/overlays/qa/kustomization.yaml"],
        {"blue-web": "blue/web/overlays/{environment}", "red-web": "red/web/overlays/{environment}"},
        ("qa",),
        False,
    ),
    "what environments share is none": (
        ["overlays/base/kustomization.yaml", "overlays/production/kustomization.yaml", "overlays/x/deployment.yaml"],
        {"repo": "overlays/{environment}"},
        ("production",),
        True,
    ),
    "a folder for each environment": (
        ["environments/staging/kustomization.yaml", "environments/production/deployment.yaml"],
        {"repo": "environments/{environment}"},
        ("staging", "production"),
        False,
    ),
    "a folder for each environment with apps in it": (
        ["environments/staging/web/a.yaml", "environments/staging/api/deep/b.yaml", "environments/prod/web/a.yml"],
        {"api": "environments/{environment}/api", "web": "environments/{environment}/web"},
        ("staging", "prod"),
        False,
    ),
    "values of a chart": (
        [
            "charts/shop/Chart.yaml",
            "charts/shop/values.yaml",
            "charts/shop/values-prod.yaml",
            "charts/shop/values-test.yaml",
            "charts/shop/charts/redis/Chart.yaml",
            "charts/shop/charts/redis/values-production.yaml",
            "elsewhere/values-prod.yaml",
        ],
        {"shop": "charts/shop/values-{environment}.yaml"},
        ("test", "prod"),
        False,
    ),
    "names that no label takes": (
        ["a/overlays/-x/kustomization.yaml", "a/overlays/x y/kustomization.yaml", "a b!/overlays/s/kustomization.yaml"],
        {"a-b": "a b!/overlays/{environment}"},
        ("s",),
        False,
    ),
    "nothing": (["README.md", "overlays/README.md", "kustomization.yaml", ""], {}, (), False),
}


@pytest.mark.parametrize("case", CASES)
def test_detect(case: str) -> None:
    paths, apps, environments, own = CASES[case]
    layout = detect(paths, "repo")
    assert dict(layout.apps) == apps
    assert layout.environments == environments
    assert layout.own is own
    assert bool(layout) is bool(apps)


def test_promotion_order_by_name() -> None:
    names = ["production", "eu-prod", "qa", "zeta", "staging", "dev", "pre-prod", "dev2", "uat", "alpha"]
    assert in_order(names) == [
        "dev",
        "dev2",
        "qa",
        "uat",
        "alpha",
        "zeta",
        "staging",
        "pre-prod",
        "eu-prod",
        "production",
    ]


@pytest.mark.parametrize(
    ("address", "name", "last"),
    [
        ("https://git.example.com/acme/config.git", "git.example.com/acme/config", "config"),
        ("https://user:secret@GIT.example.com:8443/acme/config/", "git.example.com/acme/config", "config"),
        ("git@git.example.com:acme/group/config.git", "git.example.com/acme/group/config", "config"),
        ("ssh://git@git.example.com:2222/acme/config.git", "git.example.com/acme/config", "config"),
        ("/srv/git/config.git", "/srv/git/config", "config"),
        ("/srv/my app", "/srv/my app", "my-app"),
        ("file:///srv/git/config.git", "/srv/git/config", "config"),
    ],
)
def test_the_name_of_a_repository(address: str, name: str, last: str) -> None:
    assert source_name(address) == name
    assert last_name(address) == last


def test_the_paths_of_a_target() -> None:
    target = Target("shop", "staging", fill("./apps/shop/{environment}/", "staging"))
    assert target.path == "apps/shop/staging"
    assert target.holds("apps/shop/staging/a.yaml")
    assert not target.holds("apps/shop/staging-old/a.yaml")
    assert Target("shop", "staging", fill("./", "staging")).holds("any/file")
    assert environments_of("a/{environment}/x-{environment}", ["a/p/x-p/f", "a/q/x-r/f", "a/.git/x-.git/f"]) == ["p"]


#: corpus folder -> apps and environments that a person sees in it
CORPUS = {
    "kubernetes-sigs-kustomize": ({"ldap", "springboot"}, ["staging", "production"]),
    "stefanprodan-podinfo": ({"podinfo", "stefanprodan-podinfo"}, ["dev", "staging", "prod", "production"]),
    "argoproj-argo-cd": ({"exclude-helm-guestbook"}, ["production"]),
    "GoogleCloudPlatform-microservices-demo": (set(), []),
    "fluxcd-image-automation-controller": (set(), []),
}


@pytest.mark.parametrize("folder", CORPUS)
def test_detect_in_other_peoples_repositories(folder: str) -> None:
    corpus = os.environ.get("CI_GITOPS_TEST_CORPUS")
    if not corpus:
        missing("the corpus of other people's repositories", "set CI_GITOPS_TEST_CORPUS to its folder")
        return
    root = Path(corpus) / folder
    layout = detect((path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()), folder)
    apps, environments = CORPUS[folder]
    assert set(layout.apps) == apps
    assert list(layout.environments) == environments
