"""The configuration file: what it may say, what is said when it says something else, and what is in force."""

from __future__ import annotations

import contextlib
import json
import re
import time
from datetime import timedelta

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from ci_gitops.core.targets import Target
from ci_gitops.errors import SettingsError, UsageError
from ci_gitops.settings import parse_config, resolve
from tests.rig import settings_docs

FILE = ".ci-gitops.yaml"
WHOLE = """\
version: 1
name: acme-config
repository: {url: https://git.example.com/acme/config.git, branch: main}
apps:
  cert-manager: {path: "apps/cert-manager/{environment}"}
  shop:
    path: apps/shop/overlays/{environment}
    images: [registry.example.com/shop/web]
    renderer: helm
    helm: {chart: charts/shop, repository: https://charts.example.com, version: 1.2.3,
           values: ["values-{environment}.yaml"], set: {replicas: 2}, release: shop}
    group: storefront
    after: [cert-manager]
    ignore: [{kind: Deployment, name: web, pointers: [/spec/replicas], managers: ["keda-*"]}]
    policies:
      registry.example.com/shop/web: {kind: semver, range: ">=1.2 <2", ignore: ["*-rc*"], minimumAge: 1h,
                                      platforms: [linux/amd64]}
environments:
  staging:
    sourceBranches: [develop, "feature/*"]
    write: push
    destination: {context: staging, namespace: shop}
  production:
    repository: {url: https://git.example.com/acme/production.git, branch: main}
    from: staging
    write: merge-request
    merge: when-green
    supersede: latest
    ci: auto
    operator: ci-gitops
    sync: auto
    reviewers: [alice, group/sre]
    assignees: [bob]
    labels: [promotion]
    squash: true
    removeSourceBranch: true
    commit: {subject: "deploy({environment}): {summary}"}
    gates: {healthy: true, soak: 30m, approvals: 1, statuses: [security/scan], http: [https://example.com/gate],
            freeze: true, windows: [{allow: "Mon-Fri 09:00-16:00", timezone: Europe/Berlin}]}
    rollback: {gates: {approvals: 1}}
    verify: {cosign: {key: cosign.pub}}
    checks: [{http: "https://shop.example.com/ready", expect: 200, within: 2m}]
    allow: {kinds: [Deployment], namespaces: [shop], repositories: ["registry.example.com/*"], hosts: [example.com]}
    health: [{kind: Certificate, group: cert-manager.io, healthy: "status.ready == true"}]
    createNamespace: false
    destination: {context: production, namespace: shop, prune: true, drift: heal}
render: {sandbox: off}
previews: {template: "apps/{app}/overlays/preview", url: "https://{name}.preview.example.com", ttl: 7d}
"""


def refused(text: str) -> SettingsError:
    with pytest.raises(SettingsError) as caught:
        parse_config(text, FILE)
    return caught.value


def test_the_whole_of_the_design_is_understood() -> None:
    config = parse_config(WHOLE, FILE)
    production = config.environments["production"]
    assert production.gates.soak == timedelta(minutes=30)
    assert production.from_ == "staging"
    assert production.destination
    assert (production.destination.prune, production.destination.drift) == (True, "heal")
    assert config.apps["shop"].policies["registry.example.com/shop/web"].minimum_age == timedelta(hours=1)
    assert config.render.sandbox == "off", "YAML 1.2: `off` is text"
    assert config.previews
    assert config.previews.ttl == timedelta(days=7)
    assert config.place("environments", "production", "merge") == f"{FILE}:27"
    assert config.place("environments", "staging", "merge") is None


def test_defaults_are_those_of_the_design() -> None:
    staging = parse_config("environments: {staging: }", FILE).environments["staging"]
    assert (staging.write, staging.merge, staging.supersede, staging.ci) == ("push", "manual", "latest", "auto")
    assert (staging.operator, staging.sync, staging.create_namespace) == ("ci-gitops", "auto", False)
    assert staging.squash is None, "the project's own setting"
    assert staging.destination is None


@pytest.mark.parametrize("text", ["", "# nothing but a comment\n", "---\n", "version: 1\n"])
def test_an_empty_file_says_nothing(text: str) -> None:
    assert parse_config(text, FILE).apps == {}


@pytest.mark.parametrize("place", ["dir:out", "dir:out@rendered", "simulated:cluster.json"])
def test_a_destination_may_be_one_word(place: str) -> None:
    destination = parse_config(f"environments: {{a: {{destination: '{place}'}}}}", FILE).environments["a"].destination
    assert destination
    assert destination.to == place


