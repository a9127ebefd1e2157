"""What a template's inputs, and the names and texts that people give in GitLab, can make of a job's command line."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.rig.template_lint import impossible
from tests.rig.templates import INPUT, Template, names, template

#: Each would start `>canary` in a shell that reads it as more than one word of text.
BREAKS = (
    "; >canary", "&& >canary", "| tee canary", "$(>canary)", "`>canary`", "\n>canary", "x\n>canary", "x\r\n>canary",
    "x\n", "> canary", "< /etc/passwd", "(>canary)", "${x:-$(>canary)}", "$((1))", "$'a'", "\\", "# x", "a\0b",
    "x\u2028y",
)  # fmt: skip
#: What people give: names of branches and tags, messages, titles, variables of a pipeline.
GIVEN = ("$(>canary)", "`>canary`", "'; >canary; '", '"; >canary; "', "a\n>canary\n", "; >canary", "-x --y")
VARIABLES = (
    "CI_COMMIT_MESSAGE", "CI_COMMIT_TITLE", "CI_COMMIT_REF_NAME", "CI_COMMIT_BRANCH", "CI_COMMIT_TAG",
    "CI_PROJECT_PATH_SLUG", "CI_MERGE_REQUEST_TITLE", "CI_MERGE_REQUEST_SOURCE_BRANCH_NAME", "CI_GITOPS_IMAGE_REF",
    "GITLAB_USER_NAME",
)  # fmt: skip


def scripts(one: Template) -> Iterator[str]:
    yield from (job["script"][0] for job in one.jobs.values() if "script" in job)


@pytest.mark.parametrize("name", names())
def test_no_input_breaks_out_of_the_command_line(name: str) -> None:
    one = template(name)
    for each in {each for script in scripts(one) for each in INPUT.findall(script)}:
        for value in BREAKS:
            assert impossible(each, one.inputs[each], value), (each, value)


@pytest.mark.parametrize("given", GIVEN)
def test_what_people_write_is_text(tmp_path: Path, given: str) -> None:
    """The script lines of all jobs as the runner's shell reads them, where every variable holds it."""
    (tmp_path / "ci-gitops").write_text("#!/bin/sh\nexit 0\n")
    (tmp_path / "ci-gitops").chmod(0o755)
    lines = []
    for name in names():
        one = template(name)
        needed = {key: "x" for key, spec in one.inputs.items() if "default" not in spec}
        for words in ("", '--note $CI_COMMIT_TITLE "$CI_COMMIT_MESSAGE" ${CI_COMMIT_TAG}'):
            inputs = needed | ({"args": words} if "args" in one.inputs else {})
            assert "args" not in one.inputs or not impossible("args", one.inputs["args"], words)
            lines += [job["script"][0] for job in one.filled(inputs).values() if "script" in job]
    assert len(lines) > 25
    environ = {"PATH": f"{tmp_path}:{os.environ['PATH']}", **dict.fromkeys(VARIABLES, given)}
    done = subprocess.run(["bash", "-euo", "pipefail", "-c", "\n".join(lines)], cwd=tmp_path, env=environ, check=False,
                          capture_output=True, text=True)  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert [path.name for path in tmp_path.iterdir()] == ["ci-gitops"]
