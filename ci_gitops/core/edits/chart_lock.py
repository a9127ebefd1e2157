"""Chart.lock in step with Chart.yaml, so that `helm dependency build` accepts the two after an edit.

Helm guards the lock file with a digest over both lists of dependencies and refuses one that does not fit
(https://helm.sh/docs/helm/helm_dependency_build/). With exact versions the lock file follows from Chart.yaml
alone; what a range resolves to only the chart's repository knows.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from ci_gitops.core.edits.records import Edit
from ci_gitops.core.edits.scalars import set_values
from ci_gitops.core.yamldepth import must_be_shallow
from ci_gitops.core.yamlload import Loader
from ci_gitops.errors import EditError

_LOCKS = {"Chart.yaml": "Chart.lock", "requirements.yaml": "requirements.lock"}
#: A full semantic version; everything else that Helm takes for a version is a range.
_EXACT = re.compile(r"v?\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?")
#: The fields of a dependency that enter the digest, in Helm's order; the others count for nothing.
_FIELDS = ("name", "version", "repository", "condition", "tags", "enabled", "import-values", "alias")
_WITHOUT_VALUE = {"name", "repository"}  # these two enter it when they are empty, too
_CLEANED = {"name", "version", "repository", "condition"}
#: What Go's encoder of JSON escapes beyond what JSON asks for.
_GO_ESCAPES = str.maketrans({c: f"\\u{ord(c):04x}" for c in "<>&\u2028\u2029"})
Dependency = Mapping[str, Any]


class _HelmLoader(Loader):
    """YAML as Helm reads it: a date is text."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - PyYAML's own name and form
        first: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith(":timestamp")]
        for first, resolvers in yaml.CSafeLoader.yaml_implicit_resolvers.items()
    }


def lock_name(path: str) -> str | None:
    """The lock file that belongs to the file `path`, where that one declares dependencies of a chart."""
    folder, slash, name = path.rpartition("/")
    lock = _LOCKS.get(name)
    return f"{folder}{slash}{lock}" if lock else None


def concerns_lock(edit: Edit, *, by_chart: bool) -> bool:
    """The lock file must be looked at: a dependency changed, or is as asked for, perhaps by a run that was killed."""
    return any(change.field.startswith("dependencies[") for change in edit.changes) or (by_chart and not edit.changed)


def old_archives(edit: Edit) -> tuple[str, ...]:
    """The files below `charts/` with the versions that an edit of Chart.yaml or Chart.lock leaves behind."""
    found = []
    for change in edit.changes:
        match = re.fullmatch(r"dependencies\[(\d+)\]\.version", change.field)
        if match:
            name = _text(_dependencies(edit.new, edit.path)[int(match[1])].get("name"))
            found.append(f"{name}-{change.old}.tgz")
    return tuple(dict.fromkeys(found))


def lock_digest(chart: str, lock: str) -> str:
    """The digest that Helm expects in the lock file text `lock` beside the Chart.yaml text `chart`."""
    return _digest(_dependencies(chart, "Chart.yaml"), _dependencies(lock, "Chart.lock"))


def relock(chart: Edit, lock: str, *, path: str, now: str) -> Edit:
    """The edit that brings the lock file text `lock` in step with an edited Chart.yaml.

    `now` (RFC 3339) becomes its time where it changes. A lock file that was out of step before the edit is
    taken as it is only where exact versions say what must be in it, as after a run that was killed halfway.
    """
    before, after = _dependencies(chart.old, chart.path), _dependencies(chart.new, chart.path)
    locked, digest = _dependencies(lock, path), str(_mapping(lock, path).get("digest"))
    if digest == _digest(after, locked):
        return Edit(path, lock, lock)
    if [entry.get("name") for entry in after] != [entry.get("name") for entry in locked]:
        raise _out_of_step(chart.path, path, _differing(after, locked))
    in_step = digest == _digest(before, locked)
    relocked = []
    for old, new, entry in zip(before, after, locked, strict=True):
        if not in_step and new == old and not _is_exact(new):
            raise _out_of_step(chart.path, path, f"its digest is of something else, and {_name(new)} has a range")
        relocked.append(entry if in_step and new == old else _locked(new, entry, chart.path, path))
    assignments = [
        (f"dependencies[{index}].{field}", new[field])
        for index, (old, new) in enumerate(zip(locked, relocked, strict=True))
        for field in ("repository", "version")
        if old.get(field) != new.get(field)
    ]
    return set_values(lock, [*assignments, ("digest", _digest(after, relocked)), ("generated", now)], path=path)


