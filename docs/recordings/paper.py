"""The text of a merge request as a forge shows it: Markdown as a picture, laid out by whatever browser shows it."""

from __future__ import annotations

import re
from html import escape

import markdown

_WIDTH = 860
_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
_DIFF = re.compile(r'(<code class="language-diff">)(.*?)(</code>)', re.DOTALL)
_STYLE = """\
div { font: 14px/1.5 system-ui, -apple-system, 'Segoe UI', Roboto, 'Liberation Sans', sans-serif; color: #1f1e24; }
h1 { font-size: 22px; margin: 0; }
h1 + p { color: #626168; margin: 4px 0 20px; padding-bottom: 12px; border-bottom: 1px solid #dcdcde; }
h4 { font-size: 15px; margin: 20px 0 8px; }
p, ul, pre, table { margin: 8px 0; }
ul { padding-left: 24px; }
code { font: 13px ui-monospace, Menlo, Consolas, 'DejaVu Sans Mono', monospace; background: #ececef; padding: 1px 4px;
  border-radius: 4px; }
pre { background: #fbfafd; border: 1px solid #dcdcde; border-radius: 4px; padding: 8px 12px; overflow: hidden; }
pre code { background: none; padding: 0; font-size: 12px; }
ins { color: #24663b; background: #c3e6cd; text-decoration: none; }
del { color: #a02014; background: #fdd4cd; text-decoration: none; }
table { border-collapse: collapse; }
th, td { border: 1px solid #dcdcde; padding: 6px 12px; text-align: left; }
a { color: #1068bf; }
"""


def paper(title: str, text: str, height: int) -> str:
    """`text` is Markdown; what is folded in it is shown unfolded. `height` is what a browser needs for it."""
    return "\n".join((
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{height}" viewBox="0 0 {_WIDTH} {height}"',
        ' role="img" aria-labelledby="title">',
        f'<title id="title">{escape(title)}</title>',
        f"<style>{_STYLE}</style>",
        f'<rect x="0.5" y="0.5" width="{_WIDTH - 1}" height="{height - 1}" rx="9" fill="#ffffff" stroke="#bfbfc3"/>',
        f'<foreignObject x="24" y="20" width="{_WIDTH - 48}" height="{height - 24}">',
        f'<div xmlns="http://www.w3.org/1999/xhtml">{_html(text)}</div>',
        "</foreignObject>",
        "</svg>",
        "",
    ))  # fmt: skip


def _html(text: str) -> str:
    """Nothing of a picture can be clicked, so links lead nowhere."""
    unfolded = _COMMENT.sub("", text).replace("<details>", '<details markdown="1" open="open">')
    made = markdown.markdown(unfolded, extensions=["tables", "fenced_code", "md_in_html", "sane_lists"])
    made = re.sub(r'<a href="[^"]*">', "<a>", made)
    return _DIFF.sub(lambda block: block[1] + "\n".join(map(_line, block[2].split("\n"))) + block[3], made)


def _line(line: str) -> str:
    mark = {"+": "ins", "-": "del"}.get(line[:1])
    return f"<{mark}>{line}</{mark}>" if mark else line
