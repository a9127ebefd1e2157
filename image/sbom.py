"""sbom.py IMAGE@DIGEST ARCHITECTURE: an image's bill of materials (CycloneDX), from what image/contents said of it.

A program is what is inside: the version that it tells and its SHA-256, and its release where tools.txt has it.

The same image gives the same document: its time is SOURCE_DATE_EPOCH, its number comes from the digest.
"""

from __future__ import annotations

import datetime
import os
import sys
import uuid
from collections.abc import Iterable, Iterator

from cyclonedx.model import ExternalReference, ExternalReferenceType, HashAlgorithm, HashType, XsUri
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from fetch_tools import Tool, listed
from packageurl import PackageURL


def main(image: str, architecture: str, contents: Iterable[str]) -> int:
    lines = [line.split() for line in contents]
    bom = Bom(components=[*packages(lines, architecture), *tools(lines, architecture)])
    name, _, digest = image.partition("@")
    bom.metadata.component = Component(
        name=name, version=digest, type=ComponentType.CONTAINER, bom_ref=image,
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=digest.removeprefix("sha256:"))],
    )  # fmt: skip
    bom.register_dependency(bom.metadata.component, bom.components)
    moment = int(os.environ.get("SOURCE_DATE_EPOCH", "0"))
    bom.metadata.timestamp = datetime.datetime.fromtimestamp(moment, datetime.UTC)
    bom.serial_number = uuid.uuid5(uuid.NAMESPACE_URL, f"oci:{image}")
    print(JsonV1Dot6(bom).output_as_string(indent=2))
    return 0


def packages(lines: Iterable[list[str]], architecture: str) -> Iterator[Component]:
    for kind, name, version in (line for line in lines if line[0] != "tool"):
        if kind == "deb":
            address = PackageURL("deb", "debian", name, version, {"arch": architecture})
        else:
            address = PackageURL("pypi", None, name.lower().replace("_", "-"), version)
        yield Component(name=name, version=version, purl=address, bom_ref=str(address))


def tools(lines: Iterable[list[str]], architecture: str) -> Iterator[Component]:
    known = {(tool.name, tool.version): tool for tool in listed() if tool.architecture == architecture}
    for name, version, checksum in (line[1:] for line in lines if line[0] == "tool"):
        release = known.get((name, version))
        address = PackageURL("generic", None, name, version, origin(release) if release else None)
        yield Component(
            name=name, version=version, type=ComponentType.APPLICATION, purl=address, bom_ref=str(address),
            hashes=[HashType(alg=HashAlgorithm.SHA_256, content=checksum)],
            external_references=[ExternalReference(
                type=ExternalReferenceType.DISTRIBUTION, url=XsUri(release.address),
                hashes=[HashType(alg=HashAlgorithm.SHA_256, content=release.checksum)],
            )] if release else [],
        )  # fmt: skip


def origin(release: Tool) -> dict[str, str]:
    return {"download_url": release.address, "checksum": f"sha256:{release.checksum}"}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2], sys.stdin))
