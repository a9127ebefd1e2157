"""What an update writes: its intent, applied to the files of its targets at one revision.

The intent is applied anew to each head that a push has to go on top of; the same intent on the same tree gives
the same edits.
"""

from __future__ import annotations

import posixpath
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from ci_gitops.core.edits import Edit, image_uses, set_images
from ci_gitops.core.edits.chart_lock import concerns_lock, lock_name, relock
from ci_gitops.core.edits.chart_uses import ChartUse, chart_uses
from ci_gitops.core.edits.charts import set_charts
from ci_gitops.core.edits.scalars import set_values
from ci_gitops.core.images import ImageArgument
from ci_gitops.core.targets import Target
from ci_gitops.core.text import did_you_mean
from ci_gitops.core.trailers import ImageMove, ValueMove
from ci_gitops.core.uses import (
    Tree,
    join,
    kustomization_file,
    read_kustomization,
    reference,
    unseen_parts,
    visible_images,
    walk,
)
from ci_gitops.core.yamltext import parse
from ci_gitops.errors import EditError, UsageError

_YAML = (".yaml", ".yml")


@dataclass(frozen=True, slots=True)
class Assignment:
    """`APP:PATH:KEY=VALUE`: one value of one file of one app."""

    app: str
    path: str
    key: str
    value: str

    @classmethod
    def parse(cls, text: str) -> Assignment:
        left, equals, value = text.partition("=")
        parts = left.split(":", 2)
        if not equals or len(parts) != 3 or not all(parts):
            raise UsageError(
                f"{text!r} is not APP:PATH:KEY=VALUE.", hint="For example: --set shop:values.yaml:replicas=3"
            )
        app, path, key = parts
        normal = posixpath.normpath(path)
        if posixpath.isabs(path) or normal == ".." or normal.startswith("../"):
            raise UsageError(f"{path!r} in --set leads out of the config repository.", hint="Give a path inside it.")
        return cls(app, normal, key, value)


@dataclass(frozen=True, slots=True)
class Intent:
    """What one call wants, whatever the head of the branch is."""

    images: tuple[ImageArgument, ...] = ()
    values: tuple[Assignment, ...] = ()
    charts: tuple[tuple[str, str], ...] = ()

    def __bool__(self) -> bool:
        return bool(self.images or self.values or self.charts)


@dataclass(frozen=True, slots=True)
class TargetFiles:
    """A target, and what its app's settings say of its files."""

    target: Target
    images: tuple[str, ...] = ()  # the images that may be updated; all where empty
    values: tuple[str, ...] = ()  # Helm values files, the last one wins
    named: bool = False  # the app was named by the call, so finding nothing to do there is an error


@dataclass(frozen=True, slots=True)
class Plan:
    """The edits of one commit and what they move."""

    edits: tuple[Edit, ...] = ()
    images: tuple[ImageMove, ...] = ()
    values: tuple[ValueMove, ...] = ()
    notes: tuple[str, ...] = ()
    targets: tuple[Target, ...] = ()  # those that the intent concerns, changed or not

    @property
    def changed(self) -> bool:
        return any(edit.changed for edit in self.edits)

    @property
    def moved_targets(self) -> tuple[Target, ...]:
        """The targets that really change."""
        moved = {(move.app, move.environment) for move in self.images}
        moved |= {(move.app, move.environment) for move in self.values}
        return tuple(target for target in self.targets if (target.app, target.environment) in moved)


@dataclass(slots=True)
class _Work:
    """The files as they become while a plan is made."""

    tree: Tree
    now: str
    before: dict[str, str] = field(default_factory=dict)
    after: dict[str, str] = field(default_factory=dict)
    edits: dict[str, list[Edit]] = field(default_factory=dict)
    images: list[ImageMove] = field(default_factory=list)
    values: list[ValueMove] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def load(self, paths: Sequence[str]) -> None:
        missing = [path for path in paths if path not in self.after]
        if missing:
            texts = self.tree.read(missing)
            self.before |= texts
            self.after |= texts

    def text(self, path: str) -> str:
        self.load([path])
        if path not in self.after:
            raise EditError(f"{path} is not a file of the config repository.")
        return self.after[path]

    def put(self, edit: Edit) -> None:
        self.notes += [note for note in edit.notes if note not in self.notes]
        if edit.changed:
            self.after[edit.path] = edit.new
            self.edits.setdefault(edit.path, []).append(edit)

    def whole_edits(self) -> tuple[Edit, ...]:
        return tuple(
            Edit(path, self.before[path], self.after[path], tuple(change for one in edits for change in one.changes))
            for path, edits in self.edits.items()
            if self.before[path] != self.after[path]
        )


