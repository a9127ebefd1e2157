"""The container image: built by a real engine, and used as GitLab's runner and people use it."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path

import pytest

from ci_gitops import __version__
from tests.rig.engine import DockerEngine
from tests.rig.git_server import run_git
from tests.rig.image import CREATED, REPOSITORY, Image, Images, build_image
from tests.rig.layers import files
from tests.rig.registry import RegistryServer

pytestmark = pytest.mark.timeout(900)  # the image is built before the first
BUDGET = 400_000_000  # bytes that a runner pulls
ENGINES = ("docker", "buildah", "newuidmap")
PROGRAMS = {
    "bash": "bash --version", "sh": "sh -c 'echo sh'", "git": "git --version", "ssh": "ssh -V 2>&1",
    "make": "make --version", "gpg": "gpg --version", "ps": "ps --version", "tini": "tini --version",
    "jsonnet": "jsonnet --version", "kustomize": "kustomize version", "helm": "helm version --short",
    "kubectl": "kubectl version --client", "cosign": "cosign version 2>&1 | grep GitVersion",
    "sops": "sops --version --disable-version-check",
}  # fmt: skip
ENGINE_PROGRAMS = {
    "docker": "docker --version", "buildx": "docker buildx version", "buildah": "buildah --version",
}  # fmt: skip
# How the runner finds a shell: the job's script comes on its standard input.
DETECT = """\
if [ -x /usr/local/bin/bash ]; then exec /usr/local/bin/bash
elif [ -x /usr/bin/bash ]; then exec /usr/bin/bash
elif [ -x /bin/bash ]; then exec /bin/bash
elif [ -x /bin/sh ]; then exec /bin/sh
else echo shell not found; exit 1; fi
"""


@pytest.fixture(scope="module")
def full(images: Images) -> Image:
    return images("full")


def test_it_says_what_it_is_and_starts_what_it_is_told(full: Image) -> None:
    config = full.registry.config(REPOSITORY, full.tag)
    settings = config["config"]
    assert settings["User"] == "1000:1000"
    assert not settings.get("Entrypoint")
    labels = {name.removeprefix("org.opencontainers.image."): value for name, value in settings["Labels"].items()}
    assert labels == {
        "title": "ci-gitops", "licenses": "Apache-2.0", "version": __version__, "revision": "0" * 40,
        "created": CREATED, "source": "https://gitlab.com/ci-gitops/ci-gitops",
        "documentation": "https://gitlab.com/ci-gitops/ci-gitops/-/blob/main/docs/image.md",
        "description": "From a commit to a healthy cluster, with Git as the source of truth",
    }  # fmt: skip
    print(f"The full image: {full.size / 1e6:.0f} MB compressed")
    assert full.size < BUDGET


def test_every_program_answers_its_user(full: Image) -> None:
    asked = {**PROGRAMS, **ENGINE_PROGRAMS}
    lines = "\n".join(f"echo '{name}:' $({command} | head -1)" for name, command in asked.items())
    answers = dict(re.findall(r"(?m)^(\w+): (.+)$", full.run(f"set -eu\nid -u\n{lines}")))
    assert set(answers) == set(asked)
    print(answers)


def test_a_running_container_answers_at_once(full: Image) -> None:
    """GitLab's runner and people call it again and again; what it costs is printed, not judged, on a busy machine."""
    known = full.docker("run", "--detach", "--network", "none", full.name, "sleep", "300").strip()
    try:
        took = []
        for _ in range(3):
            begin = time.perf_counter()
            assert full.docker("exec", known, "ci-gitops", "--version").strip() == f"ci-gitops {__version__}"
            took.append(time.perf_counter() - begin)
        print(f"ci-gitops --version by exec: {min(took) * 1000:.0f} ms")
        stale = "import sys; sys.dont_write_bytecode = True; import ci_gitops.cli as c; print(c.__cached__)"
        compiled = full.docker("exec", known, "/opt/ci-gitops/bin/python", "-c", stale).strip()
        flags = f"print(open({compiled!r}, 'rb').read(8)[4])"
        assert full.docker("exec", known, "python3", "-c", flags).strip() == "1", "unchecked: go by no file's time"
    finally:
        full.docker("rm", "--force", known)


