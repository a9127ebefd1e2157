from __future__ import annotations

import pytest

from ci_gitops.core.git_messages import Rejection, judge, reason, rejections, server_lines, trouble

MAIN = "refs/heads/main"


@pytest.mark.parametrize(
    "wording",
    [
        "[rejected] (fetch first)",
        "[rejected] (non-fast-forward)",
        "[rejected] (stale info)",
        "[rejected] (remote ref updated since checkout)",
        "[remote rejected] (cannot lock ref 'refs/heads/main': is at 1a2b but expected 3c4d)",
        "[remote rejected] (cannot lock ref 'refs/heads/main': reference already exists)",
        "[remote rejected] (incorrect old value provided)",
        "[remote rejected] (failed to update ref)",
        "[remote rejected] (failed to lock)",
    ],
)
def test_a_race_in_every_wording(wording: str) -> None:
    found = rejections(f"To https://h/p.git\n!\tabc:{MAIN}\t{wording}\nDone\n")
    assert judge(found, ()) == ("raced", Rejection(MAIN, wording))


@pytest.mark.parametrize(
    ("wording", "lines", "verdict"),
    [
        ("[remote rejected] (pre-receive hook declined)", ["GitLab: You are not allowed to push"], "refused"),
        ("[remote rejected] (hook declined)", [], "refused"),
        ("[remote rejected] (protected branch hook declined)", ["error: GH006: Protected branch"], "refused"),
        ("[remote rejected] (branch is currently checked out)", [], "refused"),
        ("[remote rejected] (pre-receive hook declined)", ["GitLab: API is not accessible"], "unavailable"),
        ("[remote rejected] (pre-receive hook declined)", ["we say: cannot lock ref"], "refused"),
        ("[remote rejected] (failed to update ref)", ["error: 'refs/heads/a' exists; cannot create"], "never-free"),
        ("[remote rejected] (atomic transaction failed)", ["cannot lock ref 'x': is at 1 but expected 2"], "raced"),
        ("[remote rejected] (atomic transaction failed)", ["no space left on device"], "refused"),
    ],
)
def test_what_is_no_race(wording: str, lines: list[str], verdict: str) -> None:
    assert judge([Rejection(MAIN, wording)], lines)[0] == verdict


def test_the_cause_of_an_atomic_push_counts() -> None:
    follows = Rejection("refs/heads/other", "[rejected] (atomic push failed)")
    assert judge([follows, Rejection(MAIN, "[rejected] (fetch first)")], ())[0] == "raced"
    declined = Rejection(MAIN, "[remote rejected] (pre-receive hook declined)")
    assert judge([follows, declined], ()) == ("refused", declined)


def test_one_refusal_among_races_is_a_refusal() -> None:
    declined = Rejection("refs/heads/b", "[remote rejected] (pre-receive hook declined)")
    assert judge([Rejection(MAIN, "[rejected] (fetch first)"), declined], ()) == ("refused", declined)


@pytest.mark.parametrize(
    ("stderr", "kind"),
    [
        ("fatal: unable to access 'https://h/': Could not resolve host: h", "temporary"),
        ("fatal: unable to access 'https://h/': The requested URL returned error: 503", "temporary"),
        ("error: RPC failed; HTTP 502 curl 22\nfatal: the remote end hung up unexpectedly", "temporary"),
        ("fatal: remote error: GitLab is currently unable to handle this request due to load.", "temporary"),
        ("ssh: connect to host h port 22: Connection timed out", "temporary"),
        ("fatal: unable to access 'https://h/': The requested URL returned error: 403", "forbidden"),
        ("remote: Permission to g/p.git denied to ann.", "forbidden"),
        ("ERROR: The project you were looking for could not be found or you don't have permission", "not-found"),
        ("fatal: repository 'https://h/p/' not found", "not-found"),
        ("fatal: Authentication failed for 'https://h/p/'", "credentials-wrong"),
        ("git@h: Permission denied (publickey).\nfatal: Could not read from remote repository.", "credentials-wrong"),
        ("fatal: could not read Username for 'https://h': terminal prompts disabled", "credentials-missing"),
        ("server certificate verification failed. CAfile: none CRLfile: none", "certificate"),
        ("SSL certificate problem: unable to get local issuer certificate", "certificate"),
        ("No ED25519 host key is known for h\nHost key verification failed.", "host-key-unknown"),
        ("@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @\nHost key verification failed.", "host-key-changed"),
        ("fatal: couldn't find remote ref refs/heads/x", "ref-missing"),
        ("fatal: something new", "other"),
    ],
)
def test_troubles(stderr: str, kind: str) -> None:
    assert trouble(stderr) == kind


def test_what_the_server_said() -> None:
    stderr = "remote: \nremote: \x1b[31mNo\x1b[0m   \nremote:   reason\rremote: more\nTo h\nerror: failed to push"
    assert server_lines(stderr) == ("No", "reason", "more")
    assert reason(stderr) == "failed to push"


@pytest.mark.parametrize(
    ("stderr", "told"),
    [
        ("", "no reason given"),
        ("fatal: unable to access 'https://h/p/': Could not resolve host: h\n", "Could not resolve host: h"),
        ("fatal: repository 'x' does not exist\n", "repository 'x' does not exist"),
        (("ssh: connect to host h port 22: Connection refused\r\nfatal: Could not read from remote repository.\n\n"
         "Please make sure you have the correct access rights\nand the repository exists.\n"),
         "connect to host h port 22: Connection refused"),
        ("git@h: Permission denied (publickey).\nfatal: Could not read from remote repository.\n",
         "git@h: Permission denied (publickey)"),
    ],
)  # fmt: skip
def test_the_line_that_tells_most(stderr: str, told: str) -> None:
    assert reason(stderr) == told
