"""Which Vault servers a file of SOPS names, read as SOPS reads it: a key may have escapes, and be in any case."""

from __future__ import annotations

import re

import yaml

from ci_gitops.core.yamldepth import must_be_shallow
from ci_gitops.core.yamlload import Loader

_KEY = "vault_address"
_FLAT = re.compile(r"(?i)vault_address[\"'`]?\s*[:=]\s*[\"'`]?([^\s\"'`,]+)")


def vault_addresses(text: str, *, flat: bool = False) -> frozenset[str] | None:
    """Without their last slashes; None where nobody can tell. `flat`: it is a dotenv or INI file."""
    if flat:
        return frozenset(each.rstrip("/") for each in _FLAT.findall(text))
    try:
        must_be_shallow(text)
        todo = list(yaml.compose_all(text, Loader=Loader))
    except (yaml.YAMLError, ValueError, RecursionError):
        return None
    found, seen = set[str](), set[int]()
    while todo:
        node = todo.pop()
        if id(node) in seen or not isinstance(node, yaml.CollectionNode):
            continue
        seen.add(id(node))
        if not isinstance(node, yaml.MappingNode):
            todo += node.value
            continue
        for key, value in node.value:
            todo += (key, value)
            if isinstance(key, yaml.ScalarNode) and key.value.casefold() == _KEY:
                if not isinstance(value, yaml.ScalarNode):
                    return None
                found.add(value.value.rstrip("/"))
    return frozenset(found)
