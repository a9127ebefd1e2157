"""Install the real parts that tests run against, as far as this machine and this user allow.

Called by `make test` with the folder for what is unpacked. Never fails for what it may not install: the tests
that need it say how to get it. Needs nothing but the standard library.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
BINFMT = Path("/proc/sys/fs/binfmt_misc")  # whose programs the kernel gives to an emulator
EMULATOR = ("qemu-user-static", "binfmt-support")
POLICY = Path("/usr/sbin/policy-rc.d")  # asked before a package starts a service
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
NODE = 22  # the oldest that the programs of npm run on
PROGRAM_FOLDERS = ("usr/bin", "usr/sbin", "usr/libexec/docker/cli-plugins", "usr/lib/docker/cli-plugins")


@dataclass(frozen=True)
class Package:
    """One line of debian-packages.txt: `NAME`, `RELEASE:NAME`, each with `?PROGRAM` where a program will do.

    `RELEASE:NAME>PROGRAM` is unpacked and its program known as PROGRAM, beside another version of it.
    """

    name: str
    release: str | None
    unless: str | None
    known_as: str | None = None

    @property
    def folder(self) -> str:
        return self.known_as or self.name

    @classmethod
    def parse(cls, line: str) -> Package:
        rest, _, program = line.partition("?")
        release, _, name = rest.rpartition(":")
        name, _, known_as = name.partition(">")
        return cls(name, release or None, program or None, known_as or None)


def main(folder: Path) -> int:
    (folder / "bin").mkdir(parents=True, exist_ok=True)
    packages = [package for package in wanted(HERE / "debian-packages.txt") if not has_program(package.unless)]
    install([package.name for package in packages if package.release is None and not installed(package.name)])
    for release in sorted({package.release for package in packages if package.release}):
        of_it = [package for package in packages if package.release == release]
        unpack(release, [package for package in of_it if not (folder / package.folder).is_dir()], folder)
    npm(folder)
    wheels(folder)
    bases(folder)
    return 0


def wanted(listing: Path) -> list[Package]:
    lines = (line.split("#")[0].strip() for line in listing.read_text().splitlines())
    return [Package.parse(line) for line in lines if line]


def has_program(program: str | None) -> bool:
    """Whether the cluster kit or PATH has it."""
    if program is None:
        return False
    kit = os.environ.get("CI_GITOPS_TEST_CLUSTER")
    folder = output(kit, "programs").strip() if kit and os.access(kit, os.X_OK) else "."
    return shutil.which(program, path=f"{folder}:{os.environ.get('PATH', os.defpath)}") is not None


def installed(name: str) -> bool:
    done = subprocess.run(["dpkg-query", "-W", "-f", "${db:Status-Status}", name], capture_output=True, check=False)
    return done.stdout == b"installed"


def install(names: list[str]) -> None:
    if not names:
        return
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        say(f"Not installed: {', '.join(names)}. Tests that need them are skipped; "
            f"`apt-get install {' '.join(names)}` gets them.")  # fmt: skip
        return
    say(f"Installing {', '.join(names)} …")
    with no_services_started():
        apt_get("update")
        if not apt_get("install", "-y", "--no-install-recommends", *names):
            for name in names:  # one that cannot be had must not keep the others away
                apt_get("install", "-y", "--no-install-recommends", name)


def apt_get(*arguments: str) -> bool:
    done = subprocess.run(
        ["apt-get", "-qq", "-o", "Dpkg::Use-Pty=0", "-o", "DPkg::Lock::Timeout=300", *arguments],
        env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
        capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False,
    )  # fmt: skip
    if done.returncode:
        say(f"`apt-get {' '.join(arguments)}` failed: {done.stderr.strip()}")
    return done.returncode == 0


@contextlib.contextmanager
def no_services_started() -> Iterator[None]:
    """The tests start their own engines and servers; a package's service must not run beside them."""
    if POLICY.exists():
        yield
        return
    POLICY.write_text("#!/bin/sh\nexit 101\n")
    POLICY.chmod(0o755)
    try:
        yield
    finally:
        POLICY.unlink()


def unpack(release: str, packages: list[Package], folder: Path) -> None:
    """Take packages of another Debian release from this machine's own mirror and lay them in `folder`."""
    if not packages:
        return
    names = ", ".join(package.name for package in packages)
    if not shutil.which("apt-get"):
        say(f"Not here: {names} of Debian {release}. Tests that need it are skipped.")
        return
    say(f"Unpacking {names} of Debian {release} …")
    with tempfile.TemporaryDirectory(prefix="ci-gitops-apt-") as temporary:
        try:
            options = lists_of(release, Path(temporary))
        except subprocess.CalledProcessError as error:
            say(f"That failed; tests that need it are skipped: {error.stderr.strip()}")
            return
        for package in packages:  # one that cannot be had must not keep the others away
            lay(package, folder, options, Path(temporary) / package.folder)


