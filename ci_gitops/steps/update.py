"""The story of `update`: which images, where, in which commits, and what became of them."""

from __future__ import annotations

from ci_gitops.adapters.handover import must_be_writable
from ci_gitops.core.images import ImageArgument
from ci_gitops.core.intents import Assignment, Intent
from ci_gitops.errors import UsageError
from ci_gitops.results import Result
from ci_gitops.run import Run
from ci_gitops.steps.images import wanted_images
from ci_gitops.steps.update_call import UpdateCall
from ci_gitops.steps.workplace import Reach, Workplaces

_TROUBLE = 100.0  # seconds


def update(run: Run, call: UpdateCall) -> Result:
    """Do all writes of one call and tell of them in one result."""
    intent = wanted(run, call)
    if call.dotenv and not call.dry_run:
        must_be_writable(run.cwd / call.dotenv)
    if call.pin:
        from ci_gitops.steps.pin import pinned

        intent = pinned(run, intent, call.ca_file)
    reach = Reach(call.repo, call.branch, call.ca_file, call.token_file, call.timeout or _TROUBLE)
    with Workplaces(run, reach) as places:
        root = places.root()
        # Imported by now: what writes takes as long to import as the server took to answer.
        from ci_gitops.steps.update_jobs import Task, hand_of, jobs_of, write_each

        hand = hand_of(run, call)
        return write_each(places, [Task(job, intent, hand) for job in jobs_of(places, root, call)], call)


def wanted(run: Run, call: UpdateCall) -> Intent:
    """What the call wants written; UsageError where it names nothing."""
    nothing_else = not (call.assignments or call.charts)
    images: tuple[ImageArgument, ...] = ()
    if call.images or call.results or nothing_else:
        images = wanted_images(call.images, [run.cwd / file for file in call.results], run.environ)
    intent = Intent(images, tuple(map(Assignment.parse, call.assignments)), _charts(call))
    if not intent:
        raise UsageError(
            "Nothing to update: no image is named.",
            hint="Name one (`ci-gitops update web:1.2 …`), pass --from FILE, or run after `ci-gitops build --dotenv`.",
        )
    return intent


def _charts(call: UpdateCall) -> tuple[tuple[str, str], ...]:
    if not call.charts:
        return ()
    from ci_gitops.core.edits.charts import parse_chart

    return tuple(map(parse_chart, call.charts))
