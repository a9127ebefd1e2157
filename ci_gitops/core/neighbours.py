"""Which repositories our token may be used for because an image's labels name them.

Labels are written by whoever may push an image, and what is read goes where others can read it. So a label opens
nothing by itself: it counts where the repository is in the config repository's own group, or is named by the
configuration, and always on the same server alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from fnmatch import fnmatchcase

from ci_gitops.core.git_urls import GitUrl

_PART = re.compile(r"[A-Za-z0-9_.-]+")


def same_server(source: GitUrl, config: GitUrl) -> bool:
    """Whether both are on one server; an address of the web for one of SSH, since labels hold no other."""
    if not (source.remote and config.remote) or source.scheme not in ("https", "http"):
        return False
    if config.scheme == "ssh":
        return (source.scheme, source.host, source.port) == ("https", config.host, None)
    return (source.scheme, source.authority) == (config.scheme, config.authority)


def is_neighbour(source: GitUrl, config: GitUrl, named: Iterable[str]) -> bool:
    """Whether it is in the same group (or one below), or one of `named`: addresses in which `*` is any text."""
    theirs, ours = _parts(source), _parts(config)
    if not theirs or not ours:
        return False
    group = ours[:-1]
    if theirs[: len(group)] == group and (len(theirs) > len(group) if group else len(theirs) == 1):
        return True
    address = f"{source.scheme}://{source.authority}/{'/'.join(theirs)}"
    return any(fnmatchcase(address, pattern.lower().rstrip("/").removesuffix(".git")) for pattern in named)


def _parts(address: GitUrl) -> list[str]:
    """The parts of its path as servers compare them; [] where a server could read it as another one's."""
    path = address.path.strip("/").removesuffix(".git").lower()
    parts = path.split("/")
    return parts if all(_PART.fullmatch(part) and part.strip(".") for part in parts) else []
