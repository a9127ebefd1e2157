"""Image references, and the arguments that say what to make of them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from ci_gitops.errors import UsageError

KEEP: Final = "*"  # an argument's part that leaves what the file says

# The grammar of references: https://pkg.go.dev/github.com/distribution/reference
_LABEL = r"[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?"
_HOST = re.compile(rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[0-9a-fA-F:]+\])(?::[0-9]{{1,5}})?")
_COMPONENT = re.compile(r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_DIGEST = re.compile(r"(?:sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})")
_PLACEHOLDER = re.compile(r"[A-Za-z0-9_$][^\s@'\"\\`]*")
_LONGEST_NAME = 255


@dataclass(frozen=True, slots=True)
class ImageRef:
    """`registry.example.com:5000/shop/web:1.2@sha256:…`; Docker Hub's short names stay as they are written."""

    name: str
    tag: str | None = None
    digest: str | None = None

    @classmethod
    def parse(cls, text: str) -> ImageRef:
        """Read a reference; UsageError where it is none."""
        rest, at, digest = text.partition("@")
        slash = rest.rfind("/")
        colon = rest.find(":", slash + 1)
        name, tag = (rest[:colon], rest[colon + 1 :]) if colon >= 0 else (rest, None)
        check_name(name, text)
        if tag is not None:
            check_tag(tag, text)
        if at:
            check_digest(digest, text)
        return cls(name, tag, digest if at else None)

    @property
    def registry(self) -> str:
        """The host, with its port, that the image is pulled from."""
        first, slash, _ = self.name.partition("/")
        return first if slash and _is_host(first) else "docker.io"

    @property
    def repository(self) -> str:
        """The path of the image at that registry: `library/nginx` for `nginx`."""
        first, slash, rest = self.name.partition("/")
        if slash and _is_host(first):
            return f"library/{rest}" if first == "docker.io" and "/" not in rest else rest
        return self.name if slash else f"library/{self.name}"

    def __str__(self) -> str:
        return self.name + (f":{self.tag}" if self.tag else "") + (f"@{self.digest}" if self.digest else "")


def _is_host(first: str) -> bool:
    return "." in first or ":" in first or first == "localhost" or first != first.lower()


def check_name(name: str, whole: str) -> None:
    """UsageError unless `name` can be the name of an image."""
    first, slash, rest = name.partition("/")
    has_host = bool(slash) and _is_host(first)
    problem = None
    if not name:
        problem = "it has no name"
    elif len(name) > _LONGEST_NAME:
        problem = f"its name is longer than {_LONGEST_NAME} characters"
    elif has_host and not _HOST.fullmatch(first):
        problem = f"{first!r} is not a registry's host"
    else:
        for part in (rest if has_host else name).split("/"):
            if not part:
                raise UsageError(f"{whole!r} is not an image reference: a part of its name is empty.", hint=_UNSET)
            if not _COMPONENT.fullmatch(part):
                problem = f"{part!r} may hold lower-case letters and digits, with single . _ - between them"
                break
    if problem:
        raise UsageError(f"{whole!r} is not an image reference: {problem}.", hint=_FORM)


def check_tag(tag: str, whole: str) -> None:
    if not tag:
        raise UsageError(f"{whole!r}: the tag is empty.", hint=_UNSET)
    if not _TAG.fullmatch(tag):
        raise UsageError(
            f"{whole!r}: {tag!r} is not a tag; letters, digits and _ . - are, at most 128 of them.", hint=_FORM
        )


def check_digest(digest: str, whole: str) -> None:
    if not _DIGEST.fullmatch(digest):
        raise UsageError(
            f"{whole!r}: {digest!r} is not a digest; sha256: and 64 hexadecimal digits are, or sha512: and 128.",
            hint=_FORM,
        )


_FORM = "Write it as registry.example.com/shop/web:1.2, with @sha256:… if the digest is known."
_UNSET = "Is a variable that it is made of not set, or protected and not given to this branch?"
_ARGUMENT_FORM = "Write it as NAME:TAG, NAME@DIGEST, NAME=NEW-NAME or NAME=NEW-NAME:TAG@DIGEST; * keeps what is there."


@dataclass(frozen=True, slots=True)
class ImageArgument:
    """What to make of the image `name`: a new name, tag and digest; None is not given, `*` (KEEP) keeps.

    The grammar is that of `kustomize edit set image`. Without `compat` each part is checked; with
    `compat="kustomize"` whatever kustomize takes is taken.
    """

    name: str
    new_name: str | None = None
    tag: str | None = None
    digest: str | None = None

    @classmethod
    def parse(cls, text: str, compat: str | None = None) -> ImageArgument:
        name, equals, reference = text.partition("=")
        if not equals:
            found = _split(text)
            if found is None:
                raise UsageError(f"{text!r} says neither tag nor digest nor new name.", hint=_ARGUMENT_FORM)
            made = cls(found[0], None, found[1], found[2])
        else:
            new_name, tag, digest = _split(reference) or (reference, None, None)
            made = cls(name, new_name, tag, digest) if name else cls(new_name, None, tag, digest)
        if compat is None:
            made._check(text, bool(equals))
        return made

    @property
    def wanted(self) -> str:
        """What it asks for, as a person would say it."""
        name = self.new_name if self.new_name not in (None, KEEP) else self.name
        return str(ImageRef(str(name), _given(self.tag), _given(self.digest)))

    def _check(self, text: str, has_equals: bool) -> None:
        if text.startswith("="):
            raise UsageError(f"{text!r} has no name before the =.", hint=_ARGUMENT_FORM)
        if has_equals and not _PLACEHOLDER.fullmatch(self.name):
            raise UsageError(f"{text!r}: {self.name!r} is not a name of an image.", hint=_ARGUMENT_FORM)
        if not has_equals:
            check_name(self.name, text)
        if (self.new_name, self.tag, self.digest) == (None, None, None):
            raise UsageError(f"{text!r} says neither tag nor digest nor new name.", hint=_ARGUMENT_FORM)
        if self.new_name not in (None, KEEP):
            check_name(str(self.new_name), text)
        if self.tag not in (None, KEEP):
            check_tag(str(self.tag), text)
        if self.digest not in (None, KEEP):
            check_digest(str(self.digest), text)


def _given(part: str | None) -> str | None:
    return None if part == KEEP else part


def _split(reference: str) -> tuple[str, str | None, str | None] | None:
    """Name, tag and digest, cut as kustomize cuts: at the first `@` or `:` after the first slash.

    None where there is neither. The rest of a tag is part of it: `reg:5000:v1` has the tag `5000:v1`.
    """
    slash = reference.find("/")
    start = max(0, slash)
    at, colon = reference.find("@", start), reference.find(":", start)
    if at < 0 and colon < 0:
        return None
    if colon >= 0 and (at < 0 or colon < at):
        tag, has_digest, digest = reference[colon + 1 :].partition("@")
        return reference[:colon], tag, digest if has_digest else None
    return reference[:at], None, reference[at + 1 :]