def test_lines_of_a_job_run_in_it_on_a_checkout_of_another_owner(full: Image, tmp_path: Path) -> None:
    """The runner's helper clones as root; the job's user may read it, with git too."""
    checkout = tmp_path / "config"
    manifest = checkout / "environments/staging/shop/settings.yaml"
    manifest.parent.mkdir(parents=True)
    manifest.write_text("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\ndata: {mode: calm}\n")
    run_git("init", "-q", "-b", "main", checkout)
    run_git("-C", checkout, "add", "-A")
    run_git("-C", checkout, "commit", "-q", "-m", "First")
    for folder in (tmp_path, *tmp_path.parents[:2]):
        folder.chmod(0o755)
    script = (
        "set -eo pipefail\nset +o noclobber\n: | eval $'"
        r"""
export CI=true GITLAB_CI=true
cd /builds/config
git log --format=%s
ci-gitops render --environment staging
command -v ci-gitops"""
        "'\nexit 0\n"
    )
    said = full.run(script, "--volume", f"{checkout}:/builds/config", shell=("sh", "-c", DETECT))
    assert said.startswith("First\n")
    assert "mode: calm" in said
    assert said.endswith("/usr/local/bin/ci-gitops\n")


def test_buildah_builds_and_pushes_as_its_user(full: Image) -> None:
    """Of files with several owners too. It needs user namespaces: the runtime's seccomp profile must allow them."""
    said = full.run(
        f"""set -eu
        mkdir /tmp/web && cd /tmp/web
        printf 'FROM scratch\\nCOPY --chown=33:42 page /page\\nLABEL a=b\\n' > Dockerfile
        echo hello > page
        CI_GITOPS_BUILD_ENGINE=buildah ci-gitops -o json build --image {full.registry.host}/from-inside --tag 1 .
        """,
        "--security-opt", "seccomp=unconfined", network="host",
    )  # fmt: skip
    result = json.loads(said)
    assert result["digest"] == full.registry.manifest("from-inside", "1")[0]
    page = files(full.registry, "from-inside", "1")["page"]
    assert (page.uid, page.gid) == (33, 42)


@pytest.mark.full
def test_the_whole_road_runs_inside(full: Image) -> None:
    said = full.run("ci-gitops demo")
    assert "What to try next" in said


@pytest.mark.full
def test_the_variant_for_the_cluster_has_no_engines(images: Images) -> None:
    cluster = images("cluster")
    print(
        f"The image for the cluster: {cluster.size / 1e6:.0f} MB compressed; in full {images('full').size / 1e6:.0f} MB"
    )
    assert cluster.size < images("full").size
    lines = "\n".join(f"{command} >/dev/null" for command in PROGRAMS.values())
    assert "absent" in cluster.run(f"set -eu\n{lines}\n! command -v {' '.join(ENGINES)}\necho absent")
    said = cluster.run("tini -- ci-gitops --version", "--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL",
                       "--env", "HOME=/tmp")  # fmt: skip
    assert said.strip() == f"ci-gitops {__version__}"


