"""From the file's text to `Config`; what is wrong is named with file, line, column, key path and what was expected."""

from __future__ import annotations

import typing
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ValidationError

from ci_gitops.core.text import counted, did_you_mean, near
from ci_gitops.errors import SettingsError
from ci_gitops.settings.document import Document, KeyPath, Place, read
from ci_gitops.settings.schema import Config

_SHOWN = 10
_EXPECTED = {
    "string_type": "expected text",
    "bool_type": "expected true or false",
    "bool_parsing": "expected true or false",
    "int_type": "expected a whole number",
    "int_parsing": "expected a whole number",
    "int_from_float": "expected a whole number",
    "model_type": "expected a mapping",
    "model_attributes_type": "expected a mapping",
    "dict_type": "expected a mapping",
    "tuple_type": "expected a list",
    "missing": "this key is required",
}


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that the file asks for and that cannot be."""

    path: KeyPath
    message: str
    hint: str | None = None
    at_key: bool = False


def parse_config(text: str, file: str) -> Config:
    """The configuration in `text`; `file` is the name that errors show."""
    document = read(text, file)
    if not isinstance(document.data, dict):
        raise document.error("expected a mapping with keys such as apps and environments.", document.place(()))
    try:
        config = Config.model_validate(document.data)
    except ValidationError as error:
        raise _settings_error([_problem(details, document) for details in error.errors()], document) from None
    problems = [*_unknown_names(config), *_cycles(config), *_nowhere_from(config)]
    if problems:
        raise _settings_error(problems, document)
    config.remember(document)
    return config


def key_text(path: KeyPath) -> str:
    """`environments.production.gates.windows[0].allow`."""
    shown = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return shown.removeprefix(".")


def _settings_error(problems: list[Problem], document: Document) -> SettingsError:
    placed = sorted(
        ((document.place(problem.path, key=problem.at_key), problem) for problem in problems),
        key=lambda pair: (pair[0].line, pair[0].column),
    )
    lines = [_told(place, problem, document, alone=len(placed) == 1) for place, problem in placed[:_SHOWN]]
    if len(placed) > _SHOWN:
        lines.append(f"… and {counted(len(placed) - _SHOWN, 'more error')}.")
    return SettingsError("\n".join(lines), hint=placed[0][1].hint if len(placed) == 1 else None)


def _told(place: Place, problem: Problem, document: Document, *, alone: bool) -> str:
    """One line for a problem; its hint stands in it where there are several."""
    key = f"{key_text(problem.path)}: " if problem.path else ""
    hint = f" {problem.hint}" if problem.hint and not alone else ""
    return f"{document.file}:{place.line}:{place.column}: {key}{problem.message}{hint}"


def _problem(details: Any, document: Document) -> Problem:
    path: KeyPath = tuple(part for part in details["loc"] if part != "[key]")
    kind, given = details["type"], details["input"]
    if kind == "extra_forbidden":
        known = _known_keys(path[:-1])
        hint = did_you_mean(str(path[-1]), known, "The keys here are")
        return Problem(path, f"there is no key {path[-1]!r} here.", hint, at_key=True)
    if kind == "literal_error":
        expected = details["ctx"]["expected"]
        words = [word.strip("'") for word in expected.replace(" or ", ", ").split(", ")]
        close = near(str(given), words, 1)
        hint = f"Did you mean {close[0]!r}?" if close else None
        return Problem(path, f"expected {expected.replace(chr(39), '')}, not {_shown(given)}.", hint)
    if kind == "value_error":
        return Problem(path, f"{details['ctx']['error']}.", at_key="[key]" in details["loc"])
    if kind == "missing":
        return Problem(path, "this key is required.")
    message = _EXPECTED.get(kind) or _bound(kind, details.get("ctx", {}))
    hint = "Put the number in quotes." if kind == "string_type" and isinstance(given, int | float) else None
    return Problem(path, f"{message}, not {_shown(given)}.", hint)


def _bound(kind: str, context: Mapping[str, Any]) -> str:
    bounds = {"greater_than_equal": "at least {ge}", "less_than_equal": "at most {le}"}
    if kind in bounds:
        return "expected a number of " + bounds[kind].format(**context)
    return "expected something else"


def _shown(value: object) -> str:
    names: Mapping[type, str] = {dict: "a mapping", list: "a list", bool: str(value).lower(), type(None): "nothing"}
    return names.get(type(value)) or (f"the number {value}" if isinstance(value, int | float) else repr(value)[:80])


def _known_keys(path: KeyPath) -> list[str]:
    """The keys of the mapping at `path`, from the schema."""
    annotation: Any = Config
    for part in path:
        annotation = _below(annotation, part)
    model = _model(annotation)
    return [field.alias or name for name, field in model.model_fields.items()] if model else []


def _below(annotation: Any, part: str | int) -> Any:
    """The type of what stands at `part` of a mapping or list."""
    model = _model(annotation)
    if model:
        fields = {field.alias or name: field.annotation for name, field in model.model_fields.items()}
        return fields[str(part)]
    return _arguments(annotation)[-1]


def _model(annotation: Any) -> type[BaseModel] | None:
    choices = [annotation] if typing.get_origin(annotation) in (None, dict, tuple) else _arguments(annotation)
    return next((item for item in choices if isinstance(item, type) and issubclass(item, BaseModel)), None)


def _arguments(annotation: Any) -> list[Any]:
    return [item for item in typing.get_args(annotation) if item not in (type(None), Ellipsis)]


def _unknown_names(config: Config) -> Iterator[Problem]:
    for name, app in config.apps.items():
        for number, before in enumerate(app.after):
            if before not in config.apps:
                path = ("apps", name, "after", number)
                yield Problem(path, f"there is no app {before!r}.", did_you_mean(before, config.apps, "Apps"))
    for name, environment in config.environments.items():
        source = environment.from_
        if source and source not in config.environments:
            hint = did_you_mean(source, config.environments, "Environments")
            yield Problem(("environments", name, "from"), f"there is no environment {source!r}.", hint)


def _nowhere_from(config: Config) -> Iterator[Problem]:
    """Gates that ask where promotions come from, in an environment that nothing is promoted to."""
    for number, (name, environment) in enumerate(config.environments.items()):
        for path, gates in ((("gates",), environment.gates), (("rollback", "gates"), environment.rollback.gates)):
            for gate in ("healthy", "soak") if number == 0 and not environment.from_ else ():
                if getattr(gates, gate):
                    yield Problem(
                        ("environments", name, *path, gate),
                        f"this gate can never hold: {name} is the first environment, and nothing is promoted to it.",
                        "Name where its promotions come from with `from`, or take the gate out.",
                        at_key=True,
                    )


def _cycles(config: Config) -> Iterator[Problem]:
    after = {name: app.after for name, app in config.apps.items()}
    cycle = find_cycle(after)
    if cycle:
        yield Problem(("apps", cycle[0], "after"), f"this is a cycle: {' after '.join(cycle)}.")
    sources = {name: [item.from_] if item.from_ else [] for name, item in config.environments.items()}
    cycle = find_cycle(sources)
    if cycle:
        yield Problem(("environments", cycle[0], "from"), f"this is a cycle: {' from '.join(cycle)}.")


def find_cycle(edges: Mapping[str, Iterable[str]]) -> list[str]:
    """One cycle of the graph, beginning and ending with the same name; empty where there is none."""
    done: set[str] = set()
    for start in edges:
        trail: list[str] = []
        stack: list[tuple[str, Iterator[str]]] = [(start, iter(edges[start]))] if start not in done else []
        trail.extend(name for name, _ in stack)
        while stack:
            following = next(stack[-1][1], None)
            if following is None:
                done.add(stack.pop()[0])
                trail.pop()
            elif following in trail:
                return [*trail[trail.index(following) :], following]
            elif following not in done and following in edges:
                stack.append((following, iter(edges[following])))
                trail.append(following)
    return []
