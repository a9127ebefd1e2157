from __future__ import annotations

import subprocess

import pytest

from ci_gitops.adapters.git import GitAccess
from ci_gitops.adapters.git.private import PrivateFolder, askpass_variables
from ci_gitops.core.git_urls import parse_git_url

PASSWORD = "glpat-$(id) 'quoted' \\n %s"


@pytest.mark.parametrize(
    ("url", "prompt", "answer"),
    [
        ("https://h.example/p", "Username for 'https://h.example': ", "oauth2"),
        ("https://h.example/p", "Password for 'https://oauth2@h.example': ", PASSWORD),
        ("https://h.example:8443/p", "Password for 'https://oauth2@h.example:8443': ", PASSWORD),
        ("http://h.example/p", "Password for 'http://oauth2@h.example': ", PASSWORD),
        ("http://h.example/p", "Password for 'https://oauth2@h.example': ", PASSWORD),
        ("https://h.example/p", "Password for 'http://oauth2@h.example': ", None),
        ("https://h.example/p", "Password for 'https://oauth2@evil.example': ", None),
        ("https://h.example/p", "Password for 'https://oauth2@h.example.evil.example': ", None),
        ("https://h.example/p", "Password for 'https://oauth2@h.example:8443': ", None),
        ("https://h.example/p", "Password for 'https://oauth2@evil-h.example': ", None),
        ("https://h.example/p", "Username for 'https://evil.example': ", None),
        ("https://h.example/p", "Enter passphrase for key '/k': ", None),
    ],
)
def test_the_password_is_for_one_host(url: str, prompt: str, answer: str | None) -> None:
    address, access = parse_git_url(url), GitAccess(user="oauth2", token=PASSWORD)
    folder = PrivateFolder(address, access)
    try:
        variables = dict(askpass_variables(address, access))
        asked = subprocess.run([folder.askpass, prompt], env=variables, capture_output=True, text=True, check=False)
        assert PASSWORD not in folder.askpass.read_text()
    finally:
        folder.close()
    assert (asked.returncode, asked.stdout) == ((0, f"{answer}\n") if answer else (1, ""))
