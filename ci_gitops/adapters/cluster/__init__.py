"""Where manifests are applied: a Kubernetes cluster or a folder, behind one small Protocol."""
