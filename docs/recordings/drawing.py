"""What stands on a terminal as a picture: SVG, a text of its own, with nothing that is fetched from elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from html import escape

from docs.recordings.terminal import Run

WIDTH, HEIGHT = 8.4, 19  # of a character, in pixels
_SIDE, _TOP, _BOTTOM = 18, 44, 16
#: By the number that the terminal gets. Each stands out against the window by 4.5 to 1 and more, on any page.
_STYLES = {
    "1": "font-weight: 700; fill: #f0f3f6",
    "2": "fill: #9ba6b2",
    "31": "fill: #ff8f87",
    "32": "fill: #58d26b",
    "33": "fill: #e3b341",
    "36": "fill: #5ccfe6",
}
_FONT = "ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace"


def picture(title: str, lines: Sequence[Sequence[Run]], columns: int) -> str:
    return window(title, columns, len(lines), rows(lines))


def window(title: str, columns: int, height: int, inside: Iterable[str], style: Iterable[str] = ()) -> str:
    """A window of so many columns and lines, and what is drawn in it; `style` is more CSS."""
    across = round(2 * _SIDE + columns * WIDTH)
    down = _TOP + height * HEIGHT + _BOTTOM
    return "\n".join((
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{across}" height="{down}" viewBox="0 0 {across} {down}"',
        ' role="img" aria-labelledby="title">',
        f'<title id="title">{escape(title)}</title>',
        f"<style>text {{ font: 14px {_FONT}; fill: #d7dee6; white-space: pre; }}",
        *(f".s{number} {{ {how} }}" for number, how in _STYLES.items()),
        *style,
        "</style>",
        f'<rect x="0.5" y="0.5" width="{across - 1}" height="{down - 1}" rx="9" fill="#12171d" stroke="#3d4752"/>',
        *(f'<circle cx="{_SIDE + 4 + 18 * at}" cy="20" r="5.5" fill="#3d4752"/>' for at in range(3)),
        *inside,
        "</svg>",
        "",
    ))  # fmt: skip


def caption(text: str) -> str:
    """What stands in the window's bar."""
    return f'<text x="{_SIDE + 64}" y="25" class="s2">{escape(text)}</text>'


def rows(lines: Sequence[Sequence[Run]], first: int = 0) -> Iterator[str]:
    """Lines of text, the first of them as the window's line `first`."""
    for number, line in enumerate(lines, first):
        if line:
            yield f'<text y="{_TOP + 14 + number * HEIGHT}" xml:space="preserve">{"".join(_spans(line))}</text>'


def _spans(line: Sequence[Run]) -> Iterator[str]:
    """Each with its own place and length: columns stay columns, whatever font the reader has."""
    column = 0
    for run in line:
        kind = f' class="s{run.style}"' if run.style else ""
        begins = len(run.text) - len(run.text.lstrip())
        text = run.text.strip()
        if text:
            x, length = _SIDE + (column + begins) * WIDTH, len(text) * WIDTH
            yield f'<tspan x="{x:.1f}" textLength="{length:.1f}"{kind}>{escape(text)}</tspan>'
        column += len(run.text)