#: Tried by a program in the box, in a pod that holds a secret: each must fail.
GET_OUT = """\
cat /etc/passwd
cat /etc/ci-gitops/token
cat /proc/1/environ
cat /proc/self/environ
cat /var/run/secrets/kubernetes.io/serviceaccount/token
ls /tmp
bash -c 'echo x > /tmp/outside'
bash -c 'exec 3<>/dev/tcp/127.0.0.1/1'
unshare --user true
unshare --user --map-root-user --net true
git clone https://example.com/x.git
"""
HOSTILE = {
    ".ci-gitops.yaml": "".join(
        (
            "apps:\n",
            *(f"  {app}: {{path: 'environments/{{environment}}/{app}'}}\n" for app in ("web", "shop", "cart")),
            "environments: {live: {}}\nrender: {sandbox: require}\n",
        )
    ),
    "environments/live/web/main.jsonnet": "{apiVersion: 'v1', kind: 'ConfigMap', metadata: {name: 'x'}, "
    "data: {stolen: importstr '/etc/ci-gitops/token'}}\n",
    "environments/live/shop/kustomization.yaml": "resources: [https://example.com/x.yaml]\n",
    "environments/live/cart/kustomization.yaml": "transformers: [exec.yaml]\n",
    "environments/live/cart/exec.yaml": "{apiVersion: example.com/v1, kind: Run, metadata: {name: x, annotations: "
    "{config.kubernetes.io/function: 'exec: {path: /bin/sh}'}}}\n",
}


@pytest.mark.full
def test_the_box_is_closed_in_a_pod_of_install(images: Images, tmp_path: Path) -> None:
    """User, root, capabilities and secrets as in the CronJob; the engine's seccomp profile is the kubelet's default."""
    cluster = images("cluster")
    (tmp_path / "token").write_text("top-secret-token")
    (tmp_path / "token").chmod(0o444)
    pod = ("--read-only", "--tmpfs", "/tmp:mode=1777", "--cap-drop", "ALL", "--security-opt", "no-new-privileges",
           "--user", "1000:1000", "--env", "HOME=/tmp", "--env", "CI_GITOPS_TOKEN=top-secret-variable",
           "--volume", f"{tmp_path}:/etc/ci-gitops:ro")  # fmt: skip
    tried = f"""\
import shutil
from pathlib import Path
from ci_gitops.adapters import box
level = box.level_for("best")
print(level)
tree, scratch = Path("/tmp/tree"), Path("/tmp/scratch")
tree.mkdir(); scratch.mkdir()
for line in {GET_OUT!r}.splitlines():
    argv = [shutil.which("bash"), "-c", "exec " + line]
    programs = tuple(filter(None, map(shutil.which, ("cat", "ls", "unshare", "git"))))
    done = box.run(argv, box.Room(tree, scratch, programs), level, cwd=tree)
    print("failed" if done.code else "OUT", "|", line, "|", done.text, done.errors)
done = box.run([shutil.which("bash"), "-c", "echo inside"], box.Room(tree, scratch), level, cwd=tree)
print(done.text)
"""
    said = cluster.run(f"/opt/ci-gitops/bin/python - <<'EOF'\n{tried}\nEOF\n", *pod)
    level, *lines = said.splitlines()
    assert level == "full (Landlock, seccomp, limits)"
    assert said.count("failed | ") == len(GET_OUT.splitlines())
    assert "OUT | " not in said
    assert "inside" in lines
    assert "top-secret" not in said

    laid = "\n".join(
        f"mkdir -p /tmp/config/{Path(name).parent}; cat > /tmp/config/{name} <<'EOF'\n{text}EOF"
        for name, text in HOSTILE.items()
    )
    render = (
        "cd /tmp/config && git init -q -b main . && git add -A && git -c user.name=a -c user.email=a@b commit -qm x"
    )
    for app, words in (("web", "main.jsonnet"), ("shop", "only what is in the repository"), ("cart", "plugin")):
        said = cluster.run(
            f"{laid}\n{render}\nci-gitops render --environment live --app {app} 2>&1 || echo ended $?", *pod
        )
        assert "ended 1" in said
        assert words in said
        assert "top-secret" not in said


@pytest.mark.full
@pytest.mark.timeout(1500)
def test_the_same_tree_gives_the_same_digest(
    images: Images, modern_docker_engine: DockerEngine, registry: RegistryServer, image_context: Path
) -> None:
    first = images("full")
    for path in image_context.rglob("*"):
        path.touch()
    again = build_image(modern_docker_engine, registry, image_context, "full", "--no-cache", tag="again")
    digests = [registry.manifest(REPOSITORY, image.tag)[0] for image in (first, again)]
    assert digests[0] == digests[1]
