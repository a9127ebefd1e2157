"""Holds: what a person, or a rollback, said must not move now. They are a file of the config repository.

- app: shop                                # all of the environment without it
  image: registry.example.com/shop/web     # of that app, or of all: every version, or one artifact of it
  reason: the new checkout loses orders
  by: alice
  at: 2026-11-21T16:00:00Z
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ci_gitops.core.images import ImageRef
from ci_gitops.core.targets import Target
from ci_gitops.core.text import did_you_mean, plain
from ci_gitops.core.yamltext import Mapping, Node, Scalar, Sequence, is_null, parse
from ci_gitops.errors import EditError, SettingsError, UsageError

_FIELDS = ("app", "image", "reason", "by", "at")


@dataclass(frozen=True, slots=True)
class Hold:
    """What is held: an environment, an app in it, or an image."""

    reason: str
    app: str | None = None
    image: ImageRef | None = None
    by: str | None = None
    at: str | None = None

    def __str__(self) -> str:
        said = f" by {self.by}" if self.by else ""
        since = f" since {self.at}" if self.at else ""
        return f"held{said}{since}: {self.reason}"

    def stops(self, target: Target) -> bool:
        """Whether nothing at all of the target may be deployed; a held image stops only what brings that image."""
        return self.image is None and self.app in (None, target.app)

    def bars(self, app: str, *names: str) -> bool:
        """Whether an image may not come to the app. `names` are all that it goes by: its name, its new reference."""
        if self.app not in (None, app):
            return False
        return self.image is None or any(_is_of(self.image, name) for name in names)

    @property
    def subject(self) -> str:
        """What is held, such as `web:1.3 in shop`; empty where it is the whole environment."""
        return " in ".join(part for part in (str(self.image) if self.image else None, self.app) if part)

    def document(self) -> dict[str, str | None]:
        image = str(self.image) if self.image else None
        return {"app": self.app, "image": image, "reason": self.reason, "by": self.by, "at": self.at}

    def release(self, environment: str) -> str:
        """The command that lifts it."""
        what = [("--app", self.app), ("--image", str(self.image) if self.image else None)]
        options = "".join(f" {name} {value}" for name, value in what if value)
        return f"ci-gitops release --environment {environment}{options} --reason TEXT"


@dataclass(frozen=True, slots=True)
class Held:
    """What did not move, since it is held. `name` is the image's; None where it is more, or another value."""

    environment: str
    app: str
    hold: Hold
    name: str | None = None
    new: str | None = None

    def __str__(self) -> str:
        what = f"{self.new or self.name} stays out of" if self.name else "nothing is written to"
        return f"{what} {self.app} in {self.environment}, {self.hold}"

    @property
    def document(self) -> dict[str, object]:
        return {
            "environment": self.environment, "app": self.app, "name": self.name, "new": self.new,
            "hold": self.hold.document(), "release": self.hold.release(self.environment),
        }  # fmt: skip


def same_image(one: str, other: str) -> bool:
    """Whether two names are one image's, however Docker Hub's are shortened."""
    first, second = ImageRef(one), ImageRef(other)
    return (first.registry, first.repository) == (second.registry, second.repository)


def fits(held: ImageRef, image: ImageRef) -> bool:
    """Whether `image` is the artifact that is held, or, where only a name is held, a version of it."""
    if not same_image(held.name, image.name):
        return False
    if held.digest and image.digest:
        return held.digest == image.digest
    if held.tag:
        return held.tag == image.tag
    return not held.digest


def _is_of(held: ImageRef, reference: str) -> bool:
    try:
        return fits(held, ImageRef.parse(reference))
    except UsageError:  # a placeholder's name
        return str(held) == reference


def holds_path(environment: str) -> str:
    return f".ci-gitops/holds/{environment}.yaml"


def hold_on(target: Target, holds: Iterable[Hold]) -> Hold | None:
    """The first hold that stops the target."""
    return next((hold for hold in holds if hold.stops(target)), None)


def parse_holds(text: str, path: str) -> tuple[Hold, ...]:
    """SettingsError with file and line where it is no list of holds: what may be held is not taken for free."""
    try:
        documents = parse(text, path).documents
    except EditError as error:
        raise SettingsError(error.message, hint=error.hint) from error
    root = documents[0] if len(documents) == 1 else None
    if len(documents) > 1:
        raise SettingsError(f"{path}: expected one list of holds, found {len(documents)} documents.")
    if root is None or (isinstance(root, Scalar) and is_null(root)):
        return ()
    if not isinstance(root, Sequence):
        raise SettingsError(f"{path}:{root.line}: expected a list of holds.")
    return tuple(_hold(item, path) for item in root.items)


def _hold(item: Node, path: str) -> Hold:
    if not isinstance(item, Mapping):
        raise SettingsError(f"{path}:{item.line}: expected a hold, with {', '.join(_FIELDS)}.")
    for key, value in item.entries:
        name = key.value if isinstance(key, Scalar) else ""
        if name not in _FIELDS:
            raise SettingsError(
                f"{path}:{key.line}: a hold has no {name!r}.", hint=did_you_mean(name, _FIELDS, "It has")
            )
        if not isinstance(value, Scalar):
            raise SettingsError(f"{path}:{value.line}: {name}: expected a text.")
    fields = {name: plain(text) for name in _FIELDS if (text := item.text(name))}
    image = _image(fields.pop("image", None), f"{path}:{item.line}")
    return Hold(fields.pop("reason", "no reason is given"), image=image, **fields)


def _image(text: str | None, place: str) -> ImageRef | None:
    try:
        return ImageRef.parse(text) if text else None
    except UsageError as error:
        raise SettingsError(f"{place}: image: {error.message}", hint=error.hint) from error
