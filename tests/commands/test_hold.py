"""`hold`, `release`, and `update` that obeys them, on a real Git server."""

from __future__ import annotations

import pytest

from tests.commands.test_update import DIGEST, LAYOUT, PRODUCTION, STAGING, WEB, Config
from tests.rig.cli import Cli, Ran
from tests.rig.git_server import GitServer

API = "registry.example.com/shop/api"
HOLDS = ".ci-gitops/holds/staging.yaml"
CART = {path.replace("apps/shop", "apps/cart"): text for path, text in LAYOUT.items()}


class Held(Config):
    def say(self, command: str, *words: object, code: int = 0, environment: str = "staging") -> Ran:
        given = {"CI_GITOPS_TOKEN": self.server.password, "GITLAB_USER_NAME": "Alice", "GITLAB_USER_LOGIN": "alice",
                 "GITLAB_USER_EMAIL": "alice@example.com", "GITLAB_CI": "true"}  # fmt: skip
        ran = self.cli("-o", "json", command, "--repo", self.url, "--environment", environment, "--forge", "local",
                       *words, env=given)  # fmt: skip
        assert ran.code == code, (ran.out, ran.err)
        return ran

    def hold(self, *words: object, code: int = 0) -> Ran:
        return self.say("hold", "--reason", "it loses orders", *words, code=code)

    def release(self, *words: object, code: int = 0) -> Ran:
        return self.say("release", "--reason", "it is mended", *words, code=code)

    def write(self, *words: object, code: int = 0) -> Ran:
        ran = self.update(*words, "--environment", "staging")
        assert ran.code == code, (ran.out, ran.err)
        return ran


@pytest.fixture
def held(cli: Cli, git_server: GitServer) -> Held:
    return Held(cli, git_server, {**LAYOUT, **CART})


def test_an_artifact_that_is_held_does_not_move_and_others_do(held: Held) -> None:
    before = held.head()
    planned = held.hold("--image", f"{WEB}:1.2@{DIGEST}", "--dry-run")
    assert (planned.json["kind"], planned.json["outcome"], planned.json["inForce"]) == ("HoldResult", "planned", False)
    assert held.head() == before

    done = held.hold("--image", f"{WEB}:1.2@{DIGEST}").json
    assert (done["outcome"], done["inForce"], done["notes"]) == ("pushed", True, [])
    assert f"- image: {WEB}:1.2@{DIGEST}\n  reason: it loses orders\n  by: Alice\n" in held.read(HOLDS)
    assert held.server.messages("config")[0].startswith(f"Hold {WEB}:1.2@{DIGEST} in staging\n")
    again = held.hold("--image", f"{WEB}:1.2@{DIGEST}").json
    assert (again["outcome"], again["inForce"]) == ("unchanged", True)

    ran = held.write(f"{WEB}:1.2@{DIGEST}", "--force", code=5)
    assert ran.json["outcome"] == "unchanged"
    assert {(each["app"], each["name"]) for each in ran.json["held"]} == {("shop", WEB), ("cart", WEB)}
    assert "it loses orders" in ran.json["error"]["message"]
    assert f"ci-gitops release --environment staging --image {WEB}:1.2@{DIGEST}" in ran.json["error"]["hint"]
    assert held.write(f"{WEB}:1.2", code=5).json["held"]

    both = held.write(f"{WEB}:1.2", f"{API}:v8", "--app", "shop").json
    assert (both["outcome"], len(both["held"])) == ("pushed", 1)
    assert "newTag: v8" in held.read(STAGING)
    assert 'newTag: "1.1"' in held.read(STAGING)
    assert held.write(f"{WEB}:1.3").json["outcome"] == "pushed"


def test_what_was_found_by_itself_is_skipped_and_told(held: Held) -> None:
    held.hold("--app", "shop")
    ran = held.write(f"{WEB}:1.2")
    assert [(each["app"], each["name"]) for each in ran.json["held"]] == [("shop", None)]
    assert 'newTag: "1.1"' in held.read(STAGING)
    assert 'newTag: "1.2"' in held.read(STAGING.replace("shop", "cart"))
    assert held.write(f"{WEB}:1.2").json["outcome"] == "unchanged"
    assert held.write(f"{WEB}:1.2", "--app", "shop", code=5)
    held.write("--set", "shop:kustomization.yaml:images[0].newTag=1.2", "--app", "shop", code=5)
    assert held.update(f"{WEB}:1.2", "--environment", "production").json["outcome"] == "pushed"
    assert 'newTag: "1.2"' in held.read(PRODUCTION)


