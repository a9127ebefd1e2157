"""What registries and chart repositories answered before: lists by their ETags, facts by their digests."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ci_gitops.adapters.private_cache import PrivateCache

_ETAG = re.compile(r'(?:W/)?"[\x21\x23-\x7e]{1,200}"')


class KeptAnswers:
    """By what was asked."""

    def __init__(self, cache: PrivateCache) -> None:
        self._cache = cache

    @classmethod
    def open(cls, environ: Mapping[str, str]) -> KeptAnswers | None:
        cache = _Answers.open(environ)
        return cls(cache) if cache else None

    def get(self, *asked: Any) -> Any:
        return self._cache.get(self._cache.key(*asked))

    def put(self, value: Any, *asked: Any) -> None:
        self._cache.put(self._cache.key(*asked), value)


class _Answers(PrivateCache):
    name = "registries"
    key_file = "registries.key"
    most_bytes = 32 * 1024 * 1024


def etag_of(headers: Mapping[str, str]) -> str | None:
    """The ETag of an answer, where it is one that can be sent back."""
    tag = headers.get("ETag", "")
    return tag if _ETAG.fullmatch(tag) else None
