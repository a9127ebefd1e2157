"""What a config repository without a configuration file declares, read from its paths alone.

Three layouts are known: `**/overlays/<environment>/kustomization.yaml`, `environments/<environment>/…` and
`<chart>/values-<environment>.yaml`. Nothing is guessed beyond them.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from ci_gitops.core.targets import NAME

KUSTOMIZATIONS = ("kustomization.yaml", "kustomization.yml", "Kustomization")
#: The configuration file at the root of a config repository.
CONFIG_FILE = ".ci-gitops.yaml"
_YAML = (".yaml", ".yml")
_VALUES = re.compile(r"values-(?P<environment>[^/]+)\.(?P<ending>ya?ml)")
#: Folders that say "configuration is here" and not whose: the app is named by the folder above them.
_GENERIC = {
    *("app", "apps", "cd", "chart", "charts", "ci-cd", "config", "configs", "deploy", "deployment", "deployments"),
    *("environments", "gitops", "helm", "infra", "k8s", "kube", "kubernetes", "kustomize", "manifests", "ops"),
}
#: Names beside overlays that hold what the environments share.
_SHARED = frozenset(("base", "bases", "common", "component", "components", "schema", "shared", "template", "templates"))
#: Where an environment stands on the way to production, by any word of its name.
_ORDER = (
    ("local", "sandbox"),
    ("dev", "develop", "development"),
    ("ci", "int", "integration", "test", "testing", "qa"),
    ("uat", "acceptance", "demo"),
    (),  # unknown names
    ("stage", "staging", "stg"),
    ("preprod", "preproduction", "pre", "canary"),
    ("prod", "production", "prd", "live"),
)
_UNKNOWN = 4
_DIGITS = "0123456789"
_OVERLAYS = "overlays/{environment}"


@dataclass(frozen=True, slots=True)
class Layout:
    """Apps (name -> path template) and environments, in promotion order, that the paths show."""

    apps: Mapping[str, str]
    environments: tuple[str, ...]
    own: bool = False  # one app that bears the repository's name: application and configuration share it

    def __bool__(self) -> bool:
        return bool(self.apps)


def detect(paths: Iterable[str], repository: str = "app") -> Layout:
    """The layout of a repository with these files; `repository` is its last name, for an app without a folder."""
    files = sorted(paths)
    found: dict[str, set[str]] = {}
    for template, environment in (*_overlays(files), *_environments(files), *_charts(files)):
        if NAME.fullmatch(environment) and environment.lower() not in _SHARED:
            found.setdefault(template, set()).add(environment)
    apps = _names(list(found), repository)
    environments = {environment for names in found.values() for environment in names}
    own = len(apps) == 1 and all(name.endswith(_OVERLAYS) and not _folders(name) for name in apps.values())
    return Layout(apps, tuple(in_order(environments)), own)


def likely(paths: Iterable[str], repository: str = "app") -> Layout:
    """What looks like a layout and is not taken for one: folders named as environments, each with a kustomization."""
    found: dict[str, set[str]] = {}
    for folder, _, name in (path.rpartition("/") for path in paths):
        above, _, environment = folder.rpartition("/")
        if name in KUSTOMIZATIONS and place(environment) is not None:
            found.setdefault(f"{above}/{{environment}}" if above else "{environment}", set()).add(environment)
    several = {template: names for template, names in found.items() if len(names) > 1}
    environments = {environment for names in several.values() for environment in names}
    return Layout(_names(list(several), repository), tuple(in_order(environments)))


def in_order(environments: Iterable[str]) -> list[str]:
    """The names from development to production; unknown ones stand in the middle, by name."""
    return sorted(environments, key=lambda name: (_rank(name), name))


def place(environment: str) -> int | None:
    """Where it stands on the way to production; None where its name does not say."""
    words = _words(environment)
    if "pre" in words:
        return _ORDER.index(("preprod", "preproduction", "pre", "canary"))
    ranks = [rank for rank, known in enumerate(_ORDER) if any(word.rstrip(_DIGITS) in known for word in words)]
    return max(ranks, default=None)


def live(environment: str) -> bool:
    """Customers are there, as far as its name says."""
    return place(environment) == len(_ORDER) - 1 or "canary" in _words(environment)


def other_words(environment: str) -> tuple[str, ...]:
    """What its name says besides: `eu` of prod-eu, `2` of test2."""
    known = {word for words in _ORDER for word in words}
    words = _words(environment)
    return tuple(rest for word in words if (rest := _number(word) if word.rstrip(_DIGITS) in known else word))


def _number(word: str) -> str:
    return word[len(word.rstrip(_DIGITS)) :]


def _rank(environment: str) -> int:
    found = place(environment)
    return _UNKNOWN if found is None else found


def _words(environment: str) -> list[str]:
    return re.split(r"[-_.]", environment.lower())


def _overlays(files: list[str]) -> Iterator[tuple[str, str]]:
    for path in files:
        parts = path.split("/")
        if len(parts) >= 3 and parts[-1] in KUSTOMIZATIONS and parts[-3] == "overlays":
            yield "/".join((*parts[:-2], "{environment}")), parts[-2]


def _environments(files: list[str]) -> Iterator[tuple[str, str]]:
    """`environments/<environment>/` is one app where YAML lies in it, else each folder in it is one."""
    below = [path.split("/") for path in files if path.startswith("environments/") and path.endswith(_YAML)]
    whole = {parts[1] for parts in below if len(parts) == 3}
    for parts in below:
        if len(parts) == 3:
            yield "environments/{environment}", parts[1]
        elif len(parts) > 3 and parts[1] not in whole and "overlays" not in parts:
            yield f"environments/{{environment}}/{parts[2]}", parts[1]


def _charts(files: list[str]) -> Iterator[tuple[str, str]]:
    """`values-<environment>.yaml` beside a `Chart.yaml` of its own, not of a chart vendored in another one."""
    charts = {path.rpartition("/")[0] for path in files if path.rpartition("/")[2] == "Chart.yaml"}
    for path in files:
        folder, _, name = path.rpartition("/")
        values = _VALUES.fullmatch(name)
        if values and folder in charts and not _vendored(folder, charts):
            template = f"values-{{environment}}.{values['ending']}"
            yield f"{folder}/{template}" if folder else template, values["environment"]


def _vendored(folder: str, charts: set[str]) -> bool:
    above, found, _ = folder.rpartition("/charts/")
    return bool(found) and above in charts


def _folders(template: str) -> list[str]:
    """The folders of a template that tell apps apart, outermost first."""
    folders = [part for part in template.split("/") if "{environment}" not in part and part != "overlays"]
    return [part for part in folders if part.lstrip(".").lower() not in _GENERIC]


def _names(templates: list[str], repository: str) -> dict[str, str]:
    """Each template under the shortest name that is its own: its last folder, with those above where that clashes."""
    folders = {template: _folders(template) for template in sorted(templates)}
    # How many templates end in these folders: a name is a template's own where it is the only one.
    ends = Counter(tuple(parts[-size:]) for parts in folders.values() for size in range(1, len(parts) + 1))
    names: dict[str, str] = {}
    for template, parts in folders.items():
        sizes = [size for size in range(1, len(parts) + 1) if ends[tuple(parts[-size:])] == 1]
        name = "-".join(parts[-min(sizes, default=len(parts)) :]) if parts else repository
        names[_free(_fit(name), names)] = template
    return names


def _free(name: str, taken: Mapping[str, str]) -> str:
    numbered = (name if number == 1 else f"{name}-{number}" for number in range(1, len(taken) + 2))
    return next(candidate for candidate in numbered if candidate not in taken)


def _fit(name: str) -> str:
    """A folder's name as an app's: what a label takes."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name)[:63].strip("-._") or "app"
