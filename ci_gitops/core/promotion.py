"""What a promotion brings: of what runs in one environment, that which the other one's files name.

Only versions travel: tags, digests and versions of charts. Names of images stay as each environment has them, so a
mirror of one's own is kept, and so does every other value.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from ci_gitops.core.images import ImageArgument, ImageRef
from ci_gitops.core.intents import Intent
from ci_gitops.core.running import Running
from ci_gitops.core.target_images import Slot, slots_of
from ci_gitops.core.text import did_you_mean
from ci_gitops.core.update_images import set_image
from ci_gitops.core.update_work import TargetFiles, Work
from ci_gitops.core.uses import Tree
from ci_gitops.errors import UsageError

DigestFrom = Literal["deployed", "target", "registry"]


@dataclass(frozen=True, slots=True)
class Version:
    """One image of one app on its way. `name` is what the target's files call it, `there` what they say now."""

    name: str
    image: ImageRef  # as it is pulled where it goes
    there: str | None
    digest_from: DigestFrom | None = "deployed"  # None: nobody knows the digest yet

    @property
    def moves(self) -> bool:
        return self.there != str(self.image)

    @property
    def argument(self) -> ImageArgument:
        return ImageArgument(self.name, None, self.image.tag, self.image.digest)

    def pinned(self, digest: str) -> Version:
        return replace(self, image=replace(self.image, digest=digest), digest_from="registry")


@dataclass(frozen=True, slots=True)
class Candidate:
    """What one app would bring. `notes` say what stays behind."""

    running: Running
    versions: tuple[Version, ...] = ()
    charts: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def app(self) -> str:
        return self.running.target.app

    @property
    def intent(self) -> Intent:
        return Intent(images=tuple(each.argument for each in self.versions), charts=self.charts)


@dataclass(frozen=True, slots=True)
class Side:
    """One app's target in one of the two environments."""

    tree: Tree
    files: TargetFiles

    @property
    def slots(self) -> tuple[Slot, ...]:
        return slots_of(self.tree, self.files)


def candidate(running: Running, source: Side, target: Side, only: Sequence[str] = ()) -> Candidate:
    """What the app brings from `source` to `target`; of images, those that `only` names."""
    versions: list[Version] = []
    notes: list[str] = []
    theirs, ours = source.slots, target.slots
    for name, run in _by_name(running.images).items():
        declared = [slot for slot in theirs if slot.image == name]
        keys = {slot.key for slot in declared}
        if only and not is_named(name, keys, only):
            continue
        slot = _place_of(ours, name, keys)
        if slot is None:
            if declared:
                notes.append(f"{running.target}: {name} stays there; {target.files.target} has no such image")
        elif not _is_inherited(slot, declared) and (known_as := _known_as(target, slot, name)):
            if len(run) > 1:
                several = ", ".join(map(str, run))
                notes.append(f"{running.target}: it runs {several} at once; neither is copied")
            else:
                versions.append(_version(known_as, slot, run[0]))
    return Candidate(running, tuple(versions), (), tuple(notes))


def not_deployed(running: Running, head: Side) -> tuple[str, ...]:
    """What the head of the source's branch declares otherwise: who waits for that should know that it is not there."""
    run = _by_name(running.images)
    declared = _by_name(slot.there for slot in head.slots) if running.evidence != "git" else {}
    newer = [
        str(each) for name, images in declared.items() for each in images
        if name in run and all(not _is_same(each, other) for other in run[name])
    ]  # fmt: skip
    said = f"{running.target}: {', '.join(newer)} is declared there and not deployed yet"
    return (said,) if newer else ()


def _is_same(declared: ImageRef, run: ImageRef) -> bool:
    """A digest that one of both leaves open was found out since, or is not read by the chart."""
    return declared.tag == run.tag and (not declared.digest or not run.digest or declared.digest == run.digest)


def _by_name(images: Iterable[str]) -> Mapping[str, list[ImageRef]]:
    found: dict[str, list[ImageRef]] = {}
    for image in filter(None, map(_parsed, images)):
        found.setdefault(image.name, []).append(image)
    return found


def _parsed(text: str) -> ImageRef | None:
    """What a template made of nothing is no version."""
    try:
        return ImageRef.parse(text)
    except UsageError:
        return None


def _place_of(slots: Sequence[Slot], name: str, keys: set[str]) -> Slot | None:
    """Where the target says the version of the image: by its name, else at the key that the source has it at."""
    by_name = (slot for slot in slots if name in (slot.image, slot.name))
    return next(by_name, None) or next((slot for slot in slots if slot.key in keys), None)


def _is_inherited(slot: Slot, declared: Sequence[Slot]) -> bool:
    """What both take from the same base is nobody's to promote."""
    return not slot.own and any(each.there == slot.there and not each.own for each in declared)


def _known_as(target: Side, slot: Slot, name: str) -> str | None:
    """The name by which an update writes it; None where the app's `images` leave it to others."""
    files = replace(target.files, named=False)
    for each in dict.fromkeys((slot.name, name)):
        if set_image(Work(target.tree, ""), files, ImageArgument(each, None, "any", None)):
            return each
    return None


def _version(known_as: str, slot: Slot, image: ImageRef) -> Version:
    """Where the digest is not known and the target has that tag already, it is there: a tag may have moved since."""
    wanted = replace(image, name=slot.image)
    if wanted.digest:
        return Version(known_as, wanted, slot.there)
    there = _parsed(slot.there)
    if there and wanted.tag and (there.name, there.tag) == (wanted.name, wanted.tag):
        return Version(known_as, there, slot.there, "target")
    return Version(known_as, wanted, slot.there, None)


def is_named(name: str, keys: Iterable[str], only: Sequence[str]) -> bool:
    """Whether one of `only` means the image: by its name, its last word, or the key that it has in the files."""
    return any(each in (name, name.rpartition("/")[2], *keys) for each in only)


def unknown_images(only: Sequence[str], found: Iterable[Candidate], running: Iterable[Running]) -> str | None:
    """The hint for the first of `only` that nothing was found for; None where each is known."""
    brought = [version for each in found for version in each.versions]
    for name in only:
        if not any(is_named(version.image.name, [version.name], [name]) for version in brought):
            known = {ref for each in running for ref in _by_name(each.images)}
            return did_you_mean(name, known, "Images there") or "No image is known there at all."
    return None


def with_groups(apps: Sequence[str], groups: Mapping[str, str]) -> tuple[str, ...]:
    """The apps, with all others of their groups: those move together."""
    moved = {groups[app] for app in apps if app in groups}
    return tuple(dict.fromkeys([*apps, *(app for app, group in groups.items() if group in moved)]))


def left_behind(stuck: Iterable[str], apps: Iterable[str], groups: Mapping[str, str]) -> dict[str, str]:
    """Of `apps`, those that stay for the sake of a stuck one of their group: app -> that one."""
    known = sorted(stuck, reverse=True)
    why = {groups[app]: app for app in known if app in groups}
    return {app: why[groups[app]] for app in apps if groups.get(app, "") in why and app not in known}
