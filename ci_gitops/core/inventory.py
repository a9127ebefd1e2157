"""What a target holds in its destination: the objects that it applied, by identity and UID.

The inventory is what prune goes by. It is kept as an ApplySet parent (KEP-3659), so that other tools can see the set,
and names its source, so that two repositories with the same app never take each other's objects.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ci_gitops.core.shapes import integer, mapping, read_json, several, text
from ci_gitops.core.targets import Target

APP = "ci-gitops/app"
ENVIRONMENT = "ci-gitops/environment"
SOURCE = "ci-gitops/source"  # as a label the hash of the source, as an annotation its text
OUTCOME = "ci-gitops/outcome"
PART_OF = "applyset.kubernetes.io/part-of"
API_VERSION = "ci-gitops/v1"


@dataclass(frozen=True, slots=True, order=True)
class Key:
    """One object whatever version it is written in. `namespace` is empty for objects of the whole cluster."""

    group: str
    kind: str
    namespace: str
    name: str

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Key:
        """Of a document that names its namespace where it lives in one."""
        metadata = document.get("metadata") or {}
        group = str(document.get("apiVersion") or "").rpartition("/")[0]
        name = metadata.get("name") or metadata.get("generateName") or ""
        return cls(group, str(document.get("kind") or ""), metadata.get("namespace") or "", name)

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}" if self.namespace else f"{self.kind} {self.name}"


def uid_of(document: Mapping[str, Any]) -> str:
    """The UID that the server gave an object; empty for one that it has not answered yet."""
    return str((document.get("metadata") or {}).get("uid") or "")


@dataclass(frozen=True, slots=True, order=True)
class Member:
    """An object that we applied. `uid` is empty between what is planned and what the server answered."""

    key: Key
    version: str
    uid: str = ""

    @property
    def api_version(self) -> str:
        return f"{self.key.group}/{self.version}" if self.key.group else self.version


@dataclass(frozen=True, slots=True)
class Inventory:
    """What one target of one source holds. `namespace` is where the inventory itself and its records are kept."""

    target: Target
    source: str
    namespace: str
    members: tuple[Member, ...] = ()
    revision: str = ""  # the newest that was applied or found to be nothing new
    time: int = 0  # when that revision was committed, in seconds
    resource_version: str = field(default="", compare=False)  # of the object that keeps it; empty: not kept yet
    problem: str = ""  # why what is kept cannot be read: then nobody knows what the target holds

    @property
    def document(self) -> dict[str, Any]:
        """As it is kept. Members are short lists of text: a set of thousands must fit into one object."""
        return {
            "apiVersion": API_VERSION,
            "kind": "Inventory",
            "target": {"app": self.target.app, "environment": self.target.environment, "path": self.target.path},
            "source": self.source,
            "revision": self.revision,
            "time": self.time,
            "members": [
                [member.key.group, member.version, member.key.kind, member.key.namespace, member.key.name, member.uid]
                for member in sorted(self.members)
            ],
        }

    @property
    def name(self) -> str:
        """Of the object that keeps it: a DNS label, the same for the same target of the same source."""
        readable = f"{self.target.app}-{self.target.environment}".lower()
        kept = "".join(letter if letter.isalnum() and letter.isascii() else "-" for letter in readable)[:40].strip("-")
        seed = "\0".join((self.source, self.target.app, self.target.environment))
        return f"ci-gitops-{kept}-{hashlib.sha256(seed.encode()).hexdigest()[:8]}"

    @property
    def applyset(self) -> str:
        """The ApplySet's id (KEP-3659): of the parent's name, namespace, kind and group."""
        seed = f"{self.name}.{self.namespace}.ConfigMap."
        digest = base64.urlsafe_b64encode(hashlib.sha256(seed.encode()).digest()).decode().rstrip("=")
        return f"applyset-{digest}-v1"


def source_label(source: str) -> str:
    """The label's value that stands for a source, whose text may be too long for a label."""
    return hashlib.sha256(source.encode()).hexdigest()[:16]


def owner_labels(inventory: Inventory) -> dict[str, str]:
    """The labels of every object that the target holds."""
    return {
        APP: inventory.target.app,
        ENVIRONMENT: inventory.target.environment,
        SOURCE: source_label(inventory.source),
        PART_OF: inventory.applyset,
    }


def parse_inventory(content: str, namespace: str) -> Inventory:
    """The inventory that `content` holds as JSON; ValueError says what is wrong with it."""
    document = read_json(content, INVENTORY_SCHEMA)
    target = document["target"]
    members = tuple(_member(number, fields) for number, fields in enumerate(document["members"]))
    return Inventory(
        Target(target["app"], target["environment"], target["path"]), document["source"], namespace, members,
        document["revision"], document["time"],
    )  # fmt: skip


def _member(number: int, fields: list[str]) -> Member:
    if len(fields) != _FIELDS or not (fields[1] and fields[2] and fields[4]):
        raise ValueError(f"members[{number}]: expected [group, version, kind, namespace, name, uid]")
    group, version, kind, namespace, name, uid = fields
    return Member(Key(group, kind, namespace, name), version, uid)


_FIELDS = 6
INVENTORY_SCHEMA: Mapping[str, Any] = mapping(
    {
        "apiVersion": text(const=API_VERSION),
        "kind": text(const="Inventory"),
        "target": mapping({"app": text(), "environment": text(), "path": text()}),
        "source": text(),
        "revision": text(),
        "time": integer(),
        "members": several(several(text())),
    }
)