def plan_update(
    intent: Intent,
    targets: Sequence[TargetFiles],
    tree: Tree,
    skip: frozenset[tuple[str, str]] = frozenset(),
    *,
    now: str = "",
) -> Plan:
    """The edits that bring `targets` to what `intent` says.

    `skip` holds pairs of target (`environment/app`) and image that stay as they are; `now` (RFC 3339) is for the
    files that hold the time of their making. Raises EditError where an
    image, value or chart is found nowhere in an environment, or where a file cannot be edited.
    """
    work = _Work(tree, now)
    concerned: dict[Target, None] = {}
    work.load([path for files in targets for path in _first_files(files, tree)])
    for environment in dict.fromkeys(files.target.environment for files in targets):
        chosen = [files for files in targets if files.target.environment == environment]
        for image in intent.images:
            found = [each for each in chosen if _skipped(each, image, skip) or _set_image(work, each, image)]
            if not found:
                raise _unused(work, chosen, image)
            concerned |= dict.fromkeys(each.target for each in found)
        for assignment in intent.values:
            concerned |= dict.fromkeys(_set_value(work, chosen, assignment))
        for name, version in intent.charts:
            concerned |= dict.fromkeys(_set_chart(work, chosen, name, version))
    notes = tuple(work.notes)
    return Plan(work.whole_edits(), tuple(work.images), tuple(work.values), notes, tuple(concerned))


def _skipped(files: TargetFiles, image: ImageArgument, skip: frozenset[tuple[str, str]]) -> bool:
    return (f"{files.target.environment}/{files.target.app}", image.name) in skip


def _first_files(files: TargetFiles, tree: Tree) -> list[str]:
    """What will surely be read, so that all targets need one request together."""
    kustomization = kustomization_file(tree, files.target.path)
    return [kustomization] if kustomization else [*files.values]


def _set_image(work: _Work, files: TargetFiles, image: ImageArgument) -> bool:
    """Write `image` into the target; False where the target does not use it."""
    if files.images and image.name not in files.images:
        return False
    if kustomization := kustomization_file(work.tree, files.target.path):
        return _set_in_kustomization(work, files, kustomization, image)
    if files.values:
        return _set_in_values(work, files, image)
    return _set_in_manifests(work, files, image)


def _set_in_kustomization(work: _Work, files: TargetFiles, path: str, image: ImageArgument) -> bool:
    text = work.text(path)
    entries = {entry.name: entry for entry in read_kustomization(work.tree, path, text).entries}
    old: str | None
    if image.name in entries:
        name, old = image.name, entries[image.name].reference
    elif renamed := [entry for entry in entries.values() if entry.new_name == image.name]:
        name, old = renamed[0].name, renamed[0].reference
    else:
        found = walk(work.tree, files.target.path)
        visible = visible_images(found, files.target.path)
        unseen = unseen_parts(found)
        if image.name not in visible and not (files.named and unseen):
            return False
        if image.name not in visible:
            work.notes.append(f"{path}: {image.name} is new there; {unseen[0]} was not looked into")
        name, old = image.name, visible.get(image.name)
    edit = set_images(text, [replace(image, name=name)], path=path)
    work.put(edit)
    after = {entry.name: entry for entry in read_kustomization(work.tree, path, edit.new).entries}
    if edit.changed:
        _moved(work, files, image.name, old, after[name].reference)
    return True


def _moved(work: _Work, files: TargetFiles, name: str, old: str | None, new: str) -> None:
    target = files.target
    work.images.append(ImageMove(target.environment, target.app, name, old, new))


def _set_in_manifests(work: _Work, files: TargetFiles, image: ImageArgument) -> bool:
    paths = _yaml_files(work.tree, files.target)
    work.load(paths)
    found = False
    for path in paths:
        uses = [use for use in image_uses(work.text(path), path=path) if use.name == image.name]
        if not uses:
            continue
        found = True
        edit = set_images(work.text(path), [image], path=path)
        work.put(edit)
        if edit.changed:
            after = next(use for use in image_uses(edit.new, path=path) if use.field == uses[0].field)
            old = reference(image.name, uses[0].tag, uses[0].digest)
            _moved(work, files, image.name, old, reference(after.name, after.tag, after.digest))
    return found


def _yaml_files(tree: Tree, target: Target) -> list[str]:
    return [path for path in tree.files() if target.holds(path) and path.endswith(_YAML)]


def _set_in_values(work: _Work, files: TargetFiles, image: ImageArgument) -> bool:
    """Write into the last values file (the environment's own), at the key where any of the files names the image."""
    work.load(files.values)
    present = [path for path in files.values if path in work.after]
    own = present[-1] if present else None
    keys: dict[str, str] = {}
    for path in present:
        keys |= {
            use.field: reference(use.name, use.tag, use.digest)
            for use in image_uses(work.text(path), path=path)
            if use.name == image.name
        }
    if own is None or not keys:
        return False
    for key, old in keys.items():
        edit = set_images(work.text(own), [image], path=own, key=key)
        work.put(edit)
        if edit.changed:
            _moved(work, files, image.name, old, _written(edit, image))
    return True


