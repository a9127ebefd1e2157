"""What acts on the objects of a simulated cluster: its controllers, its one node, and the collector of garbage.

Everything is decided from the state and the time, so that the same calls at the same times give the same cluster.
Nothing runs in the background: `step` brings the state to what it would be by now, and says when it changes next.
"""

from __future__ import annotations

from ci_gitops.core.controllers.run import step

__all__ = ["step"]
