"""How people name objects, and what they are told when they name none or several."""

from __future__ import annotations

import pytest

from ci_gitops.core.inventory import Key
from ci_gitops.core.object_names import named
from ci_gitops.errors import UsageError

WEB = Key("apps", "Deployment", "shop", "web")
FRONT = Key("", "Service", "shop", "web")
POLICY = Key("networking.k8s.io", "NetworkPolicy", "shop", "deny")
POD = Key("", "Pod", "shop", "web-6f-x")
OTHER = Key("", "Pod", "blog", "web-6f-x")
CERT = Key("cert-manager.io", "Certificate", "shop", "tls")
KEYS = [WEB, FRONT, POLICY, POD, OTHER, CERT]


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("deployment/web", WEB),
        ("Deployment/web", WEB),
        ("deployments/web", WEB),
        ("deploy/web", WEB),
        ("deployment.apps/web", WEB),
        ("svc/web", FRONT),
        ("deny", POLICY),
        ("networkpolicies/deny", POLICY),
        ("pod/blog/web-6f-x", OTHER),
        (" tls ", CERT),
    ],
)
def test_names(written: str, expected: Key) -> None:
    assert named(written, KEYS) == expected


@pytest.mark.parametrize(
    ("written", "message", "hint"),
    [
        ("web", "'web' may be Deployment shop/web or Service shop/web.", "Write deployment/web or service/web."),
        ("pod/web-6f-x", "may be Pod", "Write pod/blog/web-6f-x or pod/shop/web-6f-x."),
        ("deployment/wep", "There is no object 'deployment/wep' here.", "Did you mean 'deployment/web'?"),
        ("deployment.example.com/web", "There is no object", ""),
        ("a/b/c/d", "There is no object", ""),
    ],
)
def test_what_is_none_or_several(written: str, message: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        named(written, KEYS)
    assert message in caught.value.message
    assert hint in (caught.value.hint or "")


def test_an_app_without_objects_has_no_names_to_offer() -> None:
    with pytest.raises(UsageError) as caught:
        named("web", [])
    assert caught.value.hint is None
