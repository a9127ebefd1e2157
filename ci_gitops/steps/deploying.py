"""One pass over one target: decide, write under the target's Lease, wait, and keep a record of how it ended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from ci_gitops.adapters.cluster.base import Document
from ci_gitops.adapters.cluster.bounded import bounded
from ci_gitops.adapters.deadline import Deadline
from ci_gitops.adapters.records.base import Writer
from ci_gitops.core.explaining import trouble_lines
from ci_gitops.core.guards import Decision, left_open, mark, may_recover, unwaited
from ci_gitops.core.health import Health
from ci_gitops.core.hook_runs import Step, attempt_of, remembered, steps_of
from ci_gitops.core.inventory import Inventory, Key, Member, uid_of
from ci_gitops.core.manifests import Manifest
from ci_gitops.core.object_images import named_images
from ci_gitops.core.pruning import remaining
from ci_gitops.core.records import (
    Failure,
    Record,
    killed,
    last_success,
    open_record,
    recovered,
    stamp,
)
from ci_gitops.core.waiting import Graces, Verdict
from ci_gitops.errors import CiGitopsError, RefusedError, TemporaryError, UnhealthyError
from ci_gitops.steps.applying import Applying, in_stages
from ci_gitops.steps.bookkeeping import Book
from ci_gitops.steps.deploy_report import Done, Outcome, before_writing
from ci_gitops.steps.diff_report import Shown, diff_blocks
from ci_gitops.steps.explaining import explain
from ci_gitops.steps.hooking import Hooks
from ci_gitops.steps.judging import Judged, Judging
from ci_gitops.steps.looking import only_allowed
from ci_gitops.steps.planning import Planned
from ci_gitops.steps.site import View
from ci_gitops.steps.undertaking import BrokenError, SupersededError
from ci_gitops.steps.waiting import Clock, Wait, wait_healthy

_LONGEST = 300  # characters of an error


@dataclass(slots=True, kw_only=True)
class Deploying(Judging):
    """One target, brought to what is declared."""

    deadline: Deadline
    pool: Executor
    seen: tuple[str, int] | None = None  # the revision that the inventory keeps, where it is not the deployed one

    def deploy(self) -> Done:
        """Never raises what a person can do something about: that is in what it returns."""
        try:
            return self._passed()
        except RefusedError as error:
            return self._done("refused", message=error.message, error=error)
        except TemporaryError as error:
            return self._done("away", message=error.message, error=error)
        except CiGitopsError as error:
            return self._done("failed", message=error.message, error=error)

    def _passed(self) -> Done:
        view = self.site.view(self.target)
        judged = self.judge(view)
        if judged.done:
            self._close_what_was_killed(view)
            return self._close_what_recovered(view, judged) or judged.done
        if self.orders.dry_run:
            blocks = diff_blocks(Shown(judged.planned.plan, judged.planned.compared), self.site.placeholders)
            return replace(self._done("planned", health=self._health(view)), blocks=tuple(blocks))
        self.site.preflight.check(self.target, judged.work, judged.planned.hooks, view.inventory.namespace)
        self.site.ensure_namespace([view.inventory.namespace, self.site.cluster.namespace])
        with self.site.ledger.writing(self.target) as writer:
            if self._has_changed(view):
                self.run.output.step(f"{self.target}: another run was here meanwhile; looking again")
                view = self.site.look_again(self.target)
                judged = self.judge(view)
                if judged.done:
                    return judged.done
            return self._undertake(writer, view, judged)

    def _has_changed(self, view: View) -> bool:
        """Whether another run wrote since: it may have failed with what we bring, or gone further than we saw."""
        ledger = self.site.ledger
        kept = ledger.inventory(self.target).resource_version
        return kept != view.inventory.resource_version or ledger.records(self.target) != view.records

    def _close_what_was_killed(self, view: View) -> None:
        """Records of runs that are gone, where nothing is left to do for them. A run that is alive is left alone."""
        site = self.site
        if self.orders.dry_run or not site.cluster.alive or not left_open(view.records):
            return
        try:
            with site.ledger.writing(self.target, patient=False):
                for record in left_open(site.ledger.records(self.target)):
                    site.ledger.write(killed(record, datetime.now(UTC)))
        except TemporaryError as error:
            self.run.output.detail(error.message)

    def _close_what_recovered(self, view: View, judged: Judged) -> Done | None:
        """A revision that failed, or that nobody waited for, and is found as declared and healthy."""
        record = mark(view.records, view.prepared.rendered)
        if record is None or not may_recover(record):
            record = unwaited(view.records, view.prepared.rendered) if self.orders.wait else None
        if record is None or judged.planned.work or judged.planned.troubles:
            return None
        health = self._health(view)
        if health is None or health.status != "healthy" or self.orders.dry_run:
            return None
        if any(each.end != "passed" for each in self.orders.checks(self.deadline)):
            return None
        closed = self.site.ledger.write(recovered(record, datetime.now(UTC), health))
        return self._done("recovered", record=closed, health=health)

    # Doing it

    def _undertake(self, writer: Writer, view: View, judged: Judged) -> Done:
        ledger = self.site.ledger
        now = datetime.now(UTC)
        records = [ledger.write(killed(each, now)) if not each.closed else each for each in view.records]
        self._say(judged.planned)
        self._make_plan_key(view)
        rendered = view.prepared.rendered
        opened = open_record(
            view.inventory, records, now=now, revision=self.orders.revision, rendered=rendered, cause=judged.cause,
            origin=self.orders.origin,
        )  # fmt: skip
        book = Book(ledger, replace(
            opened, images=_images(view.prepared.documents), summary={**judged.planned.plan.summary},
            plan=judged.planned.plan.hash, sandbox=self.orders.sandbox,
        ))  # fmt: skip
        if judged.cause == "deploy":
            self.orders.began(book.record, records)
        try:
            return self._carried_out(writer, view, judged, records, book)
        except BaseException as error:
            if not book.record.closed:
                self._close(book, "failed", failure=Failure("trouble", _said(error)))
            raise

    def _carried_out(self, writer: Writer, view: View, judged: Judged, records: Sequence[Record], book: Book) -> Done:
        cluster = bounded(self.site.cluster, only_allowed(self.site, self.target, self.orders.bounds))
        inventory = self._announced(view)
        attempt = attempt_of(view.prepared.rendered, records)
        hooks = Hooks(
            self.run, cluster, book, attempt, remembered(view.prepared.rendered, records), self.deadline,
            rerun=self.orders.rerun_hooks, retry=self.orders.retry,
        )  # fmt: skip
        hooked = judged.cause == "deploy" and (judged.decision.new or self.orders.rerun_hooks)
        wanted = view.prepared if hooked else replace(view.prepared, hooks=())
        steps = steps_of(wanted, attempt, installing=last_success(records) is None)
        applying = Applying(
            self.run, cluster, str(self.target),
            {each.key: each for each in judged.work if each.operation != "delete"},
            in_stages([each for each in judged.work if each.operation == "delete"]),
            hooks, writer, lambda documents: self._wait(view, applying, documents), self.pool, self.deadline,
            awaits=self.orders.wait,
        )  # fmt: skip
        try:
            health = applying.carry_out(steps)
            writer.check()
            if applying.awaits and cluster.alive:
                self._check()
        except BrokenError as broken:
            return self._broken(broken, applying, steps, book, view, judged, inventory)
        except SupersededError as newer:
            self._keep(inventory, view, judged, applying)
            record = self._close(book, "superseded")
            return self._done("superseded", record=record, message=newer.message)
        except CiGitopsError as error:
            away = BrokenError(Failure("trouble", error.message), error=error)
            return self._broken(away, applying, steps, book, view, judged, inventory)
        hooks.clear()
        kept = self._keep(inventory, view, judged, applying)
        record = self._close(book, "succeeded" if health else "applied", health=health)
        if view.gone and not kept.members:
            self.site.ledger.drop(kept)
        outcome: Outcome = "healed" if judged.cause == "heal" else "succeeded" if health else "applied"
        return self._done(outcome, record=record, health=health)

    def _wait(self, view: View, applying: Applying, documents: Sequence[Document]) -> Health:
        """BrokenError where they do not get healthy."""
        keys = [Key.of(document) for document in documents]
        there = [applying.applied.get(key) or view.live.get(key) or document
                 for key, document in zip(keys, documents, strict=True)]  # fmt: skip
        verdict = wait_healthy(
            self.run, self.site.cluster, there,
            Wait(name=str(self.target), deadline=self.deadline.end, rules=self.orders.health,
                 changed=frozenset(applying.applied), superseded=applying.writer.superseded,
                 clock=Clock(self.deadline.now), graces=Graces.at(self.site.cluster.pace)),
        )  # fmt: skip
        return self._judged_health(verdict, {Key.of(document): document for document in there})

    def _judged_health(self, verdict: Verdict, documents: Mapping[Key, Document]) -> Health:
        health = Health(verdict.status, verdict.message)
        if verdict.ok:
            return health
        if verdict.end == "superseded":
            raise SupersededError(verdict.message)
        blocking = verdict.blocking
        failure = Failure(
            "degraded" if verdict.end == "failed" else "trouble",
            verdict.message,
            str(blocking[0].key) if blocking else None,
        )
        blamed = tuple(documents[each.key] for each in blocking if each.key in documents)
        raise BrokenError(
            failure, late=verdict.end == "deadline", blamed=blamed, health=health,
            details=tuple(each.sentence for each in blocking),
        )  # fmt: skip

    def _check(self) -> None:
        """Whether the application works; BrokenError where it does not."""
        bad = [each for each in self.orders.checks(self.deadline) if each.end != "passed"]
        if not bad:
            return
        failed = [each for each in bad if each.end == "failed"]
        first = (failed or bad)[0]
        raise BrokenError(
            Failure("check" if failed else "trouble", f"Check {first.address}: {first.message}."), late=not failed,
            health=Health("degraded" if failed else "progressing", f"Check {first.address}: {first.message}."),
            details=tuple(each.line for each in bad),
        )  # fmt: skip

    def _explained(self, broken: BrokenError) -> tuple[str, ...]:
        """What a person needs to know of the objects that are to blame: causes, events, logs, what to do."""
        if not broken.blamed:
            return ()
        found = explain(self.site.cluster, broken.blamed, rules=self.orders.health)
        return tuple(line for trouble in found for line in trouble_lines(trouble))

    def _broken(
        self, broken: BrokenError, applying: Applying, steps: Sequence[Step], book: Book, view: View, judged: Judged,
        inventory: Inventory,
    ) -> Done:  # fmt: skip
        failure = broken.failure
        explained = self._explained(broken)
        is_away = isinstance(broken.error, TemporaryError)
        troubles = [] if is_away or broken.late else applying.fail(steps)
        if troubles:
            failure = replace(failure, message=" ".join([failure.message, "SyncFail:", *troubles]))
            explained += tuple(f"SyncFail: {each}" for each in troubles) if explained else ()
        applying.hooks.clear()
        self._keep(inventory, view, judged, applying)
        record = self._close(book, "failed", failure=failure, health=broken.health)
        error = broken.error or UnhealthyError(f"{self.target}: {_gist(failure.message)}", hint=_next_step(failure))
        outcome: Outcome = "unhealthy" if error.exit_code == 4 else "away" if error.exit_code == 75 else "failed"
        done = replace(
            self._done(
                outcome, record=record, health=broken.health, message=failure.message,
                details=explained or broken.details, error=error,
            ),
            explained=bool(explained),
            written=len(applying.applied) + len(applying.removed),
        )  # fmt: skip
        if self.orders.roll_back and record.marks and judged.cause == "deploy":
            return self._rolled_back(done, applying.writer, record, judged.records)
        return done

    def _rolled_back(self, failed: Done, writer: Writer, bad: Record, records: Sequence[Record]) -> Done:
        """The last good revision again, with as much time as the run had; then Git is told."""
        good = last_success(records)
        if good is None or good.rendered == bad.rendered or self.past is None:
            return replace(failed, details=(*failed.details, "Nothing to go back to: no earlier deployment succeeded."))
        manifests = self.past(good)
        if not manifests:
            words = (
                f"{good.revision[:12]}, the last good revision, cannot be rendered any more; nothing was rolled back."
            )
            return replace(failed, details=(*failed.details, words))
        self.run.output.warn(f"{self.target}: {bad.revision[:12]} failed; going back to {good.revision[:12]}")
        ours = self.orders.origin
        origin = replace(good.origin, actor=ours.actor, pipeline=ours.pipeline)
        orders = replace(
            self.orders, revision=good.revision, origin=origin, roll_back=False, checks=lambda deadline: ()
        )  # fmt: skip
        again = Deploying(
            run=self.run, site=self.site, target=self.target, orders=orders, terms=self.terms, rules=self.rules,
            holds=self.holds, deadline=Deadline.after(self.orders.rollback_seconds), pool=self.pool,
            seen=(self.orders.revision, self.orders.time),
        )  # fmt: skip
        back = again.back_to(writer, manifests)
        words = (
            f"Rolled back to {good.revision[:12]}: {back.outcome}."
            if back.error is None
            else f"Going back to {good.revision[:12]} failed as well: {back.message}"
        )
        told = self.orders.revert(good, bad) if back.error is None else ()
        return replace(
            failed, details=(*failed.details, words, *told), health=back.health or failed.health,
            restored=back.error is None,
        )  # fmt: skip

    def back_to(self, writer: Writer, manifests: Sequence[Manifest]) -> Done:
        """Apply an earlier revision's manifests, under a Lease that is held. No hooks run."""
        try:
            view = self.site.look_again(self.target, manifests)
            left = self._leaving(view)
            planned = self._planned(view, left)
            if planned.troubles:
                return self._stopped(planned.troubles)
            judged = Judged(planned, left, Decision("apply", False), None, planned.work, "rollback", view.records)
            return self._undertake(writer, view, judged)
        except CiGitopsError as error:
            return self._done("failed", message=error.message, error=error)

    def _say(self, planned: Planned) -> None:
        """What is about to be written, before it is."""
        output = self.run.output
        text = before_writing(planned, self.site.placeholders) if output.verbosity >= 0 else ""
        if text:
            output.note(f"{self.target}:\n{text}")

    # What is kept

    def _announced(self, view: View) -> Inventory:
        """The inventory with everything that is about to be applied, before the first write: nothing is orphaned."""
        held = {member.key: member for member in view.inventory.members}
        for document in view.prepared.documents:
            key = Key.of(document)
            held.setdefault(key, Member(key, _version(document)))
        wanted = tuple(sorted(held.values()))
        orders, known = self.orders, view.inventory
        # The revision too: nothing older may come after a run that was killed half-way.
        announced = replace(known, members=wanted, revision=orders.revision, time=orders.time)
        if announced == replace(known, members=tuple(sorted(known.members))) and known.resource_version:
            return known
        return self.site.ledger.keep(announced)

    def _keep(self, inventory: Inventory, view: View, judged: Judged, applying: Applying) -> Inventory:
        """What the target holds now, written down."""
        members = []
        for document in view.prepared.documents:
            key = Key.of(document)
            live = applying.applied.get(key) or view.live.get(key)
            members.append(Member(key, _version(document), uid_of(live or {})))
        kept = remaining(inventory, members, judged.left, applying.removed)
        revision, time = self.seen or (self.orders.revision, self.orders.time)
        kept = replace(kept, revision=revision, time=time)
        return self.site.ledger.keep(kept) if kept != inventory else inventory

    def _make_plan_key(self, view: View) -> None:
        if any(document.get("kind") == "Secret" for document in view.prepared.documents):
            self.site.ledger.plan_key(make=True)

    def _close(
        self, book: Book, outcome: str, *, failure: Failure | None = None, health: Health | None = None
    ) -> Record:
        return book.note(outcome=outcome, finished=stamp(datetime.now(UTC)), failure=failure, health=health)


def _images(documents: Sequence[Document]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(image for document in documents for image in named_images(document)))


def _version(document: Document) -> str:
    return str(document["apiVersion"]).rpartition("/")[2]


def _said(error: BaseException) -> str:
    if isinstance(error, CiGitopsError):
        return error.message
    return "The run was interrupted." if isinstance(error, KeyboardInterrupt) else f"A bug: {error!r}"


def _gist(message: str) -> str:
    """Servers repeat themselves; the result and the record have all of it."""
    return message if len(message) <= _LONGEST else f"{message[: _LONGEST - 2].rstrip()} …"


def _next_step(failure: Failure) -> str | None:
    if failure.kind == "trouble":
        return "The next pass goes on with it."
    return "It is not tried again by itself: change what Git declares, or pass --retry."