MISTAKES = [
    # text, place, key path and what was expected, hint
    ("environments:\n  production:\n    mege: now\n", "3:5", "environments.production.mege: there is no key", "merge"),
    ("enviroments: {}", "1:1", "enviroments: there is no key", "environments"),
    ("environments: {a: {gates: {soaking: 1h}}}", "1:28", "environments.a.gates.soaking", "soak"),
    ("environments: {a: {health: [{kind: X, healthy: f(x)}]}}", "1:48", "expected and, or, a comparison or", None),
    ("environments: {a: {health: [{kind: X, message: '{a b}', healthy: x}]}}", "1:48", "the path's end at", None),
    ("environments: {a: {health: [{kind: X, healty: x}]}}", "1:39", "environments.a.health[0].healty", "healthy"),
    ("environments:\n  a:\n    merge: whengreen\n", "3:12", "expected manual, when-green or now, not", "when-green"),
    ("environments: {a: {squash: 3}}", "1:28", "expected true or false, not the number 3", None),
    ("environments: {a: {labels: promotion}}", "1:28", "expected a list, not 'promotion'", None),
    ("environments: {a: {gates: [x]}}", "1:27", "environments.a.gates: expected a mapping, not a list", None),
    ("environments: {a: {gates: {soak: 30}}}", "1:34", "a time with its unit, such as 90s, 30m", None),
    ("environments: {a: {gates: {soak: 30 minutes}}}", "1:34", "not '30 minutes'", None),
    ("environments: {a: {gates: {approvals: -1}}}", "1:39", "expected a number of at least 0", None),
    ("environments: {a: {gates: {windows: [{allow: always}]}}}", "1:46", "days and hours such as", None),
    ("environments: {a: {gates: {windows: [{timezone: UTC}]}}}", "1:38", "one of allow and deny", None),
    ("environments: {a: {gates: {windows: [{deny: '00:00-24:00', timezone: Berlin}]}}}", "1:70", "no time zone", None),
    ("environments: {a: {destination: cluster}}", "1:33", "dir:PATH, dir:PATH@BRANCH or simulated:PATH", None),
    ("environments: {a: {destination: 'dir:../x'}}", "1:33", "'../x' leaves its folder", None),
    ("environments: {a: {destination: 'dir:/x@main'}}", "1:33", "not the absolute '/x'", None),
    ("environments: {a: {destination: 'dir:x@--all'}}", "1:33", "looks like an option", None),
    ("environments: {a: {repository: {branch: x, tag: y}}}", "1:32", "branch and tag exclude each other", None),
    ("environments: {a: {verify: {cosign: {}}}}", "1:37", "either key, or identity and issuer", None),
    ("environments: {a: {verify: {cosign: {key: 'k8s://a/b'}}}}", "1:43", "awskms://, azurekms://", None),
    ("environments: {a: {verify: {cosign: {key: ../k.pub}}}}", "1:43", "leaves the repository", None),
    (
        "environments: {a: {verify: {cosign: {identity: a, issuer: 'https://b', tlog: false}}}}",
        "1:37",
        "beside tlog",
        None,
    ),
    ("environments: {a: {commit: {subject: 'x {enviroment}'}}}", "1:38", "{enviroment} is not known here", None),
    ("environments: {a: {sourceBranches: ['--all']}}", "1:37", "looks like an option", None),
    ("environments: {a: {sourceBranches: ['a b']}}", "1:37", "is no name that Git allows", None),
    ("environments: {a: {from: b}, bc: {}}", "1:26", "there is no environment 'b'", "bc"),
    ("environments: {a: {from: b}, b: {from: a}}", "1:26", "this is a cycle: a from b from a", None),
    ("environments: {a: {}, b: {}, a: {}}", "1:30", "'a' stands here a second time", None),
    ("environments: {'not a name': {}}", "1:16", "expected a name of letters, digits", None),
    ("environments: {'-x': {}}", "1:16", "expected a name of letters, digits", None),
    ("repository: {url: 'https://me:secret@git.example.com/x'}", "1:19", "may hold no user or password", None),
    ("repository: {url: '--upload-pack=x'}", "1:19", "looks like an option", None),
    ("repository: {url: 'ext::sh -c x'}", "1:19", "expected https://, ssh://", None),
    ("apps: {a: {path: ../x}}", "1:18", "'../x' leaves the repository", None),
    ("apps: {a: {path: x/../../y}}", "1:18", "leaves the repository", None),
    ("apps: {a: {path: /etc}}", "1:18", "not the absolute '/etc'", None),
    ("apps: {a: {path: 'C:/x'}}", "1:18", "not the absolute", None),
    ("apps: {a: {path: -rf}}", "1:18", "looks like an option", None),
    ("apps: {a: {path: x/-rf}}", "1:18", "looks like an option", None),
    ("apps: {a: {path: .git/hooks}}", "1:18", "Git's own folder", None),
    ('apps: {a: {path: "x\\u0007"}}', "1:18", "control characters", None),
    ("apps: {a: {path: 'a/{env}'}}", "1:18", "{env} is not known here: {environment} can be used", None),
    ("apps: {a: {path: 'a/{environment'}}", "1:18", "brace without its pair", None),
    ("apps: {a: {path: 1.2}}", "1:18", "expected text, not the number 1.2", "quotes"),
    ("apps: {a: {helm: {version: 1.10}}}", "1:28", "expected text, not the number 1.1", "quotes"),
    ("apps: {a: {path: a, after: [b]}, bb: {path: b}}", "1:29", "there is no app 'b'", "bb"),
    ("apps: {a: {path: a, after: [b]}, b: {path: b, after: [a]}}", "1:28", "a after b after a", None),
    ("apps: {a: {path: a, after: [a]}}", "1:28", "this is a cycle: a after a", None),
    ("apps: {a: {path: a, ignore: [{pointers: [spec]}]}}", "1:42", "a JSON pointer such as /spec/replicas", None),
    ("version: 2", "1:10", "expected 1, not the number 2", None),
    ("- a\n- b\n", "1:1", "expected a mapping", None),
    ("a: b: c", "1:5", "this is not YAML", None),
    ("a: [1, 2", "2:1", "this is not YAML", None),
    ("apps:\n\tx: {}\n", "2:1", "this is not YAML: a tab stands where only spaces may", None),
    ("apps: &x {y: }\nenvironments: *z\n", "2:15", "this is not YAML", None),
    ("name: !python/object x", "1:7", "tag !python/object is not known", None),
    ("a: 1\n---\nb: 2\n", "3:1", "expected one YAML document", None),
]


