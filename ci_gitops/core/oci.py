"""Labels that say where an image came from, by the names of the OCI image specification.

https://github.com/opencontainers/image-spec/blob/main/annotations.md#pre-defined-annotation-keys
"""

from __future__ import annotations

from ci_gitops.core.ci import CiFacts

_PREFIX = "org.opencontainers.image."


def labels(ci: CiFacts, tag: str) -> dict[str, str]:
    """Source, revision, created, version and ref.name, as far as CI knows them.

    `created` is the time of the commit, not of the build: the same commit gives the same labels.
    """
    if ci.commit is None:
        return {}
    facts = {
        "source": ci.project_url,
        "revision": ci.commit,
        "created": ci.commit_time,
        "version": ci.tag or tag,
        "ref.name": ci.tag or ci.branch,
    }
    return {_PREFIX + name: value for name, value in facts.items() if value}
