"""YAML of strangers, loaded as data: whatever is wrong with it is a YAMLError.

PyYAML's own constructors end with an AttributeError, KeyError or IndexError where an explicit tag and its value do not
fit (`!!timestamp x`, `!!bool x`), and make numbers of any length, which Python then does not print.
"""

from __future__ import annotations

from typing import Any

import yaml
from yaml.constructor import ConstructorError

_MOST_DIGITS = 1_000
_TAG = "tag:yaml.org,2002:"


class Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]  # chosen at run time
    """The safe loader, in C where that is there."""


def load(text: str) -> Any:
    return yaml.load(text, Loader=Loader)  # noqa: S506 - a safe loader


def load_all(text: str) -> list[Any]:
    return list(yaml.load_all(text, Loader=Loader))


def _built(loader: Any, node: yaml.Node) -> Any:
    kind = str(node.tag).removeprefix(_TAG)
    construct = yaml.constructor.SafeConstructor.yaml_constructors[node.tag]
    if isinstance(node, yaml.ScalarNode) and kind in ("int", "float") and len(node.value) > _MOST_DIGITS:
        raise ConstructorError(None, None, f"a number of more than {_MOST_DIGITS} digits", node.start_mark)
    try:
        return construct(loader, node)
    except (AttributeError, LookupError, TypeError, ValueError, ArithmeticError) as error:
        raise ConstructorError(None, None, f"{str(node.value)[:40]!r} is no {kind}", node.start_mark) from error


for _kind in ("bool", "int", "float", "timestamp", "binary"):
    Loader.add_constructor(f"{_TAG}{_kind}", _built)
