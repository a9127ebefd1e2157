"""What time a web server has, to the second: the Date of any answer."""

from __future__ import annotations

import email.utils
from datetime import datetime
from pathlib import Path

from ci_gitops.adapters.certificates import tls_context

_SECONDS = 10.0


def server_time(address: str, ca_file: Path | None = None) -> datetime | None:
    """None where the server does not answer or does not say."""
    import urllib3

    with urllib3.PoolManager(ssl_context=tls_context(ca_file)) as pool:
        try:
            answer = pool.request("HEAD", address, timeout=_SECONDS, retries=False, redirect=False)
        except urllib3.exceptions.HTTPError:
            return None
        date = answer.headers.get("Date", "")
    try:
        return email.utils.parsedate_to_datetime(date)
    except ValueError:
        return None
