"""Previews: environments for a while, each made from a template, and the record of what was made.

A preview is an environment like any other, called `preview-` and its name made safe. That it is one, and what belongs
to it, says its record in the config repository: `.ci-gitops/previews/<environment>.yaml`. Nothing but what stands there
is ever removed.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import yaml

from ci_gitops.core.durations import format_duration, parse_duration
from ci_gitops.core.images import ImageArgument
from ci_gitops.core.text import plain
from ci_gitops.core.trailers import Source
from ci_gitops.core.yamldepth import must_be_shallow
from ci_gitops.core.yamlload import load
from ci_gitops.errors import SettingsError, UsageError

PREFIX = "preview-"
FOLDER = ".ci-gitops/previews/"
_ENDING = ".yaml"
_LONGEST = 63  # characters of a DNS label: https://datatracker.ietf.org/doc/html/rfc1123
_HASH = re.compile(r"(?:^|-)[0-9a-f]{8}$")
_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?")
_HEAD = "# What `ci-gitops preview` made, so that it removes nothing else. Written by it alone.\n"
_STAMP = "%Y-%m-%dT%H:%M:%SZ"


def safe_name(name: str) -> str:
    """`name` as a DNS label that fits behind the prefix; two different names never give the same one.

    What is no such label as it stands, or could be taken for one with a hash, gets the hash of the name.
    """
    room = _LONGEST - len(PREFIX)
    if _LABEL.fullmatch(name) and len(name) <= room and not _HASH.search(name):
        return name
    if not name.strip():
        raise UsageError("--name is empty.", hint="Name the preview, such as its branch or merge request.")
    label = re.sub(r"[^a-z0-9]+", "-", name.lower())[: room - 9].strip("-")
    return f"{label}-{_hash(name)}" if label else _hash(name)


def environment_of(name: str) -> str:
    """The environment that the preview of this name is."""
    return PREFIX + safe_name(name)


def record_path(environment: str) -> str:
    return f"{FOLDER}{environment}{_ENDING}"


def previews_in(paths: Iterable[str]) -> tuple[str, ...]:
    """The environments that are previews, by the records among `paths`."""
    return tuple(
        sorted(
            name
            for path in paths
            if path.startswith(FOLDER + PREFIX) and path.endswith(_ENDING)
            if _LABEL.fullmatch(name := path[len(FOLDER) : -len(_ENDING)])
        )
    )


def namespace_of(template: str, environment: str) -> str:
    """`template` with `{name}`, as a DNS label; what would be too long is cut and gets a hash."""
    filled = template.replace("{name}", environment.removeprefix(PREFIX))
    if len(filled) < _LONGEST:  # shorter than any that is cut, so that both never meet
        return filled
    return f"{filled[: _LONGEST - 9]}-{_hash(filled)}"


def strangers(paths: Iterable[str], own: Mapping[str, str], environment: str) -> tuple[str, ...]:
    """Of `paths` those that lie in the preview's folders and are not its `own`: somebody put them there."""
    parts = (path.split("/") for path in own)
    ends = ((each, next((at for at, part in enumerate(each) if environment in part), len(each))) for each in parts)
    folders = {"/".join(each[: at + 1]) for each, at in ends if at + 1 < len(each)}
    return tuple(path for path in paths if path not in own and any(path.startswith(f"{folder}/") for folder in folders))


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]


@dataclass(frozen=True, slots=True)
class PreviewImage:
    """An image that a call named, and the build that it came from."""

    argument: str  # as it was given
    project: str | None = None
    pipeline: int | None = None

    @property
    def name(self) -> str:
        return ImageArgument.parse(self.argument).name


@dataclass(frozen=True, slots=True)
class Asked:
    """The merge request that a preview is for."""

    repository: str  # its address
    iid: int
    url: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """The record of one preview."""

    name: str  # as it was given
    files: Mapping[str, Mapping[str, str]]  # app -> path -> shape of what was written there
    created: datetime
    renewed: datetime
    source: str | None = None  # the environment whose images it takes
    ttl: timedelta | None = None  # None: as the settings say; zero: for ever
    request: Asked | None = None
    by: str | None = None
    images: tuple[PreviewImage, ...] = ()

    @property
    def environment(self) -> str:
        return environment_of(self.name)

    @property
    def apps(self) -> tuple[str, ...]:
        return tuple(self.files)

    @property
    def paths(self) -> dict[str, str]:
        """Path -> shape of every file that was made."""
        return {path: shape for files in self.files.values() for path, shape in files.items()}

    def expires(self, usual: timedelta) -> datetime | None:
        """When its time is over; None: never. `usual` is the time that the settings give."""
        ttl = usual if self.ttl is None else self.ttl
        return self.renewed + ttl if ttl else None

    def to_renew(self, usual: timedelta, now: datetime) -> bool:
        """Whether half its time has gone: sooner a call that changes nothing makes no commit."""
        expires = self.expires(usual)
        return expires is not None and now - self.renewed > (expires - self.renewed) / 2


