"""A chart repository over HTTP: the versions of a chart in its `index.yaml`.

Spoken to as a registry is: the same bounds, logins and patience; credentials go to that host alone.
"""

from __future__ import annotations

import urllib.parse
from collections.abc import Mapping

from ci_gitops.adapters.kept_answers import KeptAnswers, etag_of
from ci_gitops.adapters.registry_http import RegistryHttp
from ci_gitops.adapters.registry_login import Login, login_for
from ci_gitops.core.chart_index import ChartVersion, versions_in
from ci_gitops.core.hosts import is_loopback
from ci_gitops.errors import RegistryError

_LARGEST = 64 * 1024 * 1024


def login_at(url: str, environ: Mapping[str, str]) -> Login | None:
    """Who we are at a chart repository; nobody where it does not encrypt. At GitLab's own packages the job."""
    parts = urllib.parse.urlsplit(url)
    if parts.scheme != "https" and not is_loopback(parts.netloc):
        return None
    token = environ.get("CI_JOB_TOKEN")
    if token and parts.netloc in (environ.get("CI_SERVER_FQDN"), environ.get("CI_SERVER_HOST")):
        return Login(parts.netloc, "CI_JOB_TOKEN", "gitlab-ci-token", token)
    return login_for(parts.netloc, environ)


def chart_versions(http: RegistryHttp, url: str, chart: str, kept: KeptAnswers | None) -> tuple[ChartVersion, ...]:
    """Those of one chart in the repository at `url`, which `http` reaches; RegistryError where it is not there."""
    path = f"{urllib.parse.urlsplit(url).path.rstrip('/')}/index.yaml"
    known = kept.get("index", url, chart) if kept else None
    headers = {"Accept": "application/x-yaml, */*", "Accept-Encoding": "gzip"}
    if known:
        headers["If-None-Match"] = known["etag"]
    answer = http.request("GET", path, scope="index", headers=headers, limit=_LARGEST, missing_ok=True)
    if answer is None:
        raise RegistryError(f"There is no chart repository at {url}: it has no index.yaml.")
    if known and answer.status == 304:
        return tuple(ChartVersion(version, created) for version, created in known["versions"])
    versions = versions_in(answer.body, chart, url)
    etag = etag_of(answer.headers)
    if kept and etag:
        plain = [[each.version, each.created] for each in versions]
        kept.put({"etag": etag, "versions": plain}, "index", url, chart)
    return versions
