"""Whose gates a change has: every environment that it really changes, by the real renderers, and no other for a values
file of its own.
"""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from ci_gitops.adapters.renderers import render
from ci_gitops.core.gates import environments_touched
from ci_gitops.errors import RenderError
from ci_gitops.output import Output
from ci_gitops.run import Run
from ci_gitops.steps.rendering import tool_recipe
from ci_gitops.steps.workplace import Reach, Workplace, Workplaces
from tests.rig.git_server import GitServer, run_git
from tests.rig.renderers import renderer_path

CHART = {
    "charts/web/Chart.yaml": "{apiVersion: v2, name: web, version: 1.0.0}\n",
    "charts/web/values.yaml": "size: 1\ncolour: red\n",
    "charts/web/values-staging.yaml": "size: 2\n",
    "charts/web/values-production.yaml": "size: 3\n",
    "charts/web/README.md": "A chart.\n",
    "charts/web/templates/web.yaml": "{apiVersion: v1, kind: ConfigMap, metadata: {name: web}, data: "
    "{size: '{{ .Values.size }}', colour: '{{ .Values.colour }}'}}\n",
}
FOLDER = "apps: {web: {path: charts/web, helm: {values: ['values-{environment}.yaml']}}}\n"
FILES = "apps: {web: {path: 'charts/web/values-{environment}.yaml'}}\n"
ENVIRONMENTS = "environments: {staging: {}, production: {}}\n"


def object_(name: str, value: str = "1") -> str:
    return f"{{apiVersion: v1, kind: ConfigMap, metadata: {{name: {name}}}, data: {{value: '{value}'}}}}\n"


KUSTOMIZE = {
    ".ci-gitops.yaml": "apps: {web: {path: 'web/{environment}'}}\n" + ENVIRONMENTS,
    "web/base/kustomization.yaml": "resources: [base.yaml]\n",
    "web/base/base.yaml": object_("base"),
    "web/staging/kustomization.yaml": "resources: [../base, own.yaml]\n",
    "web/staging/own.yaml": object_("own"),
    # production is made of what staging is made of, and more
    "web/production/kustomization.yaml": "resources: [../staging]\ncomponents: [../part]\ntransformers: [labels.yaml]\n"
    "patches: [{path: patch.yaml, target: {name: own}}]\n",
    "web/production/patch.yaml": "[{op: replace, path: /data/value, value: '7'}]\n",
    "web/production/labels.yaml": "{apiVersion: builtin, kind: PatchTransformer, metadata: {name: x}, path: more.yaml, "
    "target: {name: base}}\n",
    "web/production/more.yaml": "[{op: replace, path: /data/value, value: '8'}]\n",
    "web/part/kustomization.yaml": "{apiVersion: kustomize.config.k8s.io/v1alpha1, kind: Component, "
    "resources: [part.yaml]}\n",
    "web/part/part.yaml": object_("part"),
    "web/nobody.yaml": object_("nobody"),
}
PLAIN = {
    ".ci-gitops.yaml": "apps: {web: {path: 'web/{environment}'}}\n" + ENVIRONMENTS,
    "web/staging/a.yaml": object_("a"),
    "web/production/a.yaml": object_("a"),
    "web/production/notes.txt": "Nothing.\n",
}
TREES = {
    "a folder of values": {**CHART, ".ci-gitops.yaml": FOLDER + ENVIRONMENTS},
    "targets that are values": {**CHART, ".ci-gitops.yaml": FILES + ENVIRONMENTS},
    "a chart that reads its files": {
        **CHART,
        ".ci-gitops.yaml": FOLDER + ENVIRONMENTS,
        "charts/web/templates/all.yaml": "{apiVersion: v1, kind: ConfigMap, metadata: {name: all}, data: {all: "
        "{{ .Files.Get \"values-production.yaml\" | quote }}}}\n",
    },
    "kustomize": KUSTOMIZE,
    "plain": PLAIN,
}  # fmt: skip
LINKS = {  # link -> where it leads
    **{name: {} for name in TREES},
    "a values file that is a link": {"charts/web/values-staging.yaml": "values-production.yaml"},
}
TREES["a values file that is a link"] = TREES["a folder of values"]


@pytest.fixture
def places(git_server: GitServer, tmp_path: Path) -> Iterator[Workplaces]:
    environ = {"PATH": os.environ["PATH"], "CI_GITOPS_TOKEN": git_server.password}
    run = Run(environ=environ, cwd=tmp_path, output=Output(err=io.StringIO()))
    with Workplaces(run, Reach(git_server.base + "/config.git")) as opened:
        yield opened


