"""Which cluster and as whom: contexts, files, plug-ins, providers, the pod's account; always verified."""

from __future__ import annotations

import base64
import json
import os
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import jwt
import pytest
import trustme
import yaml

from ci_gitops import masking
from ci_gitops.adapters.cluster import kubernetes_login
from ci_gitops.adapters.cluster.base import Resource
from ci_gitops.adapters.cluster.kubernetes import Access, Kubernetes
from ci_gitops.adapters.cluster.kubernetes_login import Login
from ci_gitops.errors import CiGitopsError, ClusterError, SettingsError
from tests.rig.cluster import Cluster
from tests.rig.fault_proxy import FaultProxy, answers, fault_proxy

MAPS = Resource("", "v1", "ConfigMap", "configmaps", True)
SOMEWHERE = "clusters: [{name: c, cluster: {server: 'http://x'}}]\n"
AGENT = "acme/config:production"


def written(folder: Path, *contexts: str, name: str = "kubeconfig", current: str | None = None, **user: Any) -> Path:
    """A kubeconfig of contexts that all have one cluster and one user."""
    path = folder / name
    path.write_text(yaml.safe_dump({
        "apiVersion": "v1", "kind": "Config", **({"current-context": current} if current else {}),
        "clusters": [{"name": "c", "cluster": {"server": "http://127.0.0.1:1"}}],
        "users": [{"name": "u", "user": user}],
        "contexts": [
            {"name": each, "context": {"cluster": "c", "user": "u", "namespace": f"of-{each[:4]}"}} for each in contexts
        ],
    }))  # fmt: skip
    return path


def header(path: Path, **environ: str) -> str | None:
    login = Login(Access(None, str(path), environ))
    return login.grant().headers.get("Authorization")


# Contexts


def test_the_current_context_and_another(tmp_path: Path) -> None:
    path = written(tmp_path, "staging", "production", current="staging", token="t")
    assert Login(Access(None, str(path))).namespace == "of-stag"
    login = Login(Access("production", str(path)))
    assert (login.namespace, login.cluster) == ("of-prod", "cluster production")


@pytest.mark.parametrize(
    ("asked", "hint"),
    [("prodution", "Did you mean 'production'"), ("acme/confg:production", f"Did you mean '{AGENT}'")],
)
def test_a_misspelt_context_gets_near_matches(tmp_path: Path, asked: str, hint: str) -> None:
    path = written(tmp_path, "staging", "production", AGENT)
    with pytest.raises(SettingsError, match=f"has no context '{asked}'") as caught:
        Login(Access(asked, str(path)))
    assert hint in str(caught.value.hint)


def test_an_agents_kubeconfig_has_no_current_context(tmp_path: Path) -> None:
    """GitLab writes one context for each agent and chooses none."""
    path = written(tmp_path, AGENT, "acme/config:staging", token="t")
    with pytest.raises(SettingsError, match="has no current context") as caught:
        Login(Access.from_environ({"KUBECONFIG": str(path)}))
    assert f"There are: {AGENT}, acme/config:staging" in str(caught.value.hint)
    assert Login(Access.from_environ({"KUBECONFIG": str(path)}, context=AGENT)).cluster == f"cluster {AGENT}"


def test_several_files_are_one(tmp_path: Path) -> None:
    first = written(tmp_path, "staging", current="staging", token="of-the-first")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "second").write_text(
        "contexts: [{name: production, context: {cluster: c, user: file}}]\n"
        "users: [{name: file, user: {tokenFile: token}}]\n"
    )
    (tmp_path / "other" / "token").write_text("of-the-file\n")
    paths = f"{first}:{tmp_path / 'absent'}:{tmp_path / 'other' / 'second'}"
    assert Login(Access("production", paths)).grant().headers["Authorization"] == "Bearer of-the-file"
    assert Login(Access("staging", paths)).grant().headers["Authorization"] == "Bearer of-the-first"


