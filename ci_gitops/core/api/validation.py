"""Whether an object may be as it is: names, what is required, what may not change. The server's words.

https://github.com/kubernetes/kubernetes/tree/master/pkg/apis: `validation.go` of each group.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ci_gitops.core.api import definitions
from ci_gitops.core.api.refusals import Wrong
from ci_gitops.core.api.schemas import Kind


def problems(kind: Kind, document: Mapping[str, Any], live: Mapping[str, Any] | None) -> list[Wrong]:
    """What is wrong with an object that is to be kept."""
    if kind.custom:
        return list(definitions.wrongs(kind.schema, document))
    return []
