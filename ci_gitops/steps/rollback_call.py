"""What one call of `rollback` was given."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path

from ci_gitops.steps.declared import Ask
from ci_gitops.steps.update_call import UpdateCall


@dataclass(frozen=True, slots=True, kw_only=True)
class RollbackCall(UpdateCall):
    """The options of one call, as the command line gives them."""

    environment: str
    to: str | None = None
    scope: str = "images"  # or target
    context: str | None = None
    kubeconfig: Path | None = None
    destination: str | None = None
    record_namespace: str | None = None

    @property
    def ask(self) -> Ask:
        """Where the records are."""
        return Ask(
            environment=self.environment, apps=self.apps, repo=self.repo, branch=self.branch, context=self.context,
            kubeconfig=self.kubeconfig, destination=self.destination, record_namespace=self.record_namespace,
            token_file=self.token_file, ca_file=self.ca_file,
        )  # fmt: skip

    @property
    def whole(self) -> bool:
        """Whether every file of the target goes back."""
        return self.scope == "target"

    @property
    def base(self) -> UpdateCall:
        return UpdateCall(**{each.name: getattr(self, each.name) for each in fields(UpdateCall)})