def test_the_home_folders_kubeconfig(tmp_path: Path) -> None:
    (tmp_path / ".kube").mkdir()
    written(tmp_path / ".kube", "home", name="config", current="home", token="t")
    assert Login(Access.from_environ({"HOME": str(tmp_path)})).cluster == "cluster home"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("a: [", "while parsing"),
        ("", "is empty"),
        ("just text", "str"),
        ("contexts: [{name: a, context: {cluster: c}}]\ncurrent-context: a\n", "The cluster 'c' of context a"),
        ("contexts: [{name: a, context: {cluster: c}}]\nclusters: [{name: c}]\ncurrent-context: a\n", "has no server"),
        (f"contexts: [{{name: a, context: {{cluster: c, user: u}}}}]\n{SOMEWHERE}current-context: a\n", "The user 'u'"),
    ],
)
def test_a_file_that_cannot_be_used(tmp_path: Path, content: str, said: str) -> None:
    path = tmp_path / "kubeconfig"
    path.write_text(content)
    with pytest.raises(SettingsError, match=said) as caught:
        Login(Access(None, str(path)))
    assert str(path) in caught.value.message


def test_no_file_and_no_pod(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="There is no kubeconfig at"):
        Login(Access(None, str(tmp_path / "absent")))
    with pytest.raises(SettingsError, match="no kubeconfig, and this is no pod"):
        Login(Access.from_environ({"HOME": str(tmp_path)}))
    with pytest.raises(SettingsError, match="no kubeconfig, and this is no pod"):
        Login(Access.from_environ({"HOME": str(tmp_path)}, context="in-cluster"))
    with pytest.raises(
        SettingsError, match="There is no kubeconfig at"
    ) as caught:  # another cluster than ours is meant
        Login(Access.from_environ({"HOME": str(tmp_path)}, context="production"))
    assert "--context in-cluster" in (caught.value.hint or "")


def test_a_variable_that_is_no_file_shows_nothing_of_it() -> None:
    with pytest.raises(SettingsError, match="holds a kubeconfig's text") as caught:
        Login(Access.from_environ({"KUBECONFIG": "apiVersion: v1\nusers: [{name: a, user: {token: very-secret}}]\n"}))
    assert "very-secret" not in caught.value.message
    assert "type File" in str(caught.value.hint)


# Credentials


def test_kinds_of_credentials(tmp_path: Path) -> None:
    assert header(written(tmp_path, "a", current="a")) is None
    assert header(written(tmp_path, "a", current="a", token="secret-token")) == "Bearer secret-token"
    assert masking.mask("it is secret-token!") == "it is [masked]!"
    basic = header(written(tmp_path, "a", current="a", username="alice", password="rabbit-hole"))
    assert basic == "Basic " + base64.b64encode(b"alice:rabbit-hole").decode()


def test_a_tokens_file_is_read_again(tmp_path: Path) -> None:
    now = [0.0]
    (tmp_path / "token").write_text("first\n")
    path = written(tmp_path, "a", current="a", tokenFile="token", token="older")
    login = Login(Access(None, str(path)), clock=lambda: now[0])
    first = login.grant()
    (tmp_path / "token").write_text("second\n")
    assert login.grant() is first
    now[0] = 61
    assert login.grant().headers["Authorization"] == "Bearer second"
    assert login.grant().pool is first.pool  # the connections go on


def plugin(folder: Path, script: str, **more: Any) -> dict[str, Any]:
    program = folder / "plugin"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return {"command": "./plugin", "apiVersion": "client.authentication.k8s.io/v1", **more}


def credential(status: Mapping[str, Any]) -> str:
    answer = {"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": status}
    return f"cat <<'END'\n{json.dumps(answer)}\nEND"


def test_a_plug_in_gives_the_token(tmp_path: Path) -> None:
    script = 'echo "$KUBERNETES_EXEC_INFO" > info; echo "$1 $EXTRA $OUTER" >> info\n' + credential({"token": "minted"})
    made = plugin(tmp_path, f"cd {tmp_path}\n{script}", args=["get-token"], env=[{"name": "EXTRA", "value": "more"}])
    assert header(written(tmp_path, "a", current="a", exec=made), OUTER="outer", PATH=os.environ["PATH"]) == (
        "Bearer minted"
    )
    info, arguments = (tmp_path / "info").read_text().splitlines()
    assert json.loads(info)["kind"] == "ExecCredential"
    assert arguments == "get-token more outer"
    assert masking.mask("minted") == "[masked]"


