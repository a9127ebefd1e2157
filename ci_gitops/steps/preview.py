"""The stories of `preview`: an environment of its own for a merge request, made, listed and removed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

from ci_gitops.adapters.git_access import signing_key
from ci_gitops.adapters.handover import must_be_writable, write_dotenv
from ci_gitops.core.edits import Edit
from ci_gitops.core.images import ImageArgument, ImageRef
from ci_gitops.core.intents import Intent
from ci_gitops.core.previews import Preview, safe_name
from ci_gitops.core.text import counted
from ci_gitops.errors import CiGitopsError, UsageError, decisive
from ci_gitops.output import diff_text
from ci_gitops.results import Result
from ci_gitops.run import Run
from ci_gitops.settings.environments import Previews
from ci_gitops.settings.resolve import preview_settings
from ci_gitops.steps import people
from ci_gitops.steps import preview_report as report
from ci_gitops.steps.preview_create import Creation, Wish, created
from ci_gitops.steps.preview_delete import Departure, deleted, pruned
from ci_gitops.steps.preview_records import FileChange, Landed, all_previews, land, settings_at
from ci_gitops.steps.preview_request import Requests
from ci_gitops.steps.workplace import Reach, Workplace, Workplaces
from ci_gitops.steps.write import RACE_SECONDS, Hand

_TROUBLE = 100.0  # seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class PreviewCall:
    """The options that all of them may have, as the command line gives them."""

    name: str = ""
    repo: str | None = None
    branch: str | None = None
    timeout: float | None = None
    message: str | None = None
    sign: Literal["gpg", "ssh"] | None = None
    forge: str | None = None
    forge_url: str | None = None
    token_file: Path | None = None
    ca_file: Path | None = None
    dry_run: bool = False

    @property
    def reach(self) -> Reach:
        return Reach(self.repo, self.branch, self.ca_file, self.token_file, self.timeout or _TROUBLE)


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateCall(PreviewCall):
    images: tuple[str, ...] = ()
    apps: tuple[str, ...] = ()
    source: str | None = None
    mr: str | None = None
    ttl: float | None = None
    check: bool = False
    dotenv: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveCall(PreviewCall):
    """Of `delete` and `prune`."""

    force: bool = False
    undeploy: bool = False
    prune_kinds: tuple[str, ...] = ()


def create(run: Run, call: CreateCall) -> Result:
    """Make the preview, or bring it up to date; nothing to do where it is as it should be."""
    images = tuple(map(ImageArgument.parse, call.images))
    if call.dotenv and not call.dry_run:
        must_be_writable(run.cwd / call.dotenv)
    safe_name(call.name)
    with Workplaces(run, call.reach) as places:
        place = places.root()
        signed = settings_at(place).verify.cosign is not None
        if signed:
            call = _with_digests(run, call)
            images = tuple(map(ImageArgument.parse, call.images))
        requests = Requests(places, place, call.forge, call.forge_url)
        wish, notes = _promoted(requests, call, Wish(
            name=call.name, now=_now(), apps=call.apps, images=images, texts=call.images, source=call.source,
            ttl=None if call.ttl is None else timedelta(seconds=call.ttl), request=requests.named(call.mr),
            build=people.source(run), by=people.actor(run) or people.author(run).name,
        ))  # fmt: skip

        def decide(at: Workplace) -> tuple[Creation, FileChange]:
            made = created(at, wish)
            if signed:
                _prove(run, call, at, made)
            return made, made.change

        checked = _checker(places, wish.environment) if call.check else None
        done = land(places, place, _hand(run, call), decide, lambda made: _subject(call, made), checked)
        return _created(run, call, requests, done, notes)


def _with_digests(run: Run, call: CreateCall) -> CreateCall:
    """The images as they are now: what is verified is what is written."""
    from ci_gitops.steps.pin import pinned

    given = Intent(tuple(map(ImageArgument.parse, call.images)))
    found = pinned(run, given, call.ca_file).images
    texts = (
        text if new == old else f"{text}@{new.digest}"
        for text, old, new in zip(call.images, given.images, found, strict=True)
    )
    return replace(call, images=tuple(texts))


def _prove(run: Run, call: CreateCall, place: Workplace, made: Creation) -> None:
    """Whatever image the preview gets must be signed as `previews.verify` says."""
    from ci_gitops.steps.proof import must_be_signed

    environment = preview_settings(settings_at(place), made.preview.environment)
    brought = [ImageRef.parse(move.new) for move in made.change.images]
    must_be_signed(run, list(dict.fromkeys(brought)), environment, ca_file=call.ca_file, rules=place.rules)


def _promoted(requests: Requests, call: CreateCall, wish: Wish) -> tuple[Wish, tuple[str, ...]]:
    """The wish with what a merge request of the config repository would leave there."""
    asked = wish.request
    if asked is None or not requests.is_own(asked):
        return wish, ()
    try:
        request, tree = requests.opened(asked)
    except CiGitopsError as error:
        if call.mr:
            raise
        return wish, (f"The head of merge request {asked.iid} is not looked at: {error.message}",)
    wish = replace(wish, promotion=tree, request=replace(asked, url=request.url))
    if not wish.source and request.environments:
        if len(request.environments) > 1:
            raise UsageError(
                f"Merge request {asked.iid} is for {' and '.join(sorted(request.environments))}.",
                hint="Name the environment whose images are to be shown with --from ENV.",
            )
        wish = replace(wish, source=next(iter(request.environments)))
    return wish, (f"The images are as merge request {asked.iid} would leave them ({request.head_sha[:12]}).",)


def _created(run: Run, call: CreateCall, requests: Requests, done: Landed[Creation], notes: tuple[str, ...]) -> Result:
    made, place, previews = done.decided, done.place, settings_at(done.place)
    preview, change = made.preview, made.change
    outcome = "pushed" if done.commit else "planned" if change.files else "unchanged"
    notes += made.notes
    if preview.request and not call.dry_run:
        text = report.comment_text(preview, previews)
        notes += requests.say(preview.request, report.comment_key(preview), text)
    lines = report.creation_lines(outcome, preview, made.made, previews, place, done.commit)
    if outcome == "planned":
        lines += _diffs(place, change)
    if call.dotenv and not call.dry_run:
        url = next(iter(report.urls(preview, previews)), "")
        write_dotenv(run.cwd / call.dotenv, {
            "CI_GITOPS_ENVIRONMENT": preview.environment, "CI_GITOPS_COMMIT": done.commit or place.revision,
            **({"CI_GITOPS_PREVIEW_URL": url} if url else {}),
        })  # fmt: skip
    edits = [
        {"path": path, "operation": "delete" if content is None else "write"} for path, content in change.files.items()
    ]
    return report.result(
        "create", outcome, place, [report.document(preview, previews, _now())], lines,
        commit=done.commit, attempts=done.attempts, notes=notes, more={"edits": edits},
    )  # fmt: skip


def delete(run: Run, call: RemoveCall) -> Result:
    """Remove one preview; nothing to do where it is not there."""
    safe_name(call.name)
    with Workplaces(run, call.reach) as places:
        place = places.root()
        found, _ = deleted(place, call.name, force=call.force)  # refused before anything is undeployed
        left = {each.environment: _undeployed(run, call, place, each) for each in found.gone}
        done = land(
            places, place, _hand(run, call), lambda at: deleted(at, call.name, force=call.force),
            lambda gone: _removal(call, gone),
        )  # fmt: skip
        return _removed("delete", places, call, done, left)


def prune(run: Run, call: RemoveCall) -> Result:
    """Remove those whose time is over; one that cannot be undeployed does not keep the others."""
    now, left, failures = _now(), {}, []
    with Workplaces(run, call.reach) as places:
        place = places.root()
        for each in pruned(place, now)[0].gone:
            try:
                left[each.environment] = _undeployed(run, call, place, each)
            except CiGitopsError as error:
                run.output.warn(f"{each.name} stays: {error.message}")
                failures.append(error)
        done = land(
            places, place, _hand(run, call), lambda at: pruned(at, now, only=frozenset(left)),
            lambda gone: _removal(call, gone),
        )  # fmt: skip
        result = _removed("prune", places, call, done, left)
    if failures:
        worst = decisive(failures)
        worst.result = result
        raise worst
    return result


def listed(run: Run, call: PreviewCall) -> Result:
    """All previews of the branch."""
    with Workplaces(run, call.reach) as places:
        place = places.root()
        previews, now = _settings(place), _now()
        found = all_previews(place.tree)
        documents = [report.document(each, previews, now) for each in found]
        return report.result("list", "listed", place, documents, [report.listing(found, previews, now)])


def _undeployed(run: Run, call: RemoveCall, place: Workplace, preview: Preview) -> tuple[str, ...] | None:
    """First what was deployed goes: once the files have left Git nobody looks for it. What stays is told.

    None where it was not asked for.
    """
    if not call.undeploy:
        return None
    from ci_gitops.steps.delete import DeleteCall
    from ci_gitops.steps.delete import delete as delete_target

    said = []
    for app in reversed(preview.apps):
        run.output.step(f"Deleting {app} in {preview.environment}")
        result = delete_target(run, DeleteCall(
            environment=preview.environment, app=app, repo=place.url, branch=place.branch, revision=place.revision,
            yes=not call.dry_run, dry_run=call.dry_run, token_file=call.token_file, ca_file=call.ca_file,
            prune_kinds=call.prune_kinds,
        ))  # fmt: skip
        plans = (target["plan"] or {} for target in result.document["targets"])
        said += [
            f"{change['object']['kind']} {change['object']['name']}: {change['reason']}"
            for plan in plans for change in plan.get("changes", ()) if change["operation"] == "skipped"
        ]  # fmt: skip
    return tuple(said)


def _removed(
    action: str, places: Workplaces, call: RemoveCall, done: Landed[Departure],
    undeployed: Mapping[str, tuple[str, ...] | None],
) -> Result:  # fmt: skip
    found, place, previews = done.decided, done.place, _settings(done.place)
    outcome = "pushed" if done.commit else "planned" if found.gone else "unchanged"
    notes = found.notes + tuple(f"{each.name} stays: {reason}" for each, reason in found.kept)
    notes += tuple(f"{name}: {line}" for name, lines in undeployed.items() for line in lines or ())
    if not call.dry_run:
        requests = Requests(places, place, call.forge, call.forge_url)
        for each in found.gone:
            if each.request:
                notes += requests.say(each.request, report.comment_key(each), report.gone_text(each), recorded=True)
    there = [each for each in found.gone if undeployed.get(each.environment) != ()]
    left = [line for each in there for line in report.cleanup(each, previews, place)]
    documents = [report.document(each, previews, _now()) for each in found.gone]
    kept = [{"name": each.name, "environment": each.environment, "reason": reason} for each, reason in found.kept]
    return report.result(
        action, outcome, place, documents, report.removal_lines(outcome, found.gone, place, done.commit, left),
        commit=done.commit, attempts=done.attempts, notes=notes, more={"kept": kept, "cleanup": left},
    )  # fmt: skip


# Small things


def _settings(place: Workplace) -> Previews:
    return place.settings.previews or Previews.model_validate({})


def _now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)


def _hand(run: Run, call: PreviewCall) -> Hand:
    return Hand(
        author=people.author(run), actor=people.actor(run), source=people.source(run), dry_run=call.dry_run,
        sign=signing_key(call.sign, run.environ) if call.sign else None, timeout=call.timeout or RACE_SECONDS,
    )  # fmt: skip


def _checker(places: Workplaces, environment: str) -> Any:
    from ci_gitops.steps.rendered import RenderedSets

    def check(place: Workplace, commit: str) -> None:
        """RenderError where an app of the preview does not render."""
        at = places.committed(place, commit)
        RenderedSets(places.run, at, fresh=True).all(at.settings.targets([environment], paths=at.tree.files()))

    return check


def _subject(call: PreviewCall, made: Creation) -> str:
    preview = made.preview
    verb = "create" if made.created else "update" if made.made.changed else "renew"
    return _filled(call, preview.environment, preview.apps, f"{verb} {preview.name}")


def _removal(call: PreviewCall, found: Departure) -> str:
    names = [each.name for each in found.gone]
    what = ", ".join(names) if len(names) < 4 else counted(len(names), "preview")
    apps = dict.fromkeys(app for each in found.gone for app in each.apps)
    return _filled(call, ", ".join(each.environment for each in found.gone), tuple(apps), f"delete {what}")


def _filled(call: PreviewCall, environment: str, apps: Sequence[str], summary: str) -> str:
    template = call.message or "preview: {summary}"
    fields = {"{environment}": environment, "{app}": ", ".join(apps), "{summary}": summary}
    for field, value in fields.items():
        template = template.replace(field, value)
    return " ".join(template.split())[:200]


def _diffs(place: Workplace, change: FileChange) -> list[str]:
    """What --dry-run shows."""
    before = place.repository.read(place.revision, [path for path in change.files if place.tree.holds(path)])
    shown = []
    for path, content in change.files.items():
        old, new = before.get(path, b""), content or b""
        edit = Edit(path, old.decode("utf-8", "replace"), new.decode("utf-8", "replace"))
        shown.append(diff_text(edit.diff()))
    return shown
