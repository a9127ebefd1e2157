"""Whom a file of SOPS would have our token sent to."""

from __future__ import annotations

import pytest

from ci_gitops.core.vault_addresses import vault_addresses

EVIL = "https://evil.example.com"


@pytest.mark.parametrize(
    "text",
    [
        f"sops:\n  hc_vault:\n  - vault_address: {EVIL}/\n",
        f'sops: {{hc_vault: [{{"vault\\u005faddress": "{EVIL}"}}]}}\n',
        f'{{"sops": {{"hc_vault": [{{"Vault_Address": "{EVIL}"}}]}}}}\n',
        f"x: &k vault_address\nsops: {{hc_vault: [{{? *k : {EVIL}}}]}}\n",
        f"x: &v {EVIL}\nsops: {{hc_vault: [{{vault_address: *v}}]}}\n",
        f"x: &m {{vault_address: {EVIL}}}\nsops: {{hc_vault: [{{<<: *m}}]}}\n",
        f"sops:\n  hc_vault:\n  - vault_address: >-\n      {EVIL}\n",
        f"sops:\n  hc_vault:\n  - ? vault_address\n    : !!str {EVIL}\n",
    ],
)
def test_it_is_found_however_it_is_written(text: str) -> None:
    assert vault_addresses(text) == {EVIL}


@pytest.mark.parametrize(
    "text",
    [f"sops_hc_vault__list_0__map_vault_address={EVIL}\n", f"[sops]\nhc_vault__list_0__map_vault_address = {EVIL}/\n"],
)
def test_in_a_flat_file(text: str) -> None:
    assert vault_addresses(text, flat=True) == {EVIL}


def test_all_of_them() -> None:
    text = f"a: {{vault_address: https://own.example.com, b: [{{vault_address: {EVIL}, vault_address: x}}]}}\n"
    assert vault_addresses(text) == {"https://own.example.com", EVIL, "x"}
    assert vault_addresses("a: 1\n") == frozenset()


@pytest.mark.parametrize("text", ["a: [", "vault_address: [x]\n", "a: *b\n", "[" * 600])
def test_what_cannot_be_read_is_nobody_s(text: str) -> None:
    assert vault_addresses(text) is None


def test_an_alias_bomb_ends() -> None:
    bomb = "a: &a [x]\n" + "".join(
        f"{b}: &{b} [{','.join([f'*{a}'] * 9)}]\n" for a, b in zip("abcdefg", "bcdefgh", strict=True)
    )
    assert vault_addresses(bomb) == frozenset()
