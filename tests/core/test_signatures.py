"""What cosign's refusals mean, in its own words of versions 2 and 3, and identities as patterns."""

from __future__ import annotations

import re

import pytest

from ci_gitops.core.signatures import pattern_of, trouble_of

_TUF = 'tuf: failed to download 13.root.json: Get "https://tuf.example.com": dial tcp: no such host'


@pytest.mark.parametrize(("code", "said", "trouble"), [
    (10, "Error: no signatures found", "unsigned"),
    (1, "Error: no signatures found", "unsigned"),
    (12, "Error: no matching signatures: invalid signature when validating ASN.1 encoded signature", "other-signer"),
    (12, "Error: no matching signatures: invalid or missing digest in claim: sha256:13a5", "other-image"),
    (1, "Error: no matching attestations: could not verify envelope: accepted signatures do not match threshold",
     "other-signer"),
    (1, "Error: provided artifact digest does not match any digest in statement", "other-image"),
    (12, "Error: no matching signatures: none of the expected identities matched what was in the certificate",
     "other-signer"),
    (1, f"Error: getting Rekor public keys: {_TUF}", "log-away"),
    (12, 'Error: no matching signatures: searching rekor: Post "https://log.example.com": i/o timeout', "log-away"),
    (1, 'Error: Get "https://registry.example.com/v2/": dial tcp 10.0.0.1:443: connect: connection refused', "away"),
    (1, "Error: GET https://registry.example.com/v2/: unexpected status code 503 Service Unavailable", "away"),
    (1, "Error: loading verifier from key opts: loading public key: pem to public key: unknown", "key"),
    (1, "Error: something that nobody has seen", "unclear"),
    (0, "", "unclear"),
])  # fmt: skip
def test_a_refusal_is_told_apart(code: int, said: str, trouble: str) -> None:
    assert trouble_of(code, said) == trouble


@pytest.mark.parametrize(("identity", "other"), [
    ("https://git.example.com/shop/web//.gitlab-ci.yml@refs/tags/1.2", "https://git.example.com/shop/web//x@refs/tags/1"),
    ("https://git.example.com/shop/web//*@refs/tags/*", "https://git.example.com/shop/web-evil//x@refs/tags/1"),
    ("*@example.com", "mallory@example.com.evil.org"),
])  # fmt: skip
def test_a_pattern_is_the_whole_identity(identity: str, other: str) -> None:
    pattern = re.compile(pattern_of(identity))
    assert pattern.search(identity.replace("*", "a/b+c"))
    assert not pattern.search(other)
    assert not pattern.search(f"https://evil.org/?{identity}x" if not identity.startswith("*") else other)
