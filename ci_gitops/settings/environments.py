"""Settings of an environment: where it is written and deployed, under which rules and behind which gates."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, GetJsonSchemaHandler, model_validator
from pydantic.json_schema import JsonSchemaValue

from ci_gitops.core.messages import DEFAULT_SUBJECT, SUBJECT_FIELDS
from ci_gitops.core.windows import HOURS, HOURS_EXPECTED, parse_when
from ci_gitops.settings.values import (
    PLACES,
    Address,
    Branch,
    Duration,
    Expression,
    Form,
    HealthMessage,
    InnerPath,
    KeyPlace,
    Line,
    Lines,
    Model,
    Name,
    Place,
    TimeZone,
    WebAddress,
    Word,
    holding,
)

Write = Literal["push", "merge-request"]
Merge = Literal["manual", "when-green", "now"]
NamespaceTemplate = Annotated[
    str, Form(r"[a-z0-9{]([a-z0-9{}-]*[a-z0-9}])?", "a namespace, which may hold {name}"), holding("name")
]
CommitTemplate = Annotated[Line, holding(*SUBJECT_FIELDS)]
FullHash = Annotated[str, Form(r"[0-9a-f]{40}([0-9a-f]{24})?", "a full commit hash of 40 or 64 hexadecimal digits")]
#: The form alone, for editors; what it means is read by `core/windows`.
_CRON = r"\S+( +\S+){4}"
When = Annotated[
    str,
    Form(rf"{HOURS}|{_CRON}", f"{HOURS_EXPECTED}, or a cron line of five fields such as '0 9 * * Mon-Fri'"),
]


class RepositoryPlace(Model):
    """A config repository, and what of it counts."""

    url: Address | None = Field(None, description="Its address. Default: the repository that holds this file.")
    branch: Branch | None = Field(None, description="The branch. Default: the remote's default branch.")
    tag: Branch | None = Field(None, description="Deploy the newest tag that fits, such as v*, instead of a branch.")
    commit: FullHash | None = Field(
        None, description="Deploy exactly this commit, by its full hash, instead of a branch."
    )

    @model_validator(mode="after")
    def _one_revision(self) -> RepositoryPlace:
        given = [name for name in ("branch", "tag", "commit") if getattr(self, name)]
        if len(given) > 1:
            raise ValueError(f"{' and '.join(given)} exclude each other: keep one")
        return self


class Destination(Model):
    """Where manifests are applied: a Kubernetes cluster, a folder (`dir:`) or a simulated cluster (`simulated:`)."""

    to: Place | None = Field(None, description="dir:PATH, dir:PATH@BRANCH or simulated:PATH instead of a cluster.")
    context: Word | None = Field(
        None, description="The kubeconfig's context. Default: its current one, or the account of the pod."
    )
    namespace: Name | None = Field(None, description="For objects that name none. Default: the context's.")
    prune: bool = Field(False, description="Delete what left Git.")
    drift: Literal["report", "heal"] = Field("report", description="What a pass does about changes made by hand.")

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, value: Any) -> Any:
        return {"to": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _one_place(self) -> Destination:
        if self.to and self.context:
            raise ValueError("to and context exclude each other: keep one")
        return self

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: Any, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        mapping = handler(schema)
        return {"anyOf": [{"type": "string", "pattern": f"^({PLACES})$"}, mapping]}


class Window(Model):
    """A time in which merging is allowed or denied."""

    allow: When | None = Field(
        None, description="Days and hours, such as 'Mon-Fri 09:00-16:00', or a cron line for its begin."
    )
    deny: When | None = Field(None, description="The same; a denial wins.")
    duration: Duration | None = Field(None, description="How long it lasts from each time at which a cron line fires.")
    timezone: TimeZone = Field("UTC", description="The IANA name of the time zone, such as Europe/Berlin.")

    @model_validator(mode="after")
    def _one_way(self) -> Window:
        if bool(self.allow) == bool(self.deny):
            raise ValueError("expected one of allow and deny")
        seconds = None if self.duration is None else int(self.duration.total_seconds())
        parse_when(self.allow or self.deny or "", seconds)
        return self


class Approvals(Model):
    """How many people must approve, and which."""

    count: int = Field(1, ge=0, le=100, description="How many.")
    groups: Lines = Field(
        (), description="Only people of these groups count (GitHub: organisation/team); users may be named, too."
    )

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, value: Any) -> Any:
        if isinstance(value, int) and not isinstance(value, bool):
            if not 0 <= value <= 100:
                raise ValueError(f"expected a number of {'at least 0' if value < 0 else 'at most 100'}, not {value}")
            return {"count": value}
        if isinstance(value, str | bool):
            raise ValueError(f"expected a number, or a mapping with count and groups, not {value!r}")  # noqa: TRY004
        return value

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: Any, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {"anyOf": [{"type": "integer", "minimum": 0, "maximum": 100}, handler(schema)]}


class Gates(Model):
    """Conditions that must hold before a merge request is merged."""

    healthy: bool = Field(False, description="The source environment runs exactly this, and is healthy.")
    soak: Duration | None = Field(None, description="How long it has been healthy there, such as 30m.")
    approvals: Approvals = Field(
        default_factory=lambda: Approvals.model_construct(count=0),
        description="How many people must approve: a number, or a mapping. Default: 0.",
    )
    statuses: Lines = Field((), description="Commit statuses and check runs that must have passed.")
    http: tuple[WebAddress, ...] = Field((), description="Addresses that must answer with 2xx.")
    freeze: bool = Field(False, description="Wait while the forge has a deploy freeze.")
    windows: tuple[Window, ...] = Field((), description="Times in which merging is allowed or denied.")


class Rollback(Model):
    """Rules of the way back."""

    gates: Gates = Field(default_factory=Gates.model_construct, description="Gates of rollbacks. Default: none.")


class Cosign(Model):
    """Whose signature an image must bear."""

    key: KeyPlace | None = Field(
        None, description="The public key: a file of the repository, env://VARIABLE or a KMS address (awskms:// …)."
    )
    identity: Line | None = Field(None, description="For keyless signatures: who signed; `*` stands for any text.")
    issuer: WebAddress | None = Field(None, description="For keyless signatures: who vouched for the signer.")
    tlog: bool = Field(
        True,
        description="The signature must be in the public transparency log. With false, for a key alone, it need not.",
    )

    @model_validator(mode="after")
    def _key_or_identity(self) -> Cosign:
        if bool(self.key) == bool(self.identity or self.issuer):
            raise ValueError("expected either key, or identity and issuer")
        if not self.key and not (self.identity and self.issuer):
            raise ValueError("expected identity and issuer together")
        if not (self.key or self.tlog):
            raise ValueError("expected a key beside tlog: false: an identity is proved by the log")
        return self


class Verify(Model):
    """What an image must prove before it is deployed."""

    cosign: Cosign | None = Field(None, description="Its signature.")


class Check(Model):
    """A question to the application itself, asked when it is healthy."""

    http: WebAddress = Field(description="The address that is asked.")
    expect: int = Field(200, ge=100, le=599, description="The status code that it must answer with.")
    within: Duration = Field("2m", validate_default=True, description="How long it is asked again.")


class Allow(Model):
    """What may be deployed, as patterns; one that begins with `!` denies and wins. An empty list allows everything."""

    kinds: Lines = Field((), description="Kinds, such as Deployment, Role.rbac.authorization.k8s.io or `!Secret`.")
    namespaces: Lines = Field(
        (), description="Namespaces. With it, objects of the whole cluster must be named by `kinds`."
    )
    repositories: Lines = Field((), description="Image repositories, such as registry.example.com/shop/*.")
    hosts: Lines = Field((), description="Hosts that charts may come from. Default: none.")


class HealthRule(Model):
    """How a custom resource's health is read: expressions over the object, failures first."""

    kind: Word = Field(description="The kind of the objects.")
    group: Word | None = Field(None, description="Its API group, such as example.com. Default: any.")
    healthy: Expression | None = Field(None, description="Holds when the object is healthy.")
    degraded: Expression | None = Field(None, description="Holds when the object is degraded.")
    progressing: Expression | None = Field(None, description="Holds when the object is on its way.")
    suspended: Expression | None = Field(None, description="Holds when the object is suspended.")
    message: HealthMessage | None = Field(
        None, description="What to say about it; may hold paths, such as {status.message}."
    )

    @model_validator(mode="after")
    def _says_something(self) -> HealthRule:
        if not (self.healthy or self.degraded or self.progressing or self.suspended):
            raise ValueError("expected at least one of healthy, degraded, progressing and suspended")
        return self


