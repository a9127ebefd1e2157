"""Secrets that SOPS encrypted, with real keys."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from ci_gitops.adapters.renderers import render, rendering
from ci_gitops.core.recipes import Recipe
from ci_gitops.errors import RenderError
from ci_gitops.masking import mask
from tests.rig.parts import program
from tests.rig.renderers import renderer_path, write

SECRET = "apiVersion: v1\nkind: Secret\nmetadata: {name: login}\nstringData: {password: tr0ub4dor-and-three}\n"
KUSTOMIZATION = "resources: [login.yaml]\nnamePrefix: my-\n"


@pytest.fixture
def path() -> str:
    return renderer_path("sops", "kustomize")


@pytest.fixture
def key(tmp_path: Path) -> Path:
    """An age key of its own."""
    file = tmp_path / "age.key"
    subprocess.run([program("age-keygen", "Debian's package age"), "-o", file], check=True, capture_output=True)
    return file


@pytest.fixture
def tree(tmp_path: Path, key: Path) -> Path:
    """An overlay whose Secret is encrypted."""
    tree = tmp_path / "tree"
    write(tree, {"a/kustomization.yaml": KUSTOMIZATION, "a/login.yaml": SECRET, "plain/login.yaml": SECRET})
    recipient = next(line.split()[-1] for line in key.read_text().splitlines() if "public key" in line)
    for file in ("a/login.yaml", "plain/login.yaml"):
        subprocess.run(
            [program("sops", "https://getsops.io"), "--disable-version-check", "encrypt", "--in-place",
             "--encrypted-regex", "^(data|stringData)$", "--age", recipient, file],
            cwd=tree, check=True, capture_output=True, env={"HOME": str(tmp_path)},
        )  # fmt: skip
    assert "tr0ub4dor" not in (tree / "a/login.yaml").read_text()
    return tree


@pytest.mark.parametrize("target", ["a", "plain"])
def test_with_the_key_it_is_decrypted_in_a_copy_and_masked(tree: Path, key: Path, path: str, target: str) -> None:
    before = (tree / target / "login.yaml").read_bytes()
    (manifest,) = render(tree, target, {"PATH": path, "SOPS_AGE_KEY_FILE": str(key)})
    assert manifest.document["stringData"] == {"password": "tr0ub4dor-and-three"}
    assert "sops" not in manifest.document
    assert "tr0ub4dor" not in mask(str(manifest.document))
    assert (tree / target / "login.yaml").read_bytes() == before
    assert not rendering(tree, target, {"PATH": path, "SOPS_AGE_KEY_FILE": str(key)}).reusable  # never in a cache


@pytest.mark.parametrize("target", ["a", "plain"])
def test_without_a_key_it_is_an_error(tree: Path, path: str, target: str) -> None:
    with pytest.raises(RenderError, match=rf"{target}/login\.yaml is encrypted with SOPS, and no key") as caught:
        render(tree, target, {"PATH": path})
    assert "SOPS_AGE_KEY" in str(caught.value.hint)


def test_a_fork_is_offered_no_key(tree: Path, key: Path, path: str) -> None:
    with pytest.raises(
        RenderError, match=r"a/login\.yaml is encrypted with SOPS, and the merge request is from a fork"
    ):
        render(tree, "a", {"PATH": path, "SOPS_AGE_KEY_FILE": str(key)}, Recipe(keys=False))


def test_with_another_key_it_is_an_error(tree: Path, path: str, tmp_path: Path) -> None:
    other = tmp_path / "other.key"
    subprocess.run([program("age-keygen", "Debian's package age"), "-o", other], check=True, capture_output=True)
    with pytest.raises(RenderError, match="the key does not open it"):
        render(tree, "a", {"PATH": path, "SOPS_AGE_KEY_FILE": str(other)})


def test_what_comes_out_encrypted_is_never_applied(tmp_path: Path) -> None:
    """A value without the marks of its file: nobody decrypts it, and nobody may apply it."""
    write(tmp_path, {"a/x.yaml": SECRET.replace("tr0ub4dor-and-three", "'ENC[AES256_GCM,data:x,iv:y,tag:z,type:str]'")})
    with pytest.raises(RenderError, match="Secret login is still encrypted"):
        render(tmp_path, "a", {})


@pytest.mark.parametrize(
    ("address", "given"),
    [
        ("vault_address: https://vault.example.com/", True),
        ("vault_address: https://evil.example.com", False),
        ('"vault\\u005faddress": https://evil.example.com', False),
    ],
)
def test_a_vault_token_goes_to_no_server_that_a_file_names(tmp_path: Path, address: str, given: bool) -> None:
    """By a stand-in for sops that says what it was given."""
    sops = '#!/bin/sh\necho "token=$VAULT_TOKEN home=$HOME key=$SOPS_AGE_KEY other=$CI_GITOPS_TOKEN" >&2\nexit 1\n'
    write(tmp_path, {"bin/sops": sops})
    (tmp_path / "bin/sops").chmod(0o755)
    marks = f"sops:\n  hc_vault:\n  - {address}\n  mac: ENC[AES256_GCM,data:x]\n"
    write(tmp_path, {"tree/a/login.yaml": SECRET + marks})
    environ = {"PATH": f"{tmp_path}/bin", "HOME": "/home/ada", "VAULT_ADDR": "https://vault.example.com",
               "VAULT_TOKEN": "s.token", "SOPS_AGE_KEY": "age", "CI_GITOPS_TOKEN": "no"}  # fmt: skip
    with pytest.raises(RenderError) as caught:
        render(tmp_path / "tree", "a", environ)
    assert ("token=s.token" in caught.value.message) is given
    assert ("home=/home/ada" in caught.value.message) is given
    assert "key=age other=" in caught.value.message
    assert "other=no" not in caught.value.message
