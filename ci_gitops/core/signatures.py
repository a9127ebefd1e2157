"""Who must have signed an image, and what cosign's refusals mean to a person.

https://github.com/sigstore/cosign. Its exit codes tell an image without a signature (10) from one whose signatures do
not fit (12); what is wrong with signatures of the newer kind is in its words alone.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

#: Keys that a service keeps, and variables that hold one; anything else is a file of the config repository.
KEY_SERVICES = ("awskms", "azurekms", "gcpkms", "hashivault")
KEY_VARIABLE = "env"
_UNSIGNED, _NOT_MATCHING = 10, 12
_MOVED = ("missing digest in claim", "does not match any digest in statement")
_AWAY = re.compile(
    r"dial (?:tcp|udp)|no such host|connection (?:refused|reset)|timeout|deadline exceeded|network is unreachable|"
    r"unexpected EOF|TOOMANYREQUESTS|\b(?:429|500|502|503|504)\b|proxyconnect",
    re.IGNORECASE,
)
_TRUST_ROOT = re.compile(r"\btuf\b|rekor|fulcio|trusted.root|trusted material", re.IGNORECASE)
_OTHER_SIGNER = ("no matching signatures", "no matching attestations", "none of the expected identities")
_KEY = ("loading public key", "loading verifier from key", "reading public key", "PEM", "unsupported key")

Trouble = Literal["unsigned", "other-image", "other-signer", "log-away", "away", "key", "unclear"]


@dataclass(frozen=True, slots=True)
class Signer:
    """Who must have signed: the owner of a key (the text of a public one, or a service's address), or an identity."""

    name: str  # what the configuration calls it
    setting: str  # environments.production.verify.cosign
    key: str | None = None
    address: str | None = None
    identity: str | None = None
    issuer: str | None = None
    tlog: bool = True  # the signature must be in the public transparency log

    def __str__(self) -> str:
        return f"{self.identity} (by {self.issuer})" if self.identity else f"the key {self.name}"


def trouble_of(code: int, said: str) -> Trouble:
    """Why cosign said no. Trouble with the network comes first: it hides what else there is."""
    if any(words in said for words in _MOVED):
        return "other-image"
    if code == _UNSIGNED or "no signatures found" in said:
        return "unsigned"
    if _AWAY.search(said):
        return "log-away" if _TRUST_ROOT.search(said) else "away"
    if code == _NOT_MATCHING or any(words in said for words in _OTHER_SIGNER):
        return "other-signer"
    return "key" if any(words in said for words in _KEY) else "unclear"


def pattern_of(identity: str) -> str:
    """The whole of an identity as a regular expression of Go; `*` stands for any text."""
    return f"^{'.*'.join(map(re.escape, identity.split('*')))}$"
