"""Edits of files as text: the bytes of the changed values move, everything else stays as it is."""

from __future__ import annotations

from ci_gitops.core.edits.images import image_uses, set_images
from ci_gitops.core.edits.records import Change, Edit, ImageUse

__all__ = ["Change", "Edit", "ImageUse", "image_uses", "set_images"]
