"""What an API server's refusal means: which may pass, which is final, and the next step."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from ci_gitops.adapters.cluster.base import ApiError
from ci_gitops.adapters.patience import AwayError
from ci_gitops.core.text import plain
from ci_gitops.errors import ClusterError

_LONGEST = 2000  # characters of a page that is no Status
_AWAY = {408, 429, 500, 502, 503, 504}
#: An object that does not fit its schema is answered with 500 too.
_FINAL = re.compile(
    r"failed to create (?:manager for existing fields|typed patch object)|failed to (?:prune fields|convert)"
    r"|field not declared in schema|to convert CR (?:to|from) an invalid"
)
#: 409 and 403 that are nobody's decision: the next try finds it settled.
_PASSING = re.compile(
    r"Operation cannot be fulfilled on resourcequotas?"
    r"|etcdserver: (?:leader changed|request timed out)"
    r"|conversion webhook for .* failed"
    r"|the server is currently unable to handle the request"
)
_WEBHOOK = re.compile(r'failed calling webhook "([^"]+)"')


def refusal(cluster: str, status: int, headers: Mapping[str, str], body: bytes, about: str) -> ApiError | AwayError:
    """The error for an answer with this status. `about` names what was asked for, or is empty."""
    document = _status(body)
    message = plain(str(document.get("message") or "")) or plain(body.decode(errors="replace"))[:_LONGEST]
    prefix = f"{about}: " if about else ""
    if _passes(status, message):
        text = f"{prefix}{cluster} answered {status}: {message or 'no reason given'}"
        return AwayError(text, hint=_away_hint(message), retry_after=seconds(headers.get("Retry-After", "")))
    causes = tuple(
        (str(cause.get("field") or ""), plain(str(cause.get("message") or "")))
        for cause in (document.get("details") or {}).get("causes") or ()
    )
    reason = str(document.get("reason") or "")
    return ApiError(
        f"{prefix}{cluster} refused: {message}", status=status, reason=reason, causes=causes,
        hint=_hint(status, reason, message),
    )  # fmt: skip


def _passes(status: int, message: str) -> bool:
    if _FINAL.search(message):
        return False
    return status in _AWAY or bool(_PASSING.search(message))


def _status(body: bytes) -> Mapping[str, Any]:
    """The Status object that API servers answer with; empty for what proxies before them send."""
    try:
        document = json.loads(body)
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}


def _away_hint(message: str) -> str | None:
    webhook = _WEBHOOK.search(message)
    if webhook:
        return f"The cluster asks the admission webhook {webhook[1]} about this object: are its pods running?"
    return None


def _hint(status: int, reason: str, message: str) -> str | None:
    if status == 401:
        return "The credentials of this kubeconfig or pod are not accepted: have they run out?"
    if "is being terminated" in message:
        return "The namespace is going away: try again when it is gone."
    if status == 403 and "exceeded quota" in message:
        return "The namespace's ResourceQuota leaves no room: raise it, or ask for less."
    if status == 403 and reason == "Forbidden" and " cannot " in message:
        return "The account needs that permission: `ci-gitops rbac` prints a Role that holds it."
    if status == 404 and "namespaces" in message:
        return "The namespace must be there: declare it in the target, or set `createNamespace: true`."
    if status == 409 and message.startswith("Apply failed"):
        return "Another manager owns these fields: take them out of Git, or let that manager give them up."
    return None


def absent(status: int, body: bytes, name: str) -> bool:
    """Whether a 404 says that the object is not there, rather than its kind or the whole address."""
    details = _status(body).get("details") or {}
    return status == 404 and details.get("name") == name


def unauthorized(cluster: str, source: str) -> ClusterError:
    return ApiError(
        f"{cluster} does not accept the credentials of {source}.", status=401, reason="Unauthorized",
        hint="They may have run out, or belong to another cluster.",
    )  # fmt: skip


def seconds(header: str) -> float | None:
    """A Retry-After in seconds; a date counts as too long to wait for."""
    if not header:
        return None
    return float(header) if header.isdigit() else float("inf")
