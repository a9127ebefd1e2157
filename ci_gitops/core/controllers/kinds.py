"""Kinds that are offered: CustomResourceDefinitions and APIServices."""

from __future__ import annotations

from ci_gitops.core.api.state import Document
from ci_gitops.core.controllers.hands import Hands, condition, conditions

_CLEANUP = "customresourcecleanup.apiextensions.k8s.io"


def run(hands: Hands) -> None:
    for definition in hands.all("CustomResourceDefinition.apiextensions.k8s.io"):
        _establish(hands, definition)
    for service in hands.all("APIService.apiregistration.k8s.io"):
        _answer(hands, service)


def _establish(hands: Hands, definition: Document) -> None:
    names = definition["spec"]["names"]
    status = {
        **definition["status"],
        "acceptedNames": names,
        "conditions": conditions(
            definition["status"], hands.time,
            condition("NamesAccepted", True, "NoConflicts", "no conflicts found"),
            condition("Established", True, "InitialNamesAccepted", "the initial names have been accepted"),
        ),
    }  # fmt: skip
    definition = hands.status(definition, status, "kube-apiserver")
    if _CLEANUP not in definition["metadata"].get("finalizers", ()):
        metadata = {**definition["metadata"], "finalizers": [*definition["metadata"].get("finalizers", ()), _CLEANUP]}
        hands.state.put({**definition, "metadata": metadata}, hands.now)


def _answer(hands: Hands, service: Document) -> None:
    """One that the cluster itself serves is available; no other server runs here."""
    away = condition("Available", False, "ServiceNotFound", "no aggregated API server runs in a simulated cluster")
    here = condition("Available", True, "Local", "Local APIServices are always available")
    found = away if service["spec"].get("service") else here
    hands.status(service, {"conditions": conditions(service.get("status"), hands.time, found)}, "kube-apiserver")
