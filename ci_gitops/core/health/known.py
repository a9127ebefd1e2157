"""Kinds that many clusters have, and whose conditions say more than Ready: rules as data, checked by fixtures.

A Ready condition that is False means "failed" for some controllers and "not yet" for others, which no general rule
can tell. The words come from each project's API reference.
"""

from __future__ import annotations

from ci_gitops.core.health.rules import Rule

_READY = 'status.conditions[Ready].status == "True"'
_NOT_READY = 'status.conditions[Ready].status == "False"'
# Flux waits for others, which will come by themselves.
_WAITING = '["ArtifactNotReady", "DependencyNotReady", "Progressing"]'
_LOOKING = '["AccessingRepository", "ApplyingPolicy", "NewGeneration"]'
_OFF = '["False", "Unknown"]'

CERT_MANAGER = (
    Rule(
        "Certificate",
        "cert-manager.io",
        progressing='status.conditions[Issuing].status == "True"',
        degraded=f'{_NOT_READY} and status.conditions[Ready].reason != "Issuing"'
        ' and not status.conditions[Issuing].status == "True"',
        healthy=_READY,
    ),
    Rule("*Issuer", "cert-manager.io", degraded=_NOT_READY, healthy=_READY),
    Rule(
        "CertificateRequest",
        "cert-manager.io",
        degraded='status.conditions[Denied].status == "True" or status.conditions[InvalidRequest].status == "True"'
        f' or {_NOT_READY} and status.conditions[Ready].reason != "Pending"',
        healthy=_READY,
    ),
    Rule(
        "*",
        "acme.cert-manager.io",
        degraded='status.state in ["errored", "expired", "invalid"]',
        healthy='status.state == "valid"',
    ),
)

EXTERNAL_SECRETS = (
    Rule(  # its newest condition is the last one
        "ClusterExternalSecret",
        "external-secrets.io",
        degraded='status.conditions[-1].status == "True"'
        ' and status.conditions[-1].type in ["NotReady", "PartiallyReady"]'
        f" or {_NOT_READY}",
        healthy='status.conditions[-1].status == "True" and status.conditions[-1].type == "Ready"',
    ),
    Rule("*", "external-secrets.io", degraded=_NOT_READY, healthy=_READY),
)

FLUX = (
    Rule(
        "*",
        "*.toolkit.fluxcd.io",
        suspended="spec.suspend == true",
        degraded=f"spec.suspend != true and ({_NOT_READY} and not status.conditions[Ready].reason in {_WAITING}"
        f" and not status.conditions[Reconciling].reason in {_LOOKING}"
        ' or status.conditions[Stalled].status == "True")',
        progressing='status.conditions[Reconciling].status == "True"',
        healthy=f'{_READY} or kind in ["Alert", "Provider"] and status.conditions == null',
    ),
)

ARGO = (
    Rule(
        "Rollout",
        "argoproj.io",
        progressing="status.workloadObservedGeneration"
        ' != metadata.annotations["rollout.argoproj.io/workload-generation"]',
        message="The controller has not seen the newest change of its workload yet",
    ),
    Rule(
        "Rollout",
        "argoproj.io",
        degraded='status.conditions[InvalidSpec].status == "True" or status.conditions[Progressing].reason in'
        ' ["ProgressDeadlineExceeded", "RolloutAborted"] or status.phase in ["Degraded", "Error"]',
        suspended='spec.paused == true or status.pauseConditions or status.phase == "Paused"',
        progressing='status.phase == "Progressing"',
        healthy='status.phase == "Healthy" or status.currentPodHash != null and spec.replicas == 0'
        " or status.currentPodHash != null"
        " and (status.updatedReplicas >= spec.replicas or spec.replicas == null and status.updatedReplicas >= 1)"
        " and status.availableReplicas >= status.updatedReplicas"
        " and (status.blueGreen.activeSelector == status.currentPodHash or spec.strategy.canary != null"
        " and status.replicas <= status.updatedReplicas and (status.stableRS == status.currentPodHash"
        " or status.canary.stableRS == status.currentPodHash))",
    ),
    Rule(
        "AnalysisRun",
        "argoproj.io",
        degraded='status.phase in ["Failed", "Error"]',
        progressing='status.phase in ["Pending", "Running", ""]',
        suspended='status.phase == "Inconclusive"',
        healthy='status.phase == "Successful"',
    ),
    Rule(
        "Experiment",
        "argoproj.io",
        degraded='status.phase in ["Failed", "Error"]',
        healthy='status.phase == "Successful"',
    ),
    Rule(
        "Application",
        "argoproj.io",
        degraded='status.health.status in ["Degraded", "Missing"]',
        suspended='status.health.status == "Suspended"',
        progressing='status.health.status == "Progressing" or status.operationState.phase == "Running"',
        healthy='status.health.status == "Healthy"',
    ),
    Rule(
        "ApplicationSet",
        "argoproj.io",
        degraded='status.conditions[ErrorOccurred].status == "True"'
        ' or status.conditions[ResourcesUpToDate].status == "False"',
        progressing='status.conditions[RolloutProgressing].status == "True"',
        healthy='status.conditions[ResourcesUpToDate].status == "True"',
    ),
    Rule(
        "Workflow",
        "argoproj.io",
        degraded='status.phase in ["Failed", "Error"]',
        suspended="spec.suspend == true",
        healthy='status.phase == "Succeeded"',
    ),
    Rule(
        "CronWorkflow",
        "argoproj.io",
        degraded='status.conditions[SpecError].status == "True" or status.conditions[SubmissionError].status == "True"',
        healthy="kind",
    ),
    Rule("WorkflowTaskSet", "argoproj.io", healthy="kind"),
)