class Commit(Model):
    """The text of commits."""

    subject: CommitTemplate = Field(
        DEFAULT_SUBJECT, description="First line; may hold {environment}, {app} and {summary}."
    )


class Environment(Model):
    """A named stage."""

    model_config = ConfigDict(title="Environment")

    repository: RepositoryPlace | None = Field(
        None, description="A repository of its own, or a branch of its own (branch alone)."
    )
    source_branches: tuple[Branch, ...] = Field(
        (), description="Builds of these branches update this environment; `*` stands for any text."
    )
    write: Write = Field("push", description="How edits get to the branch.")
    merge: Merge = Field("manual", description="Who merges our merge requests.")
    supersede: Literal["latest", "queue", "manual"] = Field(
        "latest", description="What becomes of an open merge request when something newer comes."
    )
    ci: Literal["auto", "required", "optional"] = Field(
        "auto", description="Whether the merge request's pipeline must be green: auto is wherever the project has CI."
    )
    operator: Literal["ci-gitops", "external", "none"] = Field(
        "ci-gitops", description="Who deploys. With external or none, Git alone says what runs."
    )
    sync: Literal["auto", "manual"] = Field(
        "auto", description="With manual a pass only reports until a person names --revision or --plan."
    )
    from_: Name | None = Field(
        None, alias="from", description="Where promotions come from. Default: the environment before it."
    )
    reviewers: Lines = Field((), description="Users and groups that review our merge requests.")
    assignees: Lines = Field((), description="Users that our merge requests are assigned to.")
    labels: Lines = Field((), description="Labels of our merge requests.")
    squash: bool | None = Field(None, description="Squash when merging. Default: the project's setting.")
    remove_source_branch: bool | None = Field(
        None, description="Delete the branch after merging. Default: the project's setting."
    )
    commit: Commit = Field(default_factory=Commit.model_construct, description="The text of commits.")
    gates: Gates = Field(default_factory=Gates.model_construct, description="What must hold before a merge.")
    rollback: Rollback = Field(default_factory=Rollback.model_construct, description="Rules of the way back.")
    verify: Verify = Field(default_factory=Verify.model_construct, description="What images must prove.")
    checks: tuple[Check, ...] = Field((), description="Questions to the application after it is healthy.")
    allow: Allow = Field(default_factory=Allow.model_construct, description="What may be deployed.")
    health: tuple[HealthRule, ...] = Field((), description="Health of custom resources.")
    create_namespace: bool = Field(False, description="Create the destination's namespace where it is missing.")
    address: WebAddress | None = Field(
        None, alias="url", description="Where it can be seen: the forge's page of the environment links to it."
    )
    destination: Destination | None = Field(
        None, description="Where manifests are applied. Default: nowhere, somebody else deploys."
    )


