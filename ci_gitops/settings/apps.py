"""Settings of an app: where it is, how it is rendered, what is left to others, which images are followed."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, JsonValue, model_validator

from ci_gitops.settings.values import (
    Address,
    Duration,
    Form,
    Line,
    Lines,
    Model,
    Name,
    PathTemplate,
    VersionRange,
    Word,
)

Pointer = Annotated[str, Form(r"(/[^/]*)+", "a JSON pointer such as /spec/replicas")]
Renderer = Literal["kustomize", "helm", "helmfile", "jsonnet", "plain"]


class Helm(Model):
    """How a Helm chart is rendered."""

    chart: Word | None = Field(
        None,
        description="The chart: a folder of the repository, a name in `repository`, or an oci:// address. "
        "Default: the folder of the app's path.",
    )
    repository: Address | None = Field(None, description="The chart repository that holds `chart`.")
    version: Word | None = Field(None, description="The chart's version. Quote it: '1.10' is text.")
    values: tuple[PathTemplate, ...] = Field(
        (), description="Values files, later ones win; relative to the app's path; may hold {environment}."
    )
    set: dict[str, JsonValue] = Field({}, description="Single values over those of the files.")
    release: Word | None = Field(None, description="The release's name. Default: the app's name.")


class IgnoreRule(Model):
    """What is left to others in diff, apply and healing alike. All that is given must fit."""

    kind: Word | None = Field(None, description="The object's kind, such as Deployment.")
    name: Word | None = Field(None, description="The object's name; `*` stands for any text.")
    namespace: Word | None = Field(None, description="The object's namespace; `*` stands for any text.")
    pointers: tuple[Pointer, ...] = Field(
        (), description="JSON pointers of the fields, such as /spec/replicas. Default: the whole object."
    )
    managers: Lines = Field((), description="Field managers that may hold the field, such as keda-*.")


class ImagePolicy(Model):
    """Which newer version of an image or chart `scan` takes."""

    kind: Literal["semver", "newest", "alphabetical", "digest"] = Field(
        "semver", description="How versions are compared."
    )
    range: VersionRange | None = Field(
        None, description="For semver: the versions that are allowed, such as '>=1.2 <2'. Default: all releases."
    )
    allow: Lines = Field((), description="Tags that are looked at, as patterns. Default: all.")
    ignore: Lines = Field((), description="Tags that are never taken, as patterns such as '*-rc*'.")
    minimum_age: Duration | None = Field(None, description="How old a version must be, such as 1h. Default: any age.")
    platforms: Lines = Field((), description="Platforms that the image must have, such as linux/amd64.")
    tag: Line | None = Field(None, description="For digest: the tag whose digest is followed. Default: the one in use.")

    @model_validator(mode="after")
    def _fits_its_kind(self) -> ImagePolicy:
        for name, kind in (("range", "semver"), ("tag", "digest")):
            if getattr(self, name) and self.kind != kind:
                raise ValueError(f"{name} is for kind: {kind}, and this is kind: {self.kind}")
        return self


class App(Model):
    """One deployable."""

    path: PathTemplate | None = Field(
        None,
        description="Its folder (or one values file) in the repository; may hold {environment}. "
        "Default: as detected from the usual layouts.",
    )
    images: Lines = Field((), description="The images that builds update. Default: every image that the target uses.")
    renderer: Renderer | None = Field(None, description="What renders it. Default: detected from its files.")
    helm: Helm | None = Field(None, description="How its Helm chart is rendered.")
    group: Name | None = Field(None, description="Apps of a group move in one merge request.")
    after: tuple[Name, ...] = Field(
        (), description="Apps that are deployed and healthy first; on delete the order is reversed."
    )
    ignore: tuple[IgnoreRule, ...] = Field((), description="What is left to others.")
    sources: Lines = Field(
        (),
        description="Repositories of its code, as addresses; `*` stands for any text. Promotions list their commits, "
        "and those of the config repository's own group.",
    )
    policies: dict[Line, ImagePolicy] = Field({}, description="By image or chart: what `scan` takes.")
