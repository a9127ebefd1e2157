"""Where in GitLab's pages a setting is, for whoever reads the report in a job's log."""

from __future__ import annotations

import re
from dataclasses import replace

from ci_gitops.core.ci import CiFacts
from ci_gitops.steps.checks.base import Finding

#: A variable that a person sets; GitLab's own and those of the job's image are none.
_VARIABLE = re.compile(
    r"\b(?!CI_REGISTRY|CI_SERVER|CI_COMMIT|CI_JOB)(CI_GITOPS_\w+|GITLAB_\w+|DOCKER_\w+|SSH_KNOWN_HOSTS|KUBECONFIG)\b"
)
#: What people click on -> the page's address below the project's own.
_PAGES = {
    "Settings > CI/CD > Variables": "/-/settings/ci_cd#js-cicd-variables-settings",
    "Settings > CI/CD > Job token permissions": "/-/settings/ci_cd#js-token-access",
    "Build > Pipeline schedules": "/-/pipeline_schedules",
}


def in_gitlab(finding: Finding, ci: CiFacts) -> Finding:
    """The finding of a job in GitLab with the page on which its setting is changed."""
    setting = finding.setting
    if not ci.gitlab or finding.state == "ok" or not setting or "\nhttp" in setting:
        return finding
    if _VARIABLE.match(setting):
        setting = f"{setting} (Settings > CI/CD > Variables)"
    page = next((page for words, page in _PAGES.items() if words in setting), None)
    other = setting.startswith("in that project")
    link = f"\n{ci.project_url}{page}" if page and ci.project_url and not other else ""
    return replace(finding, setting=f"{setting}{link}")
