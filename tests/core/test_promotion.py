"""What a promotion copies from one target's images to another's files."""

from __future__ import annotations

from collections.abc import Sequence

from ci_gitops.core.promotion import (
    Candidate,
    Side,
    candidate,
    left_behind,
    not_deployed,
    unknown_images,
    with_groups,
)
from ci_gitops.core.running import Running
from ci_gitops.core.targets import Target
from ci_gitops.core.update_work import TargetFiles
from tests.core.trees import MemoryTree

WEB = "registry.example.com/shop/web"
DIGEST, OTHER = "sha256:" + "a" * 64, "sha256:" + "b" * 64
DEPLOYMENT = (
    "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec:\n  template:\n    spec:\n"
    "      containers:\n      - {name: web, image: web}\n      - {name: cache, image: 'redis:7'}\n"
)


def running(*images: str) -> Running:
    return Running(target=Target("shop", "staging", "staging"), revision="a" * 40, images=images, healthy=True,
                   reason="", since=1, evidence="records")  # fmt: skip


def overlays(staging: str, production: str, names: Sequence[str] = ()) -> tuple[Side, Side]:
    """Both as `images:` of overlays on one base."""
    tree = MemoryTree({
        "base/deployment.yaml": DEPLOYMENT, "base/kustomization.yaml": "resources: [deployment.yaml]\n",
        "staging/kustomization.yaml": f"resources: [../base]\nimages: [{staging}]\n",
        "production/kustomization.yaml": f"resources: [../base]\nimages: [{production}]\n",
    })  # fmt: skip
    source, target = (
        Side(tree, TargetFiles(Target("shop", name, name), images=tuple(names))) for name in ("staging", "production")
    )
    return source, target


def brought(found: Candidate) -> dict[str, str]:
    return {version.name: str(version.image) for version in found.versions}


def test_tag_and_digest_are_copied_by_the_name_that_the_entry_has() -> None:
    source, target = overlays(
        f"{{name: web, newName: {WEB}, newTag: '2'}}", f"{{name: web, newName: {WEB}, newTag: '1'}}"
    )
    found = candidate(running(f"{WEB}:2@{DIGEST}", "redis:7"), source, target)
    assert brought(found) == {"web": f"{WEB}:2@{DIGEST}"}
    (version,) = found.versions
    assert (version.there, version.moves, version.digest_from) == (f"{WEB}:1", True, "deployed")
    assert (version.argument.new_name, version.argument.tag, version.argument.digest) == (None, "2", DIGEST)


def test_a_name_of_its_own_is_kept() -> None:
    mirror = "mirror.example.com/web"
    source, target = overlays(
        f"{{name: web, newName: {WEB}, newTag: '2'}}", f"{{name: web, newName: {mirror}, newTag: '1'}}"
    )
    assert brought(candidate(running(f"{WEB}:2@{DIGEST}"), source, target)) == {"web": f"{mirror}:2@{DIGEST}"}


def test_a_tag_that_is_there_stays_with_its_digest() -> None:
    entry = f"{{name: web, newName: {WEB}, newTag: '2', digest: '{OTHER}'}}"
    source, target = overlays(f"{{name: web, newName: {WEB}, newTag: '2'}}", entry)
    (version,) = candidate(running(f"{WEB}:2"), source, target).versions
    assert (str(version.image), version.moves, version.digest_from) == (f"{WEB}:2@{OTHER}", False, "target")


def test_what_the_target_has_not_is_told_and_what_only_templates_name_is_not() -> None:
    source, target = overlays(f"{{name: web, newName: {WEB}, newTag: '2'}}, {{name: agent, newTag: '5'}}", "")
    found = candidate(running(f"{WEB}:2@{DIGEST}", "agent:5", "sidecar:9"), source, target)
    assert brought(found) == {"web": f"web:2@{DIGEST}"}
    assert found.notes == ("shop in staging: agent stays there; shop in production has no such image",)


def test_an_image_in_two_versions_is_not_copied() -> None:
    source, target = overlays("{name: web, newTag: '2'}", "{name: web, newTag: '1'}")
    found = candidate(running("web:2", "web:3"), source, target)
    assert (found.versions, "it runs web:2, web:3 at once; neither is copied" in found.notes[0]) == ((), True)


def test_only_what_is_named_and_what_the_app_lets_builds_move() -> None:
    both = "{name: web, newTag: '2'}, {name: api, newTag: '2'}"
    source, target = overlays(both, both.replace("2", "1"))
    images = (f"web:2@{DIGEST}", f"api:2@{DIGEST}")
    assert set(brought(candidate(running(*images), source, target, ["api"]))) == {"api"}
    source, target = overlays(both, both.replace("2", "1"), ["web"])
    assert set(brought(candidate(running(*images), source, target))) == {"web"}


def test_values_of_helm_take_the_version_at_the_same_key() -> None:
    tree = MemoryTree({
        "chart/values.yaml": f"web:\n  image:\n    repository: {WEB}\n    tag: '1'\n",
        "chart/values-staging.yaml": "web:\n  image:\n    tag: '2'\n",
        "chart/values-production.yaml": "web:\n  image:\n    repository: mirror.example.com/web\n    tag: '1'\n",
    })  # fmt: skip
    source, target = (
        Side(tree, TargetFiles(Target("shop", name, f"chart/values-{name}.yaml"),
                               values=("chart/values.yaml", f"chart/values-{name}.yaml")))
        for name in ("staging", "production")
    )  # fmt: skip
    found = candidate(running(f"{WEB}:2@{DIGEST}"), source, target)
    assert brought(found) == {"mirror.example.com/web": f"mirror.example.com/web:2@{DIGEST}"}


def test_what_is_declared_and_not_deployed_is_told() -> None:
    source, _ = overlays("{name: web, newTag: '3'}", "")
    assert not_deployed(running("web:2", "redis:7"), source) == (
        "shop in staging: web:3 is declared there and not deployed yet",
    )
    assert not_deployed(running(f"web:3@{DIGEST}", f"redis:7@{OTHER}"), source) == ()
    pinned, _ = overlays(f"{{name: web, newTag: '3', digest: '{DIGEST}'}}", "")
    assert not_deployed(running("web:3"), pinned) == (), "a chart that reads no digest deploys the tag alone"
    assert not_deployed(running(f"web:3@{OTHER}"), pinned) != ()


def test_names_that_bring_nothing_get_near_matches() -> None:
    source, target = overlays("{name: web, newTag: '2'}", "{name: web, newTag: '1'}")
    found = [candidate(running("web:2"), source, target)]
    assert unknown_images(["web"], found, [running("web:2")]) is None
    assert unknown_images(["wbe"], found, [running("web:2")]) == "Did you mean 'web'?"


def test_groups_move_and_stay_together() -> None:
    groups = {"cart": "store", "shop": "store", "pay": "money"}
    assert with_groups(["cart"], groups) == ("cart", "shop")
    assert with_groups(["stock", "pay"], groups) == ("stock", "pay")
    assert left_behind(["shop"], ["cart", "pay", "stock"], groups) == {"cart": "shop"}
    assert left_behind(["cart", "shop"], ["cart", "shop", "pay"], groups) == {}