def _name(dependency: Dependency) -> str:
    return repr(_text(dependency.get("name")))


def _differing(after: Sequence[Dependency], locked: Sequence[Dependency]) -> str:
    names = {_name(entry) for entry in after} ^ {_name(entry) for entry in locked}
    return f"only one of them names {' and '.join(sorted(names))}" if names else "they name them in another order"


def _is_exact(dependency: Dependency) -> bool:
    """What it locks is known without its repository; one without a repository lies in the chart's own folder."""
    version = _text(dependency.get("version"))
    return not dependency.get("repository") or _EXACT.fullmatch(version) is not None


def _locked(wanted: Dependency, entry: Dependency, chart_path: str, path: str) -> Dependency:
    """The entry of the lock file for a dependency that was changed, or whose entry cannot be trusted."""
    version, repository = _text(wanted.get("version")), _resolved(wanted, entry)["repository"]
    if not _is_exact(wanted):
        raise EditError(
            f"{path}: it locks exact versions, and what the range {version!r} of {_name(wanted)} resolves to only its "
            "repository knows.",
            hint=f"Name an exact version, or run `helm dependency update` where {chart_path} is and commit both.",
        )
    # A repository may call 1.2.3 v1.2.3. Helm locks that spelling, and the tag in a registry needs it.
    prefixed = repository and _text(entry.get("version")).startswith("v") and not version.startswith("v")
    return {**entry, "repository": repository, "version": f"v{version}" if prefixed else version}


def _out_of_step(chart_path: str, path: str, why: str) -> EditError:
    return EditError(
        f"{path}: it was out of step with {chart_path} before this edit: {why}.",
        hint=f"Run `helm dependency update` in the folder of {chart_path} and commit both, then try again.",
    )


def _dependencies(text: str, path: str) -> list[Dependency]:
    found = _mapping(text, path).get("dependencies")
    if not isinstance(found, list) or not all(isinstance(entry, dict) for entry in found):
        raise EditError(
            f"{path}: expected a list of dependencies in it.", hint="`helm dependency update` writes a whole one."
        )
    return found


def _mapping(text: str, path: str) -> dict[str, Any]:
    try:
        must_be_shallow(text)
        document = yaml.load(text, _HelmLoader)  # noqa: S506 - a safe loader
    except (yaml.YAMLError, ValueError) as error:
        raise EditError(f"{path}: it is not YAML: {error}", hint="Mend the file first.") from error
    return document if isinstance(document, dict) else {}


def _digest(required: Sequence[Dependency], locked: Sequence[Dependency]) -> str:
    entries = [*locked, *({} for _ in range(len(required) - len(locked)))]
    resolved = [_resolved(dependency, entry) for dependency, entry in zip(required, entries, strict=False)]
    text = f"[{_json_list(resolved)},{_json_list(locked)}]"
    return "sha256:" + hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _resolved(dependency: Dependency, entry: Dependency) -> dict[str, Any]:
    """The dependency with its repository's address: Helm's own settings know `@name`, and so does the lock file."""
    repository = _text(dependency.get("repository", ""))
    if repository.startswith(("@", "alias:")):
        repository = _text(entry.get("repository", ""))
    return {**dependency, "repository": repository}


def _json_list(dependencies: Sequence[Dependency]) -> str:
    return "[" + ",".join(_json_dependency(dependency) for dependency in dependencies) + "]"


def _json_dependency(dependency: Dependency) -> str:
    fields: dict[str, Any] = {}
    for field in _FIELDS:
        value = dependency.get(field)
        if field in _CLEANED:
            value = _clean(_text(value))
        elif field == "tags" and value:
            value = [_clean(_text(tag)) for tag in value]
        if value or field in _WITHOUT_VALUE:
            fields[field] = value
    # Go sorts the keys of maps, but keeps the order of a structure's fields.
    pairs = (f"{_json(field)}:{_json(value)}" for field, value in fields.items())
    return "{" + ",".join(pairs) + "}"


def _json(value: Any) -> str:
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False, sort_keys=True)
    return text.translate(_GO_ESCAPES)


def _text(value: Any) -> str:
    """A scalar as Helm reads it into a field of text: an unquoted 1.10 has become 1.1."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value).removesuffix(".0") if isinstance(value, float) else str(value)


def _clean(text: str) -> str:
    return "".join(" " if char.isspace() else char for char in text if char.isspace() or char.isprintable())
