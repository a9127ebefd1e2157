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

from ci_gitops.adapters.kept_answers import KeptAnswers, etag_of
from ci_gitops.adapters.registry_http import Answer, RegistryHttp
from ci_gitops.core.images import ImageRef
from ci_gitops.core.scanning import Facts, seconds_of
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
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128}")
_CREATED = "org.opencontainers.image.created"
_NEXT = re.compile(r'<([^>]+)>\s*;\s*rel="?next"?')


@dataclass(frozen=True, slots=True)
class Descriptor:
    """What a tag points to."""

    digest: str
    media_type: str
    size: int | None = None


@dataclass(frozen=True, slots=True)
class ImageConfig:
    """What an image says of itself. Of several platforms the labels are those of the first."""

    digest: str
    labels: Mapping[str, str]
    platforms: tuple[str, ...]
    created: str | None


@dataclass(frozen=True, slots=True)
class Registry:
    """One registry with one login. `kept` is what it answered before, where that is remembered."""

    http: RegistryHttp
    kept: KeptAnswers | None = None

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
        return [tag for tag in self._tag_pages(repository) if _TAG.fullmatch(tag)]

    def facts(self, ref: ImageRef, *, times: bool, platforms: bool) -> Facts | None:
        """Digest, and where asked for time and platforms, by as few manifests as that takes; None: it is not there.

        What is known of a digest is not asked for again: a HEAD says that the tag still has it, and no registry
        counts that as a pull.
        """
        place = (self.http.host, ref.repository)
        kept, wanted = self.kept, [times, platforms]
        if not any(wanted) or (kept and kept.get("seen", *place, ref.digest or ref.tag)):
            found = self.head(ref)
            if found is None or not any(wanted):
                return Facts(found.digest) if found else None
            known = kept.get("facts", *place, found.digest, *wanted) if kept else None
            if known:
                return Facts(found.digest, known["created"], tuple(known["platforms"]))
        answer = self._manifest("GET", ref.repository, ref.digest or ref.tag or "latest")
        if answer is None:
            return None
        facts = self._facts_of(ref, answer, times=times, platforms=platforms)
        if kept:
            said = {"created": facts.created, "platforms": [*facts.platforms]}
            kept.put(said, "facts", *place, facts.digest, *wanted)
            kept.put(True, "seen", *place, ref.digest or ref.tag)
        return facts

    def _facts_of(self, ref: ImageRef, answer: Answer, *, times: bool, platforms: bool) -> Facts:
        manifest, named = self._document(answer, str(ref)), tuple[str, ...]()
        digest, created = _digest(answer.body, ref.digest), _annotated(manifest)
        if _media_type(answer) in _INDEXES:
            images = _images(manifest)
            named = tuple(dict.fromkeys(_platform(item["platform"]) for item in images))
            if not times or created is not None or not images:
                return Facts(digest, created, named)
            first = self._manifest("GET", ref.repository, str(images[0]["digest"]))
            if first is None:
                return Facts(digest, None, named)
            manifest = self._document(first, str(ref))
            created = _annotated(manifest)
        if (times and created is None) or (platforms and not named):
            config = self._config_blob(ref, manifest)
            labels = _labels(config)
            created = created or seconds_of(labels.get(_CREATED)) or seconds_of(config.get("created"))
            named = named or tuple(filter(None, [_platform(config)]))
        return Facts(digest, created, named)

    def config(self, ref: ImageRef) -> ImageConfig | None:
        """Labels, platforms and time of creation; None where the registry has no such image."""
        answer = self._manifest("GET", ref.repository, ref.digest or ref.tag or "latest")
        if answer is None:
            return None
        digest, manifest = _digest(answer.body, ref.digest), self._document(answer, str(ref))
        platforms: tuple[str, ...] = ()
        if _media_type(answer) in _INDEXES:
            images = _images(manifest)
            platforms = tuple(dict.fromkeys(_platform(item["platform"]) for item in images))
            first = self._manifest("GET", ref.repository, str(images[0]["digest"])) if images else None
            if first is None:
                return ImageConfig(digest, {}, platforms, None)
            manifest = self._document(first, str(ref))
        config = self._config_blob(ref, manifest)
        labels = _labels(config)
        created = config.get("created")
        return ImageConfig(
            digest, labels, platforms or (_platform(config),), created if isinstance(created, str) else None
        )

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
        """By a tag, or by a digest, which is compared with what came."""
        answer = self.http.request(
            method, f"/v2/{repository}/manifests/{reference}", scope=f"repository:{repository}:pull",
            headers={"Accept": _ACCEPT}, limit=_LARGEST_DOCUMENT, missing_ok=True,
        )  # fmt: skip
        if answer and ":" in reference:
            said = (
                answer.headers.get("Docker-Content-Digest", "") if method == "HEAD" else _digest(answer.body, reference)
            )
            self._must_be(said or reference, reference, repository)
        return answer

    def _must_be(self, came: str, digest: str, repository: str) -> None:
        if came != digest:
            raise RegistryError(
                f"{self.http.host} answered something else than {digest} of {repository}: it has the digest {came}.",
                hint="Its storage is broken, or somebody has changed what it answers: find that out before you use it.",
            )

    def _descriptor_of_bytes(self, repository: str, reference: str) -> Descriptor | None:
        answer = self._manifest("GET", repository, reference)
        return Descriptor(_digest(answer.body, reference), _media_type(answer), len(answer.body)) if answer else None

    def _config_blob(self, ref: ImageRef, manifest: Mapping[str, Any]) -> Mapping[str, Any]:
        named = manifest.get("config")
        digest = str(named.get("digest", "")) if isinstance(named, dict) else ""
        if not _DIGEST.fullmatch(digest):
            raise RegistryError(f"The manifest of {ref} names no configuration.")
        answer = self.http.request(
            "GET", f"/v2/{ref.repository}/blobs/{digest}", scope=f"repository:{ref.repository}:pull",
            limit=_LARGEST_DOCUMENT,
        )  # fmt: skip
        assert answer  # without missing_ok an absent blob is an error
        self._must_be(_digest(answer.body, digest), digest, ref.repository)
        return self._document(answer, str(ref))

    def _tag_pages(self, repository: str, page: int = 1000) -> Iterator[str]:
        path: str | None = f"/v2/{repository}/tags/list?n={page}"
        seen: set[str] = set()
        while path and path not in seen and len(seen) < _MOST_PAGES:
            seen.add(path)
            tags, path = self._page(repository, path)
            yield from tags
        if path in seen:
            raise RegistryError(f"{self.http.host} lists the tags of {repository} in a circle.")
        if path:
            raise RegistryError(f"{self.http.host} lists more than {_MOST_PAGES} pages of tags for {repository}.")

    def _page(self, repository: str, path: str) -> tuple[list[str], str | None]:
        """One page of tags, and where the next one is; what has not changed is not sent again."""
        known = self.kept.get("tags", self.http.host, path) if self.kept else None
        answer = self.http.request(
            "GET", path, scope=f"repository:{repository}:pull", limit=_LARGEST_DOCUMENT, missing_ok=True,
            headers={"If-None-Match": known["etag"]} if known else None,
        )  # fmt: skip
        if answer is None:
            return [], None
        if known and answer.status == 304:
            return known["tags"], known["next"]
        listed = self._document(answer, repository).get("tags")
        tags = [tag for tag in listed if isinstance(tag, str)] if isinstance(listed, list) else []
        link = _NEXT.search(answer.headers.get("Link", ""))
        following, etag = link[1] if link else None, etag_of(answer.headers)
        if self.kept and etag:
            self.kept.put({"etag": etag, "tags": tags, "next": following}, "tags", self.http.host, path)
        return tags, following

    def _document(self, answer: Answer, what: str) -> dict[str, Any]:
        try:
            document = json.loads(answer.body)
        except (ValueError, RecursionError) as error:
            raise RegistryError(f"{self.http.host} answered something else than JSON for {what}.") from error
        if not isinstance(document, dict):
            raise RegistryError(f"{self.http.host} answered a JSON {type(document).__name__} for {what}.")
        return document