@pytest.mark.parametrize(("text", "place", "message", "hint"), MISTAKES, ids=[text[:40] for text, *_ in MISTAKES])
def test_a_mistake_is_named_with_its_place(text: str, place: str, message: str, hint: str | None) -> None:
    error = refused(text)
    assert error.message.startswith(f"{FILE}:{place}: ")
    assert message in error.message
    assert hint is None or hint in (error.hint or "")
    assert error.exit_code == 2


def test_several_mistakes_are_told_at_once_in_their_order() -> None:
    error = refused("apps: {a: {path: /x}}\nenvironments:\n  a:\n    merge: no\n    mege: now\n")
    assert [line.split(": ")[0] for line in error.message.splitlines()] == [
        f"{FILE}:{at}" for at in ("1:18", "4:12", "5:5")
    ]
    many = refused("environments:\n" + "".join(f"  e{number}: {{merge: no}}\n" for number in range(30)))
    assert many.message.endswith("… and 20 more errors.")


BOMB = "a: &a [x,x,x,x,x,x,x,x]\n" + "".join(
    f"{name}: &{name} [{','.join([f'*{before}'] * 8)}]\n" for before, name in ("ab", "bc", "cd", "de", "ef", "fg")
)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name: x" + "y" * 2_000_000, "larger than 1024 KiB"),
        ("[" * 50_000, "nested more than 40 levels deep"),
        ("\n".join(" " * level + "a:" for level in range(60)), "nested more than 40 levels deep"),
        ("a: &a\n  b: *a\n", "nested more than 40 levels deep"),
        (BOMB, "more than 50000 values"),
    ],
    ids=["size", "flow", "block", "loop", "bomb"],
)  # fmt: skip
def test_monsters_end_early(text: str, message: str) -> None:
    assert message in refused(text).message


def test_what_is_no_text_is_refused() -> None:
    assert "this is not text" in refused("\ud800: 1").message