def test_a_plug_in_is_told_the_cluster_where_it_asks_for_it(tmp_path: Path) -> None:
    script = 'echo "$KUBERNETES_EXEC_INFO" > info\n' + credential({"token": "minted"})
    made = plugin(tmp_path, f"cd {tmp_path}\n{script}", provideClusterInfo=True)
    path = written(tmp_path, "a", current="a", exec=made)
    config = yaml.safe_load(path.read_text())
    extension = {"name": "client.authentication.k8s.io/exec", "extension": {"audience": "us"}}
    config["clusters"][0]["cluster"] |= {"certificate-authority": "ca.pem", "extensions": [extension]}
    path.write_text(yaml.safe_dump(config))
    (tmp_path / "ca.pem").write_text("authority")
    assert header(path, PATH=os.environ["PATH"]) == "Bearer minted"
    assert json.loads((tmp_path / "info").read_text())["spec"]["cluster"] == {
        "server": "http://127.0.0.1:1", "certificate-authority-data": base64.b64encode(b"authority").decode(),
        "config": {"audience": "us"},
    }  # fmt: skip


def test_a_plug_ins_token_is_had_anew_before_it_ends(tmp_path: Path) -> None:
    now = [time.time()]
    end = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now[0] + 600))
    script = f"echo x >> {tmp_path}/calls\n" + credential({"token": "minted", "expirationTimestamp": end})
    path = written(tmp_path, "a", current="a", exec=plugin(tmp_path, script))
    login = Login(Access(None, str(path), {"PATH": os.environ["PATH"]}), clock=lambda: now[0])
    began = now[0]
    for later, calls in ((0, 1), (500, 1), (545, 2)):
        now[0] = began + later
        login.grant()
        assert (tmp_path / "calls").read_text().count("x") == calls


@pytest.mark.parametrize(
    ("script", "said", "hint"),
    [
        ("echo 'no session, log in' >&2; exit 3", r"failed \(3\): no session, log in", "Get it from the shop"),
        ("echo nonsense", "answered without a credential", "ExecCredential of client.authentication"),
        (credential({}), "answered without a credential", "ExecCredential of client.authentication"),
    ],
)
def test_a_plug_in_that_fails_says_why(tmp_path: Path, script: str, said: str, hint: str) -> None:
    made = plugin(tmp_path, script, installHint="Get it from the shop")
    with pytest.raises(CiGitopsError, match=said) as caught:
        header(written(tmp_path, "a", current="a", exec=made), PATH=os.environ["PATH"])
    assert hint in str(caught.value.hint)


def test_a_plug_in_that_is_not_there_or_asks(tmp_path: Path) -> None:
    absent = {"command": "no-such-plugin", "apiVersion": "client.authentication.k8s.io/v1"}
    with pytest.raises(CiGitopsError, match="no-such-plugin"):
        header(written(tmp_path, "a", current="a", exec=absent), PATH="/nowhere")
    asking = plugin(tmp_path, "exit 0", interactiveMode="Always")
    with pytest.raises(CiGitopsError, match="wants a person"):
        header(written(tmp_path, "a", current="a", exec=asking))


def test_acting_as_somebody_else(cluster: Cluster, tmp_path: Path) -> None:
    """kubectl obeys these; leaving them out would act with more rights than was asked for."""
    config = yaml.safe_load(cluster.kubeconfig.read_text())
    config["users"][0]["user"] |= {"as": "alice", "as-groups": ["team-a", "team-b"], "as-user-extra": {"reason": ["x"]}}
    path = tmp_path / "kubeconfig"
    path.write_text(json.dumps(config))
    made = Kubernetes(Access(None, str(path)), None)
    review = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview", "metadata": {}}
    answer = made._json("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", body=review)
    made.close()
    user = answer["status"]["userInfo"]
    assert user["username"] == "alice"
    assert set(user["groups"]) == {"team-a", "team-b", "system:authenticated"}
    assert user["extra"] == {"reason": ["x"]}


