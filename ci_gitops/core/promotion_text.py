"""What a merge request of ours tells those who approve it, below its table: one section for each question they have.

Everything comes in as records. Text of others (commit subjects, labels of images, reasons) is made harmless here.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from ci_gitops.core.gates import GateState
from ci_gitops.core.markdown import code, fenced, folded, in_html, link, table, web_address, words
from ci_gitops.core.mergerequest_text import Block, Section, image_of, short_digest
from ci_gitops.core.mergerequests import MergeRequest
from ci_gitops.core.request_text import ask_for_gates, commit_address, gate_rules, policy_warning, way_back
from ci_gitops.core.running import Running
from ci_gitops.core.text import counted

_FEW = 8  # commits that are shown without being asked for
_MOST_ORIGINS = 10
_MOST_DIFF = 20_000  # characters of all rendered diffs
_MOST_LIVE = 10
_MOST_APPS = 20
_LONGEST_REASON = 300
_EVIDENCE = {
    "records": "by the records at its destination",
    "forge": "by the forge's record of its deployment",
    "git": "by Git alone: nothing records its deployments",
}


@dataclass(frozen=True, slots=True)
class Built:
    """What an image says of its source (the labels `org.opencontainers.image.…`)."""

    source: str = ""
    revision: str = ""
    version: str = ""


@dataclass(frozen=True, slots=True)
class SourceCommit:
    sha: str
    subject: str
    author: str = ""


@dataclass(frozen=True, slots=True)
class Origin:
    """One image that moves: what its old and its new one were built of. `commits` are those between, newest first."""

    image: str
    old: Built | None
    new: Built | None
    compare: str = ""  # address of the comparison
    commits: tuple[SourceCommit, ...] = ()
    more: int = 0  # commits that are not listed
    why: str = ""  # there is no list


@dataclass(frozen=True, slots=True)
class RenderedChange:
    """One target, rendered before and after; `objects` are lines like `update Deployment web`."""

    target: str
    objects: tuple[str, ...] = ()
    diff: str = ""
    trouble: str = ""  # why it could not be compared


@dataclass(frozen=True, slots=True)
class LivePlan:
    """What a deploy would do to what runs now."""

    where: str
    summary: str
    changes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What is known for one merge request; `left_out` says what was asked for and is not to be had."""

    environment: str
    block: Block
    policy: tuple[str, ...] = ()  # its own files that make the rules
    branch: str = ""  # whose rules count
    origins: tuple[Origin, ...] = ()
    rendered: tuple[RenderedChange, ...] | None = None
    conflict: bool = False
    live: LivePlan | None = None
    gates: tuple[GateState, ...] | None = None
    rules: tuple[str, ...] = ()  # of the gates, where their state was not asked for
    proof: tuple[Running, ...] = ()
    page: str = ""  # address of a merge request, from which those of commits are made
    bringing: tuple[MergeRequest, ...] = ()  # what brought it to the environment that it comes from
    earlier: tuple[MergeRequest, ...] = ()  # merged before for the same targets, newest first
    superseded: tuple[MergeRequest, ...] = ()
    commands: tuple[str, ...] = ()  # that take it back
    left_out: tuple[str, ...] = field(default=())


def sections(told: Told) -> tuple[Section, ...]:
    """In the order in which people ask; see `Section` for what gives way where room is short."""
    made = (
        policy_warning(told.policy, told.branch), _origins(told), _rendered(told), _live(told), _gates(told),
        _proof(told), _chain(told), way_back(told.commands), _left_out(told),
    )  # fmt: skip
    return tuple(section for section in made if section)


