"""Markdown made of foreign text: shown as it is, and nothing in it acts.

GitLab and GitHub take lines for commands (`/merge`), words for mentions (`@alice`), references (`#1`, `!1`) and, with a
keyword before them, for orders to close an issue. GitLab looks for the latter in the raw text, code included. What
cannot be escaped is parted by a space of no width, and the blank behind a keyword becomes one that does not break:
people read the same.
https://docs.gitlab.com/user/project/quick_actions/
https://docs.gitlab.com/user/project/issues/managing_issues/#default-closing-pattern
https://docs.github.com/en/issues/tracking-your-work-with-issues/using-issues/linking-a-pull-request-to-an-issue
"""

from __future__ import annotations

import re
import urllib.parse
from collections.abc import Sequence

from ci_gitops.core.text import plain

_ZERO = "\u200b"
_FIXED = "\u00a0"
# A line that begins with a slash and a word, also in a list or quotation.
_COMMAND = re.compile(r"^([ \t>*+-]*)/(?=[A-Za-z_])", re.MULTILINE)
_CLOSING = re.compile(
    r"\b(clos(?:e[sd]?|ing)|fix(?:e[sd]|ing)?|resolv(?:e[sd]?|ing)|implement(?:s|ed|ing)?)(:?)[ \t]+(?=\S)",
    re.IGNORECASE,
)
# Mentions, issues, merge requests, milestones, epics, snippets, labels, iterations.
_REFERENCE = re.compile(r"([@#!%&$~^])(?=[\w\"'\[])")
_NUMBERED = re.compile(r"\b(GH-)(?=\d)", re.IGNORECASE)
_ADDRESS = re.compile(r"(?<=:)//|\bwww(?=\.)", re.IGNORECASE)
_MARKUP = re.compile(r"[\\`*\[\]|~]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")
_HTML = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;"}
_HOST = re.compile(r"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?")
_LONGEST_ADDRESS = 1_000


def harmless(text: str) -> str:
    """Foreign text in Markdown: no mark-up, no link, no mention, no reference, no command. Lines stay lines."""
    text = _MARKUP.sub(r"\\\g<0>", _tamed(plain(text)))
    return _COMMAND.sub(r"\1\\/", re.sub(r"&(?!\u200b)|[<>]", lambda found: _HTML[found[0]], text))


def words(text: str) -> str:
    """The same on one line."""
    return harmless(" ".join(plain(text).split()))


def in_html(text: str) -> str:
    """Foreign text on one line between HTML tags, where Markdown is not read."""
    return re.sub(r"&(?!\u200b)|[<>\"]", lambda found: _HTML[found[0]], _tamed(" ".join(plain(text).split())))


def code(text: str) -> str:
    """`text` as a code span that fits into a table cell: nothing in it is Markdown, HTML, a mention or a command."""
    flat = _no_order(" ".join(plain(text).split())).replace("|", "\\|")
    if not flat:
        return "–"
    ticks = "`" * (max((len(run) for run in re.findall("`+", flat)), default=0) + 1)
    pad = " " if flat.startswith("`") or flat.endswith("`") else ""
    return f"{ticks}{pad}{flat}{pad}{ticks}"


def fenced(text: str, language: str = "") -> str:
    """Foreign lines as a block of code that nothing in them ends."""
    body = _COMMAND.sub(rf"\1{_ZERO}/", _no_order(plain(text))).strip("\n")
    fence = "`" * max(3, max((len(run) for run in re.findall("`+", body)), default=0) + 1)
    return f"{fence}{language}\n{body}\n{fence}"


def folded(summary: str, body: str) -> str:
    """`body` that is shown when people open it; `summary` is made of our words and of what was `in_html`."""
    return f"<details><summary>{summary}</summary>\n\n{body}\n\n</details>"


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Rows of cells that are Markdown already; an empty one is a dash."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(cell or "–" for cell in line) + " |" for line in lines)


def link(text: str, address: str | None) -> str:
    """`text` (Markdown already), with a link where the address is one that can be clicked without harm."""
    safe = web_address(address) if address else None
    return f"[{text}](<{safe}>)" if safe else text


def web_address(address: str) -> str | None:
    """An address of the web as it may stand in a link, without user and password; None where it is none."""
    try:
        parts = urllib.parse.urlsplit(plain(address).strip())
    except ValueError:
        return None
    host = parts.netloc.rpartition("@")[2]
    if parts.scheme.lower() not in ("http", "https") or not _HOST.fullmatch(host) or len(address) > _LONGEST_ADDRESS:
        return None
    path, query, anchor = (urllib.parse.quote(each, safe="/-._~%=&+,:;") for each in parts[2:5])
    return urllib.parse.urlunsplit((parts.scheme.lower(), host.lower(), path, query, anchor))


def _tamed(text: str) -> str:
    """Without mentions, references, orders and addresses that forges make links of."""
    text = _CLOSING.sub(rf"\1\2{_FIXED}", text)
    text = _REFERENCE.sub(rf"\1{_ZERO}", text)
    text = _NUMBERED.sub(rf"\1{_ZERO}", text)
    return _ADDRESS.sub(lambda found: f"{found[0]}{_ZERO}" if found[0] != "//" else f"{_ZERO}//", text)


def _no_order(text: str) -> str:
    """Code without what is looked for in raw text: orders to close issues, and the marks of our own block."""
    return _CLOSING.sub(rf"\1\2{_FIXED}", text).replace("<!--", f"<!{_ZERO}--")
