"""The settings of the fake's project: what its maintainers set, and who may see which of it."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from tests.fakes.api import Answer, Call, Refused
from tests.fakes.gitlab_state import DEVELOPER, MAINTAINER, State, User

Handler = Callable[[Call, User, "re.Match[str]"], Answer]


class Settings:
    def __init__(self, state: State) -> None:
        self.state = state
        self.routes: tuple[tuple[str, str, Handler], ...] = (
            ("GET", r"/protected_branches", self._of(MAINTAINER, lambda: self.protected)),
            ("GET", r"/pipeline_schedules", self._of(DEVELOPER, lambda: state.schedules)),
            ("GET", r"/resource_groups", self._of(DEVELOPER, lambda: self.groups)),
            ("GET", r"/variables", self._of(MAINTAINER, lambda: state.variables)),
            ("GET", r"/job_token_scope", self._job_tokens),
            ("GET", r"/job_token_scope/allowlist", self._of(MAINTAINER, lambda: self.allowed)),
        )

    def schedule(self, owner: str = "project_7_bot", **more: Any) -> None:
        """A schedule of main."""
        self.state.schedules.append({
            "id": self.state.next_id(), "description": "nightly", "ref": "refs/heads/main", "cron": "0 3 * * *",
            "cron_timezone": "UTC", "next_run_at": "2999-01-01T03:00:00.000Z", "active": True,
            "owner": {**self.state.user(owner).json()}, **more,
        })  # fmt: skip

    def variable(self, key: str, value: str = "a-secret-of-theirs", **more: Any) -> None:
        """As GitLab's page makes it today: seen by nobody, for every branch."""
        self.state.variables.append({
            "key": key, "value": value, "variable_type": "env_var", "protected": True, "masked": True, "hidden": False,
            "raw": True, "environment_scope": "*", "description": None, **more,
        })  # fmt: skip

    @property
    def allowed(self) -> list[dict[str, Any]]:
        """A project is always on its own list."""
        names = enumerate([self.state.path, *self.state.allowed], self.state.id)
        return [{"id": number, "path_with_namespace": name} for number, name in names]

    @property
    def groups(self) -> list[dict[str, Any]]:
        return [
            {"id": number, "key": key, "process_mode": mode}
            for number, (key, mode) in enumerate(self.state.locks.items(), 1)
        ]

    @property
    def protected(self) -> list[dict[str, Any]]:
        """The one branch that the rules speak of."""
        rules = self.state.rules
        if not rules.protected:
            return []
        return [{
            "id": 1, "name": rules.protected, "allow_force_push": rules.force_push,
            "push_access_levels": [{"id": 1, "access_level": rules.push_role, "access_level_description": "a role"}],
            "merge_access_levels": [{"id": 2, "access_level": rules.merge_role, "access_level_description": "a role"}],
        }]  # fmt: skip

    def _of(self, role: int, listed: Callable[[], list[dict[str, Any]]]) -> Handler:
        def handler(call: Call, user: User, found: re.Match[str]) -> Answer:
            _may(user, role)
            page, size = int(call.asked("page", "1")), int(call.asked("per_page", "20"))
            return Answer(200, listed()[(page - 1) * size : page * size])

        return handler

    def _job_tokens(self, call: Call, user: User, found: re.Match[str]) -> Answer:
        _may(user, MAINTAINER)
        return Answer(200, {"inbound_enabled": self.state.rules.inbound, "outbound_enabled": False})


def _may(user: User, role: int) -> None:
    if user.role < role:
        raise Refused(403, "403 Forbidden")
