"""The lists of docs/templates.md, made from the headers of ci-templates/ by `python -m tests.rig.template_docs`.

It makes ci-templates/pipeline.yml first. The tests compare both.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.rig import template_pipeline
from tests.rig.templates import FOLDER, Template, names, template

PAGE = FOLDER.parent / "docs" / "templates.md"
BEGIN, END = "<!-- templates: begin -->", "<!-- templates: end -->"


def page_text(page: str) -> str:
    """The page as it should be."""
    head, _, rest = page.partition(BEGIN)
    _, _, tail = rest.partition(END)
    return f"{head}{BEGIN}\n{''.join(_sections())}{END}{tail}"


def _sections() -> Iterator[str]:
    order = ["pipeline", *(name for name in names() if name != "pipeline")]
    for name in order:
        yield "\n".join(_section(template(name))) + "\n\n"


def _section(found: Template) -> Iterator[str]:
    yield f"### {found.name}\n"
    yield f"{found.about}\n"
    calls = dict.fromkeys(" ".join(_words(job["script"][0])) for job in found.jobs.values() if "script" in job)
    yield f"Calls {', '.join(f'`ci-gitops {call}`' for call in calls)}.\n"
    yield "| input | what it is | values | default |\n|---|---|---|---|"
    for name, spec in found.inputs.items():
        yield f"| `{name}` | {_cell(spec['description'])} | {_values(spec)} | {_default(spec)} |"


def _words(line: str) -> list[str]:
    words = line.split()[1:3]
    return words if words[0] in ("preview", "pipeline") else words[:1]


def _values(spec: dict[str, Any]) -> str:
    if "options" in spec:
        return ", ".join(f"`{each}`" if each else "empty" for each in spec["options"])
    if "regex" in spec:
        return _cell(f"`{spec['regex']}`")
    return str(spec.get("type", "string"))


def _default(spec: dict[str, Any]) -> str:
    if "default" not in spec:
        return "**required**"
    value = spec["default"]
    if isinstance(value, list) and value:
        return "see above"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return f"`{value}`" if value not in ("", []) else "empty"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def write(page: Path = PAGE) -> None:
    template_pipeline.FILE.write_text(template_pipeline.text())
    page.write_text(page_text(page.read_text()))


if __name__ == "__main__":
    write()
