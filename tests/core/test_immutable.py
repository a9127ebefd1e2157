"""What API servers say of fields that cannot be changed, and what may be created again."""

from __future__ import annotations

import pytest

from ci_gitops.core.immutable import is_immutable, may_recreate

WORDS = [
    'Deployment.apps "web" is invalid: spec.selector: Invalid value: {}: field is immutable',
    (
        'StatefulSet.apps "web" is invalid: spec: Forbidden: updates to statefulset spec for fields other than '
        "'replicas', 'ordinals' are forbidden"
    ),
    'PersistentVolumeClaim "d" is invalid: spec: Forbidden: spec is immutable after creation except resources.requests',
    'Pod "p" is invalid: spec: Forbidden: pod updates may not change fields other than `spec.containers[*].image`',
    'Service "s" is invalid: spec.clusterIPs[0]: Invalid value: []string{"10.0.0.1"}: may not change once set',
    'RoleBinding "r" is invalid: roleRef: Invalid value: {}: cannot change roleRef',
]


@pytest.mark.parametrize("words", WORDS)
def test_words_of_the_server(words: str) -> None:
    assert is_immutable(422, words)


def test_what_is_wrong_in_another_way_would_be_no_better_created_again() -> None:
    assert not is_immutable(422, 'Deployment.apps "web" is invalid: spec.template.spec.containers: Required value')
    assert not is_immutable(500, WORDS[0])


@pytest.mark.parametrize(
    ("kind", "asked", "may"),
    [
        ("Deployment", {"Deployment"}, True),
        ("Deployment", {"deployment"}, True),
        ("Deployment", {"any"}, True),
        ("Deployment", {"Job"}, False),
        ("Deployment", set(), False),
        ("StatefulSet", {"any"}, False),
        ("Namespace", {"any"}, False),
        ("PersistentVolumeClaim", {"any"}, False),
        ("CustomResourceDefinition", {"any"}, False),
        ("StatefulSet", {"any", "StatefulSet"}, True),
    ],
)
def test_kinds_that_hold_data_want_their_own_name(kind: str, asked: set[str], may: bool) -> None:
    assert may_recreate(kind, asked) is may
