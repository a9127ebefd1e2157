"""The files of an update while its plan is made: read once, edited one after the other, and what moved."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from ci_gitops.core.edits import Edit
from ci_gitops.core.targets import Target
from ci_gitops.core.trailers import ImageMove, ValueMove
from ci_gitops.core.uses import Tree
from ci_gitops.errors import EditError

YAML = (".yaml", ".yml")


@dataclass(frozen=True, slots=True)
class TargetFiles:
    """A target, and what its app's settings say of its files."""

    target: Target
    images: tuple[str, ...] = ()  # the images that may be updated; all where empty
    values: tuple[str, ...] = ()  # Helm values files, the last one wins
    named: bool = False  # the app was named by the call, so finding nothing to do there is an error


@dataclass(slots=True)
class Work:
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

    def moved(self, files: TargetFiles, name: str, old: str | None, new: str) -> None:
        target = files.target
        self.images.append(ImageMove(target.environment, target.app, name, old, new))


def yaml_files(tree: Tree, target: Target) -> list[str]:
    """The target's own YAML files."""
    return [path for path in tree.files() if target.holds(path) and path.endswith(YAML)]
