"""What the pictures of docs/ tell: one release on its way to production, and what may happen there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ci_gitops.adapters.cluster.simulated import Simulated
from ci_gitops.core import sample
from docs.recordings.drawing import picture
from docs.recordings.film import Scene, film
from docs.recordings.paper import paper
from docs.recordings.stage import FOLDER, IMAGE, Stage
from docs.recordings.terminal import Run

_GATES = """\
    gates:
      healthy: true
      soak: 1d
      approvals: 1
      windows: [{allow: "Tue-Thu 09:00-16:00", timezone: Europe/Berlin}]
"""
_PRODUCTION = "apps/shop/overlays/production/kustomization.yaml"
_DEPLOYMENT = "apps/shop/base/deployment.yaml"
_WIDE = 110
_FILM = {
    f"ci-gitops update {IMAGE}:1.1 --environment staging --dry-run": "What an update would write",
    f"ci-gitops update {IMAGE}:1.1 --environment staging": "It is a commit on the branch",
    "ci-gitops deploy --environment staging": "Staging becomes what Git says",
    "ci-gitops promote --to production": "Production takes it by a merge request",
    "ci-gitops gates --environment production": "What it waits for",
    "ci-gitops merge --environment production": "A day and an approval later",
    "ci-gitops deploy --environment production": "Production becomes what Git says",
    "ci-gitops status --environment production --tree": "What runs",
}
_PAPER = 1310  # pixels, as a browser lays it out


@dataclass(frozen=True)
class Picture:
    name: str  # of its file
    svg: str


def screen(name: str, title: str, lines: Sequence[Sequence[Run]], columns: int = 100) -> Picture:
    """A terminal; `title` is what is seen, for who does not see it."""
    return Picture(name, picture(title, lines, columns))


def files(digest: str) -> dict[str, str]:
    """The demo's config repository, with gates as a team has them, and after an earlier promotion."""
    made = sample.kustomize_files(IMAGE)
    asked, production = made[".ci-gitops.yaml"], made[_PRODUCTION]
    gates = next(line for line in asked.splitlines(keepends=True) if "gates:" in line)
    return {
        **made,
        ".ci-gitops.yaml": asked.replace(gates, _GATES),
        _PRODUCTION: f"{production}    digest: {digest}\n",
    }


def to_staging(shop: Stage) -> Iterator[Picture]:
    """The short part: from an image to what runs."""
    shop.commit("shop/config", files(shop.build("1.0", "Open the shop")), "Run the shop")
    shop.build("1.1", "Show prices with taxes", "Load pictures when they are seen")
    update = f"ci-gitops update {IMAGE}:1.1 --environment staging"
    yield screen("update", "update with --dry-run shows a diff of one line: the tag", shop.types(f"{update} --dry-run"))
    shop.types(update)
    yield screen(
        "deploy",
        "deploy says what it made, and that it is healthy",
        shop.types("ci-gitops deploy --environment staging"),
    )


def in_production(shop: Stage) -> Iterator[Picture]:
    """What comes after `to_staging`."""
    shop.types("ci-gitops deploy --environment production")
    yield from _promotion(shop)
    shop.gitlab.approve("alice", 1)
    shop.later(hours=24)
    shop.types("ci-gitops merge --environment production")
    shop.types("ci-gitops deploy --environment production")
    yield screen(
        "status", "status with --tree shows what runs, down to the pods, and how each does",
        shop.types("ci-gitops status --environment production --tree"),
    )  # fmt: skip
    yield screen(
        "why", "why leads from a deployment to its image, commit, merge request and who approved it",
        shop.types("ci-gitops why --environment production deployment/web", columns=_WIDE), _WIDE,
    )  # fmt: skip
    scenes = [Scene(title, shop.screens[command]) for command, title in _FILM.items()]
    yield Picture("road", film("one release, from its update in staging to production", scenes, _WIDE))
    _scale_by_hand()
    yield screen(
        "diff", "diff shows a field that somebody changed by hand, and who",
        shop.types("ci-gitops diff --environment production"),
    )  # fmt: skip
    yield from _going_back(shop)


def _promotion(shop: Stage) -> Iterator[Picture]:
    shop.types("ci-gitops promote --to production")
    yield screen(
        "gates", "gates says of each condition of a merge request whether it holds, why, and until when it waits",
        shop.types("ci-gitops gates --environment production", columns=_WIDE), _WIDE,
    )  # fmt: skip
    opened = shop.gitlab.state.requests[0]
    head = f"# !{opened.iid} {opened.title}\n\nAda wants to merge `{opened.source}` into `{opened.target}`"
    title = "the merge request of a promotion: images, commits, changed manifests, what a deploy would do, and gates"
    yield Picture("merge-request", paper(title, f"{head}\n\n{opened.description}", _PAPER))


def _going_back(shop: Stage) -> Iterator[Picture]:
    shop.types("ci-gitops deploy --environment production")
    yield screen(
        "rollback", "rollback opens a merge request that goes back, and holds the image that was bad",
        shop.types("ci-gitops rollback --environment production"),
    )  # fmt: skip
    deployment = files("")[_DEPLOYMENT]
    wanted = f"{deployment}          envFrom: [{{secretRef: {{name: payments}}}}]\n"
    shop.commit("shop/config", {_DEPLOYMENT: wanted}, "Take payments")
    yield screen(
        "unhealthy", "deploy explains what does not get healthy, down to the pod, and says what to do",
        shop.types("ci-gitops deploy --environment staging", code=4, columns=_WIDE), _WIDE,
    )  # fmt: skip
    shop.gitlab.state.user("ada").scopes = ("read_api", "write_repository")
    yield screen(
        "doctor", "doctor names a token without the right scope, and a branch that everybody may push to",
        shop.types("ci-gitops doctor", code=1, columns=_WIDE), _WIDE,
    )  # fmt: skip


def _scale_by_hand() -> None:
    cluster = Simulated(FOLDER / "production.json", "shop-production")
    scaled = {"apiVersion": "apps/v1", "kind": "Deployment", "spec": {"replicas": 5},
              "metadata": {"name": "web", "namespace": "shop-production"}}  # fmt: skip
    cluster.apply(scaled, force=True, manager="kubectl-scale")
    cluster.close()
