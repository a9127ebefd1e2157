"""Run pipelines of GitLab on this machine with gitlab-ci-local: its jobs are shells or containers, its rules GitLab's.

It has no `retry`, `resource_group` and `id_tokens`, takes unknown inputs, and a child pipeline that fails leaves its
parent green: what it cannot show is checked as text.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import yaml

from tests.rig.git_server import run_git
from tests.rig.parts import program
from tests.rig.templates import FOLDER

HOW = "`make parts` installs it where there is npm"
_PERSON = ("-c", "user.name=Ada", "-c", "user.email=ada@example.com")
MERGE_REQUEST = {"CI_PIPELINE_SOURCE": "merge_request_event", "CI_MERGE_REQUEST_IID": "5", "CI_COMMIT_BRANCH": None}
#: GitLab takes an empty list of tags; the schema of older runners does not.
TAKEN = ("--ignore-schema-paths", "#/definitions/tags/minItems")
SHELL = ("--force-shell-executor", "--shell-isolation")
SCHEDULE = {"CI_PIPELINE_SOURCE": "schedule"}
TAG = {"CI_COMMIT_TAG": "v1.0.0", "CI_COMMIT_BRANCH": None}


@dataclass
class Project:
    """A project with a `.gitlab-ci.yml`, in a work tree of its own; `variables` are those of the project."""

    folder: Path
    home: Path
    variables: dict[str, str] = field(default_factory=dict)
    executor: tuple[str, ...] = SHELL
    environ: dict[str, str] = field(default_factory=dict)  # of the runner itself

    @classmethod
    def make(cls, folder: Path, home: Path, pipeline: str, files: Mapping[str, str | bytes] | None = None) -> Project:
        """A new one, with the templates beside its own files."""
        project = cls(folder, home)
        folder.mkdir(parents=True, exist_ok=True)
        run_git("-C", folder, "init", "-q", "-b", "main")
        run_git("-C", folder, "remote", "add", "origin", "https://gitlab.example.com/group/shop.git")
        templates = {f"ci-templates/{path.name}": path.read_text() for path in FOLDER.iterdir()}
        project.commit({".gitlab-ci.yml": pipeline, **templates, **(files or {})})
        return project

    def commit(self, files: Mapping[str, str | bytes], message: str = "Start") -> str:
        for name, text in files.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text if isinstance(text, bytes) else text.encode())
        run_git("-C", self.folder, "add", "-A")
        run_git("-C", self.folder, *_PERSON, "commit", "-q", "--allow-empty", "-m", message)
        run_git("-C", self.folder, "update-ref", "refs/remotes/origin/main", "HEAD")
        return run_git("-C", self.folder, "rev-parse", "HEAD").strip()

    def preview(self) -> dict[str, Any]:
        """The pipeline with everything included."""
        found = yaml.safe_load(self._run(["--preview"], {}).stdout)
        assert isinstance(found, dict)
        return found

    def jobs(self, facts: Mapping[str, str | None] | None = None) -> dict[str, str]:
        """Job -> when, of those that such a pipeline has."""
        listed = json.loads(self._run(["--list-json"], facts or {}).stdout)
        return {job["name"]: job["when"] for job in listed if job["when"] != "never"}

    def run(
        self, facts: Mapping[str, str | None] | None = None, *jobs: str, manual: Iterable[str] = (), ok: bool = True
    ) -> str:
        """A pipeline from its first stage to its last; with `jobs` these alone. Gives what it printed."""
        words = [*jobs, *(word for job in manual for word in ("--manual", job))]
        done = self._run([*self.executor, *words], facts or {})
        assert ok is None or (done.returncode == 0) is ok, done.stdout + done.stderr
        return done.stdout + done.stderr

    def begin(self, out: IO[bytes], facts: Mapping[str, str | None], *jobs: str) -> subprocess.Popen[bytes]:
        """The same beside the test, in a process group of its own."""
        return subprocess.Popen(
            self._command([*self.executor, *jobs], facts), cwd=self.folder, env=self._environment(), stdout=out,
            stderr=out, stdin=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip

    def artifact(self, job: str, path: str) -> str:
        """A file that a job left under `artifacts: paths`."""
        return (self.folder / ".gitlab-ci-local" / "artifacts" / job / path).read_text()

    def _command(self, words: Iterable[str], facts: Mapping[str, str | None]) -> list[str]:
        given: dict[str, str | None] = {"CI_COMMIT_AUTHOR": "Ada <ada@example.com>", **facts}
        variables = [
            word
            for name, value in given.items()
            for word in (("--unset-variable", name) if value is None else ("--variable", f"{name}={value}"))
        ]
        known = ",".join({**given, **self.variables})  # it would warn of those that are its own
        return [program("gitlab-ci-local", HOW), *words, *variables, *TAKEN, "--ignore-predefined-vars", known]

    def _run(self, words: Sequence[str], facts: Mapping[str, str | None]) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(self._command(words, facts), cwd=self.folder, env=self._environment(),
                              capture_output=True, text=True, check=False)  # fmt: skip
        if words[0] in ("--list-json", "--preview"):
            assert done.returncode == 0, done.stdout + done.stderr
        return done

    def _keep_variables(self) -> None:
        """Where child pipelines find them too."""
        file = self.home / ".gitlab-ci-local" / "variables.yml"
        file.parent.mkdir(parents=True, exist_ok=True)
        found = {name: {"type": "variable", "values": {"*": value}} for name, value in self.variables.items()}
        file.write_text(json.dumps({"global": found}))

    def _environment(self) -> dict[str, str]:
        """Jobs find `ci-gitops` on PATH, and nothing of this machine's own settings."""
        self._keep_variables()
        programs = self.home / "bin"
        programs.mkdir(parents=True, exist_ok=True)
        script = programs / "ci-gitops"
        if not script.exists():
            script.write_text(f'#!/bin/sh\nPYTHONPATH="{FOLDER.parent}" exec "{sys.executable}" -P -m ci_gitops "$@"\n')
            script.chmod(0o755)
        keep = {name: os.environ[name] for name in ("LANG", "TMPDIR", "SSL_CERT_FILE") if name in os.environ}
        return {**keep, "PATH": f"{programs}:{os.environ['PATH']}", "HOME": str(self.home), **self.environ}


def said(text: str, job: str) -> str:
    """What one job of a run printed, or of its child pipelines."""
    plain = re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", text)
    plain = re.sub(r"(?m)^\t+\[[^\]]*\] -> ", "", plain)
    return "\n".join(line for line in plain.splitlines() if line.startswith(job + " "))
