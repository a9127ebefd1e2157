"""What the annotations of an object ask of a deploy: when it is applied, whether it is a hook, how it is removed.

Three spellings are understood. Argo CD's (https://argo-cd.readthedocs.io/en/stable/user-guide/sync-waves/) and ours
have the same names and values, `argocd.argoproj.io/hook` and `ci-gitops/hook`; Helm's
(https://helm.sh/docs/topics/charts_hooks/) are translated. Where an object has several, ours counts before
Argo CD's, and Argo CD's before Helm's. `core/stages.py` orders by what is read here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

Phase = Literal["PreSync", "Sync", "PostSync", "SyncFail", "PreDelete", "PostDelete"]
DeletePolicy = Literal["BeforeHookCreation", "HookSucceeded", "HookFailed"]
Removal = Literal["yes", "no", "confirm"]

PHASES: tuple[Phase, ...] = get_args(Phase)
_POLICIES: tuple[DeletePolicy, ...] = get_args(DeletePolicy)
_OURS = ("ci-gitops/", "argocd.argoproj.io/")
_HELM: dict[str, tuple[Phase, bool, bool]] = {  # phase, at the first deploy, at later ones
    "pre-install": ("PreSync", True, False),
    "pre-upgrade": ("PreSync", False, True),
    "post-install": ("PostSync", True, False),
    "post-upgrade": ("PostSync", False, True),
    "pre-delete": ("PreDelete", True, True),
    "post-delete": ("PostDelete", True, True),
}
_HELM_NEVER = {"pre-rollback", "post-rollback", "test", "test-success", "test-failure"}
_HELM_POLICIES: dict[str, DeletePolicy] = {
    "before-hook-creation": "BeforeHookCreation", "hook-succeeded": "HookSucceeded", "hook-failed": "HookFailed",
}  # fmt: skip
_INTEGER = re.compile(r"[-+]?[0-9]{1,9}")
_NAME_LENGTH = 63  # a Job's name becomes a label of its pods


@dataclass(frozen=True, slots=True)
class Hook:
    """One phase in which an object runs. Helm tells the first deploy of a target from later ones."""

    phase: Phase
    at_install: bool = True
    at_upgrade: bool = True


@dataclass(frozen=True, slots=True)
class Options:
    """The sync options that count for one object."""

    prune: Removal = "yes"  # when it left Git
    delete: Removal = "yes"  # when its whole app is removed
    prune_last: bool = False
    replace: bool = False
    force: bool = False
    skip_dry_run_on_missing: bool = False
    ignore_health: bool = False


@dataclass(frozen=True, slots=True)
class Wishes:
    """All that an object's annotations say. `unknown` holds what was not understood, for a warning."""

    is_hook: bool
    hooks: tuple[Hook, ...]  # of a hook; none: it is never applied
    skipped: bool
    wave: int
    policies: frozenset[DeletePolicy]
    options: Options
    unknown: tuple[str, ...] = ()


def wishes(document: Mapping[str, Any]) -> Wishes:
    """What the annotations of one object ask for."""
    found = (document.get("metadata") or {}).get("annotations")
    if not isinstance(found, Mapping) or not found:
        return _NONE
    annotations = {name: str(value) for name, value in found.items()}
    is_hook, hooks, skipped, unknown = _hooks(annotations)
    return Wishes(is_hook, hooks, skipped, _wave(annotations), _policies(annotations), _options(annotations), unknown)


_NONE = Wishes(False, (), False, 0, frozenset({"BeforeHookCreation"}), Options())


def _spelt(annotations: Mapping[str, str], name: str) -> str | None:
    return next((annotations[prefix + name] for prefix in _OURS if prefix + name in annotations), None)


def _words(value: str | None) -> list[str]:
    return [word.strip() for word in (value or "").split(",") if word.strip()]


