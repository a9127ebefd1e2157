# The command line with the programs that it and the usual pipelines call. Two variants of one file (docs/image.md):
#   docker build .                     everything
#   docker build --target cluster .    without engines that build images
# Before it, `make wheels` downloads the Python packages. GitLab runs a job's script in the image, so it has a shell and no
# entry point.
ARG BASE=debian:trixie-slim
# Where the programs of image/tools.txt come from: `upstream` downloads them, or from TOOLS_MIRROR, where the same files lie;
# `local` takes the folder dist/tools/ARCHITECTURE.
ARG TOOLS=upstream

FROM ${BASE} AS system
ARG DEBIAN_MIRROR
ARG SNAPSHOT
ARG SOURCE_DATE_EPOCH
# The owner of a job's checkout is another one: GitLab's helper.
RUN --mount=type=bind,source=image,target=/mnt \
    /mnt/install-packages /mnt/packages-cluster.txt \
 && useradd --create-home --uid 1000 --shell /bin/bash ci \
 && git config --system safe.directory '*' \
 && ln -s /opt/ci-gitops/bin/ci-gitops /usr/local/bin/ci-gitops

FROM system AS tools-upstream
ARG TARGETARCH
ARG TOOLS_MIRROR
RUN --mount=type=bind,source=image,target=/mnt \
    python3 /mnt/fetch_tools.py "$TARGETARCH" /tools "$TOOLS_MIRROR"

FROM scratch AS tools-local
ARG TARGETARCH
COPY dist/tools/${TARGETARCH}/ /tools/

FROM tools-${TOOLS} AS tools

FROM system AS package
ARG SOURCE_DATE_EPOCH
COPY requirements.lock /source/
RUN --mount=type=bind,source=dist/wheels,target=/mnt \
    python3 -m venv --without-pip /opt/ci-gitops \
 && PYTHONDONTWRITEBYTECODE=1 python3 "$(echo /mnt/pip-*.whl)/pip" --python /opt/ci-gitops/bin/python install --quiet \
      --no-cache-dir --no-compile --no-index --find-links /mnt --require-hashes --requirement /source/requirements.lock
COPY ci_gitops /source/ci_gitops
# Half of the Kubernetes client is a second one, for asyncio, which nothing here calls: 65 MB.
RUN packages=$(/opt/ci-gitops/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))') \
 && cp -r /source/ci_gitops "$packages" && rm -rf "$packages/kubernetes/aio" \
 && printf '#!/bin/sh\nexec /opt/ci-gitops/bin/python -P -m ci_gitops "$@"\n' > /opt/ci-gitops/bin/ci-gitops \
 && chmod -R a=rX,u+w /opt/ci-gitops && chmod a+x /opt/ci-gitops/bin/ci-gitops \
 && /opt/ci-gitops/bin/python -m compileall -q --invalidation-mode unchecked-hash /opt/ci-gitops/lib

FROM system AS cluster
COPY --from=tools --chmod=0755 /tools/ /usr/local/bin/
COPY --from=package /opt/ci-gitops /opt/ci-gitops
ARG VERSION
ARG REVISION
ARG CREATED
LABEL org.opencontainers.image.title="ci-gitops" \
      org.opencontainers.image.description="From a commit to a healthy cluster, with Git as the source of truth" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.source="https://gitlab.com/ci-gitops/ci-gitops" \
      org.opencontainers.image.documentation="https://gitlab.com/ci-gitops/ci-gitops/-/blob/main/docs/image.md" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.created="${CREATED}"
USER 1000:1000
WORKDIR /home/ci
ENTRYPOINT []
CMD ["ci-gitops", "--help"]

FROM cluster AS full
ARG DEBIAN_MIRROR
ARG SNAPSHOT
USER root
# What buildah needs to build inside a container, without root and without devices.
ENV BUILDAH_ISOLATION=chroot STORAGE_DRIVER=vfs
RUN --mount=type=bind,source=image,target=/mnt \
    /mnt/install-packages /mnt/packages-full.txt \
 && python3 /mnt/let_users_map.py
USER 1000:1000
