"""What a preview is made of, at one head of the branch: files to write, images that move, and the record of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from ci_gitops.core.images import ImageArgument
from ci_gitops.core.layout import KUSTOMIZATIONS
from ci_gitops.core.preview_files import (
    Facts,
    Overlaid,
    filled,
    image_arguments,
    lost_references,
    shape,
    text_of,
    with_namespace,
)
from ci_gitops.core.previews import Preview, strangers
from ci_gitops.core.trailers import ImageMove
from ci_gitops.core.update_images import set_image, unused
from ci_gitops.core.update_work import TargetFiles, Work
from ci_gitops.core.uses import Tree, reference
from ci_gitops.errors import EditError, RefusedError

Read = Callable[[Sequence[str]], Mapping[str, bytes]]


@dataclass(frozen=True, slots=True)
class Part:
    """One app of a preview."""

    files: TargetFiles
    copies: Mapping[str, str]  # a file of the template -> its place
    facts: Facts
    images: tuple[ImageArgument, ...] = ()  # as another environment has them

    @property
    def app(self) -> str:
        return self.files.target.app


@dataclass(frozen=True, slots=True)
class Made:
    """What is to be written. `changed` holds only what differs from what is there; None is taken out."""

    changed: Mapping[str, bytes | None]
    files: Mapping[str, Mapping[str, str]]  # app -> path -> shape, for the record
    images: tuple[ImageMove, ...]
    notes: tuple[str, ...] = ()


def make(tree: Tree, read: Read, parts: Sequence[Part], given: Sequence[ImageArgument], before: Preview | None) -> Made:
    """Make the apps anew from their templates; files that people changed keep their text, but for images."""
    return _Making(tree, read, parts, before).make(given)


@dataclass(slots=True)
class _Making:
    tree: Tree
    read: Read
    parts: Sequence[Part]
    before: Preview | None
    notes: list[str] = field(default_factory=list)

    def make(self, given: Sequence[ImageArgument]) -> Made:
        wanted, kept = self._wanted()
        gone = self._left_over(set(wanted))
        overlaid = Overlaid(self.tree, {**wanted, **dict.fromkeys(gone)})
        edited = self._with_images(overlaid, given)
        files: dict[str, bytes | None] = {path: edited.get(path, content) for path, content in wanted.items()}
        after = Overlaid(self.tree, {**files, **dict.fromkeys(gone)})
        self._refuse_lost(after, kept)
        there = self._contents([path for path in files if self.tree.holds(path)])
        changed = {path: content for path, content in files.items() if there.get(path) != content}
        return Made(
            {**changed, **dict.fromkeys(gone)}, self._shapes(files, kept), self._moves(after), tuple(self.notes)
        )

    # What the template says, and what people made of it

    def _wanted(self) -> tuple[dict[str, bytes], frozenset[str]]:
        """Path -> content, and the paths whose content is people's."""
        wanted: dict[str, bytes] = {}
        kept: set[str] = set()
        sources = self._contents([path for part in self.parts for path in part.copies])
        for part in self.parts:
            known = self._known(part.app)
            there = self._contents([path for path in part.copies.values() if self.tree.holds(path)])
            if not known:
                self._refuse_strange(part)
            for source, path in part.copies.items():
                if source not in sources:
                    raise EditError(
                        f"{source} of the template is no file: a link that leads elsewhere, or a submodule."
                    )
                if path in there and known.get(path) != shape(there[path], path):
                    wanted[path] = there[path]
                    kept.add(path)
                    self.notes.append(f"{path} was changed by others: it stays as it is, but for its images.")
                else:
                    wanted[path] = _new(sources[source], path, part)
        return wanted, frozenset(kept)

    def _refuse_strange(self, part: Part) -> None:
        recorded = self.before.paths if self.before else {}
        own = dict.fromkeys(part.copies.values(), "")
        environment = part.files.target.environment
        strange = [path for path in strangers(self.tree.files(), own, environment) if path not in recorded]
        strange += [path for path in own if self.tree.holds(path)]
        if strange:
            raise RefusedError(
                f"{strange[0]} is there, and no preview made it.",
                hint=f"Remove what is at {part.files.target.path}, or take another --name.",
            )

    def _left_over(self, wanted: set[str]) -> list[str]:
        """What the template does not have any more, where it is still as we wrote it."""
        apps = [part.app for part in self.parts]
        recorded = {path: one for app in apps for path, one in self._known(app).items() if path not in wanted}
        there = self._contents([path for path in recorded if self.tree.holds(path)])
        for path, content in there.items():
            if shape(content, path) != recorded[path]:
                self.notes.append(f"{path} is no more in the template; it was changed by others and stays.")
        return [path for path, content in there.items() if shape(content, path) == recorded[path]]

    def _known(self, app: str) -> Mapping[str, str]:
        return self.before.files.get(app, {}) if self.before else {}

    def _contents(self, paths: Sequence[str]) -> Mapping[str, bytes]:
        return self.read(paths) if paths else {}

    # Images

    def _with_images(self, tree: Tree, given: Sequence[ImageArgument]) -> dict[str, bytes]:
        """The files in which images move, with the versions of the other environment and then those of the call."""
        work = Work(tree, "")
        for part in self.parts:
            everything = replace(part.files, images=(), named=False)
            for image in part.images:
                set_image(work, everything, image)
        for image in given:
            if not [part for part in self.parts if set_image(work, part.files, image)]:
                raise unused(work, [part.files for part in self.parts], image)
        return {edit.path: edit.new.encode() for edit in work.whole_edits()}

    def _moves(self, after: Tree) -> tuple[ImageMove, ...]:
        moves = []
        for part in self.parts:
            target = part.files.target
            old = _references(self.tree, part.files)
            for name, new in _references(after, part.files).items():
                if old.get(name) != new:
                    moves.append(ImageMove(target.environment, target.app, name, old.get(name), new))
        return tuple(moves)

    # Afterwards

    def _refuse_lost(self, after: Tree, kept: frozenset[str]) -> None:
        for part in self.parts:
            for source, path in part.copies.items():
                lost = () if path in kept else lost_references(self.tree, source, after, path)
                if lost:
                    raise EditError(
                        f"{source} refers to {lost[0]}, which leads nowhere from {path}.",
                        hint="Keep the template beside the overlays, or correct the reference.",
                    )

    def _shapes(self, files: Mapping[str, bytes | None], kept: frozenset[str]) -> dict[str, dict[str, str]]:
        """For all apps of the record; what is people's keeps the shape of what we wrote there, if we did."""
        shapes = {app: dict(known) for app, known in (self.before.files if self.before else {}).items()}
        for part in self.parts:
            known = self._known(part.app)
            mine = {path: known[path] for path in part.copies.values() if path in kept and path in known}
            fresh = {path: content for path in part.copies.values() if (content := files[path]) and path not in kept}
            shapes[part.app] = mine | {path: shape(content, path) for path, content in fresh.items()}
        return shapes


def _new(content: bytes, path: str, part: Part) -> bytes:
    new = filled(content, path, part.facts)
    folder, _, name = path.rpartition("/")
    if name in KUSTOMIZATIONS and folder == part.files.target.path:
        return with_namespace(text_of(new, path), path, part.facts.namespace).encode()
    return new


def _references(tree: Tree, files: TargetFiles) -> dict[str, str]:
    if not any(tree.holds(path) for path in (*files.values[-1:], files.target.path)):
        return {}
    return {
        each.name: reference(each.new_name or each.name, each.tag, each.digest) for each in image_arguments(tree, files)
    }