def _hooks(annotations: Mapping[str, str]) -> tuple[bool, tuple[Hook, ...], bool, tuple[str, ...]]:
    """Whether it is a hook, its phases, whether it is left alone, and the words that nobody knows."""
    ours = _spelt(annotations, "hook")
    if ours is None:
        return _helm_hooks(_words(annotations.get("helm.sh/hook")))
    words = _words(ours)
    if words == ["Skip"]:
        return False, (), True, ()
    unknown = tuple(word for word in words if word not in PHASES and word != "Skip")
    return True, tuple(Hook(phase) for phase in PHASES if phase in words), False, unknown


def _helm_hooks(words: list[str]) -> tuple[bool, tuple[Hook, ...], bool, tuple[str, ...]]:
    if not words or "crd-install" in words:  # Helm 2's way to bring definitions: an object like others
        return False, (), False, ()
    known = [_HELM[word] for word in words if word in _HELM]
    hooks = tuple(
        Hook(phase, any(first for name, first, _ in known if name == phase),
             any(later for name, _, later in known if name == phase))
        for phase in PHASES if any(name == phase for name, _, _ in known)
    )  # fmt: skip
    return True, hooks, False, tuple(word for word in words if word not in _HELM and word not in _HELM_NEVER)


def _wave(annotations: Mapping[str, str]) -> int:
    for value in (_spelt(annotations, "sync-wave"), annotations.get("helm.sh/hook-weight")):
        if value is not None and _INTEGER.fullmatch(value):
            return int(value)
    return 0


def _policies(annotations: Mapping[str, str]) -> frozenset[DeletePolicy]:
    given = _words(_spelt(annotations, "hook-delete-policy"))
    found = {policy for policy in _POLICIES if policy in given}
    helm = _words(annotations.get("helm.sh/hook-delete-policy"))
    found |= {_HELM_POLICIES[word] for word in helm if word in _HELM_POLICIES}
    return frozenset(found or {"BeforeHookCreation"})


def _options(annotations: Mapping[str, str]) -> Options:
    given: dict[str, str] = {}
    if annotations.get("helm.sh/resource-policy", "").strip().lower() == "keep":
        given = {"Prune": "false", "Delete": "false"}
    for prefix in reversed(_OURS):
        given |= dict(_pairs(annotations.get(f"{prefix}sync-options")))
    return Options(
        prune=_removal(given.get("Prune")),
        delete=_removal(given.get("Delete")),
        prune_last=given.get("PruneLast") == "true",
        replace=given.get("Replace") == "true",
        force=given.get("Force") == "true",
        skip_dry_run_on_missing=given.get("SkipDryRunOnMissingResource") == "true",
        ignore_health=_spelt(annotations, "ignore-healthcheck") == "true",
    )


def _pairs(value: str | None) -> Iterator[tuple[str, str]]:
    for word in _words(value):
        name, _, setting = word.partition("=")
        yield name.strip(), setting.strip().lower()


def _removal(value: str | None) -> Removal:
    return "no" if value == "false" else "confirm" if value == "confirm" else "yes"


def hook_name(generate_name: str, rendered: str, phase: Phase, index: int) -> str:
    """The name of a hook that gives only `generateName`: the same one for the same rendered set, without a clock.

    `rendered` is the hash of the rendered set, `index` the hook's place among those of its phase.
    """
    ending = f"{rendered[:7]}-{phase}-{index}".lower()
    return generate_name[: _NAME_LENGTH - len(ending)].lower() + ending


def as_applied(document: Mapping[str, Any], name: str) -> dict[str, Any]:
    """A hook as it is sent: named, and without the time after which a Job would vanish before we have seen its end."""
    metadata = {key: value for key, value in (document.get("metadata") or {}).items() if key != "generateName"}
    sent = {**document, "metadata": {**metadata, "name": name}}
    spec = document.get("spec")
    if document.get("kind") == "Job" and isinstance(spec, Mapping):
        sent["spec"] = {key: value for key, value in spec.items() if key != "ttlSecondsAfterFinished"}
    return sent
