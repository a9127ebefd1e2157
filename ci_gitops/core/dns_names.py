"""Names that Kubernetes takes for objects: https://kubernetes.io/docs/concepts/overview/working-with-objects/names/"""

from __future__ import annotations

import hashlib
import re

_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?")


def dns_label(name: str, longest: int = 63) -> str:
    """`name` as a DNS label (RFC 1123); what is none as it stands, or too long, is made one and gets its hash."""
    if _LABEL.fullmatch(name) and len(name) <= longest:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:8]
    kept = re.sub(r"[^a-z0-9]+", "-", name.lower())[: longest - 9].strip("-")
    return f"{kept}-{digest}" if kept else digest