def lay(package: Package, folder: Path, options: list[str], download: Path) -> None:
    target = folder / package.folder
    download.mkdir()
    try:
        output("apt-get", "-qq", *options, "download", package.name, cwd=download)
        output("dpkg-deb", "-x", str(next(download.glob("*.deb"))), str(target))
    except subprocess.CalledProcessError as error:
        say(f"That failed; tests that need it are skipped: {error.stderr.strip()}")
        return
    for programs in (target / name for name in PROGRAM_FOLDERS):
        for program in programs.iterdir() if programs.is_dir() else ():
            link_program(program, folder, package.known_as)


def link_program(program: Path, folder: Path, known_as: str | None = None) -> None:
    link = folder / "bin" / (known_as or program.name)
    link.unlink(missing_ok=True)
    link.symlink_to(program.resolve())


def lists_of(release: str, temporary: Path, more: Mapping[str, object] | None = None) -> list[str]:
    """Options for an apt that knows that release alone; the machine's own lists are left as they are."""
    lists, cache = temporary / "lists", temporary / "cache"
    (lists / "partial").mkdir(parents=True)
    (cache / "archives" / "partial").mkdir(parents=True)
    signed = f" [signed-by={KEYRING}]" if KEYRING.exists() else ""
    (temporary / "sources.list").write_text(f"deb{signed} {mirror()} {release} main\n")
    settings = {
        "Dir::Etc::sourcelist": temporary / "sources.list", "Dir::Etc::sourceparts": "-", "Dir::State::lists": lists,
        "Dir::State::status": "/dev/null", "Dir::Cache": cache, "APT::Sandbox::User": "", "Acquire::Languages": "none",
        **(more or {}),
    }  # fmt: skip
    options = [word for name, value in settings.items() for word in ("-o", f"{name}={value}")]
    output("apt-get", "-qq", *options, "update", cwd=temporary)
    return options


def mirror() -> str:
    """Where this machine gets Debian from."""
    listed = output("apt-get", "indextargets", "--format", "$(CREATED_BY) $(REPO_URI) $(RELEASE)").splitlines()
    for line in listed:
        kind, address, *release = line.split()
        if kind == "Packages" and "security" not in address and "-" not in "".join(release):
            return address
    return "http://deb.debian.org/debian"


def npm(folder: Path) -> None:
    """What tests/rig/npm/package-lock.json names, again when it changes; Node.js too where this machine's is older."""
    home, lock = folder.resolve() / "npm", HERE / "npm" / "package-lock.json"
    if (home / "installed.json").exists() and (home / "installed.json").read_bytes() == lock.read_bytes():
        return
    if not shutil.which("npm"):
        say("Not here: npm. Tests of the CI templates in a local runner are skipped.")
        return
    say("Installing programs from the npm registry …")
    home.mkdir(exist_ok=True)
    for name in ("package.json", "package-lock.json"):
        shutil.copy(HERE / "npm" / name, home)
    node = str(home / "node_modules/.bin/node") if node_version() < NODE else "node"
    optional = "--omit=optional" if node == "node" else "--include=optional"
    try:
        output("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", optional, cwd=home)
    except subprocess.CalledProcessError as error:
        say(f"That failed; tests that need them are skipped: {error.stderr.strip()}")
        return
    for name in json.loads((home / "package.json").read_text())["dependencies"]:
        started = folder / "bin" / name
        started.unlink(missing_ok=True)
        started.write_text(f'#!/bin/sh\nexec "{node}" "{home}/node_modules/.bin/{name}" "$@"\n')
        started.chmod(0o755)
    shutil.copy(lock, home / "installed.json")


def node_version() -> int:
    if not shutil.which("node"):
        return 0
    return int(output("node", "--version").lstrip("v").partition(".")[0])


def wheels(folder: Path, machine: str = "x86_64") -> None:
    """The Python packages of our image, again when the lock changes."""
    home, lock = folder / f"wheels{f'-{machine}' * (machine != 'x86_64')}", ROOT / "requirements.lock"
    if (home / "installed.lock").exists() and (home / "installed.lock").read_bytes() == lock.read_bytes():
        return
    say("Downloading the Python packages of the image …")
    shutil.rmtree(home, ignore_errors=True)
    try:
        output(str(ROOT / "image/download-wheels"), str(home), machine, PIP=f"{sys.executable} -m pip")
    except subprocess.CalledProcessError as error:
        say(f"That failed; tests of the image are skipped: {error.stderr.strip()}")
        return
    shutil.copy(lock, home / "installed.lock")


