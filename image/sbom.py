"""sbom.py IMAGE@DIGEST ARCHITECTURE: an image's bill of materials (CycloneDX), from what image/contents said of it.

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
from fetch_tools import LIST
from packageurl import PackageURL


def main(image: str, architecture: str, contents: Iterable[str]) -> int:
    bom = Bom(components=[*packages(contents, architecture), *tools(architecture)])
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


def packages(contents: Iterable[str], architecture: str) -> Iterator[Component]:
    for line in contents:
        kind, name, version = line.split()
        if kind == "deb":
            address = PackageURL("deb", "debian", name, version, {"arch": architecture})
        else:
            address = PackageURL("pypi", None, name.lower().replace("_", "-"), version)
        yield Component(name=name, version=version, purl=address, bom_ref=str(address))


def tools(architecture: str) -> Iterator[Component]:
    for line in LIST.read_text().splitlines():
        if line.startswith("#") or architecture not in line.split():
            continue
        name, version, _, checksum, place, *_ = line.split()
        address = PackageURL("generic", None, name, version, {"download_url": place, "checksum": f"sha256:{checksum}"})
        yield Component(
            name=name, version=version, type=ComponentType.APPLICATION, purl=address, bom_ref=str(address),
            external_references=[ExternalReference(
                type=ExternalReferenceType.DISTRIBUTION, url=XsUri(place),
                hashes=[HashType(alg=HashAlgorithm.SHA_256, content=checksum)],
            )],
        )  # fmt: skip


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2], sys.stdin))
