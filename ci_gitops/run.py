"""One run of the program: where it stands, what CI says, where it prints. Made at the edge, handed down."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ci_gitops.output import Output

if TYPE_CHECKING:
    from ci_gitops.core.ci import CiFacts


@dataclass(slots=True)
class Run:
    """`environ` and `cwd` are the process's own except in tests; `config` is `--config`, not looked for."""

    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
    cwd: Path = field(default_factory=Path.cwd)
    config: Path | None = None
    output: Output = field(default_factory=Output)

    @property
    def ci(self) -> CiFacts:
        from ci_gitops.core.ci import CiFacts  # here, since not every command asks

        return CiFacts.from_environ(self.environ)