def test_the_version_of_a_held_image_is_no_free_value(held: Held) -> None:
    held.hold("--image", f"{WEB}:1.2")
    ran = held.write("--set", "shop:kustomization.yaml:images[0].newTag=1.2", code=5)
    assert ran.json["held"][0]["hold"]["image"] == f"{WEB}:1.2"
    assert held.write("--set", "shop:kustomization.yaml:images[0].newTag=1.4").json["outcome"] == "pushed"


def test_release_lifts_what_is_meant_and_tells_what_is_held(held: Held) -> None:
    nothing = held.release("--image", WEB)
    assert (nothing.json["outcome"], nothing.json["notes"]) == ("unchanged", [f"{WEB} is not held in staging."])
    held.hold("--image", f"{WEB}:1.2", "--app", "shop")
    held.hold("--app", "cart")
    misspelt = held.release("--image", f"{WEB.replace('shop', 'shpo')}:1.2").json
    assert misspelt["outcome"] == "unchanged"
    assert f"Did you mean '{WEB}:1.2'?" in misspelt["notes"]
    assert held.release("--image", f"{WEB}:1.3").json["outcome"] == "unchanged"
    lifted = held.release("--image", WEB).json
    assert (lifted["outcome"], lifted["inForce"], len(lifted["holds"])) == ("pushed", False, 1)
    assert "reason: it loses orders" in held.read(HOLDS)
    assert held.release("--app", "cart").json["outcome"] == "pushed"
    assert held.read(HOLDS) == "[]\n"
    assert held.write(f"{WEB}:1.2").json["held"] == []


def test_a_misspelt_image_is_held_with_a_warning(held: Held) -> None:
    done = held.hold("--image", "registry.example.com/shop/wbe").json
    assert done["outcome"] == "pushed"
    assert f"Did you mean '{WEB}'" in done["notes"][0]
    held.say("hold", "--reason", " ", code=2)
    held.hold("--app", "shpo", code=2)
    held.say("hold", "--reason", "x", "--image", "A B", code=2)


def test_a_protected_branch_takes_a_hold_by_merge_request(held: Held, git_server: GitServer) -> None:
    git_server.reject("config", "GitLab: You are not allowed to push code to protected branches", "refs/heads/main")
    ran = held.hold("--image", f"{WEB}:1.2")
    assert (ran.json["outcome"], ran.json["inForce"]) == ("proposed", False)
    assert ran.json["mergeRequest"]["source"] == "ci-gitops/staging/holds"
    assert "It is not in force yet: merge !1 first." in ran.json["notes"]
    refs = git_server.refs("config")
    assert held.hold("--image", f"{WEB}:1.2").json["mergeRequest"]["iid"] == 1
    assert git_server.refs("config") == refs
    more = held.hold("--app", "cart").json
    assert more["mergeRequest"]["iid"] == 1
    proposed = held.read(HOLDS, "ci-gitops/staging/holds")
    assert (proposed.count("- "), "app: cart" in proposed) == (2, True)


def test_a_merge_request_does_not_bring_what_is_held(held: Held) -> None:
    held.hold("--image", WEB, "--app", "shop")
    words = (f"{WEB}:1.2", f"{API}:v8", "--environment", "staging", "--write", "merge-request", "--forge", "local")
    ran = held.update(*words, "--app", "shop")
    assert ran.code == 0, ran.err
    assert (ran.json["outcome"], [each["new"] for each in ran.json["held"]]) == ("opened", [f"{WEB}:1.2"])
    text = held.read(STAGING, "ci-gitops/staging/shop")
    assert "newTag: v8" in text
    assert 'newTag: "1.1"' in text
    refused = held.update(words[0], *words[2:], "--app", "shop")
    assert refused.code == 5, refused.err
