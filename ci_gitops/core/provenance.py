"""Where an image that runs came from: who built it, which commit wrote it, through which merge request.

Read from what others left behind: the trailers of commits, the marked block of merge requests, the labels of images.
What is not to be found is left out, and never guessed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from ci_gitops.core.family import Node
from ci_gitops.core.health.fields import mappings, text
from ci_gitops.core.images import ImageRef
from ci_gitops.core.inventory import Key
from ci_gitops.core.mergerequests import MergeRequest
from ci_gitops.core.trailers import ImageMove, Source, Trailers
from ci_gitops.errors import UsageError

#: https://github.com/opencontainers/image-spec/blob/main/annotations.md
_LABELS = ("source", "revision", "version", "created")
_LABEL = "org.opencontainers.image."
_LONGEST_LABEL = 300


@dataclass(frozen=True, slots=True)
class Commit:
    """A commit of the config repository, and what its message says of what it moved."""

    sha: str
    author: str
    email: str
    time: int
    subject: str
    moved: tuple[Trailers, ...] = field(default=(), repr=False)

    @property
    def document(self) -> dict[str, Any]:
        return {"sha": self.sha, "author": self.author, "subject": self.subject, "time": moment(self.time)}


@dataclass(frozen=True, slots=True)
class Consent:
    """A merge request that brought a commit, and who approved it."""

    request: MergeRequest
    approvers: tuple[str, ...] = ()

    @property
    def document(self) -> dict[str, Any]:
        request = self.request
        return {
            "iid": request.iid,
            "title": request.title,
            "url": request.url or None,
            "author": request.author or None,
            "approvers": list(self.approvers),
            "mergedAt": moment(request.merged_at) if request.merged_at else None,
        }


@dataclass(frozen=True, slots=True)
class Written:
    """The commit that wrote an image, which of its moves did, and from which build."""

    commit: Commit
    move: ImageMove
    source: Source | None
    exact: bool

    @property
    def document(self) -> dict[str, str]:
        return {"target": self.move.target, "commit": self.commit.sha}


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """One image of the app. `digests` are those that pods really run; `exact`: the commit wrote this very reference.

    `through` is the commit of an environment before it that names the build, where this one's own names none.
    """

    image: str
    objects: tuple[Key, ...]
    digests: tuple[str, ...] = ()
    commit: Commit | None = None
    exact: bool = False
    source: Source | None = None
    through: Written | None = None
    consent: Consent | None = None
    labels: Mapping[str, str] = field(default_factory=dict)

    @property
    def document(self) -> dict[str, Any]:
        source = self.source
        return {
            "image": self.image,
            "digests": list(self.digests),
            "objects": [str(key) for key in self.objects],
            "source": {"project": source.project, "commit": source.commit, "pipeline": source.pipeline,
                       "time": source.time} if source else None,
            "through": self.through.document if self.through else None,
            "commit": self.commit.document if self.commit else None,
            "mergeRequest": self.consent.document if self.consent else None,
            "labels": dict(self.labels),
        }  # fmt: skip


def moment(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def written_by(history: Iterable[Commit], target: str, image: str) -> Written | None:
    """The newest commit that wrote exactly this reference for the target, else the newest that wrote the image."""
    wanted = _parsed(image)
    nearest: Written | None = None
    if wanted is None:
        return None
    for commit in history:
        for trailers in reversed(commit.moved):
            for move in trailers.images:
                new = _parsed(_whole(move))
                if move.target != target or new is None or not _same_image(new, move.name, wanted):
                    continue
                if (new.tag, new.digest) == (wanted.tag, wanted.digest):
                    return Written(commit, move, trailers.source, exact=True)
                nearest = nearest or Written(commit, move, trailers.source, exact=False)
    return nearest


def built_by(history: Iterable[Commit], image: str) -> Written | None:
    """The newest commit that wrote this artifact anywhere and says from which build: promotions are no builds."""
    wanted = _parsed(image)
    for commit in history if wanted else ():
        for trailers in reversed(commit.moved):
            for move in trailers.images if trailers.source else ():
                new = _parsed(_whole(move))
                if wanted and new and _is_artifact(new, move.name, wanted):
                    return Written(commit, move, trailers.source, exact=True)
    return None


def _is_artifact(new: ImageRef, name: str, wanted: ImageRef) -> bool:
    if new.digest and wanted.digest:
        return new.digest == wanted.digest  # in whatever registry
    return new.tag is not None and new.tag == wanted.tag and _same_image(new, name, wanted)


def _same_image(new: ImageRef, name: str, wanted: ImageRef) -> bool:
    named = _parsed(name)
    return _place(new) == _place(wanted) or (named is not None and _place(named) == _place(wanted))


def _place(reference: ImageRef) -> tuple[str, str]:
    return reference.registry, reference.repository


def _whole(move: ImageMove) -> str:
    return f"{move.name}{move.new}" if move.new[:1] in (":", "@") else move.new


def _parsed(image: str) -> ImageRef | None:
    try:
        return ImageRef.parse(image)
    except UsageError:
        return None


def request_of(requests: Iterable[MergeRequest], commit: Commit, target: str) -> MergeRequest | None:
    """The merge request that brought a commit: by its head or its merge, else the next one merged for the target."""
    merged = sorted((each for each in requests if each.state == "merged"), key=lambda each: each.merged_at)
    for each in merged:
        if commit.sha in (each.merge_sha, each.head_sha):
            return each
    return next((each for each in merged if target in each.targets and each.merged_at >= commit.time), None)


def shown_labels(labels: Mapping[str, str]) -> dict[str, str]:
    """What the image says of its source, by the names that builds write."""
    found = {name: labels.get(f"{_LABEL}{name}", "") for name in _LABELS}
    return {name: value[:_LONGEST_LABEL] for name, value in found.items() if value}


def digests_of(roots: Sequence[Node], image: str) -> tuple[str, ...]:
    """The digests that pods below these objects run for an image, as their nodes pulled it."""
    found: dict[str, None] = {}
    for pod in (node.document for root in roots for node in root.every() if node.key.kind == "Pod"):
        containers = (*mappings(pod, "spec", "initContainers"), *mappings(pod, "spec", "containers"))
        asked = {text(each, "name"): text(each, "image") for each in containers}
        for status in mappings(pod, "status", "initContainerStatuses") + mappings(pod, "status", "containerStatuses"):
            _, at, digest = text(status, "imageID").rpartition("@")
            if at and asked.get(text(status, "name")) == image:
                found[digest] = None
    return tuple(found)
