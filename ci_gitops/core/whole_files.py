"""Files that go back as a whole: which ones those of a target are, and what becomes of them.

No text is merged. What the target was rendered from at the earlier revision is there again as it was; what has come
into its folders since, and is rendered with them, goes. Everything else stays: what other targets alone are made of,
and what rules all of them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from ci_gitops.core.edits import Change, Edit
from ci_gitops.core.layout import CONFIG_FILE

_CHART = "Chart.yaml"
_FOLDERS = (".ci-gitops/", ".gitlab/", ".github/")  # holds, templates of merge requests, pipelines, owners
_FILES = frozenset({CONFIG_FILE, ".gitlab-ci.yml", ".sops.yaml", "CODEOWNERS", "docs/CODEOWNERS"})


@dataclass(frozen=True, slots=True)
class WholeFile:
    """A file as Git holds it: with its mode, and of a symbolic link the path that it names."""

    mode: str
    content: bytes


def rules(path: str, keys: Collection[str] = ()) -> bool:
    """Whether the file says what may be done, and by whom, which never goes back; `keys` vouch for images."""
    return path in _FILES or path.startswith(_FOLDERS) or path in keys


def going_back(
    then: Collection[str], now: Iterable[str], there_then: Collection[str], others: Collection[str],
    keys: Collection[str] = (),
) -> tuple[str, ...]:  # fmt: skip
    """The files that go back, of those that the target was rendered from `then` and is rendered from `now`.

    `there_then` are all files of the earlier revision, `others` those of today that other targets are rendered from.
    A file that has come since goes where it lies below a folder of then: in a chart, whose files are all rendered,
    always; elsewhere unless another target needs it, for nothing names it any more.
    """
    folders = {_folder(path) for path in then}
    charts = {_folder(path) for path in then if path.rpartition("/")[2] == _CHART}
    new = {path: set(_above(path)) for path in now if path not in there_then}
    added = (path for path, above in new.items() if above & charts or (above & folders and path not in others))
    return tuple(sorted({path for path in (*then, *added) if not rules(path, keys)}))


def whole_edit(path: str, old: WholeFile | None, new: WholeFile | None) -> Edit:
    """What people are shown of it."""
    change = Change("(file)", _said(old), _said(new), 1)
    return Edit(path, _text(old), _text(new), (change,))


def _folder(path: str) -> str:
    return path.rpartition("/")[0]


def _above(path: str) -> Iterable[str]:
    while path:
        path = _folder(path)
        yield path


def _said(file: WholeFile | None) -> str | None:
    return None if file is None else f"{file.mode}, {len(file.content)} bytes"


def _text(file: WholeFile | None) -> str:
    if file is None:
        return ""
    try:
        return file.content.decode()
    except UnicodeDecodeError:
        return f"({len(file.content)} bytes that are no text)\n"