def test_anchors_and_merge_keys_may_share_settings() -> None:
    config = parse_config(
        "environments:\n  a: &a {merge: now, write: merge-request}\n  b: {<<: *a, merge: manual}\n  c: *a\n", FILE
    )
    assert [item.merge for item in config.environments.values()] == ["now", "manual", "now"]
    assert config.environments["b"].write == "merge-request"
    assert config.place("environments", "b", "merge") == f"{FILE}:3"


def test_a_repository_of_ten_thousand_files_and_a_thousand_apps_is_read_at_once() -> None:
    paths = [
        f"teams/t{n % 20}/a{n // 2}/overlays/{env}/f{k}" for n in range(1000) for env in ("qa", "prod") for k in "12345"
    ]
    paths += [
        f"teams/t{n % 20}/a{n // 2}/overlays/{env}/kustomization.yaml" for n in range(1000) for env in ("qa", "prod")
    ]
    started = time.process_time()
    settings = resolve(None, paths)
    assert len(settings.targets()) == 2000
    assert time.process_time() - started < 2.0
    assert settings.apps["t0-a0"].path == "teams/t0/a0/overlays/{environment}"


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(SettingsError):
        parse_config(text, FILE)


PATHS = [
    "apps/shop/overlays/staging/kustomization.yaml",
    "apps/shop/overlays/production/kustomization.yaml",
    "apps/shop/base/deployment.yaml",
    "apps/pay/overlays/production/kustomization.yaml",
]


def test_a_usual_layout_needs_no_file() -> None:
    settings = resolve(None, PATHS, repository="git@git.example.com:acme/config.git")
    assert list(settings.environments) == ["staging", "production"]
    assert settings.name == "git.example.com/acme/config"
    assert settings.targets(["production"]) == (
        Target("pay", "production", "apps/pay/overlays/production"),
        Target("shop", "production", "apps/shop/overlays/production"),
    )
    assert settings.targets(apps=["pay"]) == (Target("pay", "production", "apps/pay/overlays/production"),)
    assert settings.environments_for_branch("main") == (), "a config repository of its own: branches say nothing"


def test_one_repository_for_application_and_configuration_goes_by_its_branches() -> None:
    paths = [f".kubernetes/overlays/{name}/kustomization.yaml" for name in ("staging", "production")]
    settings = resolve(None, paths, repository="https://git.example.com/acme/shop.git")
    assert settings.targets() == (
        Target("shop", "staging", ".kubernetes/overlays/staging"),
        Target("shop", "production", ".kubernetes/overlays/production"),
    )
    assert settings.environments_for_branch("main") == ("production",)
    assert settings.environments_for_branch("staging") == ("staging",)
    assert settings.environments_for_branch("feature/x") == ()
    said = resolve(parse_config("environments: {production: }", FILE), paths)
    assert said.environments_for_branch("main") == (), "what the file declares is not guessed"


def test_unknown_names_offer_near_matches() -> None:
    settings = resolve(None, PATHS)
    with pytest.raises(UsageError, match="no environment 'prodution'") as environment:
        settings.targets(["prodution"])
    assert "'production'" in (environment.value.hint or "")
    with pytest.raises(UsageError, match="no app 'shpo'") as app:
        settings.targets(apps=["shpo"])
    assert "'shop'" in (app.value.hint or "")
    with pytest.raises(UsageError, match="has none of apps/pay/overlays/staging"):
        settings.targets(["staging"], ["pay"])
    with pytest.raises(UsageError, match="none of the usual layouts") as nothing:
        resolve(None, ["README.md"]).targets()
    assert "init" in (nothing.value.hint or "")


def test_the_file_and_the_layout_complete_each_other() -> None:
    config = parse_config("apps: {shop: {images: [web]}}\nenvironments: {production: {write: merge-request}}", FILE)
    settings = resolve(config, PATHS)
    assert settings.app("shop").path == "apps/shop/overlays/{environment}"
    assert list(settings.apps) == ["shop"]
    assert list(settings.environments) == ["production"]
    with pytest.raises(SettingsError, match=r"apps.shp.path") as error:
        resolve(parse_config("apps: {shp: }", FILE), PATHS)
    assert "'shop'" in (error.value.hint or "")
    paths = ["deploy/qa/x/a.yaml", "deploy/prod/x/b.yaml", "deploy/b/y/z.yaml"]
    own = resolve(parse_config("apps: {x: {path: 'deploy/{environment}/x'}}", FILE), paths)
    assert list(own.environments) == ["qa", "prod"]


