"""One verb per file: its options, then its story in a few calls on core and adapters.

This table is what `--help` shows, so that the help page imports no command. A test keeps it in step.
"""

from __future__ import annotations

#: In the order of the road, then what is around it. command -> (module under this package, one line of help)
COMMANDS: dict[str, tuple[str, str]] = {
    "build": ("build", "Build an image and push it."),
    "update": ("update", "Write images, values or chart versions into the config repository."),
    "promote": ("promote", "Bring what is deployed and healthy in one environment to another one."),
    "scan": ("scan", "Look at registries for newer images and charts, and write what the policies take."),
    "merge": ("merge", "Merge our merge requests whose gates hold."),
    "gates": ("gates", "Say of each gate of an environment whether it holds, and why."),
    "render": ("render", "Print what Git declares for an environment, rendered."),
    "diff": ("diff", "Show what a deploy would change."),
    "deploy": ("deploy", "Bring an environment to what Git declares: one pass."),
    "pipeline": ("pipeline", "Generate the child pipeline that deploys each changed target in a job of its own."),
    "delete": ("delete", "Remove what an app holds in an environment."),
    "verify": ("verify", "Wait until what was deployed is healthy, and say how it does."),
    "status": ("status", "Say what runs, and how it does."),
    "history": ("history", "List the deployments of an environment, newest first."),
    "rbac": ("rbac", "Print the smallest roles that can deploy an environment."),
    "install": ("install", "Print or apply the manifests that run the operator in a cluster."),
    "why": ("why", "Explain what runs: from an object to its image, commit, merge request and pipeline."),
    "rollback": ("rollback", "Go back to what last ran well in an environment, and hold what does not."),
    "preview": ("preview", "Make, list and remove environments of their own for merge requests."),
    "hold": ("hold", "Hold an environment, an app or an image: nothing new of it is written or deployed."),
    "release": ("release", "Release what was held."),
    "set-image": ("set_image", "Set images in kustomizations, Helm values and manifests."),
    "set": ("set", "Set values and chart versions in YAML files."),
    "init": ("init", "Write a first .ci-gitops.yaml for this repository."),
    "config": ("config", "Show or check the configuration, or print its schema."),
    "demo": ("demo", "Walk the whole road on this machine, with no account."),
    "completion": ("completion", "Print the script that completes commands, options and names in a shell."),
    "doctor": ("doctor", "Check tokens, rights, programs and servers; name the setting where something is wrong."),
    "exit-codes": ("exit_codes", "List the exit codes and what each one means."),
}
