"""The files of a preview: a template's text with its placeholders filled in, and what tells ours from people's work."""

from __future__ import annotations

import hashlib
import posixpath
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from ci_gitops.core.edits import image_uses, set_images
from ci_gitops.core.edits.draft import Draft
from ci_gitops.core.images import ImageArgument
from ci_gitops.core.layout import KUSTOMIZATIONS
from ci_gitops.core.targets import with_parents
from ci_gitops.core.text import did_you_mean
from ci_gitops.core.update_work import YAML, TargetFiles
from ci_gitops.core.uses import Tree, kustomization_file, read_kustomization
from ci_gitops.core.yamlscalar import write_string
from ci_gitops.core.yamltext import Mapping as YamlMapping
from ci_gitops.errors import EditError, SettingsError

_PLACEHOLDER = re.compile(rb"\$\{preview\.([^}\s]*)\}")
#: A placeholder that is a whole value: without quotes `12` would be read as a number.
_ALONE = re.compile(rb"(?m)(?<=[:-] )\$\{preview\.([^}\s]*)\}(?=[ \t]*(?:[ \t]#[^\n]*)?\r?$)")
_ANY_VERSION = "0"


@dataclass(frozen=True, slots=True)
class Facts:
    """What the placeholders of one app's template stand for: `${preview.name}` and so on."""

    name: str
    environment: str
    namespace: str
    app: str
    url: str | None

    def get(self, word: str, where: str) -> str:
        names = self.__slots__
        if word not in names:
            known = did_you_mean(word, names, "There are")
            raise EditError(f"{where}: there is no placeholder ${{preview.{word}}}.", hint=known)
        value: str | None = getattr(self, word)
        if value is None:
            raise EditError(
                f"{where}: nothing says what ${{preview.{word}}} is.", hint="Set previews.url in .ci-gitops.yaml."
            )
        return value


def filled(content: bytes, path: str, facts: Facts) -> bytes:
    """`content` with its placeholders filled in and every other byte as it was; EditError names an unknown one."""

    def value(found: re.Match[bytes]) -> str:
        line = content.count(b"\n", 0, found.start()) + 1
        return facts.get(found[1].decode("utf-8", "replace"), f"{path}:{line}")

    if path.endswith(YAML) or posixpath.basename(path) in KUSTOMIZATIONS:
        content = _ALONE.sub(lambda found: write_string(value(found))[0].encode(), content)
    return _PLACEHOLDER.sub(lambda found: value(found).encode(), content)


def with_namespace(text: str, path: str, namespace: str) -> str:
    """A kustomization that brings all its objects to `namespace`."""
    draft = Draft(text, path)
    root = draft.documents[0] if draft.documents else None
    if isinstance(root, YamlMapping) and root.get("namespace") is None:
        draft.insert_key(0, ("namespace",), namespace)
    else:
        draft.set(0, ("namespace",), namespace)
    return draft.edit().new


def shape(content: bytes, path: str) -> str:
    """What a file is but for the versions of its images: the same until somebody changes something else."""
    try:
        text = _without_versions(content.decode(), path).rstrip()
    except (UnicodeDecodeError, EditError):
        return hashlib.sha256(content).hexdigest()
    return hashlib.sha256(text.encode()).hexdigest()


def _without_versions(text: str, path: str) -> str:
    if posixpath.basename(path) in KUSTOMIZATIONS:
        draft = Draft(text, path)
        root = draft.documents[0] if draft.documents else None
        if isinstance(root, YamlMapping) and root.get("images") is not None:
            draft.remove_key(0, ("images",))
        return draft.edit().new
    names = dict.fromkeys(use.name for use in image_uses(text, path=path)) if path.endswith(YAML) else ()
    images = [ImageArgument(name, None, _ANY_VERSION) for name in names]
    return set_images(text, images, path=path).new if images else text


@dataclass(frozen=True)
class Overlaid:
    """A tree with some files put in, and some (None) taken out."""

    tree: Tree
    changed: Mapping[str, bytes | None]

    @cached_property
    def _paths(self) -> tuple[str, ...]:
        there = {path for path, content in self.changed.items() if content is not None}
        return tuple(sorted(there.union(path for path in self.tree.files() if path not in self.changed)))

    @cached_property
    def _there(self) -> frozenset[str]:
        return with_parents(self._paths)

    def holds(self, path: str) -> bool:
        return path in self._there

    def files(self) -> tuple[str, ...]:
        return self._paths

    def read(self, paths: Iterable[str]) -> Mapping[str, str]:
        wanted = list(paths)
        texts = dict(self.tree.read([path for path in wanted if path not in self.changed]))
        for path in wanted:
            content = self.changed.get(path)
            if content is not None:
                texts[path] = text_of(content, path)
        return texts


def text_of(content: bytes, path: str) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise EditError(f"{path} is not UTF-8 text (byte {error.start}); it is not edited.") from error


def copied_paths(tree: Tree, template: str, own: str) -> dict[str, str]:
    """Each file of the template with its place in the preview; nothing where there is no template."""
    if not tree.holds(template):
        return {}
    if template in (own, ".") or own.startswith(f"{template}/"):
        raise SettingsError(
            f"previews.template: a preview would be in {own}, inside its own template {template}.",
            hint="Keep the template beside the overlays.",
        )
    below = [path for path in tree.files() if path.startswith(f"{template}/")]
    if bool(below) == own.endswith(YAML):
        kind, other = ("folder", "file") if below else ("file", "folder")
        raise SettingsError(f"previews.template: {template} is a {kind}, and the app's own part, {own}, is a {other}.")
    return {path: own + path[len(template) :] for path in below} or {template: own}


def image_arguments(tree: Tree, files: TargetFiles) -> tuple[ImageArgument, ...]:
    """The images as the target's own files have them, so that another target can have the same."""
    folder = files.target.path
    if path := kustomization_file(tree, folder):
        entries = read_kustomization(tree, path, tree.read([path])[path]).entries
        found = [ImageArgument(each.name, each.new_name, each.tag, each.digest) for each in entries]
    else:
        paths = files.values[-1:] or [path for path in tree.files() if files.target.holds(path) and path.endswith(YAML)]
        texts = tree.read([path for path in paths if tree.holds(path)])
        uses = [use for path, text in texts.items() for use in image_uses(text, path=path)]
        found = [ImageArgument(use.name, None, use.tag, use.digest) for use in uses]
    return tuple(each for each in found if each.new_name or each.tag or each.digest)


def lost_references(before: Tree, template: str, after: Tree, own: str) -> tuple[str, ...]:
    """What a copied kustomization refers to and its template could reach, but it cannot from its place."""
    if posixpath.basename(own) not in KUSTOMIZATIONS:
        return ()
    reached = read_kustomization(before, template, before.read([template])[template]).unseen
    unseen = read_kustomization(after, own, after.read([own])[own]).unseen
    return tuple(reference for reference in unseen if reference not in reached)