def test_promotions_come_from_the_environment_before_unless_said() -> None:
    config = parse_config("environments: {dev: , staging: , eu: {from: staging}, us: {from: staging}}", FILE)
    settings = resolve(config, None)
    assert [item.from_ for item in settings.environments.values()] == [None, "dev", "staging", "staging"]


def test_an_environment_elsewhere_is_not_looked_for_here() -> None:
    config = parse_config("apps: {shop: {path: deploy}}\nenvironments: {a: , b: {repository: {branch: b}}}", FILE)
    settings = resolve(config, ["README.md"])
    assert [str(target) for target in settings.targets()] == ["shop in b"]
    with pytest.raises(UsageError):
        settings.targets(["b"], paths=["README.md"])
    assert settings.environment("b").branch == "b"


PREVIEWED = [
    *PATHS,
    "apps/shop/overlays/preview/kustomization.yaml",
    "apps/shop/overlays/preview-12/kustomization.yaml",
    ".ci-gitops/previews/preview-12.yaml",
]


@pytest.mark.parametrize("apps", ["", "apps: {shop: {path: 'apps/shop/overlays/{environment}'}, base: {path: apps}}\n"])
@pytest.mark.parametrize("environments", ["", "environments: {staging: {}, production: {}}\n"])
def test_a_preview_is_an_environment_by_its_record(apps: str, environments: str) -> None:
    text = apps + environments + "previews: {from: staging, destination: {context: kind, namespace: 'shop-{name}'}}\n"
    settings = resolve(parse_config(text, FILE), PREVIEWED)
    assert [*settings.environments] == ["staging", "production", "preview-12"]
    assert settings.preview_environments == {"preview-12"}
    preview = settings.environment("preview-12")
    assert preview.destination
    assert (preview.destination.namespace, preview.destination.context) == ("shop-12", "kind")
    assert (preview.from_, settings.environment("production").from_) == ("staging", "staging")
    assert settings.targets(["preview-12"]) == (Target("shop", "preview-12", "apps/shop/overlays/preview-12"),)


def test_the_file_may_say_more_of_a_preview() -> None:
    text = "environments: {staging: {}, preview-12: {merge: now}}\npreviews: {}\n"
    settings = resolve(parse_config(text, FILE), PREVIEWED)
    assert settings.environment("preview-12").merge == "now"


@pytest.mark.parametrize("template", ["charts/{app}/values-preview.yaml", ""])
def test_what_previews_are_made_from_is_no_environment(template: str) -> None:
    paths = ["charts/web/Chart.yaml", "charts/web/values-staging.yaml", "charts/web/values-preview.yaml"]
    assert [*resolve(None, paths).environments] == ["preview", "staging"]
    config = parse_config(f"previews: {{ttl: 1h, template: '{template}'}}\n".replace(", template: ''", ""), FILE)
    assert [*resolve(config, paths).environments] == ["staging"]


def test_the_published_schema_is_the_one_of_the_models() -> None:
    assert settings_docs.SCHEMA.read_text() == settings_docs.schema_text(), "run python -m tests.rig.settings_docs"


def test_the_page_lists_every_setting() -> None:
    page = settings_docs.PAGE.read_text()
    assert page == settings_docs.page_text(page), "run python -m tests.rig.settings_docs"
    assert [key for key in settings_docs.key_paths() if f"| `{key}` |" not in page] == []


def test_the_examples_of_the_page_are_valid() -> None:
    examples = re.findall(r"```yaml\n(.*?)```", settings_docs.PAGE.read_text(), re.DOTALL)
    assert examples
    for example in examples:
        parse_config(example, "docs/configuration.md")


def test_the_schema_agrees_with_the_program() -> None:
    import jsonschema  # loaded here, since its grammar costs a second

    schema = json.loads(settings_docs.SCHEMA.read_text())
    validator = jsonschema.Draft202012Validator(schema)
    assert list(validator.iter_errors(yaml.safe_load(WHOLE.replace("sandbox: off", "sandbox: 'off'")))) == []
    assert list(validator.iter_errors(yaml.safe_load("environments: {staging: }"))) == []
    for wrong in (
        "environments: {a b: {}}",
        "environments: {a: {mege: now}}",
        "environments: {a: {merge: nwo}}",
        "apps: {a: {path: 1}}",
    ):
        assert list(validator.iter_errors(yaml.safe_load(wrong)))
