"""Is an object well? Pure functions from a Kubernetes object to a status and the sentence that says why."""

from ci_gitops.core.health.app import counts, overall
from ci_gitops.core.health.assess import assess_health, is_ignored, moves
from ci_gitops.core.health.expressions import parse_expression
from ci_gitops.core.health.records import Health, HealthStatus, missing, worst
from ci_gitops.core.health.rules import HealthRule, Rule, check_message

__all__ = [
    "Health",
    "HealthRule",
    "HealthStatus",
    "Rule",
    "assess_health",
    "check_message",
    "counts",
    "is_ignored",
    "missing",
    "moves",
    "overall",
    "parse_expression",
    "worst",
]
