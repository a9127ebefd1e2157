"""What an image must prove before it is written: that its registry has it, and who signed it.

Whose signature counts is read from the branch that is written to, and so is the key. What is verified is a digest,
and that digest is what is written.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ci_gitops.adapters.certificates import ca_file as certificates
from ci_gitops.adapters.cosign import Cosign
from ci_gitops.adapters.registry import Registry
from ci_gitops.core.edits import image_uses
from ci_gitops.core.images import ImageRef
from ci_gitops.core.signatures import KEY_SERVICES, KEY_VARIABLE, Signer
from ci_gitops.core.text import counted
from ci_gitops.core.updates import Plan
from ci_gitops.core.uses import Tree, reference
from ci_gitops.errors import CiGitopsError, RefusedError, SettingsError, UsageError, decisive
from ci_gitops.run import Run
from ci_gitops.settings import EnvironmentSettings
from ci_gitops.steps.registries import registry_at
from ci_gitops.steps.workplace import Workplace

_AT_ONCE = 4
_PEM = "-----BEGIN PUBLIC KEY-----"


@dataclass(frozen=True, slots=True)
class Proof:
    """An image that is there. `image` has its digest; `signer` is who signed it, None where nobody was asked for."""

    image: ImageRef
    signer: str | None = None
    platforms: tuple[str, ...] = ()

    @property
    def document(self) -> dict[str, Any]:
        return {"image": str(self.image), "signer": self.signer, "platforms": list(self.platforms)}


def prove(
    run: Run, images: Sequence[ImageRef | str], environment: EnvironmentSettings, *, platforms: Sequence[str] = (),
    ca_file: Path | None = None, rules: Tree,
) -> tuple[Proof, ...]:  # fmt: skip
    """The proof of each image, in their order; of several that have none the failure that counts most is raised.

    RefusedError where one is missing, lacks one of `platforms` or is not signed as the environment wants;
    TemporaryError where its registry is away. `rules` is the tree that the environment's rules were read from.
    """
    wanted = list(dict.fromkeys(ImageRef.parse(str(image)) for image in images))
    if not wanted:
        return ()
    verify = _verifier(run, environment, ca_file, rules)
    registries = {host: registry_at(run, host, ca_file) for host in {image.registry for image in wanted}}

    def one(image: ImageRef) -> Proof | CiGitopsError:
        try:
            found = _found(registries[image.registry], image, platforms)
            return replace(found, signer=verify(found.image, registries[image.registry])) if verify else found
        except CiGitopsError as error:
            return error

    run.output.step(f"Asking for {counted(len(wanted), 'image')} of {environment.name}")
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        answers = list(pool.map(one, wanted))
    failures = [answer for answer in answers if isinstance(answer, CiGitopsError)]
    if failures:
        worst = decisive(failures)
        for failure in failures:
            if failure is not worst:
                run.output.warn(failure.message)
        raise worst
    return tuple(answer for answer in answers if isinstance(answer, Proof))


def must_be_signed(
    run: Run, images: Sequence[ImageRef], environment: EnvironmentSettings, *, ca_file: Path | None, rules: Tree
) -> None:
    """RefusedError where one of the images is not signed as the environment wants."""
    for image in images:
        _must_be_fixed(image, environment.name)
    for proof in prove(run, images, environment, ca_file=ca_file, rules=rules):
        run.output.note(f"{proof.image} is signed by {proof.signer}")


def prover(run: Run, ca_file: Path | None) -> Callable[[Workplace, Plan], None]:
    """A check of plans: what they bring to an environment that wants signatures is proved, each image once."""
    proved: set[tuple[str, str]] = set()

    def check(place: Workplace, plan: Plan) -> None:
        for name in dict.fromkeys(target.environment for target in plan.moved_targets):
            environment = place.settings.environment(name)
            if environment.verify.cosign is None:
                continue
            brought = [image for image in _brought(plan, name) if (name, str(image)) not in proved]
            must_be_signed(run, brought, environment, ca_file=ca_file, rules=place.rules)
            proved.update((name, str(image)) for image in brought)

    return check


def _brought(plan: Plan, environment: str) -> list[ImageRef]:
    """The references that are new in an environment, whether as images or as any other value of its files."""
    named = [move.new for move in plan.images if move.environment == environment]
    paths = {move.path for move in plan.values if move.environment == environment}
    for edit in (edit for edit in plan.edits if edit.path in paths):
        old, new = (
            [reference(use.effective, use.tag, use.digest) for use in image_uses(text, path=edit.path)]
            for text in (edit.old, edit.new)
        )
        named += [one for one in new if one not in old]
    return list(dict.fromkeys(map(_parsed, named)))


def _parsed(image: str) -> ImageRef:
    try:
        return ImageRef.parse(image)
    except UsageError as error:
        raise RefusedError(f"{image!r} is no image that could be verified: {error.message}") from error


def _must_be_fixed(image: ImageRef, environment: str) -> None:
    if image.digest is None:
        raise RefusedError(
            f"{image} would be written to {environment} without a digest, and a signature is one of a digest.",
            hint=f"Write it as an image, which takes the digest along: `ci-gitops update {image} …`.",
        )


def _found(registry: Registry, image: ImageRef, platforms: Sequence[str]) -> Proof:
    there = registry.head(image)
    if there is None:
        raise RefusedError(
            f"There is no image {image} at the registry {image.registry}.",
            hint="Was it deleted there, by a clean-up policy perhaps? Push it again, or take one that is there.",
        )
    if image.digest and there.digest != image.digest:
        raise RefusedError(f"The registry {image.registry} answered {there.digest} when it was asked for {image}.")
    exact = replace(image, digest=there.digest)
    if not platforms:
        return Proof(exact)
    config = registry.config(exact)
    offered = config.platforms if config else ()
    if missing := [one for one in platforms if not any(_fits(one, each) for each in offered)]:
        raise RefusedError(
            f"{image} is not there for {', '.join(missing)}; the registry {image.registry} has it for "
            f"{', '.join(offered) or 'no platform'}.",
            hint="Build it for all platforms: `ci-gitops build --platform …`.",
        )
    return Proof(exact, platforms=offered)


def _fits(wanted: str, offered: str) -> bool:
    """`linux/arm64` is met by `linux/arm64/v8`."""
    return offered == wanted or offered.startswith(f"{wanted}/")


def _verifier(
    run: Run, environment: EnvironmentSettings, ca_file: Path | None, rules: Tree
) -> Callable[[ImageRef, Registry], str] | None:
    """What verifies one image and says who signed it; None where the environment wants no signature."""
    if environment.verify.cosign is None:
        return None
    signer = _signer(run, environment, rules)
    cosign = Cosign.find(run.environ, certificates(run.environ, run.cwd / ca_file if ca_file else None))
    if cosign is None:
        raise CiGitopsError(
            f"{signer.setting} wants signatures, and the program cosign is not here to check them.",
            hint="Install cosign 2 or 3 on PATH (https://docs.sigstore.dev/cosign/system_config/installation/).",
        )

    def verify(image: ImageRef, registry: Registry) -> str:
        cosign.verify(image, signer, registry.http.login)
        return str(signer)

    return verify


def _signer(run: Run, environment: EnvironmentSettings, rules: Tree) -> Signer:
    setting, wanted = f"{environment.section}.verify.cosign", environment.verify.cosign
    assert wanted
    if wanted.key is None:
        return Signer("", setting, identity=wanted.identity, issuer=wanted.issuer, tlog=wanted.tlog)
    kind, service, rest = wanted.key.partition("://")
    signer = Signer(wanted.key, setting, tlog=wanted.tlog)
    if service and kind in KEY_SERVICES:
        return replace(signer, address=wanted.key)
    text = run.environ.get(rest) if service and kind == KEY_VARIABLE else rules.read([wanted.key]).get(wanted.key)
    if text is None:
        where = f"the variable {rest} is not set" if service else "there is no such file on the branch that is written"
        raise SettingsError(f"{setting}.key is {wanted.key}, and {where}.", hint="It should hold cosign's public key.")
    if not text.strip().startswith(_PEM):
        raise SettingsError(
            f"{setting}.key: {wanted.key} holds no public key.", hint=f"A public key begins with {_PEM}."
        )
    return replace(signer, key=text)