class PreviewDestination(Destination):
    """Where previews are deployed, each to a namespace of its own."""

    namespace: NamespaceTemplate = Field("preview-{name}", description="The namespace of a preview; may hold {name}.")


class Previews(Model):
    """Environments of their own for merge requests."""

    template: Annotated[InnerPath, holding("app")] | None = Field(
        None,
        description="The overlay, or values file, that a preview is made from; may hold {app}. "
        "Default: the app's own path with preview for {environment}.",
    )
    url: Annotated[WebAddress, holding("name", "app")] | None = Field(
        None, description="Where a preview can be seen; may hold {name} and {app}."
    )
    ttl: Duration = Field(
        "7d", validate_default=True, description="How long a preview lives without a change; 0s: for ever."
    )
    from_: Name | None = Field(
        None, alias="from", description="The environment whose images a preview takes. Default: the template's own."
    )
    operator: Literal["ci-gitops", "external", "none"] = Field("ci-gitops", description="Who deploys previews.")
    destination: PreviewDestination | None = Field(
        None, description="Where previews are deployed. Default: nowhere, somebody else deploys."
    )
    create_namespace: bool = Field(False, description="Create a preview's namespace where its template declares none.")
    allow: Allow = Field(default_factory=Allow.model_construct, description="What may be deployed.")
    verify: Verify = Field(default_factory=Verify.model_construct, description="What images must prove.")
    health: tuple[HealthRule, ...] = Field((), description="Health of custom resources.")
