"""The options by which every command of the Deploy Operator is told what it is about, and where that lives."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from ci_gitops.commands.common import added, ca_file_option, option, token_file_option

_ENVIRONMENT = option(
    "--environment", metavar="ENV", help="The environment.  [default: the one whose sourceBranches hold the CI branch]"
)
_APPS = option(
    "--app", "apps", multiple=True, help="Only this app; may be repeated.  [default: all of the environment]"
)
_APP = option("--app", required=True, help="The app.")
_WHAT = (
    option("--repo", metavar="URL|PATH", help="The config repository.  [default: the checkout of the current folder]"),
    option("--branch", help="Its branch.  [default: the checkout's HEAD, else the remote's default]"),
)
_REVISION = option(
    "--revision", metavar="COMMIT",
    help="Commit, branch or tag.  [default: what `update` left in CI_GITOPS_COMMIT, else the branch's head]",
)  # fmt: skip
_ACCESS = (
    token_file_option, ca_file_option,
    option("--no-cache", is_flag=True, help="Render everything anew.  [default: what was rendered before is taken]"),
)  # fmt: skip
_WHERE = (
    option("--context", metavar="NAME", help="Context of the kubeconfig.  [default: the environment's destination]"),
    option("--kubeconfig", type=click.Path(path_type=Path), metavar="FILE",
           help="The kubeconfig.  [default: KUBECONFIG, ~/.kube/config, the pod's account]"),
    option("--destination", metavar="dir:PATH[@BRANCH]|simulated:PATH",
           help="A folder of rendered manifests, or a simulated cluster in a file, instead of a cluster."),
    option("--record-namespace", metavar="NAMESPACE",
           help="Where records are kept.  [default: the destination's namespace]"),
)  # fmt: skip


class Percent(click.ParamType[int]):
    """`60%` or `60`."""

    name = "percent"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        text = str(value).removesuffix("%")
        if not (text.isascii() and text.isdigit() and int(text) <= 100):
            self.fail(f"{value!r} is no share between 0% and 100%.", param, ctx)
        return int(text)


_PLAN = (
    option("--prune/--no-prune", default=None, help="Delete what left Git.  [default: the environment's `prune`]"),
    option("--prune-limit", type=Percent(), metavar="P%",
           help="How much of a target may go in one pass, in percent.  [default: half, or two objects]"),
    option("--prune-kind", "prune_kinds", multiple=True, metavar="KIND",
           help="Delete objects of this kind too: Namespace, CustomResourceDefinition, PersistentVolumeClaim; may be "
           "repeated."),
    option("--take-over", is_flag=True, help="Take fields that another manager holds and that we never applied."),
    option("--recreate", "recreate", multiple=True, metavar="KIND",
           help="Delete and create again where an immutable field changes; `any` is all but PersistentVolumeClaim, "
           "StatefulSet, CustomResourceDefinition and Namespace. May be repeated."),
)  # fmt: skip

_Function = Callable[..., Any]


def where_options(function: _Function) -> _Function:
    """Where it lives."""
    return added(function, _WHERE)


def declared_options(function: _Function) -> _Function:
    """What is declared: environment, apps, repository and revision."""
    return added(function, (_ENVIRONMENT, _APPS, *_WHAT, _REVISION, *_ACCESS))


def target_options(function: _Function) -> _Function:
    """What is declared, and where it lives."""
    return added(function, (_ENVIRONMENT, _APPS, *_WHAT, _REVISION, *_WHERE, *_ACCESS))


def one_target_options(function: _Function) -> _Function:
    """One app in one environment, and where it lives."""
    return added(function, (_ENVIRONMENT, _APP, *_WHAT, _REVISION, *_WHERE, *_ACCESS))


def plan_options(function: _Function) -> _Function:
    """What a plan may do beyond the usual: a diff and the deploy after it are asked alike."""
    return added(function, _PLAN)
