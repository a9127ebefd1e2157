from __future__ import annotations

from pathlib import Path

import pytest

from ci_gitops import masking
from ci_gitops.adapters.git_access import access_for, certificate_file, environment_variable
from ci_gitops.errors import UsageError

URL = "https://git.example.com/acme/config.git"
JOB = {"CI_JOB_TOKEN": "job-token-1", "CI_SERVER_HOST": "git.example.com"}


@pytest.mark.parametrize(
    ("url", "environ", "expected"),
    [
        (URL, {}, (None, None, None)),
        (URL, {"CI_GITOPS_TOKEN": "glpat-1\n"}, ("oauth2", "glpat-1", "CI_GITOPS_TOKEN")),
        (URL, JOB, ("gitlab-ci-token", "job-token-1", "CI_JOB_TOKEN")),
        (URL, {**JOB, "CI_GITOPS_TOKEN": "glpat-1"}, ("oauth2", "glpat-1", "CI_GITOPS_TOKEN")),
        ("https://elsewhere.example.com/p.git", JOB, (None, None, None)),
        (URL, {"CI_GITOPS_TOKEN_EU_WEST": "glpat-2", "CI_GITOPS_TOKEN": "glpat-1"},
         ("oauth2", "glpat-2", "CI_GITOPS_TOKEN_EU_WEST")),
        (URL, {"CI_GITOPS_TOKEN_OTHER": "glpat-2"}, (None, None, None)),
        ("https://ann:pass%20word@git.example.com/p", {"CI_GITOPS_TOKEN": "glpat-1"},
         ("ann", "pass word", "the address of the repository")),
        ("https://ann@git.example.com/p", {"CI_GITOPS_TOKEN": "glpat-1"}, ("ann", "glpat-1", "CI_GITOPS_TOKEN")),
        ("https://github.com/a/p", {"CI_GITOPS_TOKEN": "ghp-1"}, ("x-access-token", "ghp-1", "CI_GITOPS_TOKEN")),
        (URL, {"CI_GITOPS_TOKEN": "ghp-1", "CI_GITOPS_FORGE": "github"},
         ("x-access-token", "ghp-1", "CI_GITOPS_TOKEN")),
        # What GitLab's runner leaves as the address of `origin`:
        ("https://gitlab-ci-token:job-1@git.example.com/p", {}, ("gitlab-ci-token", "job-1", "CI_JOB_TOKEN")),
        ("https://gitlab-ci-token:job-1@git.example.com/p", {"CI_GITOPS_TOKEN": "glpat-1"},
         ("oauth2", "glpat-1", "CI_GITOPS_TOKEN")),
        ("../config", {"CI_GITOPS_TOKEN": "glpat-1"}, (None, None, None)),
    ],
)  # fmt: skip
def test_which_token_is_sent(
    url: str, environ: dict[str, str], expected: tuple[str | None, str | None, str | None]
) -> None:
    access = access_for(url, environ, environment="eu-west")
    assert (access.user, access.token, access.source) == expected


def test_a_token_file_wins(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("glpat-from-file\n")
    access = access_for(URL, {"CI_GITOPS_TOKEN": "glpat-1"}, token_file=file)
    assert (access.token, access.source) == ("glpat-from-file", f"the file {file}")
    for wrong in ("", "one\ntwo\n"):
        file.write_text(wrong)
        with pytest.raises(UsageError, match="one line"):
            access_for(URL, {}, token_file=file)
    with pytest.raises(UsageError, match="cannot be read: No such file"):
        access_for(URL, {}, token_file=tmp_path / "missing")


def test_what_was_read_is_masked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(masking, "_secrets", set())
    monkeypatch.setattr(masking, "_pattern", None)
    access = access_for("https://ann:url-secret-7@git.example.com/p", {})
    assert "url-secret-7" not in masking.mask("it was url-secret-7")
    access_for(URL, {"CI_GITOPS_TOKEN": "glpat-planted"})
    assert "glpat-planted" not in masking.mask("it was glpat-planted")
    assert "url-secret-7" not in repr(access)


@pytest.mark.parametrize("name", ["CI_SERVER_TLS_CA_FILE", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "GIT_SSL_CAINFO"])
def test_certificates_from_each_variable(name: str) -> None:
    assert access_for(URL, {name: "/ca.pem"}).ca_file == Path("/ca.pem")
    assert access_for(URL, {name: "/ca.pem"}, ca_file=Path("/flag.pem")).ca_file == Path("/flag.pem")
    assert certificate_file({name: ""}) is None


def test_names_of_variables() -> None:
    assert environment_variable("eu-west.1") == "CI_GITOPS_TOKEN_EU_WEST_1"


def test_an_unknown_rule_for_host_keys() -> None:
    with pytest.raises(UsageError, match="accept-new"):
        access_for("git@h:p", {"CI_GITOPS_SSH_HOST_KEYS": "no"})


def test_ssh_takes_no_token_and_knows_the_public_forges() -> None:
    access = access_for("git@gitlab.com:a/p.git", {"CI_GITOPS_TOKEN": "glpat-1", "HOME": "/home/ann"})
    assert access.token is None
    assert access.source is None
    assert {line.split(" ")[0] for line in access.known_hosts.splitlines()} == {"gitlab.com", "github.com"}
    assert access.known_hosts_files == (Path("/home/ann/.ssh/known_hosts"),)
