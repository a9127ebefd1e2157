"""The story of `preview create`: an environment from a template, with the images of a merge request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from ci_gitops.core.holds import Hold
from ci_gitops.core.images import ImageArgument
from ci_gitops.core.preview_files import Facts, copied_paths, image_arguments
from ci_gitops.core.preview_making import Made, Part, make
from ci_gitops.core.previews import (
    PREFIX,
    Asked,
    Preview,
    environment_of,
    merged_images,
    namespace_of,
    record_path,
    safe_name,
    write_preview,
)
from ci_gitops.core.sources import source_name
from ci_gitops.core.targets import Target, fill
from ci_gitops.core.trailers import Source
from ci_gitops.core.update_work import YAML, TargetFiles
from ci_gitops.errors import RefusedError, SettingsError, UsageError
from ci_gitops.settings.environments import Previews
from ci_gitops.settings.resolve import AppSettings, own_paths, template_paths
from ci_gitops.steps.held import holds_at
from ci_gitops.steps.preview_records import FileChange, preview_at, settings_at
from ci_gitops.steps.targets import files_of
from ci_gitops.steps.workplace import RepositoryTree, Workplace

_DEFAULT_NAMESPACE = "preview-{name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What one call wants of a preview, whatever the head of the branch is."""

    name: str
    now: datetime
    apps: tuple[str, ...] = ()
    images: tuple[ImageArgument, ...] = ()
    texts: tuple[str, ...] = ()  # the images as they were given
    source: str | None = None  # --from
    ttl: timedelta | None = None
    request: Asked | None = None
    promotion: RepositoryTree | None = None  # what that merge request would leave, where it is one of this repository
    build: Source | None = None
    by: str | None = None

    @property
    def environment(self) -> str:
        return environment_of(self.name)


@dataclass(frozen=True, slots=True)
class Creation:
    """What a call comes to at one head."""

    preview: Preview
    made: Made
    change: FileChange
    created: bool
    notes: tuple[str, ...] = field(default=())


def created(place: Workplace, wish: Wish) -> Creation:
    """The files of a preview as the wish wants it, on top of what is there."""
    previews = settings_at(place)
    before = preview_at(place.tree, wish.environment)
    if before and before.name != wish.name:
        raise RefusedError(
            f"{wish.environment} is the preview of {before.name!r} already.", hint="Take another --name."
        )
    _refuse_other(before, wish)
    images, notes = merged_images(before.images if before else (), wish.texts, wish.build)
    source = wish.source or (before.source if before else None) or previews.from_
    parts = _parts(place, previews, wish, before, source)
    made = make(
        place.tree, lambda paths: place.repository.read(place.revision, paths), parts,
        [ImageArgument.parse(image.argument) for image in images], before,
    )  # fmt: skip
    preview = Preview(
        name=wish.name, files=made.files, created=before.created if before else wish.now,
        renewed=before.renewed if before else wish.now, source=source,
        ttl=wish.ttl if wish.ttl is not None else (before.ttl if before else None),
        request=wish.request or (before.request if before else None), by=before.by if before else wish.by,
        images=images,
    )  # fmt: skip
    if before is None or made.changed or preview != before or before.to_renew(previews.ttl, wish.now):
        preview = replace(preview, renewed=wish.now)
    notes += made.notes + _moved_on(before, preview)
    return Creation(preview, made, _change(place, preview, before, made), before is None, notes)


def _refuse_other(before: Preview | None, wish: Wish) -> None:
    """Two applications that take the same name would take each other's preview away."""
    old, new = before.request if before else None, wish.request
    if old and new and source_name(old.repository) != source_name(new.repository):
        raise RefusedError(
            f"The preview {wish.name!r} is that of merge request {old.iid} of {old.repository}.",
            hint="Take another --name: with the project's name in it, two projects never meet.",
        )


def _moved_on(before: Preview | None, after: Preview) -> tuple[str, ...]:
    old, new = before.request if before else None, after.request
    if old and new and old.iid != new.iid:
        return (f"It was the preview of merge request {old.iid}, and is now that of {new.iid}.",)
    return ()


def _change(place: Workplace, preview: Preview, before: Preview | None, made: Made) -> FileChange:
    _refuse_held(holds_at(place, preview.environment), preview, made)
    files: dict[str, bytes | None] = dict(made.changed)
    if preview != before:
        files[record_path(preview.environment)] = write_preview(preview).encode()
    return FileChange(files, made.images)


