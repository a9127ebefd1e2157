# The command line with the programs that it and the usual pipelines call: an engine's client with BuildKit, buildah,
# kustomize, jsonnet, git, ssh, make, bash. Debian has no helm and no sops: who renders charts or opens encrypted files
# copies them into an image made from this one (docs/rendering.md). GitLab runs a job's script in it, so it has a shell
# and no entry point.
FROM debian:trixie-slim AS package
RUN apt-get update \
 && apt-get install -y --no-install-recommends python3-venv \
 && python3 -m venv /opt/ci-gitops
COPY requirements.lock /source/
RUN /opt/ci-gitops/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes -r /source/requirements.lock
COPY ci_gitops /source/ci_gitops
RUN cp -r /source/ci_gitops "$(/opt/ci-gitops/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')" \
 && printf '#!/bin/sh\nexec /opt/ci-gitops/bin/python -P -m ci_gitops "$@"\n' > /opt/ci-gitops/bin/ci-gitops \
 && chmod +x /opt/ci-gitops/bin/ci-gitops \
 && /opt/ci-gitops/bin/python -m compileall -q /opt/ci-gitops/lib \
 && /opt/ci-gitops/bin/pip uninstall --yes --quiet pip

FROM debian:trixie-slim
RUN apt-get update \
 && apt-get install -y --no-install-recommends \
      bash buildah ca-certificates docker-buildx docker-cli git gnupg jsonnet kustomize make openssh-client procps python3 \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --create-home --uid 1000 ci
COPY --from=package /opt/ci-gitops /opt/ci-gitops
RUN ln -s /opt/ci-gitops/bin/ci-gitops /usr/local/bin/ci-gitops
USER 1000
ENTRYPOINT []
CMD ["ci-gitops", "--help"]
