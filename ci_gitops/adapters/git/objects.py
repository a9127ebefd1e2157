"""Trees, files and commits, read and made as objects: there is no work tree for anything to act on."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from ci_gitops.adapters.git.records import EXECUTABLE, REGULAR, SYMLINK, Entry, Person
from ci_gitops.adapters.git.runner import Runner
from ci_gitops.adapters.git.transfer import Transfer
from ci_gitops.core.git_paths import check_path
from ci_gitops.core.whole_files import WholeFile
from ci_gitops.errors import EditError, GitError

_ENTRY = re.compile(r"([0-7]{6}) [a-z]+ ([0-9a-f]+)\t([^\0]*)\0")


def list_tree(runner: Runner, transfer: Transfer, revision: str) -> dict[str, Entry]:
    """Each file of the revision's tree."""
    words = ("ls-tree", "-r", "-z", "--full-tree", revision)
    listed = runner.local(*words, ok=(0, 128))
    if listed.code != 0:  # its trees are not here: it came with history only
        listed = transfer.fetching(*words)
    lines = _ENTRY.findall(listed.stdout.decode("utf-8", "surrogateescape"))
    return {path: Entry(mode, oid) for mode, oid, path in lines}


def read_blobs(runner: Runner, oids: Sequence[str]) -> tuple[dict[str, bytes], list[str]]:
    """The contents that are here, and the object ids that are not."""
    contents = dict(zip(oids, read_named(runner, oids), strict=True))
    missing = [oid for oid, content in contents.items() if content is None]
    return {oid: content for oid, content in contents.items() if content is not None}, missing


def read_named(runner: Runner, names: Sequence[str]) -> list[bytes | None]:
    """The contents of `<commit>:<path>` names in their order; None for what is not there."""
    if not names:
        return []
    asked = "".join(f"{name}\n" for name in names).encode("utf-8", "surrogateescape")
    answer = runner.local("cat-file", "--batch", "--buffer", stdin=asked).stdout
    contents: list[bytes | None] = []
    at = 0
    while at < len(answer):
        end = answer.index(b"\n", at)
        header = answer[at:end]
        at = end + 1
        if header.endswith((b" missing", b" ambiguous")):
            contents.append(None)
            continue
        size = int(header.rsplit(b" ", 1)[1])
        contents.append(answer[at : at + size])
        at += size + 1
    return contents


def merge_trees(transfer: Transfer, ours: str, theirs: str) -> tuple[str, tuple[str, ...]]:
    """The tree of Git's own merge of two commits, and the paths that conflict in it."""
    words = ("merge-tree", "--write-tree", "-z", "--name-only", "--no-messages", "--end-of-options", ours, theirs)
    tree, *paths = transfer.fetching(*words, ok=(0, 1)).stdout.decode("utf-8", "surrogateescape").split("\0")
    return tree.strip(), tuple(dict.fromkeys(path for path in paths if path))


def changed_paths(transfer: Transfer, old: str, new: str) -> tuple[str, ...]:
    """The files that differ between two commits; a renamed one with both its names."""
    words = ("diff-tree", "-r", "-z", "--no-renames", "--name-only", "--end-of-options", old, new)
    return tuple(filter(None, transfer.fetching(*words).stdout.decode("utf-8", "surrogateescape").split("\0")))


def make_commit(
    runner: Runner,
    tree: Mapping[str, Entry],
    base: str | None,  # a commit or a tree
    parents: Sequence[str],
    files: Mapping[str, bytes | WholeFile | None],
    message: str,
    *,
    author: Person,
    committer: Person,
    when: int,
) -> tuple[str, str]:
    """One commit on `parents` with the tree of `base`, `files` put in or (None) taken out; its id and its tree's.

    One process: fast-import writes the contents, the trees and the commit.
    """
    stream = [
        b"feature done\ncommit refs/work/commit\nmark :1\n",
        _person("author", author, when),
        _person("committer", committer, when),
        _data(message.encode("utf-8", "replace")),
    ]
    stream += [
        f"{word} {parent}\n".encode()
        for word, parent in zip(("from", *["merge"] * len(parents)), parents, strict=False)
    ]
    if base and base not in parents[:1]:
        stream.append(f'M 040000 {tree_id(runner, base)} ""\n'.encode())
    stream += [
        _file(path, files[path], tree.get(path))
        for path in sorted(files, key=lambda path: (files[path] is not None, path))
    ]
    stream.append(b'ls ""\n\nget-mark :1\ndone\n')
    answer = runner.local("fast-import", "--quiet", "--force", "--done", stdin=b"".join(stream)).text.split("\n")
    return answer[1], answer[0].split(" ")[2].split("\t")[0]


def tree_id(runner: Runner, revision: str) -> str:
    return runner.local("rev-parse", "--verify", "--end-of-options", f"{revision}^{{tree}}").text.strip()


def _file(path: str, contents: bytes | WholeFile | None, old: Entry | None) -> bytes:
    name = _quoted(check_path(path))
    if contents is None:
        return b"D " + name + b"\n"
    if isinstance(contents, WholeFile):
        return f"M {contents.mode} inline ".encode() + name + b"\n" + _data(contents.content)
    if old and old.mode not in (REGULAR, EXECUTABLE):
        what = "a symbolic link" if old.mode == SYMLINK else "a submodule"
        raise EditError(f"{path} is {what}: it is not written through.", hint="Name the file that it leads to.")
    mode = old.mode if old else REGULAR
    return f"M {mode} inline ".encode() + name + b"\n" + _data(contents)


def _data(contents: bytes) -> bytes:
    return f"data {len(contents)}\n".encode() + contents + b"\n"


def _person(role: str, person: Person, when: int) -> bytes:
    name, email = clean_person(role, person)
    return f"{role} {name} <{email}> {when} +0000\n".encode("utf-8", "replace")


def clean_person(role: str, person: Person) -> tuple[str, str]:
    """Name and address without what would end them inside the commit."""
    name, email = (" ".join(_plain(text).split()) for text in (person.name, person.email))
    if not name or not email:
        raise GitError(f"The {role} of the commit needs a name and an address; there is only {str(person)!r}.")
    return name, email


def _plain(text: str) -> str:
    return "".join(" " if letter in "<>\n\r\0" else letter for letter in text)


def _quoted(path: str) -> bytes:
    escaped = path.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return b'"' + escaped.encode("utf-8", "surrogateescape") + b'"'
