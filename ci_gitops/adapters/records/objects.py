"""The objects in which a cluster keeps inventories and records, and what is read back from them.

An inventory is the parent object of an ApplySet (KEP-3659), so that `kubectl` and others see the set and leave it
alone. Whoever may write ConfigMaps may write nonsense into ours: what is read is checked against what it says to be.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ci_gitops.adapters.cluster.base import Document, Resource
from ci_gitops.core.inventory import (
    APP,
    ENVIRONMENT,
    OUTCOME,
    SOURCE,
    Inventory,
    parse_inventory,
    source_label,
)
from ci_gitops.core.records import Failure, Record, parse_record
from ci_gitops.core.targets import Target
from ci_gitops.core.text import plain
from ci_gitops.errors import RefusedError
from ci_gitops.masking import mask

CONFIG_MAPS = Resource("", "v1", "ConfigMap", "configmaps", namespaced=True)
APPLYSET_ID = "applyset.kubernetes.io/id"
TOOLING = "applyset.kubernetes.io/tooling"
GROUP_KINDS = "applyset.kubernetes.io/contains-group-kinds"
NAMESPACES = "applyset.kubernetes.io/additional-namespaces"
OUR_TOOLING = "ci-gitops/v1"
INVENTORY_KEY = "inventory.json"
RECORD_KEY = "record.json"


def target_labels(target: Target, source: str) -> dict[str, str]:
    return {APP: target.app, ENVIRONMENT: target.environment, SOURCE: source_label(source)}


def inventory_object(inventory: Inventory) -> dict[str, Any]:
    kinds = {(member.key.kind, member.key.group) for member in inventory.members}
    namespaces = {member.key.namespace for member in inventory.members} - {"", inventory.namespace}
    metadata: dict[str, Any] = {
        "name": inventory.name,
        "namespace": inventory.namespace,
        "labels": {**target_labels(inventory.target, inventory.source), APPLYSET_ID: inventory.applyset},
        "annotations": {
            SOURCE: inventory.source,
            TOOLING: OUR_TOOLING,
            GROUP_KINDS: ",".join(sorted(f"{kind}.{group}" if group else kind for kind, group in kinds)),
            NAMESPACES: ",".join(sorted(namespaces)),
        },
    }
    if inventory.resource_version:
        metadata["resourceVersion"] = inventory.resource_version
    return _config_map(metadata, INVENTORY_KEY, inventory.document)


def record_object(record: Record, namespace: str, version: str | None) -> dict[str, Any]:
    metadata: dict[str, Any] = {
        "name": record.name,
        "namespace": namespace,
        "labels": {**target_labels(record.target, record.source), OUTCOME: record.outcome},
        "annotations": {SOURCE: record.source},
    }
    if version:
        metadata["resourceVersion"] = version
    return _config_map(metadata, RECORD_KEY, record.document)


def _config_map(metadata: dict[str, Any], key: str, content: Mapping[str, Any]) -> dict[str, Any]:
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {key: text}}


def refuse_others(document: Document, expected: Inventory) -> None:
    """RefusedError where the ApplySet is another tool's or another parent's."""
    metadata = document["metadata"]
    tooling = (metadata.get("annotations") or {}).get(TOOLING)
    if tooling is not None and str(tooling).partition("/")[0] != OUR_TOOLING.partition("/")[0]:
        raise RefusedError(
            f"{named(document)} is the ApplySet of another tool: {plain(str(tooling))}.",
            hint="Delete that ConfigMap where its tool is not used any more.",
        )
    found = (metadata.get("labels") or {}).get(APPLYSET_ID)
    if found != expected.applyset:
        raise RefusedError(
            f"{named(document)} does not stand for the set of its name: its label {APPLYSET_ID} is "
            f"{plain(str(found))!r}, expected {expected.applyset!r}.",
            hint="Somebody copied or changed it. Set the label right, or delete the ConfigMap and deploy again.",
        )


def read_inventory(document: Document, source: str, environment: str) -> Inventory:
    """ValueError says what is wrong with the content."""
    metadata = document["metadata"]
    inventory = parse_inventory(_content(document, INVENTORY_KEY), metadata["namespace"])
    if (inventory.source, inventory.target.environment) != (source, environment):
        raise ValueError(f"it speaks of {inventory.target} of {inventory.source}")
    if inventory.name != metadata["name"]:
        raise ValueError(f"it speaks of {inventory.target}, which is kept in {inventory.name}")
    return inventory


def read_record(document: Document, source: str, environment: str) -> Record:
    """ValueError says what is wrong with the content."""
    record = parse_record(_content(document, RECORD_KEY))
    if record.name != document["metadata"]["name"]:
        raise ValueError(f"it holds the record {record.name}")
    if (record.source, record.target.environment) != (source, environment):
        raise ValueError(f"it speaks of {record.target} of {record.source}")
    return record


def _content(document: Document, key: str) -> str:
    content = (document.get("data") or {}).get(key)
    if content is None:
        raise ValueError(f"it has no {key}")
    return str(content)


def named(document: Document) -> str:
    metadata = document["metadata"]
    return plain(f"ConfigMap {metadata.get('namespace')}/{metadata.get('name')}")


def masked(record: Record) -> Record:
    """Servers' words may hold what nobody should read."""
    health, failure, origin = record.health, record.failure, record.origin
    return replace(
        record,
        health=replace(health, message=mask(health.message)) if health else None,
        failure=Failure(failure.kind, mask(plain(failure.message)), failure.object) if failure else None,
        origin=replace(origin, subject=mask(origin.subject) if origin.subject else None),
    )
