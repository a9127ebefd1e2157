"""Files that a job leaves for later ones: the dotenv report and the result document. Written whole or not at all."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ci_gitops.core.dotenv import dotenv
from ci_gitops.errors import UsageError


def write_dotenv(path: Path, variables: Mapping[str, str]) -> None:
    """Write variables for GitLab's `artifacts:reports:dotenv`."""
    _write(path, dotenv(variables))


def write_document(path: Path, document: Mapping[str, Any]) -> None:
    """Write a result for another command to read."""
    _write(path, json.dumps(document, indent=2, ensure_ascii=False) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write a report."""
    _write(path, text)


def must_be_writable(path: Path) -> None:
    """Raise before the work, not after it, where the file could not be written."""
    if path.is_dir() or not path.absolute().parent.is_dir() or not os.access(path.absolute().parent, os.W_OK):
        raise UsageError(f"{path} cannot be written.", hint="Its folder must be there and writable.")


def _write(path: Path, text: str) -> None:
    must_be_writable(path)
    descriptor, name = tempfile.mkstemp(dir=path.absolute().parent, prefix=f".{path.name}.")
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        temporary.chmod(0o644)
        temporary.replace(path)
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}.") from error
    finally:
        temporary.unlink(missing_ok=True)