def _written(edit: Edit, image: ImageArgument) -> str:
    """The reference after an edit of values, as far as the file itself says it."""
    uses = [use for use in image_uses(edit.new, path=edit.path) if use.name == image.name]
    if uses:
        return reference(uses[0].name, uses[0].tag, uses[0].digest)
    tag = image.tag if isinstance(image.tag, str) else None
    return reference(image.name, tag, image.digest if isinstance(image.digest, str) else None)


def _unused(work: _Work, targets: Sequence[TargetFiles], image: ImageArgument) -> EditError:
    known: dict[str, None] = {}
    for files in targets:
        if kustomization_file(work.tree, files.target.path):
            found = walk(work.tree, files.target.path)
            known |= dict.fromkeys(visible_images(found, files.target.path))
            own = found.kustomizations.get(files.target.path)
            known |= dict.fromkeys(entry.new_name or entry.name for entry in (own.entries if own else ()))
        else:
            paths = [*files.values] or _yaml_files(work.tree, files.target)
            work.load(paths)
            texts = [(path, work.after[path]) for path in paths if path in work.after]
            known |= dict.fromkeys(use.name for path, text in texts for use in image_uses(text, path=path))
    where = ", ".join(str(files.target) for files in targets[:4]) + (" and others" if len(targets) > 4 else "")
    return EditError(
        f"The image {image.name} is used nowhere in {where}.",
        hint=did_you_mean(image.name, known, "Images there") or "No image was found there at all.",
    )


def _set_value(work: _Work, targets: Sequence[TargetFiles], assignment: Assignment) -> list[Target]:
    meant = [files for files in targets if files.target.app == assignment.app]
    if not meant:
        apps = {files.target.app for files in targets}
        raise UsageError(f"There is no app {assignment.app!r} here.", hint=did_you_mean(assignment.app, apps, "Apps"))
    for files in meant:
        folder = files.target.path if not files.target.path.endswith(_YAML) else posixpath.dirname(files.target.path)
        candidates = [join(folder or ".", assignment.path), assignment.path]
        path = next((each for each in candidates if work.tree.holds(each)), None)
        if path is None:
            names = [each.removeprefix(f"{folder}/") for each in work.tree.files() if files.target.holds(each)]
            raise EditError(
                f"{files.target} has no file {assignment.path} (looked for {' and '.join(candidates)}).",
                hint=did_you_mean(assignment.path, names, "Files there"),
            )
        edit = set_values(work.text(path), [(assignment.key, assignment.value)], path=path)
        work.put(edit)
        _values_moved(work, files.target, edit)
        _lock(work, edit)
    return [files.target for files in meant]


def _set_chart(work: _Work, targets: Sequence[TargetFiles], name: str, version: str) -> list[Target]:
    found: list[Target] = []
    known: set[str] = set()
    for files in targets:
        shared = _chart_of(work.tree, files.target)
        paths = [*_yaml_files(work.tree, files.target), *shared]
        work.load(paths)
        for path in paths:
            uses = _chart_uses(work.text(path), path)
            known |= {use.short for use in uses}
            if any(name in (use.chart, use.chart.removeprefix("oci://"), use.short, use.name) for use in uses):
                edit = set_charts(work.text(path), [(name, version)], path=path)
                work.put(edit)
                _values_moved(work, files.target, edit)
                _lock(work, edit)
                found.append(files.target)
                if path in shared and edit.changed:
                    work.notes.append(f"{path} is one for all environments: its charts change in each of them.")
    if not found:
        where = ", ".join(str(files.target) for files in targets[:4])
        raise EditError(f"The chart {name} is used nowhere in {where}.", hint=did_you_mean(name, known, "Charts there"))
    return found


def _chart_of(tree: Tree, target: Target) -> list[str]:
    """The files that declare the charts of a target that is a chart's values file."""
    if not target.path.endswith(_YAML):
        return []
    names = (join(posixpath.dirname(target.path) or ".", name) for name in ("Chart.yaml", "requirements.yaml"))
    return [name for name in names if tree.holds(name)]


def _chart_uses(text: str, path: str) -> list[ChartUse]:
    """The charts that a file names; none in what is no YAML (a chart's templates)."""
    try:
        return chart_uses(parse(text, path).documents)
    except EditError:
        return []


def _lock(work: _Work, edit: Edit) -> None:
    """Keep Chart.lock in step with the Chart.yaml that was edited."""
    lock = lock_name(edit.path)
    if lock and concerns_lock(edit, by_chart=False) and work.tree.holds(lock):
        work.put(relock(edit, work.text(lock), path=lock, now=work.now))


def _values_moved(work: _Work, target: Target, edit: Edit) -> None:
    work.values += [
        ValueMove(target.environment, target.app, edit.path, change.field, change.old, change.new or "")
        for change in edit.changes
    ]