KNATIVE = (Rule("*", "*.knative.dev", degraded=_NOT_READY, healthy=_READY),)

KEDA = (
    Rule(
        "ScaledJob",
        "keda.sh",
        degraded=f"status.conditions[Ready].status in {_OFF}",
        suspended='status.conditions[Paused].status == "True"',
        healthy=_READY,
    ),
    Rule(
        "ScaledObject",
        "keda.sh",
        degraded=f'{_NOT_READY} and status.conditions[Ready].reason != "HPAMetricsUnavailable"'
        ' or status.conditions[Fallback].status == "True"',
        suspended='status.conditions[Paused].status == "True"',
        healthy=_READY,
    ),
)

CROSSPLANE = tuple(
    Rule(
        "*",
        group,
        degraded='status.conditions[Synced].status == "False"'
        ' or status.conditions[LastAsyncOperation].status == "False"',
        healthy=f'{_READY} or status.conditions[Healthy].status == "True"'
        ' or status.conditions[Offered].status == "True" or status.conditions[Established].status == "True"'
        ' or status.conditions[RevisionHealthy].status == "True" or status.conditions[ValidPipeline].status == "True"'
        ' or status == null and kind in ["Composition", "CompositionRevision", "ProviderConfig",'
        ' "ClusterProviderConfig", "ProviderConfigUsage", "DeploymentRuntimeConfig", "ControllerConfig"]'
        ' or kind in ["ProviderConfig", "ClusterProviderConfig"] and status.users != null',
    )
    for group in ("*.crossplane.io", "*.upbound.io")
)

PROMETHEUS = tuple(
    Rule(
        kind,
        "monitoring.coreos.com",
        degraded=f"status.conditions[Available].status in {_OFF}"
        ' and status.conditions[Available].reason != "SomePodsNotReady"',
        suspended="spec.paused == true",
        healthy='status.conditions[Available].status == "True"',
    )
    for kind in ("Prometheus", "PrometheusAgent", "Alertmanager", "ThanosRuler")
)

GATEWAY_API = (
    Rule(
        "*Route",
        "gateway.networking.k8s.io",
        degraded='status.parents[*].conditions[Accepted].status == "False"'
        ' or status.parents[*].conditions[ResolvedRefs].status == "False"',
        progressing=f"status.parents[*].conditions[Programmed].status in {_OFF}",
        healthy='status.parents[*].conditions[Accepted].status == "True"',
    ),
    Rule(
        "*Policy",
        "gateway.networking.k8s.io",
        degraded='status.ancestors[*].conditions[Accepted].status == "False"'
        ' or status.ancestors[*].conditions[ResolvedRefs].status == "False"',
        healthy='status.ancestors[*].conditions[Accepted].status == "True"',
    ),
    Rule(
        "GatewayClass",
        "gateway.networking.k8s.io",
        degraded='status.conditions[Accepted].status == "False"',
        healthy='status.conditions[Accepted].status == "True"',
    ),
    *(
        Rule(
            kind,
            "gateway.networking.k8s.io",
            degraded='status.conditions[Accepted].status == "False"'
            ' or status.conditions[ResolvedRefs].status == "False"'
            ' or status.listeners[*].conditions[Accepted].status == "False"'
            ' or status.listeners[*].conditions[ResolvedRefs].status == "False"'
            ' or status.listeners[*].conditions[Conflicted].status == "True"',
            progressing=f"status.conditions[Programmed].status in {_OFF}"
            f" or status.listeners[*].conditions[Programmed].status in {_OFF}",
            healthy='status.conditions[Accepted].status == "True" or status.conditions[Programmed].status == "True"',
        )
        for kind in ("Gateway", "ListenerSet")
    ),
)

KNOWN = (*CERT_MANAGER, *EXTERNAL_SECRETS, *FLUX, *ARGO, *KNATIVE, *KEDA, *CROSSPLANE, *PROMETHEUS, *GATEWAY_API)
