"""Secrets, known once for the whole process, and the one function that takes them out of text.

Everything that makes text for people or machines (output, errors, logs, JSON, commit messages) passes
through `mask`. A secret is registered where it is read; what looks like one in the environment is
registered at the start.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from threading import Lock

MASK = "[masked]"
_SHORTEST = 4  # anything shorter would mask half of every text
_SHORTEST_INNER = 8
_SECRET_NAME = re.compile(r"(?i)(token|passw|pwd|secret|private|credential|id_rsa|api_?key|access_?key|_key$|auth)")
_NOT_SECRET = re.compile(r"(?i)(_file|_path|_url|_host|_user|_username|_sock|_docs?|_name)$")
_URL_PASSWORD = re.compile(r"(?i)\b([a-z][a-z0-9+.-]*://)[^\s/@:]*:[^\s/@]+@")
_HEADER = re.compile(
    r"(?i)\b(authorization|private-token|job-token|x-registry-auth)(\s*[:=]\s*)((?:basic|bearer|token)\s+)?[^\s'\"]+"
)

# Checks that run side by side register and mask at the same time: what is masked with is never older than what
# was registered before.
_lock = Lock()
_secrets: set[str] = set()
_pattern: re.Pattern[str] | None = None


def register(secret: str | None) -> None:
    """From now on `secret` shows in no text; its usual encodings (URL, base64, single lines) neither."""
    global _pattern
    if not secret or len(secret.strip()) < _SHORTEST:
        return

    forms = _forms(secret)
    with _lock:
        if not forms <= _secrets:
            _secrets.update(form for form in forms if len(form) >= _SHORTEST)
            _pattern = None


def _forms(secret: str) -> set[str]:
    """The ways in which others write a secret: addresses, JSON, YAML and shell, base64, one line of a key."""
    # Here, since a call without secrets needs none of it.
    import json
    from urllib.parse import quote, quote_plus

    value = secret.strip()
    raw = value.encode(errors="surrogateescape")
    forms = {secret, value, quote(raw, safe=""), quote(raw), quote_plus(raw)}
    forms |= {json.dumps(text, ensure_ascii=escaped)[1:-1] for text in (secret, value) for escaped in (True, False)}
    forms |= {value.replace("'", "''"), value.replace("'", "'\"'\"'"), repr(value)[1:-1], raw.hex()}
    forms |= {base64.b64encode(raw).decode(), base64.urlsafe_b64encode(raw).decode()}
    for shift in (1, 2):  # within `user:secret` it stands at another offset; its first and last bytes mix with others
        inner = base64.b64encode(b"\0" * shift + raw).decode()[4:-4]
        if len(inner) >= _SHORTEST_INNER:
            forms |= {inner, inner.replace("+", "-").replace("/", "_")}
    lines = [line.strip() for line in value.splitlines()]
    if len(lines) > 1:  # keys: a tool may quote one line of it
        forms.update(line for line in lines if len(line) >= 16 and not line.startswith("-----"))
    return forms


def register_login(user: str, password: str) -> None:
    """A user and password pair: the password, and the form in which HTTP sends the two."""
    register(password)
    register(base64.b64encode(f"{user}:{password}".encode()).decode())


def names_secret(name: str) -> bool:
    """Whether a variable of this name holds a secret, as far as names say."""
    return bool(_SECRET_NAME.search(name)) and not _NOT_SECRET.search(name)


def register_environment(environ: Mapping[str, str]) -> None:
    """Register the values of variables whose name says that they hold a secret."""
    for name, value in environ.items():
        if names_secret(name) and not value.startswith("/"):
            register(value)
        elif "://" in value and "@" in value:
            from urllib.parse import unquote, urlsplit

            password = urlsplit(value).password if value.count("://") == 1 else None
            register(unquote(password) if password else None)


def _known() -> re.Pattern[str] | None:
    """Every secret that is registered by now."""
    global _pattern
    with _lock:
        if _pattern is None and _secrets:
            longest_first = sorted(_secrets, key=len, reverse=True)
            _pattern = re.compile("|".join(re.escape(secret) for secret in longest_first))
        return _pattern


def mask(text: str) -> str:
    """`text` with each known secret, and each password in an address or header, as `[masked]`."""
    if pattern := _known():
        text = pattern.sub(MASK, text)
    text = _URL_PASSWORD.sub(rf"\1{MASK}@", text)
    return _HEADER.sub(rf"\1\2{MASK}", text)