def bases(folder: Path) -> None:
    """Debian with the packages of our image, for machines that reach no registry; that of each variant is made once."""
    long = bool(os.environ.get("CI_GITOPS_TEST_FULL"))
    packages: list[str] = []
    for variant in ("cluster", "full"):
        packages += [package.name for package in wanted(ROOT / f"image/packages-{variant}.txt")]
        if variant == "full" or long:
            base(folder / "bases" / variant, packages)
    if long:
        base(folder / "bases" / "bare", [])
        debian(folder / "debian", folder / "bases" / "bare" / "root.tar", packages)
        install([name for name in EMULATOR if not installed(name)])
        if emulated("arm64"):
            cluster = [package.name for package in wanted(ROOT / "image/packages-cluster.txt")]
            base(folder / "bases" / "cluster-arm64", cluster, "arm64")
            wheels(folder, "aarch64")


def emulated(architecture: str) -> bool:
    """Whether this machine runs programs of that architecture, after it was asked to."""
    known = BINFMT / {"arm64": "qemu-aarch64"}[architecture]
    if not known.exists() and os.geteuid() == 0 and shutil.which("update-binfmts"):
        if not (BINFMT / "register").exists():
            subprocess.run(["mount", "-t", "binfmt_misc", "binfmt_misc", BINFMT], check=False)
        subprocess.run(["update-binfmts", "--enable", known.name], check=False)
    return known.exists()


def base(home: Path, packages: list[str], architecture: str = "amd64") -> None:
    """A root of its own: mmdebstrap installs into a folder and leaves this machine's packages alone."""
    made_of = " ".join(packages)
    if (home / "made-of").exists() and (home / "made-of").read_text() == made_of:
        return
    if os.geteuid() != 0 or not shutil.which("mmdebstrap"):
        say("Not here: mmdebstrap, or root. Tests of the image are skipped.")
        return
    say(f"Making Debian for the image ({home.name}) …")
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    without = ("share/man/*", "share/doc/*", "share/locale/*", "lib/cni/*", "libexec/buildah/*")
    signed = f" [signed-by={KEYRING}]" if KEYRING.exists() else ""
    try:
        output(
            "mmdebstrap", "--quiet", "--variant=apt", "--mode=root", f"--include={','.join(packages)}",
            f"--architectures={architecture}",
            *(f"--dpkgopt=path-exclude=/usr/{what}" for what in without),
            '--aptopt=APT::Install-Recommends "false"', "trixie", str(home / "root.tar"),
            f"deb{signed} {mirror()} trixie main",
            SOURCE_DATE_EPOCH="0",
        )  # fmt: skip
    except subprocess.CalledProcessError as error:
        say(f"That failed; tests of the image are skipped: {error.stderr.strip()[-500:]}")
        return
    (home / "made-of").write_text(made_of)


def debian(home: Path, bare: Path, packages: list[str]) -> None:
    """The packages that make the image of a bare base, as files: for a mirror of the tests."""
    made_of = " ".join(packages)
    if not bare.exists() or ((home / "made-of").exists() and (home / "made-of").read_text() == made_of):
        return
    say("Downloading the Debian packages of the image …")
    shutil.rmtree(home, ignore_errors=True)
    (home / "archives" / "partial").mkdir(parents=True)
    try:
        with tempfile.TemporaryDirectory(prefix="ci-gitops-apt-") as temporary:
            status = Path(temporary) / "status"
            status.write_text(output("tar", "--extract", "--to-stdout", f"--file={bare}", "./var/lib/dpkg/status"))
            options = lists_of("trixie", Path(temporary), {"Dir::State::status": status, "Dir::Cache": home})
            output(
                "apt-get", "-qq", *options, "--yes", "--no-install-recommends", "--download-only", "install", *packages
            )
    except subprocess.CalledProcessError as error:
        say(f"That failed; tests that need them are skipped: {error.stderr.strip()[-500:]}")
        return
    (home / "made-of").write_text(made_of)


def output(*command: str, cwd: Path | None = None, **variables: str) -> str:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=True, stdin=subprocess.DEVNULL,
                          env={**os.environ, **variables})  # fmt: skip
    return done.stdout


def say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
