"""Several screens one after the other, as a moving picture: SVG whose own style sheet shows and hides them.

It runs three times and ends with its last screen. Who wants no motion sees that one alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from docs.recordings.drawing import caption, rows, window
from docs.recordings.terminal import Run

_RUNS = 3
_TYPED, _READ, _LINE = 1.2, 2.4, 0.35  # seconds: until the answer comes, to read it, and for each line of it
_BASE = """\
.scene { visibility: hidden; animation-timing-function: step-end; }
.last { visibility: visible; }
@media (prefers-reduced-motion: reduce) { .scene { animation: none !important; } }"""


@dataclass(frozen=True)
class Scene:
    title: str
    lines: Sequence[Sequence[Run]]  # the first is what is typed

    @property
    def seconds(self) -> float:
        return _TYPED + _READ + _LINE * len(self.lines)


def film(title: str, scenes: Sequence[Scene], columns: int) -> str:
    height = max(len(scene.lines) for scene in scenes)
    return window(title, columns, height, _drawn(scenes), [_BASE, *_timed(scenes)])


def _drawn(scenes: Sequence[Scene]) -> Iterator[str]:
    for number, scene in enumerate(scenes):
        last = " last" if scene is scenes[-1] else ""
        yield f'<g class="scene{last}" id="t{number}">'
        yield caption(f"{number + 1}/{len(scenes)}  {scene.title}")
        yield from rows(scene.lines[:1])
        yield f'</g><g class="scene{last}" id="a{number}">'
        yield from rows(scene.lines[1:], 1)
        yield "</g>"


def _timed(scenes: Sequence[Scene]) -> Iterator[str]:
    """For each screen when its command and its answer come, and when both go."""
    whole, at = sum(scene.seconds for scene in scenes), 0.0
    yield f".scene {{ animation-duration: {whole:.1f}s; animation-iteration-count: {_RUNS}; }}"
    for number, scene in enumerate(scenes):
        end = at + scene.seconds
        for name, begin in ((f"t{number}", at), (f"a{number}", at + _TYPED)):
            shows, hides = (f"{100 * moment / whole:.2f}%" for moment in (begin, end))
            hidden, visible = "visibility: hidden", "visibility: visible"
            yield f"@keyframes {name} {{ 0% {{ {hidden} }} {shows} {{ {visible} }} {hides} {{ {hidden} }} }}"
            yield f"#{name} {{ animation-name: {name}; }}"
        at = end