def compare_address(old: Built, new: Built, forge: str) -> str:
    """The page that compares two commits of one repository; empty where the labels do not name one.

    `forge` is the kind of the config repository's: its neighbours are most likely of the same kind.
    """
    source = web_address(new.source.removesuffix("/").removesuffix(".git"))
    if source is None or _place(old.source) != _place(new.source) or not (old.revision and new.revision):
        return ""
    host = source.split("/")[2]
    github = host == "github.com" or (forge == "github" and host != "gitlab.com")
    return f"{source}{'' if github else '/-'}/compare/{old.revision}...{new.revision}"


def _place(source: str) -> str | None:
    return web_address(source.removesuffix("/").removesuffix(".git"))


# The sections


def _origins(told: Told) -> Section | None:
    parts = [_origin(each) for each in told.origins[:_MOST_ORIGINS]]
    if not parts:
        return None
    more = len(told.origins) - _MOST_ORIGINS
    parts += [f"{counted(more, 'more image')} not listed here."] if more > 0 else []
    short = [_headline(each) for each in told.origins[:_MOST_ORIGINS]]
    heading = "#### Commits"
    return Section("\n\n".join([heading, *parts]), "\n\n".join([heading, *short]), 20)


def _headline(origin: Origin) -> str:
    built = [each for each in (origin.old, origin.new) if each and origin.new]
    step = " → ".join(words(each.version or each.revision[:12]) for each in built if each.version or each.revision)
    number = len(origin.commits) + origin.more
    count = counted(number, "commit") if number else ""
    if origin.compare:
        count = link(f"{count} (compare)" if count else "compare", origin.compare)
    why = _short(origin.why)
    return f"{code(origin.image)}{f' {step}' if step else ''}: {'; '.join(filter(None, (count, why)))}"


def _origin(origin: Origin) -> str:
    lines = [
        f"- {code(each.sha[:8])} {words(each.subject)}{f' ({words(each.author)})' if each.author else ''}"
        for each in origin.commits
    ]
    if origin.more:
        lines.append(f"- and {origin.more} more")
    if not lines:
        return _headline(origin)
    listed = "\n".join(lines)
    if len(lines) > _FEW:
        listed = folded(counted(len(origin.commits) + origin.more, "commit"), listed)
    return f"{_headline(origin)}\n\n{listed}"


def _rendered(told: Told) -> Section | None:
    if told.rendered is None:
        return None
    heading = "#### What changes in the manifests"
    if told.conflict:
        heading += f"\n\nIt conflicts with {code(told.branch)} now; compared is its own branch."
    room = _MOST_DIFF
    long, short = [heading], [heading]
    for change in told.rendered:
        if change.trouble:
            line = f"{code(change.target)} could not be compared: {_short(change.trouble)}"
        elif not change.objects:
            line = f"{code(change.target)}: nothing. What is rendered stays the same."
        else:
            line = ""
        if line:
            long.append(line)
            short.append(line)
            continue
        count = counted(len(change.objects), "object")
        named = ", ".join(map(in_html, change.objects[:3])) + (" …" if len(change.objects) > 3 else "")
        cut = _cut(change.diff, room)
        room -= len(cut)
        long.append(folded(f"<b>{in_html(change.target)}</b>: {named}", fenced(cut, "diff")) if cut else
                    f"{code(change.target)}: {count}; the diff is too long for this place.")  # fmt: skip
        short.append(f"{code(change.target)}: {count}; the diff is too long for this place.")
    return Section("\n\n".join(long), "\n\n".join(short[: _MOST_APPS + 1]), 10)


def _cut(diff: str, room: int) -> str:
    """The beginning that fits, in whole lines, with a word on the rest."""
    if len(diff) <= room:
        return diff
    kept = diff[: max(room, 0)].rpartition("\n")[0]
    return f"{kept}\n… {counted(diff.count(chr(10), len(kept)), 'more line')}" if kept else ""


def _live(told: Told) -> Section | None:
    if told.live is None:
        return None
    live = told.live
    head = f"#### What a deploy would do now\n\n{words(live.where)}: {words(live.summary)}"
    lines = [f"- {words(each)}" for each in live.changes[:_MOST_LIVE]]
    if len(live.changes) > _MOST_LIVE:
        lines.append(f"- and {len(live.changes) - _MOST_LIVE} more")
    return Section(f"{head}\n\n" + "\n".join(lines) if lines else head, head, 30)


