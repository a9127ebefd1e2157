"""Our comments on merge requests: a first line that people do not see says which one it is."""

from __future__ import annotations

import re

_MARK = re.compile(r"<!-- ci-gitops:comment ([A-Za-z0-9._/-]+) -->\n")


def marked(key: str, text: str) -> str:
    """`text` as our comment of this key."""
    return f"<!-- ci-gitops:comment {key} -->\n{text}"


def unmarked(body: str) -> tuple[str, str]:
    """The key ("" for people's comments) and the text below the mark."""
    body = body.replace("\r\n", "\n")
    found = _MARK.match(body)
    return (found[1], body[found.end() :]) if found else ("", body)
