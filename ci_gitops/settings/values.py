"""The kinds of value that settings have: names, paths that stay inside the tree, templates, patterns, durations."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from string import Formatter
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    PlainSerializer,
    WithJsonSchema,
    model_validator,
)
from pydantic.alias_generators import to_camel
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import core_schema

from ci_gitops.core import durations, signatures, targets

PLACES = r"(dir|simulated):.+"
_NAME = "a name of letters, digits, '.', '_' and '-', at most 63, beginning and ending with a letter or digit"


class Model(BaseModel):
    """A mapping of the file: keys in camelCase, unknown ones refused, never changed once read.

    Validators are built when they are first needed: without a file there is nothing to validate, and defaults are
    made by `model_construct`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=to_camel, defer_build=True)

    @model_validator(mode="before")
    @classmethod
    def _without_empty_keys(cls, value: Any) -> Any:
        """`staging:` without a value is an empty mapping; a key without a value is as if it were not written."""
        if value is None:
            return {}
        if isinstance(value, dict):
            return {key: item for key, item in value.items() if item is not None}
        return value


def _line(text: str) -> str:
    """Text for one line of a file, a command or a request."""
    if not text.strip():
        raise ValueError("expected some text, not nothing")
    if re.search(r"[\x00-\x1f\x7f]", text):
        raise ValueError("expected one line without control characters")
    return text


def _word(text: str) -> str:
    """Text that a program may get as an argument: no program may take it for an option."""
    if _line(text).startswith("-"):
        raise ValueError(f"{text!r} looks like an option: it may not begin with '-'")
    return text


def _path(text: str) -> str:
    if "\\" in _word(text):
        raise ValueError("expected a path with '/', not '\\'")
    if text.startswith(("/", "~")) or re.match(r"[A-Za-z]:", text):
        raise ValueError(f"expected a path inside the repository, not the absolute {text!r}")
    parts = text.split("/")
    if ".." in parts:
        raise ValueError(f"{text!r} leaves the repository: '..' is not allowed")
    if ".git" in (part.lower() for part in parts):
        raise ValueError(f"{text!r} is in Git's own folder")
    if any(part.startswith("-") for part in parts):
        raise ValueError(f"a folder of {text!r} looks like an option: it may not begin with '-'")
    return text


def _branch(text: str) -> str:
    """A branch, tag or pattern of such as Git allows it (git-check-ref-format)."""
    if re.search(r"[\s~^:\\]|\.\.|@\{|//|\.lock(/|$)", _word(text)) or text.endswith(("/", ".")):
        raise ValueError(f"{text!r} is no name that Git allows")
    return text


def _address(text: str) -> str:
    if "::" in _word(text).partition("/")[0]:
        raise ValueError(f"expected https://, ssh://, git@host:path or a path, not {text!r}")
    if re.match(r"(?i)https?://[^/@]*@", text):
        raise ValueError("an address may hold no user or password: they come from variables or files")
    return text


def _place(text: str) -> str:
    """`dir:PATH`, `dir:PATH@BRANCH` or `simulated:PATH`; with a branch, PATH is one inside a repository."""
    kind, _, rest = text.partition(":")
    path, at, branch = rest.partition("@") if kind == "dir" else (rest, "", "")
    if at:
        _branch(branch)
        _path(path)
    elif ".." in _word(path).split("/"):
        raise ValueError(f"{path!r} leaves its folder: '..' is not allowed")
    return text


def _web(text: str) -> str:
    if not re.match(r"https?://[^/\s@]+", _line(text)):
        raise ValueError(f"expected an address that begins with https:// or http://, not {text!r}")
    return text


def _key(text: str) -> str:
    """A file of the repository, `env://VARIABLE`, or where a service keeps a key."""
    kind, service, rest = _word(text).partition("://")
    if not service:
        return _path(text)
    known = (*signatures.KEY_SERVICES, signatures.KEY_VARIABLE)
    if kind not in known or not rest:
        raise ValueError(f"expected a file, or an address that begins with {'://, '.join(known)}://, not {text!r}")
    return text


def holding(*fields: str) -> Any:
    """A validator for text that may hold these `{fields}` and no others."""

    def check(text: str) -> str:
        allowed = " and ".join(f"{{{field}}}" for field in fields)
        if "{{" in text or "}}" in text:
            raise ValueError(f"{text!r} has a doubled brace: write one, as in {{{fields[0]}}}")
        try:
            used = [name for _, name, _, _ in Formatter().parse(text) if name is not None]
        except ValueError as error:
            raise ValueError(f"{text!r} has a brace without its pair") from error
        wrong = [name for name in used if name not in fields]
        if wrong:
            raise ValueError(f"{{{wrong[0]}}} is not known here: {allowed} can be used")
        return text

    return AfterValidator(check)


@dataclass(frozen=True, slots=True)
class Form:
    """Text that fits `pattern` as a whole; `expected` says it in words."""

    pattern: str
    expected: str

    def check(self, text: str) -> str:
        if not re.fullmatch(self.pattern, text):
            raise ValueError(f"expected {self.expected}, not {text!r}")
        return text

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> Any:
        return core_schema.no_info_after_validator_function(self.check, handler(source))

    def __get_pydantic_json_schema__(self, schema: Any, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {**handler(schema), "pattern": f"^({self.pattern})$"}


def _expression(text: str) -> str:
    from ci_gitops.core.health import parse_expression  # here, since few files have rules

    parse_expression(_line(text))
    return text


def _template(text: str) -> str:
    from ci_gitops.core.health import check_message

    check_message(_line(text))
    return text


def _versions(text: str) -> str:
    from ci_gitops.core.versions import Range  # here, since few files have policies

    Range.parse(_line(text))
    return text


def _time_zone(text: str) -> str:
    from ci_gitops.core.cron import zone_of  # here, since few files name one

    zone_of(_line(text))
    return text


def _duration(value: object) -> timedelta:
    if isinstance(value, timedelta):
        return value
    if not isinstance(value, str):
        raise ValueError(f"expected {durations.EXPECTED}, not {value!r}")  # noqa: TRY004 - pydantic wants ValueError
    return durations.parse_duration(value)


Name = Annotated[str, Form(targets.NAME.pattern, _NAME)]
Line = Annotated[str, AfterValidator(_line)]
Word = Annotated[str, AfterValidator(_word)]
InnerPath = Annotated[str, AfterValidator(_path)]
PathTemplate = Annotated[str, AfterValidator(_path), holding("environment")]
Branch = Annotated[str, AfterValidator(_branch)]
Address = Annotated[str, AfterValidator(_address)]
WebAddress = Annotated[str, AfterValidator(_web)]
KeyPlace = Annotated[str, AfterValidator(_key)]
Place = Annotated[
    str,
    Form(PLACES, "a mapping, dir:PATH, dir:PATH@BRANCH or simulated:PATH"),
    AfterValidator(_place),
]
TimeZone = Annotated[str, AfterValidator(_time_zone)]
VersionRange = Annotated[str, AfterValidator(_versions)]
Expression = Annotated[str, AfterValidator(_expression)]
HealthMessage = Annotated[str, AfterValidator(_template)]
Duration = Annotated[
    timedelta,
    BeforeValidator(_duration),
    PlainSerializer(durations.format_duration, return_type=str),
    WithJsonSchema({"type": "string", "pattern": durations.PATTERN, "examples": ["30m", "7d"]}),
]
Lines = tuple[Line, ...]
