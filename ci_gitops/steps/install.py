"""The story of `install`: what the operator needs in a cluster to run there for one environment, printed or applied."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from ci_gitops import __version__
from ci_gitops.adapters.cluster.base import Cluster
from ci_gitops.core import manifests
from ci_gitops.core.cron import check_cron
from ci_gitops.core.dns_names import dns_label
from ci_gitops.core.git_urls import GitUrl, parse_git_url
from ci_gitops.core.images import ImageRef
from ci_gitops.core.installation import IN_CLUSTER, Installation, installed
from ci_gitops.core.inventory import Key
from ci_gitops.core.manifests import Manifest
from ci_gitops.core.stages import order
from ci_gitops.core.text import counted
from ci_gitops.errors import ClusterError, UsageError
from ci_gitops.results import Result
from ci_gitops.run import Run
from ci_gitops.settings import EnvironmentSettings
from ci_gitops.steps.declared import Ask, declared_at
from ci_gitops.steps.destinations import Destinations
from ci_gitops.steps.locate import identity
from ci_gitops.steps.rbac import RbacCall, rbac
from ci_gitops.steps.workplace import Workplace, Workplaces

IMAGE = f"registry.gitlab.com/ci-gitops/ci-gitops:{__version__}-cluster"
_NOTHING = frozenset(("none", "never", ""))
_MACROS = frozenset(f"@{each}" for each in ("yearly", "annually", "monthly", "weekly", "daily", "midnight", "hourly"))
_PORTS = {"https": 443, "http": 80, "ssh": 22, "git+ssh": 22, "ssh+git": 22}
_ALWAYS = (443, 6443)  # registries, chart repositories and API servers


@dataclass(frozen=True, slots=True, kw_only=True)
class InstallCall(Ask):
    """The options of one call, as the command line gives them."""

    namespace: str = "ci-gitops"
    image: str | None = None
    secret: str = "ci-gitops"  # noqa: S105  # its name
    authority: bool = False
    schedule: str = "*/5 * * * *"
    scan_schedule: str | None = None
    ports: tuple[int, ...] = ()
    forge: str | None = None
    forge_url: str | None = None
    apply: bool = False
    dry_run: bool = False

    def rbac(self, account: str) -> RbacCall:
        """The roles of all that the environment declares."""
        return RbacCall(**{each.name: getattr(self, each.name) for each in fields(Ask)}, account=account)


def install(run: Run, call: InstallCall) -> Result:
    """The objects, in the order in which they are applied."""
    _check(call)
    with Workplaces(run, call.reach) as places:
        place, environment = declared_at(places, call)
        call = replace(call, environment=environment.name)
        wanted = _installation(run, place, environment, call)
        granted: Sequence[dict[str, Any]] = rbac(run, call.rbac(f"{wanted.namespace}/{wanted.name}")).document[
            "manifests"
        ]
        objects = _ordered([*_namespaces(environment, granted, wanted), *granted, *installed(wanted)])
        if call.apply:
            with Destinations(run, call, place, environment) as destinations:
                cluster = destinations.of(place.settings.targets([environment.name])[0])
                _apply(run, cluster, objects, dry_run=call.dry_run)
    _tell_of_secret(run, wanted)
    document = {
        "environment": environment.name, "namespace": wanted.namespace, "secret": wanted.secret, "image": wanted.image,
        "applied": call.apply and not call.dry_run, "manifests": objects,
    }  # fmt: skip
    return Result("InstallResult", document, _text(objects, call, wanted))


def _check(call: InstallCall) -> None:
    """UsageError for what an API server would refuse, before it stands in a command that somebody copies."""
    for option, name, parts in (
        ("--namespace", call.namespace, [call.namespace]), ("--secret", call.secret, call.secret.split("."))
    ):  # fmt: skip
        if any(dns_label(part) != part for part in parts):
            raise UsageError(
                f"{option}: {name!r} is no name for it.", hint="Small letters, digits and `-`, at most 63 of them."
            )
    if call.image:
        ImageRef.parse(call.image)
    for option, line in (("--schedule", call.schedule), ("--scan-schedule", call.scan_schedule or "")):
        if line not in _MACROS and not (option == "--scan-schedule" and line in _NOTHING):
            try:
                check_cron(line)
            except ValueError as error:
                raise UsageError(f"{option}: {error}.") from error


def _installation(run: Run, place: Workplace, environment: EnvironmentSettings, call: InstallCall) -> Installation:
    address = _address(run, place, call)
    settings = {"CI_GITOPS_REPO": address.clean}
    if call.branch:
        settings["CI_GITOPS_DEPLOY_BRANCH"] = settings["CI_GITOPS_SCAN_BRANCH"] = call.branch
    if forge := call.forge or place.settings.config.forge:
        settings["CI_GITOPS_FORGE"] = forge
    if call.forge_url:
        settings["CI_GITOPS_FORGE_URL"] = parse_git_url(call.forge_url).clean
    if call.record_namespace:
        settings["CI_GITOPS_DEPLOY_RECORD_NAMESPACE"] = call.record_namespace
    return Installation(
        environment=environment.name,
        namespace=call.namespace,
        image=call.image or IMAGE,
        secret=call.secret,
        settings=settings,
        schedule=call.schedule,
        scan_schedule=_scan_schedule(place, environment, call),
        ports=(*_ALWAYS, address.port or _PORTS[address.scheme], *call.ports),
        authority=call.authority,
    )


def _address(run: Run, place: Workplace, call: InstallCall) -> GitUrl:
    """Where pods find the config repository; a password in it stays here."""
    address = parse_git_url(identity(run, place.url))
    if not address.remote:
        raise UsageError(
            f"The config repository is the folder {address.clean}, which no pod can reach.",
            hint="Pass --repo URL, or run this in a clone whose `origin` is on a server.",
        )
    return address


def _scan_schedule(place: Workplace, environment: EnvironmentSettings, call: InstallCall) -> str | None:
    """As asked; else where an app says which newer versions it takes."""
    if call.scan_schedule is not None:
        return None if call.scan_schedule in _NOTHING else call.scan_schedule
    targets = place.settings.targets([environment.name], call.apps, paths=place.tree.files())
    followed = any(place.settings.app(target.app).policies for target in targets)
    return "*/15 * * * *" if followed else None


def _namespaces(
    environment: EnvironmentSettings, granted: Sequence[Mapping[str, Any]], wanted: Installation
) -> list[dict[str, Any]]:
    """Those that a pass would make: the roles in them must be there before."""
    if not environment.create_namespace:
        return []
    names = {Key.of(each).namespace for each in granted} - {"", wanted.namespace}
    return [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}} for name in sorted(names)]


def _ordered(objects: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    return [document for stage in order(objects) for document in stage]


def _apply(run: Run, cluster: Cluster, objects: Sequence[dict[str, Any]], *, dry_run: bool) -> None:
    """One after the other; what was applied before a refusal stays, and the same call again goes on."""
    if not cluster.alive:
        raise UsageError(f"Nothing runs in {cluster}.", hint="Name a cluster with --context or --kubeconfig.")
    for document in objects:
        key = Key.of(document)
        run.output.step(f"{'Would apply' if dry_run else 'Applying'} {key}")
        if dry_run:
            continue
        try:
            cluster.apply(document, force=True)
        except ClusterError as error:
            error.hint = error.hint or "Who installs needs the rights that are granted, and may make namespaces."
            raise


def _text(objects: Sequence[dict[str, Any]], call: InstallCall, wanted: Installation) -> str:
    if call.apply:
        what = "would be applied" if call.dry_run else "are applied"
        return (
            f"{counted(len(objects), 'object')} {what}: {wanted.environment} is deployed from {wanted.namespace}, "
            f"{wanted.schedule} (UTC)."
        )
    stream = manifests.text(Manifest(each["apiVersion"], each["kind"], None, "", each) for each in objects)
    return stream.rstrip("\n")


def _tell_of_secret(run: Run, wanted: Installation) -> None:
    """What only people can give."""
    keys = "CI_GITOPS_TOKEN, or GITLAB_ID_RSA with SSH_KNOWN_HOSTS" + (", and ca.crt" if wanted.authority else "")
    run.output.note(
        f"The pods read their credentials from the Secret {wanted.secret} in {wanted.namespace}, which is yours to "
        f"make: {keys}. `kubectl -n {wanted.namespace} create secret generic {wanted.secret} "
        "--from-file=CI_GITOPS_TOKEN=FILE` does."
    )
    run.output.detail(f"In the pods --context {IN_CLUSTER} stands for their own account.")
