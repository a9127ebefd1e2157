"""A simulated cluster in one file: the Protocol `Cluster` without a Kubernetes.

It answers as an API server of the recorded version does, for the kinds that docs/simulated-cluster.md lists, and
refuses what it does not know. Its controllers act whenever somebody looks (`core/controllers`).
"""

from __future__ import annotations

from ci_gitops.adapters.cluster.simulated.cluster import Clock, Simulated

__all__ = ["Clock", "Simulated"]
