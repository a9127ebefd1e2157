"""What mkdocs does not know of this repository: pages outside docs/, a page for each command, links that leave docs/.

Pages are written to be read where they lie, in the repository; the site follows them.
"""

from __future__ import annotations

import html
import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from ci_gitops.commands import COMMANDS

ROOT = Path(__file__).parents[1]
#: Page of the site -> file outside docs/.
OUTSIDE = {"index.md": "README.md", "changelog.md": "CHANGELOG.md"}
_LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)\s]+)\)")
_ROW = re.compile(r"(?m)^\|.*\|$")
_CODE = re.compile(r"`([^`]+)`")


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    for section in config.nav or []:
        if "Commands" in section:
            section["Commands"] = ["commands/index.md", *(f"commands/{name}.md" for name in sorted(COMMANDS))]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    for page, path in OUTSIDE.items():
        files.append(File.generated(config, page, content=(ROOT / path).read_text()))
    return files


def on_page_markdown(markdown: str, page: Page, files: Files, **_: Any) -> str:
    """Links as they are right in the site, and Markdown inside of what can be folded."""
    here = page.file.src_uri
    written = OUTSIDE.get(here, f"docs/{here}")
    text = _LINK.sub(lambda link: _link(link, written, here), markdown)
    text = _ROW.sub(lambda row: _CODE.sub(_code, row[0]), text)
    return text.replace("<details", "<details markdown")


def _link(link: re.Match[str], written: str, here: str) -> str:
    """A link to what the site does not have keeps its words; a picture is what its link leads to."""
    shown, words, target = link.groups()
    path, mark, anchor = target.partition("#")
    if "://" in target or not path:
        return link[0]
    file = posixpath.normpath(posixpath.join(posixpath.dirname(written), path))
    pages = {outside: inside for inside, outside in OUTSIDE.items()}
    if file in pages:
        goal = pages[file]
    elif file.startswith("docs/"):
        goal = file.removeprefix("docs/")
    else:
        return words
    return f"{shown}[{words}]({posixpath.relpath(goal, posixpath.dirname(here) or '.')}{mark}{anchor})"


def _code(span: re.Match[str]) -> str:
    """Code in a table: a bar in it is written as `\\|` there, and a long name may break at its underscores."""
    text = html.escape(span[1].replace("\\|", "|")).replace("|", "&#124;<wbr>")
    return f"<code>{re.sub(r'(?<=[A-Z])_(?=[A-Z])', '_<wbr>', text)}</code>"
