"""What servers say of names, labels, numbers and words that cannot be.

https://kubernetes.io/docs/concepts/overview/working-with-objects/names/
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ci_gitops.core.api.refusals import Wrong
from ci_gitops.core.api.schemas import Kind

_Object = Mapping[str, Any]
_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_LABEL_1035 = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
_QUALIFIED = re.compile(r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]")
_VALUE = re.compile(r"(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?")
KEY = re.compile(r"[-._a-zA-Z0-9]+")
_SUBDOMAIN_WORDS = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and "
    "end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
_LABEL_WORDS = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with "
    "an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
)
_LABEL_1035_WORDS = (
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, "
    "and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is "
    "'[a-z]([-a-z0-9]*[a-z0-9])?')"
)
_VALUE_WORDS = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and "
    "end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is "
    "'(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
)
_QUALIFIED_WORDS = (
    "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric "
    "character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is "
    "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
)
_PARTS_WORDS = (
    "a qualified name must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an "
    "alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is "
    "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]') with an optional DNS subdomain prefix and '/' "
    "(e.g. 'example.com/MyName')"
)
KEY_WORDS = (
    "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or "
    "'key-name', regex used for validation is '[-._a-zA-Z0-9]+')"
)
_FREE_NAMES = {"Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"}


def metadata_wrongs(kind: Kind, document: _Object) -> Iterator[Wrong]:
    metadata = document["metadata"]
    yield from _name(kind, metadata["name"])
    for name in metadata.get("labels") or {}:
        yield from qualified("metadata.labels", name)
    for value in (metadata.get("labels") or {}).values():
        yield from label_value("metadata.labels", value)
    for name in metadata.get("annotations") or {}:
        yield from qualified("metadata.annotations", name.lower())
    size = sum(len(str(name)) + len(str(value)) for name, value in (metadata.get("annotations") or {}).items())
    if size > 256 * 1024:
        yield Wrong("metadata.annotations", "Too long: may not be more than 262144 bytes")
    for number, name in enumerate(metadata.get("finalizers") or ()):
        field = f"metadata.finalizers[{number}]"
        yield from qualified(field, name)
        if "/" not in name and name not in ("foregroundDeletion", "kubernetes", "orphan"):
            why = "name is neither a standard finalizer name nor is it fully qualified"
            yield Wrong(field, f'Invalid value: "{name}": {why}')


def _name(kind: Kind, name: str) -> Iterator[Wrong]:
    pattern, words, longest = _SUBDOMAIN, _SUBDOMAIN_WORDS, 253
    if not kind.custom and kind.kind in _FREE_NAMES:
        if "/" in name or "%" in name or name in (".", ".."):
            yield Wrong("metadata.name", f"Invalid value: \"{name}\": may not contain '/'")
        return
    if not kind.custom and kind.kind == "Namespace":
        pattern, words, longest = _LABEL, _LABEL_WORDS, 63
    elif not kind.custom and kind.kind == "Service":
        pattern, words, longest = _LABEL_1035, _LABEL_1035_WORDS, 63
    if len(name) > longest:
        yield Wrong("metadata.name", f'Invalid value: "{name}": must be no more than {longest} characters')
    if not pattern.fullmatch(name):
        yield Wrong("metadata.name", f'Invalid value: "{name}": {words}')


def qualified(field: str, name: str) -> Iterator[Wrong]:
    if name.count("/") > 1:
        yield Wrong(field, f'Invalid value: "{name}": {_PARTS_WORDS}')
        return
    prefix, slash, rest = name.rpartition("/")
    if slash and not _SUBDOMAIN.fullmatch(prefix):
        yield Wrong(field, f'Invalid value: "{name}": prefix part {_SUBDOMAIN_WORDS}')
    if len(rest) > 63:
        yield Wrong(field, f'Invalid value: "{name}": name part must be no more than 63 bytes')
    if not _QUALIFIED.fullmatch(rest):
        yield Wrong(field, f'Invalid value: "{name}": {_QUALIFIED_WORDS}')


def label_value(field: str, value: str) -> Iterator[Wrong]:
    if len(value) > 63:
        yield Wrong(field, f'Invalid value: "{value}": must be no more than 63 bytes')
    if not _VALUE.fullmatch(value):
        yield Wrong(field, f'Invalid value: "{value}": {_VALUE_WORDS}')


def dns_label(name: Any, path: str) -> Iterator[Wrong]:
    if not name:
        yield Wrong(path, "Required value")
    elif len(name) > 63:
        yield Wrong(path, f'Invalid value: "{name}": must be no more than 63 bytes')
    elif not _LABEL.fullmatch(name):
        yield Wrong(path, f'Invalid value: "{name}": {_LABEL_WORDS}')


def port_number(number: Any, path: str) -> Iterator[Wrong]:
    if not isinstance(number, int) or not 0 < number < 65536:
        if number in (None, 0):
            yield Wrong(path, "Required value")
        else:
            yield Wrong(path, f"Invalid value: {number}: must be between 1 and 65535, inclusive")


def negative(path: str, number: Any) -> Wrong:
    return Wrong(path, f"Invalid value: {number}: must be greater than or equal to 0")


def unsupported(path: str, found: Any, allowed: Iterable[str]) -> Wrong:
    told = ", ".join(f'"{each}"' for each in allowed)
    return Wrong(path, f'Unsupported value: "{found}": supported values: {told}')
