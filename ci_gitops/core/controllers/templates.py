"""What tells one template of pods from another."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

_LETTERS = "bcdfghjklmnpqrstvwxz2456789"


def template_hash(template: Mapping[str, Any]) -> str:
    """Ten letters, the same for the same template; labels that a controller added do not count."""
    labels = (template.get("metadata") or {}).get("labels") or {}
    kept = {name: value for name, value in labels.items() if name != "pod-template-hash"}
    plain = {**template, "metadata": {**(template.get("metadata") or {}), "labels": kept}}
    number = int(hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest(), 16)
    return "".join(_LETTERS[number // len(_LETTERS) ** place % len(_LETTERS)] for place in range(10))
