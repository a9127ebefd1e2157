"""A container registry, asked over its HTTP API: digests, tags, labels and platforms of images.

https://github.com/opencontainers/distribution-spec/blob/main/spec.md
Pushing layers is the engines' work; what an image is called and whether it is there is asked here.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ci_gitops.adapters.registry_http import Answer, RegistryHttp
from ci_gitops.core.images import ImageRef
from ci_gitops.errors import RegistryError

_INDEXES = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
_MANIFESTS = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
_ACCEPT = ", ".join((*_INDEXES, *_MANIFESTS))
_LARGEST_DOCUMENT = 4 * 1024 * 1024  # bytes of a manifest, a configuration or a page of tags
_MOST_PAGES = 200
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_NEXT = re.compile(r'<([^>]+)>\s*;\s*rel="?next"?')


@dataclass(frozen=True, slots=True)
class Descriptor:
    """What a tag points to."""

    digest: str
    media_type: str
    size: int | None = None

    @property
    def is_index(self) -> bool:
        return self.media_type in _INDEXES


@dataclass(frozen=True, slots=True)
class ImageConfig:
    """What an image says of itself. Of several platforms the labels are those of the first."""

    digest: str
    labels: Mapping[str, str]
    platforms: tuple[str, ...]
    created: str | None


@dataclass(frozen=True, slots=True)
class Registry:
    """One registry with one login."""

    http: RegistryHttp

    def head(self, ref: ImageRef) -> Descriptor | None:
        """The digest behind a tag (or that a digest exists); None where the registry has no such image."""
        reference = ref.digest or ref.tag or "latest"
        answer = self._manifest("HEAD", ref.repository, reference)
        if answer is None:
            return None
        digest = answer.headers.get("Docker-Content-Digest", "")
        if not _DIGEST.fullmatch(digest):
            # Some proxies drop the header; the digest is that of the bytes.
            return self._descriptor_of_bytes(ref.repository, reference)
        length = answer.headers.get("Content-Length", "")
        return Descriptor(digest, _media_type(answer), int(length) if length.isdigit() else None)

    def tags(self, repository: str) -> list[str]:
        """Every tag of a repository, in the registry's order; an unknown repository has none."""
        return list(self._tag_pages(repository))

    def config(self, ref: ImageRef) -> ImageConfig | None:
        """Labels, platforms and time of creation; None where the registry has no such image."""
        answer = self._manifest("GET", ref.repository, ref.digest or ref.tag or "latest")
        if answer is None:
            return None
        digest, manifest = _digest(answer.body), self._document(answer, str(ref))
        platforms: tuple[str, ...] = ()
        if _media_type(answer) in _INDEXES:
            images = [item for item in manifest.get("manifests", []) if _platform(item.get("platform"))]
            platforms = tuple(dict.fromkeys(_platform(item["platform"]) for item in images))
            first = self._manifest("GET", ref.repository, str(images[0]["digest"])) if images else None
            if first is None:
                return ImageConfig(digest, {}, platforms, None)
            manifest = self._document(first, str(ref))
        config = self._config_blob(ref, manifest)
        labels = (config.get("config") or {}).get("Labels") or {}
        return ImageConfig(digest, labels, platforms or (_platform(config),), config.get("created"))

    def check_login(self, repository: str) -> None:
        """Raise where the registry does not take the login, before anybody has waited for a build."""
        self.http.request("GET", "/v2/", scope=f"repository:{repository}:pull,push")

    def check_push(self, repository: str) -> None:
        """Raise where the login may not push: an upload is begun and taken back."""
        scope = f"repository:{repository}:pull,push"
        begun = self.http.request("POST", f"/v2/{repository}/blobs/uploads/", scope=scope)
        place = begun.headers.get("Location") if begun else None
        if place:
            with contextlib.suppress(RegistryError):  # it ends by itself after a while
                self.http.request("DELETE", place, scope=scope)

    def _manifest(self, method: str, repository: str, reference: str) -> Answer | None:
        return self.http.request(
            method, f"/v2/{repository}/manifests/{reference}", scope=f"repository:{repository}:pull",
            headers={"Accept": _ACCEPT}, limit=_LARGEST_DOCUMENT, missing_ok=True,
        )  # fmt: skip

    def _descriptor_of_bytes(self, repository: str, reference: str) -> Descriptor | None:
        answer = self._manifest("GET", repository, reference)
        return Descriptor(_digest(answer.body), _media_type(answer), len(answer.body)) if answer else None

    def _config_blob(self, ref: ImageRef, manifest: Mapping[str, Any]) -> Mapping[str, Any]:
        digest = str((manifest.get("config") or {}).get("digest", ""))
        if not _DIGEST.fullmatch(digest):
            raise RegistryError(f"The manifest of {ref} names no configuration.")
        answer = self.http.request(
            "GET", f"/v2/{ref.repository}/blobs/{digest}", scope=f"repository:{ref.repository}:pull",
            limit=_LARGEST_DOCUMENT,
        )  # fmt: skip
        assert answer  # without missing_ok an absent blob is an error
        if _digest(answer.body) != digest:
            raise RegistryError(f"The configuration of {ref} does not have its digest {digest}.")
        return self._document(answer, str(ref))

    def _tag_pages(self, repository: str, page: int = 1000) -> Iterator[str]:
        path = f"/v2/{repository}/tags/list?n={page}"
        for _ in range(_MOST_PAGES):
            answer = self.http.request(
                "GET", path, scope=f"repository:{repository}:pull", limit=_LARGEST_DOCUMENT, missing_ok=True
            )
            if answer is None:
                return
            yield from map(str, self._document(answer, repository).get("tags") or [])
            link = _NEXT.search(answer.headers.get("Link", ""))
            if link is None:
                return
            path = link[1]
        raise RegistryError(f"{self.http.host} lists more than {_MOST_PAGES} pages of tags for {repository}.")

    def _document(self, answer: Answer, what: str) -> dict[str, Any]:
        try:
            document = json.loads(answer.body)
        except ValueError as error:
            raise RegistryError(f"{self.http.host} answered something else than JSON for {what}.") from error
        if not isinstance(document, dict):
            raise RegistryError(f"{self.http.host} answered a JSON {type(document).__name__} for {what}.")
        return document


def _media_type(answer: Answer) -> str:
    return answer.headers.get("Content-Type", "").split(";")[0].strip()


def _digest(body: bytes) -> str:
    return f"sha256:{hashlib.sha256(body).hexdigest()}"


def _platform(fields: Any) -> str:
    """`linux/arm64/v8`; empty for what is no image, as the attestations that BuildKit adds to an index."""
    if not isinstance(fields, dict) or fields.get("os", "unknown") == "unknown":
        return ""
    parts = (fields.get("os"), fields.get("architecture"), fields.get("variant"))
    return "/".join(str(part) for part in parts if part)
