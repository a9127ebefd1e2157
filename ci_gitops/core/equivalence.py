"""Values that are written otherwise and mean the same, where somebody rewrites what we declare.

Built-in kinds need none of this: the server brings both sides into one form. It does not know what the text of a
custom resource means, and controllers rewrite quantities and durations there (1000m as 1, 8760h as 8760h0m0s). Such a
field is left to the manager that holds it; where we hold it alone, another spelling is a change like any other.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from ci_gitops.core.differences import Difference
from ci_gitops.core.fieldsets import MISSING, same

_BUILT_IN = {
    f"{name}.k8s.io" for name in (
        "admissionregistration", "apiextensions", "apiregistration", "authentication", "authorization", "certificates",
        "coordination", "discovery", "events", "flowcontrol.apiserver", "internal.apiserver", "networking", "node",
        "rbac.authorization", "resource", "scheduling", "storage", "storagemigration",
    )
}  # fmt: skip
_QUANTITY = re.compile(r"([+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?)(n|u|m|k|M|G|T|P|E|[KMGTPE]i)?")
_FACTORS = {
    "": Decimal(1), "n": Decimal("1e-9"), "u": Decimal("1e-6"), "m": Decimal("1e-3"),
    **{letter: Decimal(1000) ** power for power, letter in enumerate("kMGTPE", 1)},
    **{f"{letter}i": Decimal(1024) ** power for power, letter in enumerate("KMGTPE", 1)},
}  # fmt: skip
_DURATION = re.compile(r"[+-]?(?:(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:ns|us|µs|μs|ms|s|m|h))+")
_PART = re.compile(r"([0-9.]+)(ns|us|µs|μs|ms|s|m|h)")
_SECONDS = {
    "ns": Decimal("1e-9"), "us": Decimal("1e-6"), "µs": Decimal("1e-6"), "μs": Decimal("1e-6"), "ms": Decimal("1e-3"),
    "s": Decimal(1), "m": Decimal(60), "h": Decimal(3600),
}  # fmt: skip


def is_custom(document: Mapping[str, Any]) -> bool:
    """Whether the object's kind came by a definition, and not with the server."""
    group = str(document.get("apiVersion")).rpartition("/")[0]
    return "." in group and group not in _BUILT_IN


def is_no_change(document: Mapping[str, Any], difference: Difference) -> bool:
    """Whether a difference is none: another spelling by who holds the field, or metrics in another order."""
    if difference.old is MISSING or difference.new is MISSING:
        return False
    if document.get("kind") == "HorizontalPodAutoscaler" and difference.path == ("spec", "metrics"):
        return _same_set(difference.old, difference.new)  # the controller sorts them
    return difference.manager is not None and is_custom(document) and equivalent(difference.old, difference.new)


def _same_set(one: Any, other: Any) -> bool:
    if not isinstance(one, list) or not isinstance(other, list) or len(one) != len(other):
        return False
    left = list(other)
    for item in one:
        place = next((number for number, found in enumerate(left) if same(item, found)), None)
        if place is None:
            return False
        del left[place]
    return True


def equivalent(one: Any, other: Any) -> bool:
    """Whether two values mean the same as quantities or as durations, at every place."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(equivalent(value, other[key]) for key, value in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(equivalent, one, other))
    if same(one, other):
        return True
    pairs = ((read(one), read(other)) for read in (_quantity, _duration))
    return any(left is not None and left == right for left, right in pairs)


def _quantity(value: Any) -> Decimal | None:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    found = _QUANTITY.fullmatch(str(value).strip())
    if found is None:
        return None
    try:
        return Decimal(found[1]) * _FACTORS[found[2] or ""]
    except InvalidOperation:
        return None


def _duration(value: Any) -> Decimal | None:
    if not isinstance(value, str) or not _DURATION.fullmatch(value):
        return None
    total = sum((Decimal(number) * _SECONDS[unit] for number, unit in _PART.findall(value)), Decimal(0))
    return -total if value.startswith("-") else total