def merged_images(
    before: Iterable[PreviewImage], given: Iterable[ImageArgument | str], source: Source | None
) -> tuple[tuple[PreviewImage, ...], tuple[str, ...]]:
    """The images of a preview after a call, and notes on what it did not take: a build's that is older."""
    images = {image.name: image for image in before}
    notes = []
    for text in map(str, given):
        new = PreviewImage(text, source.project if source else None, source.pipeline if source else None)
        old = images.get(new.name)
        if old and old.argument == new.argument:
            continue
        if old and old.pipeline and new.pipeline and old.project == new.project and new.pipeline < old.pipeline:
            notes.append(
                f"{new.argument} is left out: pipeline {old.pipeline} of {old.project} wrote {old.argument}, and this "
                f"is the older {new.pipeline}."
            )
            continue
        images[new.name] = new
    return tuple(images.values()), tuple(notes)


def write_preview(preview: Preview) -> str:
    """The text of the record."""
    document: dict[str, Any] = {
        "name": preview.name,
        "from": preview.source,
        "createdAt": f"{preview.created.astimezone(UTC):{_STAMP}}",
        "renewedAt": f"{preview.renewed.astimezone(UTC):{_STAMP}}",
        "ttl": None if preview.ttl is None else format_duration(preview.ttl),
        "mergeRequest": _asked(preview.request),
        "by": preview.by,
        "images": [
            {key: value for key, value in (("image", each.argument), ("project", each.project),
                                           ("pipeline", each.pipeline)) if value is not None}
            for each in preview.images
        ],
        "files": {app: dict(sorted(files.items())) for app, files in preview.files.items()},
    }  # fmt: skip
    kept = {key: value for key, value in document.items() if value not in (None, [])}
    return _HEAD + yaml.safe_dump(kept, sort_keys=False, width=10_000)  # in ASCII: YAML folds some other line ends


def _asked(request: Asked | None) -> dict[str, Any] | None:
    if request is None:
        return None
    return {"repository": request.repository, "iid": request.iid, **({"url": request.url} if request.url else {})}


def read_preview(text: str, path: str) -> Preview:
    """SettingsError where it is no record of ours: nothing is removed on a guess."""
    try:
        must_be_shallow(text)
        preview = _preview(load(text))
    except (yaml.YAMLError, ValueError, KeyError, TypeError, AttributeError, UsageError) as error:
        raise _unreadable(path, plain(f"{type(error).__name__} {error}")) from error
    if record_path(preview.environment) != path:
        raise _unreadable(path, f"it is that of {preview.name!r}")
    return preview


def _unreadable(path: str, why: str) -> SettingsError:
    return SettingsError(
        f"The record of a preview {path} is not understood: {why}.",
        hint="Bring back what ci-gitops wrote there, or remove the preview by hand, this file too.",
    )


def _preview(data: Any) -> Preview:
    asked, ttl = data.get("mergeRequest"), data.get("ttl")
    return Preview(
        name=str(data["name"]),
        files={
            str(app): {str(path): str(shape) for path, shape in files.items()} for app, files in data["files"].items()
        },
        created=_moment(data["createdAt"]),
        renewed=_moment(data["renewedAt"]),
        source=data.get("from"),
        ttl=None if ttl is None else parse_duration(str(ttl)),
        request=Asked(str(asked["repository"]), int(asked["iid"]), str(asked.get("url", ""))) if asked else None,
        by=data.get("by"),
        images=tuple(
            PreviewImage(str(each["image"]), each.get("project"), each.get("pipeline"))
            for each in data.get("images", ())
        ),
    )


def _moment(value: Any) -> datetime:
    """A time as it was written; YAML's own reader may have made one of it."""
    moment = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