def opened(
    places: Workplaces, server: GitServer, files: Mapping[str, str], links: Mapping[str, str] | None = None
) -> Workplace:
    server.create("config", {path: text.encode() for path, text in files.items()})
    if links:
        made = "".join(f"M 120000 inline {link}\ndata {len(there)}\n{there}\n" for link, there in links.items())
        head = "commit refs/heads/main\ncommitter A <a@example.com> 1795251600 +0000\ndata 0\nfrom refs/heads/main^0\n"
        run_git("--git-dir", server.bare("config"), "fast-import", "--quiet", stdin=(head + made).encode())
    return places.root()


def asked(place: Workplace, *paths: str, shared: bool = True) -> set[str]:
    here = [*place.settings.environments]
    targets = place.settings.targets(here, paths=place.tree.files())
    return {*environments_touched(paths, targets, here, {".ci-gitops.yaml"}, inputs=place.inputs, shared=shared)}


def rendered(place: Workplace, folder: Path, path: str) -> dict[str, object]:
    """What each environment renders to; of one that does not, why."""
    found: dict[str, object] = {}
    for target in place.settings.targets(paths=place.tree.files()):
        try:
            made = render(folder, target.path, {"PATH": path}, tool_recipe(place.settings, target))
            found[target.environment] = [each.document for each in made]
        except RenderError as error:
            found[target.environment] = error.message
    return found


_AT_ONCE = ("a folder of values", "kustomize")


@pytest.mark.parametrize(
    "name", [each if each in _AT_ONCE else pytest.param(each, marks=pytest.mark.full) for each in TREES]
)
def test_every_environment_that_renders_otherwise_is_asked(
    places: Workplaces, git_server: GitServer, tmp_path: Path, name: str
) -> None:
    """Each file of the tree is changed, one after the other."""
    files, links = TREES[name], LINKS[name]
    place = opened(places, git_server, {path: text for path, text in files.items() if path not in links}, links)
    path = renderer_path("kustomize", "helm")
    folder = tmp_path / "tree"

    def laid(change: Mapping[str, str | None]) -> None:
        for file, text in {**files, **change}.items():
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            (folder / file).unlink(missing_ok=True)
            if text is not None:
                (folder / file).write_text(text)
        for link, there in links.items():
            (folder / link).unlink()
            (folder / link).write_text((folder / link).parent.joinpath(there).read_text())

    laid({})
    before = rendered(place, folder, path)
    for file, text in files.items():
        if file in links or file == ".ci-gitops.yaml":
            continue
        changed = text.replace("1", "4").replace("2", "5").replace("3", "6").replace("red", "blue")
        laid({file: changed})
        after = rendered(place, folder, path)
        different = {environment for environment, made in after.items() if made != before[environment]}
        assert different <= asked(place, file), file
        assert different <= asked(place, file, shared=False), file
        laid({})


def test_another_environment_s_values_file_asks_its_own_gates_alone(places: Workplaces, git_server: GitServer) -> None:
    place = opened(places, git_server, TREES["a folder of values"])
    assert asked(place, "charts/web/values-production.yaml") == {"production"}
    assert asked(place, "charts/web/values-staging.yaml") == {"staging"}
    both = {"staging", "production"}
    for shared in ("values.yaml", "Chart.yaml", "templates/web.yaml", "templates/new.yaml", "values-new.yaml"):
        assert asked(place, f"charts/web/{shared}") == both, shared
    assert asked(place, "charts/web/values-production.yaml", ".gitlab-ci.yml") == both


@pytest.mark.parametrize("packed", [True, False])
def test_a_library_that_reads_files_may_read_those_of_its_chart(
    places: Workplaces, git_server: GitServer, packed: bool
) -> None:
    files = dict(TREES["a folder of values"])
    template = '{{ define "all" }}{{ .Files.Get "values-production.yaml" }}{{ end }}'
    if not packed:
        files["charts/web/charts/lib/templates/_all.tpl"] = template
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as archive:
        member = tarfile.TarInfo("lib/templates/_all.tpl")
        member.size = len(template)
        archive.addfile(member, io.BytesIO(template.encode()))
    server_files = {path: text.encode() for path, text in files.items()}
    if packed:
        server_files["charts/web/charts/lib-1.0.0.tgz"] = made.getvalue()
    git_server.create("config", server_files)
    assert asked(places.root(), "charts/web/values-production.yaml") == {"staging", "production"}


def test_what_another_environment_is_made_of_asks_both(places: Workplaces, git_server: GitServer) -> None:
    place = opened(places, git_server, KUSTOMIZE)
    both = {"staging", "production"}
    assert asked(place, "web/staging/own.yaml") == both
    assert asked(place, "web/staging/own.yaml", shared=False) == both
    assert asked(place, "web/production/patch.yaml") == {"production"}
    assert asked(place, "web/base/base.yaml", shared=False) == both
    assert asked(place, "web/part/part.yaml", shared=False) == {"production"}
    assert asked(place, "web/nobody.yaml", shared=False) == set()
    assert asked(place, "web/nobody.yaml") == both