def _media_type(answer: Answer) -> str:
    return answer.headers.get("Content-Type", "").split(";")[0].strip()


def _images(index: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The images that an index names by their digests, each for a platform."""
    items = index.get("manifests")
    named = [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []
    return [
        item for item in named if _platform(item.get("platform")) and _DIGEST.fullmatch(str(item.get("digest", "")))
    ]


def _labels(config: Mapping[str, Any]) -> dict[str, str]:
    inner = config.get("config")
    labels = inner.get("Labels") if isinstance(inner, dict) else None
    return {name: value for name, value in labels.items() if isinstance(value, str)} if isinstance(labels, dict) else {}


def _annotated(manifest: Mapping[str, Any]) -> float | None:
    """The time of its making where an index or manifest says it itself, as charts do."""
    annotations = manifest.get("annotations")
    return seconds_of(str(annotations.get(_CREATED, ""))) if isinstance(annotations, dict) else None


def _digest(body: bytes, like: str | None = None) -> str:
    """By the algorithm of another digest, where there is one."""
    algorithm = "sha512" if like and like.startswith("sha512:") else "sha256"
    return f"{algorithm}:{hashlib.new(algorithm, body).hexdigest()}"


def _platform(fields: Any) -> str:
    """`linux/arm64/v8`; empty for what is no image, as the attestations that BuildKit adds to an index."""
    if not isinstance(fields, dict) or fields.get("os", "unknown") == "unknown":
        return ""
    parts = (fields.get("os"), fields.get("architecture"), fields.get("variant"))
    return "/".join(str(part) for part in parts if part)
