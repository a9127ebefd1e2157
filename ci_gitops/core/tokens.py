"""What a token is, as far as its first letters say: its shape and length are promised by nobody."""

from __future__ import annotations

_PREFIXES = {
    "glpat-": "a personal, project or group access token",
    "gloas-": "an OAuth token",
    "gldt-": "a deploy token",
    "glcbt-": "a CI job token",
    "glrt-": "a runner token",
    "glptt-": "a pipeline trigger token",
    "github_pat_": "a fine-grained personal access token",
    "ghp_": "a classic personal access token",
    "ghs_": "an app's or workflow's token",
    "gho_": "an OAuth token",
}


def kind_of(token: str) -> str | None:
    """`a deploy token`; None where the token does not tell."""
    return next((kind for prefix, kind in _PREFIXES.items() if token.startswith(prefix)), None)


def opens_merge_requests(token: str) -> bool | None:
    """Whether its kind may use the forge's API for that; None where that is not known."""
    if token.startswith(("glcbt-", "gldt-", "glrt-", "glptt-")):
        return False
    return None
