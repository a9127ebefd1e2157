"""Where a destination keeps what was deployed to it: inventories, records and who writes now."""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Callable

from ci_gitops.adapters.cluster.base import Cluster
from ci_gitops.adapters.cluster.directory import Directory
from ci_gitops.adapters.deadline import Deadline
from ci_gitops.adapters.records.base import Ledger, Writer
from ci_gitops.adapters.records.cluster import ClusterLedger
from ci_gitops.adapters.records.folder import FolderLedger
from ci_gitops.adapters.records.lease import Holder

__all__ = ["Ledger", "Writer", "open_ledger", "this_run"]


def open_ledger(
    cluster: Cluster,
    *,
    source: str,
    environment: str,
    namespace: str | None = None,
    holder: Holder | None = None,
    deadline: Deadline | None = None,
    tell: Callable[[str], None],
    step: Callable[[str], None],
) -> Ledger:
    """The records of `environment` as `source` deploys it to `cluster`.

    They lie in `namespace` (default: the cluster's own), or in the folder that holds the manifests. `deadline`
    bounds the wait for another writer; `tell` takes warnings, `step` what is waited for.
    """
    until, who = deadline or Deadline.after(0), holder or this_run(None)
    if isinstance(cluster, Directory):
        return FolderLedger(cluster.files, source, environment, who, until, tell, step)
    where = namespace or cluster.namespace
    return ClusterLedger(cluster, source, environment, where, who, until, tell, step)


def this_run(job: str | None, revision: str = "", time: int = 0) -> Holder:
    """Who we are for other runs; `job` is the address of the CI job, where there is one.

    `revision`, committed at `time` (seconds), is what we bring.
    """
    host, process = socket.gethostname(), os.getpid()
    said = f"process {process} on {host}"
    return Holder(f"{host}_{process}_{secrets.token_hex(8)}", f"{job} ({said})" if job else said, revision, time)