# Certificates


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def secure(cluster: Cluster, authority: trustme.CA) -> Iterator[FaultProxy]:
    """An API server behind a certificate of our own, which asks clients for theirs and needs none."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("api.example.com").configure_cert(context)
    authority.configure_trust(context)
    context.verify_mode = ssl.CERT_OPTIONAL
    context.maximum_version = ssl.TLSVersion.TLSv1_2  # with 1.3 its alert may be lost behind the end of the connection
    with fault_proxy(cluster.kubeconfig, context) as proxy:
        yield proxy


def data(*parts: trustme.Blob) -> str:
    return base64.b64encode(b"".join(part.bytes() for part in parts)).decode()


def listed(path: Path, context: str | None = None) -> None:
    waits: list[float] = []
    made = Kubernetes(Access(context, str(path)), "default", wait=waits.append)
    try:
        made.list(MAPS, "default", fields="metadata.name=x")
    finally:
        made.close()
        assert waits == []  # a wrong certificate does not become right


def test_a_certificate_of_the_clusters_own_authority(secure: FaultProxy, authority: trustme.CA, tmp_path: Path) -> None:
    trusted = {"certificate-authority-data": data(authority.cert_pem), "tls-server-name": "api.example.com"}
    listed(secure.kubeconfig(tmp_path, **trusted))
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    relative = {"certificate-authority": "ca.pem", "tls-server-name": "api.example.com"}
    listed(secure.kubeconfig(tmp_path, **relative))


@pytest.mark.parametrize("name", ["other.example.com", None])
def test_a_certificate_for_another_name(
    secure: FaultProxy, authority: trustme.CA, tmp_path: Path, name: str | None
) -> None:
    trusted = {"certificate-authority-data": data(authority.cert_pem), **({"tls-server-name": name} if name else {})}
    with pytest.raises(ClusterError, match="is not trusted") as caught:
        listed(secure.kubeconfig(tmp_path, **trusted))
    assert "mismatch" in caught.value.message


def test_a_certificate_of_nobody(secure: FaultProxy, tmp_path: Path) -> None:
    with pytest.raises(ClusterError, match=r"the certificate of https://\S+ is not trusted: .*verify failed") as caught:
        listed(secure.kubeconfig(tmp_path, **{"tls-server-name": "api.example.com"}))
    assert "certificate-authority-data" in str(caught.value.hint)


def test_unverified_only_where_the_kubeconfig_says_so(secure: FaultProxy, tmp_path: Path) -> None:
    listed(secure.kubeconfig(tmp_path, **{"insecure-skip-tls-verify": True}))


def test_a_clients_certificate_and_no_key_left_behind(
    secure: FaultProxy, authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "scratch").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "scratch"))
    client = authority.issue_cert("alice@example.com")
    user = {
        "client-certificate-data": data(*client.cert_chain_pems),
        "client-key-data": data(client.private_key_pem),
    }
    trusted = {"certificate-authority-data": data(authority.cert_pem), "tls-server-name": "api.example.com"}
    path = secure.kubeconfig(tmp_path, user, **trusted)
    listed(path)
    assert list((tmp_path / "scratch").iterdir()) == []
    stranger = trustme.CA().issue_cert("mallory@example.com")
    user["client-certificate-data"] = data(*stranger.cert_chain_pems)
    user["client-key-data"] = data(stranger.private_key_pem)
    made = Kubernetes(Access(None, str(secure.kubeconfig(tmp_path, user, **trusted))), "x", wait=lambda _: None)
    with pytest.raises(ClusterError, match="does not accept the client certificate of context faulty") as caught:
        made.list(MAPS, "default")
    assert "unknown ca" in caught.value.message
    made.close()


# A provider of OpenID Connect


class Provider(BaseHTTPRequestHandler):
    refreshes: list[str]
    token: str

    def do_GET(self) -> None:
        self._send({"token_endpoint": f"https://127.0.0.1:{self.server.server_port}/token"})  # type: ignore[attr-defined]

    def do_POST(self) -> None:
        self.refreshes.append(self.rfile.read(int(self.headers["Content-Length"])).decode())
        self._send({"id_token": self.token, "refresh_token": "next", "access_token": "a", "token_type": "bearer"})

    def _send(self, document: Mapping[str, str]) -> None:
        body = json.dumps(document).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        pass


def id_token(name: str, seconds: float) -> str:
    return jwt.encode({"sub": name, "exp": int(time.time() + seconds)}, "k" * 32, algorithm="HS256")


@pytest.fixture
def provider(authority: trustme.CA) -> Iterator[tuple[str, type[Provider]]]:
    made = type("Made", (Provider,), {"refreshes": [], "token": id_token("new", 3600)})
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    with ThreadingHTTPServer(("127.0.0.1", 0), made) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield f"https://127.0.0.1:{server.server_port}", made
        server.shutdown()
        thread.join()


def oidc(url: str, token: str, **more: str) -> dict[str, Any]:
    config = {"idp-issuer-url": url, "client-id": "us", "client-secret": "hush-hush", "refresh-token": "before",
              "id-token": token, **more}  # fmt: skip
    return {"auth-provider": {"name": "oidc", "config": config}}


def test_a_providers_token_is_refreshed_when_it_ran_out(
    provider: tuple[str, type[Provider]], authority: trustme.CA, tmp_path: Path
) -> None:
    url, made = provider
    trust = {"idp-certificate-authority-data": data(authority.cert_pem)}
    fresh = id_token("old", 3600)
    assert header(written(tmp_path, "a", current="a", **oidc(url, fresh, **trust))) == f"Bearer {fresh}"
    assert made.refreshes == []
    old = written(tmp_path, "a", current="a", **oidc(url, id_token("old", -10), **trust))
    assert header(old) == f"Bearer {made.token}"
    assert "refresh_token=before" in made.refreshes[0]


def test_a_provider_is_never_asked_unverified(provider: tuple[str, type[Provider]], tmp_path: Path) -> None:
    url, made = provider
    with pytest.raises(SettingsError, match=r"(?i)certificate|SSL"):
        header(written(tmp_path, "a", current="a", **oidc(url, id_token("old", -10))))
    assert made.refreshes == []


# The pod's account, and what it may not


@pytest.fixture
def account(cluster: Cluster, namespace: str) -> str:
    """A token of an account that may list ConfigMaps of its namespace, and nothing else."""
    for arguments in (
        ("create", "serviceaccount", "robot"),
        ("create", "role", "robot", "--verb=list", "--resource=configmaps"),
        ("create", "rolebinding", "robot", "--role=robot", f"--serviceaccount={namespace}:robot"),
    ):
        cluster.kubectl("-n", namespace, *arguments)
    return cluster.kubectl("-n", namespace, "create", "token", "robot").strip()


def test_the_account_of_the_pod(
    cluster: Cluster, namespace: str, account: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    grant = Login(Access(None, str(cluster.kubeconfig))).grant()
    monkeypatch.setattr(kubernetes_login, "_POD", tmp_path)
    (tmp_path / "namespace").write_text(namespace)
    (tmp_path / "token").write_text("not-yet")
    config = yaml.safe_load(cluster.kubeconfig.read_text())["clusters"][0]["cluster"]
    held = config.get("certificate-authority-data")
    found = base64.b64decode(held) if held else Path(config["certificate-authority"]).read_bytes()
    (tmp_path / "ca.crt").write_bytes(found)
    host, _, port = grant.host.removeprefix("https://").rpartition(":")
    environ = {"HOME": str(tmp_path), "KUBERNETES_SERVICE_HOST": host, "KUBERNETES_SERVICE_PORT": port}
    made = Kubernetes(Access.from_environ(environ), None)
    assert (made.namespace, str(made)) == (namespace, "cluster of this pod")
    with pytest.raises(ClusterError, match="does not accept the credentials of the pod's account"):
        made.list(MAPS, namespace)
    (tmp_path / "token").write_text(account)  # as the kubelet replaces it
    assert made.list(MAPS, namespace).resource_version
    made.close()


def test_what_is_not_allowed_is_named(proxy_less: Kubernetes, namespace: str) -> None:
    secrets = Resource("", "v1", "Secret", "secrets", True)
    with pytest.raises(ClusterError) as caught:
        proxy_less.list(secrets, namespace)
    for word in (f'User "system:serviceaccount:{namespace}:robot"', 'cannot list resource "secrets"', namespace):
        assert word in caught.value.message
    assert "ci-gitops rbac" in str(caught.value.hint)
    assert proxy_less.list(MAPS, namespace).resource_version


@pytest.fixture
def proxy_less(cluster: Cluster, account: str, tmp_path: Path) -> Iterator[Kubernetes]:
    """The adapter with the account's token."""
    config = yaml.safe_load(cluster.kubeconfig.read_text())
    config["users"][0]["user"] = {"token": account}
    path = tmp_path / "kubeconfig"
    path.write_text(json.dumps(config))
    made = Kubernetes(Access(None, str(path)), None)
    yield made
    made.close()


def test_a_token_that_ran_out_is_had_anew_in_the_middle(cluster: Cluster, tmp_path: Path) -> None:
    script = f"echo x >> {tmp_path}/calls\n" + credential({"token": "minted"})
    with fault_proxy(cluster.kubeconfig) as proxy:
        path = proxy.kubeconfig(tmp_path, {"exec": plugin(tmp_path, script)})
        made = Kubernetes(Access(None, str(path), {"PATH": os.environ["PATH"]}), "default")
        made.list(MAPS, "default")
        proxy.plan("GET", answers(401))
        assert made.list(MAPS, "default").resource_version
        made.close()
    assert (tmp_path / "calls").read_text().count("x") == 2
