"""What one call wants written, whatever the head of the branch is."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass

from ci_gitops.core.images import ImageArgument
from ci_gitops.errors import UsageError


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
class Snapshot:
    """Every file that an app's target is rendered from, as it was at an earlier revision."""

    app: str
    revision: str  # a commit's whole id


@dataclass(frozen=True, slots=True)
class Intent:
    """What one call wants, whatever the head of the branch is."""

    images: tuple[ImageArgument, ...] = ()
    values: tuple[Assignment, ...] = ()
    charts: tuple[tuple[str, str], ...] = ()
    apps: tuple[tuple[str, Intent], ...] = ()  # what it wants of single apps besides, in the same commit
    files: tuple[Snapshot, ...] = ()  # stands alone: what else would be written is among them

    def __bool__(self) -> bool:
        return bool(self.images or self.values or self.charts or self.apps or self.files)

    @property
    def every_image(self) -> tuple[ImageArgument, ...]:
        return (*self.images, *(image for _, own in self.apps for image in own.every_image))
