"""The order in which a deploy applies objects: stages, one after the other; the objects of one may go side by side.

Sorted by phase, wave, kind and name, as Argo CD does (https://argo-cd.readthedocs.io/en/stable/user-guide/sync-waves/),
with the edges that the API server insists on: a Namespace or CustomResourceDefinition that would come after an object
that needs it is pulled in front of that object, into its phase and wave; within a wave so is a class that an object
names. Webhook configurations end their wave. What annotations ask for is never turned round otherwise: a ConfigMap in
a later wave stays there. Applying takes its stages from here; removing takes them in reverse.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from ci_gitops.core.hooks import PHASES, Phase, Wishes, wishes
from ci_gitops.core.manifests import Manifest, kind_rank

#: What a deploy goes through; SyncFail only where another phase failed.
DEPLOY: tuple[Phase, ...] = ("PreSync", "Sync", "PostSync", "SyncFail")
_Given = TypeVar("_Given", Manifest, Mapping[str, Any], dict[str, Any])
#: A kind of need, and the name of what is needed.
_Need = tuple[str, str]
_CLASSES = {"PriorityClass": "priorityClassName", "RuntimeClass": "runtimeClassName"}


@dataclass(frozen=True, slots=True)
class Stage:
    """Objects of one phase and wave that need nothing of each other, in the order to name them."""

    phase: Phase
    wave: int
    manifests: tuple[Any, ...]  # as they were given

    def __iter__(self) -> Iterator[Any]:
        return iter(self.manifests)

    def __len__(self) -> int:
        return len(self.manifests)


@dataclass(frozen=True, slots=True)
class _Task:
    """One object in one phase, and where it sorts. `pulled` ones come first among equals."""

    given: Any
    document: Mapping[str, Any]
    phase: Phase
    wave: int
    rank: int
    pulled: bool = False

    @property
    def place(self) -> tuple[int, int, int, bool]:
        return (PHASES.index(self.phase), self.wave, self.rank, not self.pulled)

    @property
    def key(self) -> tuple[tuple[int, int, int, bool], str, str, str]:
        metadata = _metadata(self.document)
        name = str(metadata.get("name") or metadata.get("generateName") or "")
        return (self.place, name, _text(self.document, "kind"), str(metadata.get("namespace") or ""))


def order(
    manifests: Iterable[_Given],
    *,
    namespace: str | None = None,
    installing: bool | None = None,
    phases: Collection[Phase] = DEPLOY,
) -> tuple[Stage, ...]:
    """The stages in which `manifests`, documents or records, are applied; what is skipped or for no such phase is out.

    `namespace` is where objects go that name none. `installing` says whether it is the first deploy of these objects,
    where hooks of Helm ask for that; None takes all.
    """
    tasks = [task for given in manifests for task in _tasks(given, installing) if task.phase in phases]
    tasks = _pulled(tasks, namespace)
    stages: list[Stage] = []
    last: tuple[int, int, int, bool] | None = None
    for task in sorted(tasks, key=lambda task: task.key):
        if task.place == last:
            stages[-1] = replace(stages[-1], manifests=(*stages[-1].manifests, task.given))
        else:
            stages.append(Stage(task.phase, task.wave, (task.given,)))
        last = task.place
    return tuple(stages)


def removal(manifests: Iterable[_Given], *, namespace: str | None = None) -> tuple[Stage, ...]:
    """The stages in which objects are removed: the reverse of how they come. Hooks are never pruned."""
    kept = [given for given in manifests if not _wishes(given).is_hook]
    stages = order(kept, namespace=namespace)
    return tuple(replace(stage, manifests=stage.manifests[::-1]) for stage in reversed(stages))


def _tasks(given: _Given, installing: bool | None) -> Iterator[_Task]:
    document = _document(given)
    asked = _wishes(given)
    if asked.skipped:
        return
    rank = kind_rank(_text(document, "kind"))
    if not asked.is_hook:
        yield _Task(given, document, "Sync", asked.wave, rank)
    for hook in asked.hooks:
        if installing is None or (hook.at_install if installing else hook.at_upgrade):
            yield _Task(given, document, hook.phase, asked.wave, rank)


def _pulled(tasks: list[_Task], namespace: str | None) -> list[_Task]:
    """The same tasks, with what others need placed in front of the first of them."""
    firsts: dict[_Need, _Task] = {}
    beside: dict[tuple[_Need, Phase, int], _Task] = {}
    for task in sorted(tasks, key=lambda task: task.key):
        for need in _needs(task.document, namespace):
            firsts.setdefault(need, task)
        for need in _class_needs(task.document):
            beside.setdefault((need, task.phase, task.wave), task)
    placed = []
    for task in tasks:
        offered = _offers(task.document)
        first = firsts.get(offered) or beside.get((offered, task.phase, task.wave)) if offered else None
        if first is not None and first.place < task.place:
            task = replace(task, phase=first.phase, wave=first.wave, rank=first.rank, pulled=True)
        placed.append(task)
    return placed


def _needs(document: Mapping[str, Any], namespace: str | None) -> Iterator[_Need]:
    """What must be there before the API server takes the object."""
    where = _metadata(document).get("namespace") or namespace
    if where and _text(document, "kind") not in ("Namespace", "CustomResourceDefinition"):
        yield ("Namespace", str(where))
    group, slash, _ = _text(document, "apiVersion").rpartition("/")
    if slash:
        yield ("CustomResourceDefinition", f"{_text(document, 'kind')}.{group}")


def _class_needs(document: Mapping[str, Any]) -> Iterator[_Need]:
    """The classes that pods of the object name: without them no pod is admitted."""
    pod = _pod(document)
    for kind, field in _CLASSES.items():
        if pod.get(field):
            yield (kind, str(pod[field]))


def _pod(document: Mapping[str, Any]) -> Mapping[str, Any]:
    """The pod that the object is or makes; empty where it makes none."""
    spec: Any = document.get("spec")
    for name in ("jobTemplate", "template"):
        if isinstance(spec, Mapping) and isinstance(spec.get(name), Mapping):
            spec = spec[name].get("spec")
    return spec if isinstance(spec, Mapping) else {}


def _offers(document: Mapping[str, Any]) -> _Need | None:
    kind = _text(document, "kind")
    if kind == "CustomResourceDefinition":
        spec = document.get("spec")
        names = spec.get("names") if isinstance(spec, Mapping) else None
        if isinstance(spec, Mapping) and isinstance(names, Mapping):
            return (kind, f"{names.get('kind')}.{spec.get('group')}")
        return None
    return (kind, str(_metadata(document).get("name"))) if kind in ("Namespace", *_CLASSES) else None


def _wishes(given: Any) -> Wishes:
    return wishes(_document(given))


def _document(given: Any) -> Mapping[str, Any]:
    return given.document if isinstance(given, Manifest) else given


def _metadata(document: Mapping[str, Any]) -> Mapping[str, Any]:
    found = document.get("metadata")
    return found if isinstance(found, Mapping) else {}


def _text(document: Mapping[str, Any], field: str) -> str:
    return str(document.get(field) or "")