def _refuse_held(holds: Sequence[Hold], preview: Preview, made: Made) -> None:
    apps = [app for app, files in preview.files.items() if any(path in made.changed for path in files)]
    moves = [(move.app, (move.name, move.new)) for move in made.images]
    for app, names in [*((app, ()) for app in apps), *moves]:
        hold = next((each for each in holds if each.bars(app, *names)), None)
        if hold and (hold.image is None or names):
            raise RefusedError(
                f"{preview.environment} is not changed: {hold.subject or 'all of it'} is {hold}.",
                hint=f"`{hold.release(preview.environment)}` lifts it.",
            )


# Which apps, from which templates


def _parts(
    place: Workplace, previews: Previews, wish: Wish, before: Preview | None, source: str | None
) -> tuple[Part, ...]:
    settings = place.settings
    named = [settings.app(app).name for app in dict.fromkeys(wish.apps)]
    if named and before:
        named += [app for app in before.apps if app in settings.apps and app not in named]
    tree = wish.promotion or place.tree
    parts, without = [], []
    for app in map(settings.app, named or settings.apps):
        copies = _copies(place, previews, app, wish.environment)
        if copies:
            parts.append(_part(place, previews, wish, app, copies, _images(place, tree, app, source)))
        else:
            without.append(app)
    for app in without:
        if app.name in wish.apps or not parts:
            raise _no_template(previews, app)
    return tuple(parts)


def _no_template(previews: Previews, app: AppSettings) -> UsageError:
    """What a template would be there: an overlay, a folder of manifests, or values files of a chart."""
    paths = own_paths(app, "preview") and template_paths(previews, app)
    looked = ", ".join(paths) or "no path of it differs between environments"
    if not paths:
        hint = (
            f"A preview needs files of its own: put {{environment}} into apps.{app.name}.path or into a name of "
            f"apps.{app.name}.helm.values in .ci-gitops.yaml."
        )
    elif all(path.endswith(YAML) for path in paths):
        one = len(paths) == 1
        hint = (
            f"Its template is {'a values file' if one else 'values files'} of its chart: add {' and '.join(paths)}, "
            f"like {'that' if one else 'those'} of another environment, with ${{preview.name}} where each preview "
            "differs. previews.template in .ci-gitops.yaml names another place."
        )
    else:
        hint = (
            f"Its template is an overlay like that of another environment: add the folder {paths[0]}, or name "
            "another place by previews.template in .ci-gitops.yaml."
        )
    return UsageError(f"There is no template of a preview for {app.name} (looked for: {looked}).", hint=hint)


def _copies(place: Workplace, previews: Previews, app: AppSettings, environment: str) -> Mapping[str, str]:
    templates, own = template_paths(previews, app), own_paths(app, environment)
    if not own:
        return {}
    if len(templates) != len(own):
        raise SettingsError(
            f"previews.template names one file, and {app.name} has {len(own)} in each environment.",
            hint="Leave previews.template out: each values file is then made from its own for `preview`.",
        )
    copies: dict[str, str] = {}
    for template, mine in zip(templates, own, strict=True):
        copies |= copied_paths(place.tree, template, mine)
    return copies


def _part(
    place: Workplace, previews: Previews, wish: Wish, app: AppSettings, copies: Mapping[str, str],
    images: tuple[ImageArgument, ...],
) -> Part:  # fmt: skip
    target = Target(app.name, wish.environment, fill(app.path, wish.environment))
    facts = Facts(
        name=safe_name(wish.name), environment=wish.environment, namespace=namespace(previews, wish.environment),
        app=app.name, url=url_of(previews, wish.environment, app.name),
    )  # fmt: skip
    return Part(files_of(place, target, named=app.name in wish.apps), copies, facts, images)


def _images(place: Workplace, tree: RepositoryTree, app: AppSettings, source: str | None) -> tuple[ImageArgument, ...]:
    """The app's images in the environment that the preview follows; nothing where it is not there."""
    if source is None:
        return ()
    environment = place.settings.environment(source).name
    target = Target(app.name, environment, fill(app.path, environment))
    if not any(tree.holds(path) for path in own_paths(app, environment)):
        return ()
    files: TargetFiles = files_of(place, target, named=False)
    return image_arguments(tree, files)


def namespace(previews: Previews, environment: str) -> str:
    template = previews.destination.namespace if previews.destination else _DEFAULT_NAMESPACE
    return namespace_of(template, environment)


def url_of(previews: Previews, environment: str, app: str) -> str | None:
    """Where one app of a preview can be seen."""
    if previews.url is None:
        return None
    return previews.url.replace("{name}", environment.removeprefix(PREFIX)).replace("{app}", app)
