"""The road from a commit to a healthy cluster, as functions on plain records.

What `__all__` names is the public interface; it is imported when it is first used, so that `import ci_gitops`
costs nothing. Everything else is private.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ci_gitops.core.edits import Change, Edit, ImageUse, image_uses, set_images
    from ci_gitops.core.health import Health, assess_health
    from ci_gitops.core.images import ImageArgument, ImageRef
    from ci_gitops.core.stages import Stage, order
    from ci_gitops.errors import CiGitopsError

__version__ = "0.1.0"

__all__ = [
    "Change",
    "CiGitopsError",
    "Edit",
    "Health",
    "ImageArgument",
    "ImageRef",
    "ImageUse",
    "Stage",
    "__version__",
    "assess_health",
    "image_uses",
    "order",
    "set_images",
]

_HOMES = {
    "Change": "ci_gitops.core.edits",
    "CiGitopsError": "ci_gitops.errors",
    "Edit": "ci_gitops.core.edits",
    "Health": "ci_gitops.core.health",
    "ImageArgument": "ci_gitops.core.images",
    "ImageRef": "ci_gitops.core.images",
    "ImageUse": "ci_gitops.core.edits",
    "Stage": "ci_gitops.core.stages",
    "assess_health": "ci_gitops.core.health",
    "image_uses": "ci_gitops.core.edits",
    "order": "ci_gitops.core.stages",
    "set_images": "ci_gitops.core.edits",
}


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(home), name)


def __dir__() -> list[str]:
    return sorted(__all__)
