"""cosign: is an image's signature good? https://docs.sigstore.dev/cosign/verifying/verify/

Versions 2 and 3 are told the same. It gets a private Docker configuration with the one login that it needs, the key
as a private file, the proxies, and of our environment nothing else but what its own trust rests on.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ci_gitops.adapters import process, programs
from ci_gitops.adapters.registry_login import Login, config_key
from ci_gitops.core.images import ImageRef
from ci_gitops.core.signatures import Signer, Trouble, pattern_of, trouble_of
from ci_gitops.core.text import plain
from ci_gitops.errors import CiGitopsError, RefusedError, SettingsError, TemporaryError

_SECONDS = 60.0
_MOST_OUTPUT = 4 * 1024 * 1024
#: Where it finds the roots of its trust, and signatures that lie in a repository of their own.
_VARIABLES = (
    "TUF_ROOT", "TUF_MIRROR", "SIGSTORE_ROOT_FILE", "SIGSTORE_REKOR_PUBLIC_KEY", "SIGSTORE_CT_LOG_PUBLIC_KEY_FILE",
    "COSIGN_REPOSITORY", "SSL_CERT_FILE", "SSL_CERT_DIR",
)  # fmt: skip
#: What a key service's own library reads, by the beginning of its address.
_SERVICE_VARIABLES = {"awskms": "AWS_", "azurekms": "AZURE_", "gcpkms": "GOOGLE_", "hashivault": "VAULT_"}


@dataclass(frozen=True, slots=True)
class Cosign:
    """The program, and how the registry of the images is reached."""

    program: str
    environ: Mapping[str, str]
    ca_file: Path | None = None

    @classmethod
    def find(cls, environ: Mapping[str, str], ca_file: Path | None = None) -> Cosign | None:
        """None where it is not installed."""
        path = programs.find("cosign", environ)
        return cls(path, environ, ca_file) if path else None

    def runs(self) -> bool:
        env = process.clean_environment(self.environ)
        return process.run([self.program, "version"], env=env, timeout=10, output_limit=_MOST_OUTPUT).code == 0

    def verify(self, image: ImageRef, signer: Signer, login: Login | None) -> None:
        """Return where `signer` has signed exactly this digest; else RefusedError, or TemporaryError to try again."""
        digest = image.digest or ""
        with _private(login, signer) as folder:
            words = [*_demand(signer, folder), "--", f"{image.registry}/{image.repository}@{digest}"]
            done = process.run(
                [self.program, "verify", f"--timeout={_SECONDS:.0f}s", *words], env=self._environment(folder, signer),
                cwd=folder, timeout=_SECONDS + 5, output_limit=_MOST_OUTPUT,
            )  # fmt: skip
        if done.code == 0 and digest in done.text:  # what it says of each signature names the digest
            return
        said = plain(done.errors)
        raise _refusal(trouble_of(done.code, said), image, signer, _last(said))

    def _environment(self, folder: Path, signer: Signer) -> dict[str, str]:
        kept = process.clean_environment(self.environ, *_VARIABLES, proxies=True)
        begin = _SERVICE_VARIABLES.get((signer.address or "").partition(":")[0])
        if begin:
            kept |= {name: value for name, value in self.environ.items() if name.startswith(begin)}
        if self.ca_file:  # beside the system's: those are in its folder of certificates
            kept["SSL_CERT_FILE"] = str(self.ca_file.absolute())
        return {**kept, "DOCKER_CONFIG": str(folder)}


@contextmanager
def _private(login: Login | None, signer: Signer) -> Iterator[Path]:
    """A folder with the login and the key, gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="ci-gitops-cosign-") as name:
        folder = Path(name)
        auths: dict[str, dict[str, str]] = {}
        if login:
            entry = {"identitytoken": login.identity_token} if login.identity_token else {"auth": login.basic}
            auths[config_key(login.host)] = entry
        _write(folder / "config.json", json.dumps({"auths": auths}))
        if signer.key:
            _write(folder / "key.pub", signer.key)
        yield folder


def _write(path: Path, content: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content.encode())


def _demand(signer: Signer, folder: Path) -> list[str]:
    """Whose signature, as words of the command line: no value can be taken for an option."""
    words = [] if signer.tlog else ["--insecure-ignore-tlog=true"]
    if signer.identity is None:
        return [*words, f"--key={signer.address or folder / 'key.pub'}"]
    issuer = f"--certificate-oidc-issuer={signer.issuer}"
    if "*" in signer.identity:
        return [*words, f"--certificate-identity-regexp={pattern_of(signer.identity)}", issuer]
    return [*words, f"--certificate-identity={signer.identity}", issuer]


def _refusal(trouble: Trouble, image: ImageRef, signer: Signer, said: str) -> CiGitopsError:
    setting = signer.setting
    if trouble == "unsigned":
        return RefusedError(
            f"{image} is not signed, and {setting} wants a signature of {signer}.",
            hint=f"Sign it where it is built: `cosign sign … {image.name}@{image.digest}`. "
            "(What cosign 3 signs is read by cosign 3 alone.)",
        )
    if trouble == "other-image":
        return RefusedError(
            f"The signature beside {image} is one of another image: somebody has moved it there.",
            hint="Find out who, before anything else. If the image is a good one, sign this very digest.",
        )
    if trouble == "other-signer":
        return RefusedError(
            f"{image} is signed, but not by {signer}, which {setting} wants.",
            hint=f"Sign it as that, or correct {setting} on the branch that is written to. cosign said: {said}",
        )
    if trouble == "log-away":
        return TemporaryError(
            f"The signature of {image} cannot be checked: the transparency log or its keys are away: {said}",
            hint=f"Try again. Where there is no way to it at all, sign without it and set {setting}.tlog: false.",
        )
    if trouble == "away":
        return TemporaryError(f"The signature of {image} cannot be checked now: {said}", hint="Try again.")
    if trouble == "key":
        return SettingsError(f"{setting}: {signer} cannot be used: {said}", hint="It must be a public key of cosign.")
    return RefusedError(f"cosign does not vouch for {image}: {said}", hint=f"{setting} wants {signer}.")


def _last(said: str) -> str:
    """The first error of what it wrote, which it repeats at the end."""
    lines = [line.removeprefix("Error: ") for line in said.splitlines() if line.startswith("Error: ")]
    return (lines or said.splitlines()[-1:] or ["it said nothing"])[0][:400]