def _gates(told: Told) -> Section | None:
    if told.gates is None:
        return gate_rules(told.environment, told.rules)
    rows = [[code(each.gate), _state(each), words(each.reason)] for each in told.gates]
    held = [each for each in told.gates if not each.ok]
    sum_up = f"{len(told.gates) - len(held)} of {counted(len(told.gates), 'gate')} held when this was written."
    sum_up += f" {ask_for_gates(told.environment)}"
    text = "\n\n".join(["#### Gates", table(["gate", "state", "why"], rows), sum_up])
    gist = ",".join(f"{each.gate}={each.ok}{each.overridden}" for each in told.gates)
    return Section(text, f"#### Gates\n\n{sum_up}", 70, gist)


def _state(gate: GateState) -> str:
    return "overridden" if gate.overridden else "holds" if gate.ok else "**waits**"


def _proof(told: Told) -> Section | None:
    if not told.proof:
        return None
    source = told.proof[0].target.environment
    lines = [_proven(each, told.page) for each in told.proof[:_MOST_APPS]]
    if len(told.proof) > _MOST_APPS:
        lines.append(f"- and {len(told.proof) - _MOST_APPS} more")
    well = sum(each.healthy for each in told.proof)
    head = f"#### What runs in {code(source)}"
    return Section(
        f"{head}\n\n" + "\n".join(lines), f"{head}\n\n{well} of {counted(len(told.proof), 'app')} healthy there.", 60
    )


def _proven(running: Running, page: str) -> str:
    state = "healthy" if running.healthy else "**not healthy**"
    if running.evidence == "git":
        state = "declared"
    since = f" since {_moment(running.since)}" if running.since and running.healthy else ""
    revision = link(code(running.revision[:12]), commit_address(page, running.revision))
    how = _EVIDENCE.get(running.evidence, "")
    images = ", ".join(map(_artifact, running.images[:5])) + (" …" if len(running.images) > 5 else "")
    line = f"- {code(running.target.app)}: {state}{since} at {revision}{f', {how}' if how else ''}"
    if running.reason and not running.healthy:
        line += f": {words(running.reason)}"
    return f"{line}; {images}" if images else line


def _artifact(reference: str) -> str:
    image = image_of(reference)
    if image is None:
        return code(reference)
    name = image.name.rpartition("/")[2] + (f":{image.tag}" if image.tag else "")
    return f"{code(name)} {code(short_digest(image.digest))}" if image.digest else code(name)


def _moment(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")


def _chain(told: Told) -> Section | None:
    lines = [f"- brought to where it comes from by {_request(each)}" for each in told.bringing]
    lines += [f"- before this: {_request(each)}" for each in told.earlier]
    lines += [f"- superseded: {_request(each)}" for each in told.superseded]
    return Section("#### Merge requests before this one\n\n" + "\n".join(lines), "", 40) if lines else None


def _request(request: MergeRequest) -> str:
    when = f", merged {_moment(request.merged_at)}" if request.state == "merged" and request.merged_at else ""
    page = request.url if commit_address(request.url, "") else ""  # the local forge has none
    return f"{link(code(f'!{request.iid}'), page)} {words(request.title)}{when}"


def _left_out(told: Told) -> Section | None:
    lines = [f"- {_short(each)}" for each in _once(told.left_out)]
    return Section("Not told here:\n\n" + "\n".join(lines), "", 50) if lines else None


def _short(reason: str) -> str:
    """Others' words in one line: a renderer may say a page."""
    return words(reason if len(reason) <= _LONGEST_REASON else f"{reason[:_LONGEST_REASON]} …")


def _once(texts: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(texts))
