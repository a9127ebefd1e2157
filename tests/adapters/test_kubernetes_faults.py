"""Trouble with an API server: what is tried again, what is not, for how long, and what is said."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from ci_gitops.adapters.cluster import kubernetes
from ci_gitops.adapters.cluster.base import ApiError, Resource
from ci_gitops.adapters.cluster.kubernetes import Access, Kubernetes
from ci_gitops.errors import ClusterError, TemporaryError
from tests.rig.cluster import Cluster
from tests.rig.fault_proxy import (
    FaultProxy,
    Handler,
    answers,
    changed,
    cut,
    fault_proxy,
    lost,
    page,
    stream,
    unheard,
    until,
)

MAPS = Resource("", "v1", "ConfigMap", "configmaps", True)


@pytest.fixture(scope="module")
def direct(cluster: Cluster) -> Iterator[Kubernetes]:
    made = Kubernetes(Access(None, str(cluster.kubeconfig)), None)
    yield made
    made.close()


@pytest.fixture
def namespace(direct: Kubernetes) -> Iterator[str]:
    name = f"faults-{uuid.uuid4().hex[:8]}"
    spaces = direct.resource("v1", "Namespace")
    assert spaces
    direct.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    yield name
    direct.delete(spaces, "", name)


@pytest.fixture(scope="module")
def running(cluster: Cluster) -> Iterator[FaultProxy]:
    with fault_proxy(cluster.kubeconfig) as proxy:
        yield proxy


@pytest.fixture
def proxy(running: FaultProxy) -> Iterator[FaultProxy]:
    yield running
    running._planned.clear()
    running.requests.clear()


class Faulty:
    """The adapter behind the proxy, with what it waited and said."""

    def __init__(self, proxy: FaultProxy, folder: Path, namespace: str, **options: Any) -> None:
        self.proxy = proxy
        self.waits: list[float] = []
        self.told: list[str] = []
        access = Access(None, str(proxy.kubeconfig(folder)))
        options = {"wait": self.waits.append, **options}
        self.cluster = Kubernetes(access, namespace, tell=self.told.append, **options)

    def plan(self, *arguments: Any) -> None:
        self.proxy.plan(*arguments)


@pytest.fixture
def faulty(proxy: FaultProxy, tmp_path: Path, namespace: str) -> Iterator[Faulty]:
    made = Faulty(proxy, tmp_path, namespace)
    assert made.cluster.stale == ()  # discovery is done
    proxy.requests.clear()
    yield made
    made.cluster.close()


def config(name: str = "settings", **data: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


# How patient we are


def test_a_server_that_asks_for_time_gets_it(faulty: Faulty) -> None:
    faulty.plan("PATCH", answers(429, "slow down", "TooManyRequests", Retry_After="7"))
    assert faulty.cluster.apply(config(a="1"))["data"] == {"a": "1"}
    assert faulty.waits == [7]
    assert faulty.told == ["ConfigMap " + f"{faulty.cluster.namespace}/settings: cluster faulty answered 429: slow down"
                           " Try 1 of 3; again in 7 s."]  # fmt: skip


def test_more_than_a_minute_is_not_waited_for(faulty: Faulty) -> None:
    faulty.plan("PATCH", answers(429, "slow down", Retry_After="61"))
    with pytest.raises(TemporaryError, match="429"):
        faulty.cluster.apply(config(a="1"))
    assert faulty.waits == []


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_trouble_that_stays_is_given_up_after_three_tries(faulty: Faulty, status: int) -> None:
    faulty.plan("PATCH", answers(status, "etcdserver: request timed out"), 9)
    with pytest.raises(TemporaryError, match=f"{status}: etcdserver: request timed out"):
        faulty.cluster.apply(config(a="1"))
    assert faulty.proxy.count("PATCH") == 3
    assert faulty.waits == [1, 4]


def test_trouble_that_passes_is_waited_out(faulty: Faulty) -> None:
    faulty.plan("PATCH", answers(503, "the server is currently unable to handle the request"), 2)
    assert faulty.cluster.apply(config(a="1"))["data"] == {"a": "1"}


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (409, 'Operation cannot be fulfilled on resourcequotas "all": the object has been modified'),
        (400, "conversion webhook for example.com/v1, Kind=Gear failed: connection refused"),
    ],
)
def test_refusals_that_are_nobodys_decision_are_tried_again(faulty: Faulty, status: int, said: str) -> None:
    faulty.plan("PATCH", answers(status, said))
    assert faulty.cluster.apply(config(a="1"))["data"] == {"a": "1"}


def test_what_is_decided_is_not_tried_again(faulty: Faulty) -> None:
    wrong = config(a="1") | {"data": ["a"]}
    with pytest.raises(ApiError, match="expected map") as caught:
        faulty.cluster.apply(wrong)
    assert caught.value.status == 500
    assert faulty.proxy.count("PATCH") == 1


def test_several_threads_that_meet_the_same_trouble_tell_it_once(
    proxy: FaultProxy, tmp_path: Path, namespace: str
) -> None:
    together = threading.Barrier(4, timeout=20)
    faulty = Faulty(proxy, tmp_path, namespace, wait=lambda _: together.wait())
    proxy.plan("GET", answers(503, "away"), 4)
    with ThreadPoolExecutor(4) as pool:
        lists = [pool.submit(faulty.cluster.list, MAPS, namespace) for _ in range(4)]
        assert all(each.result(30) for each in lists)
    assert len(faulty.told) == 1


def test_a_server_that_says_nothing(proxy: FaultProxy, tmp_path: Path, namespace: str) -> None:
    faulty, over = Faulty(proxy, tmp_path, namespace, silence=0.1), threading.Event()
    proxy.plan(f"GET .*/{namespace}/", until(over), 3)
    with pytest.raises(TemporaryError, match="cluster faulty gave no answer"):
        faulty.cluster.list(MAPS, namespace)
    over.set()
    assert faulty.waits == [1, 4]


def test_all_trouble_together_has_a_bound(proxy: FaultProxy, tmp_path: Path, namespace: str) -> None:
    """Each try lasts 35 s here: the third one would begin at 75 s, and no other after 100 s."""
    now = [0.0]
    faulty = Faulty(proxy, tmp_path, namespace, clock=lambda: now[0])

    def slow(handler: Handler) -> bool:
        now[0] += 35
        return unheard(handler)

    proxy.plan("GET", slow, 99)
    for tries in (3, 4, 5):
        with pytest.raises(TemporaryError):
            faulty.cluster.list(MAPS, namespace)
        assert proxy.count("GET") == tries


def test_a_connection_that_ends_before_it_is_secure(proxy: FaultProxy, tmp_path: Path) -> None:
    """As when the server is stopped in the middle: no verdict on its certificate."""
    path = proxy.kubeconfig(tmp_path)
    path.write_text(path.read_text().replace("http://", "https://"))
    waits: list[float] = []
    target = Kubernetes(Access(None, str(path)), None, wait=waits.append)
    with pytest.raises(TemporaryError, match=r"(?i)cluster faulty .*ssl"):
        target.list(MAPS, "default")
    assert waits == [1, 4]
    target.close()


# Answers that are lost


def test_what_does_no_harm_is_sent_again(faulty: Faulty) -> None:
    for fault in (unheard, lost):
        faulty.plan("PATCH", fault)
        assert faulty.cluster.apply(config(a="1"))["data"] == {"a": "1"}
        faulty.plan("GET", fault)
        assert faulty.cluster.get(MAPS, faulty.cluster.namespace, "settings")


@pytest.mark.parametrize("fault", [unheard, lost])
def test_a_create_whose_answer_was_lost_finds_its_object(faulty: Faulty, fault: Any) -> None:
    faulty.plan("POST", fault)
    made = faulty.cluster.create(config(a="1"))
    assert made == faulty.cluster.get(MAPS, faulty.cluster.namespace, "settings")
    assert faulty.proxy.count("POST") == 2


def test_a_create_does_not_take_anothers_object_for_its_own(faulty: Faulty) -> None:
    faulty.cluster.create(config(a="theirs"))
    faulty.plan("POST", unheard)
    with pytest.raises(ApiError, match="already exists"):
        faulty.cluster.create(config(a="ours"))


def test_a_replace_whose_answer_was_lost_finds_its_values(faulty: Faulty) -> None:
    first = faulty.cluster.create(config(a="1"))
    faulty.plan("PUT", lost)
    assert faulty.cluster.replace({**first, "data": {"a": "2"}})["data"] == {"a": "2"}
    with pytest.raises(ApiError, match="has been modified"):
        faulty.cluster.replace({**first, "data": {"a": "3"}})


def test_a_delete_whose_answer_was_lost_did_delete(faulty: Faulty) -> None:
    faulty.cluster.create(config(a="1"))
    faulty.plan("DELETE", lost)
    assert faulty.cluster.delete(MAPS, faulty.cluster.namespace, "settings") is True
    faulty.plan("DELETE", unheard)
    assert faulty.cluster.delete(MAPS, faulty.cluster.namespace, "settings", uid="x") is True


def test_a_generated_name_is_never_made_twice(faulty: Faulty) -> None:
    faulty.plan("POST", lost)
    with pytest.raises(TemporaryError, match=r"gave no answer to ConfigMap \S+/run-…") as caught:
        faulty.cluster.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"generateName": "run-"}})
    assert "may have been carried out" in str(caught.value.hint)
    names = [item["metadata"]["name"] for item in faulty.cluster.list(MAPS, faulty.cluster.namespace).items]
    assert len([name for name in names if name.startswith("run-")]) == 1


def test_a_patch_is_not_sent_twice(faulty: Faulty) -> None:
    faulty.cluster.create(config(a="1"))
    faulty.plan("PATCH", lost)
    with pytest.raises(TemporaryError, match="gave no answer"):
        faulty.cluster.patch(MAPS, faulty.cluster.namespace, "settings", [{"op": "remove", "path": "/data/a"}])
    assert faulty.proxy.count("PATCH") == 1


# Watches


def test_a_watch_goes_on_where_it_broke(faulty: Faulty) -> None:
    since = faulty.cluster.list(MAPS, faulty.cluster.namespace, fields="metadata.name=a").resource_version
    for number in range(5):
        faulty.cluster.apply(config("a", number=str(number)))
    faulty.plan("watch=true", cut(2))
    faulty.plan("watch=true", unheard)
    faulty.plan("watch=true", cut(1))
    events = faulty.cluster.watch(MAPS, faulty.cluster.namespace, since=since, name="a", seconds=20)
    assert [next(events).document["data"]["number"] for _ in range(5)] == ["0", "1", "2", "3", "4"]


def test_a_watch_that_only_breaks_is_given_up(faulty: Faulty) -> None:
    faulty.plan("watch=true", stream(), 9)
    with pytest.raises(TemporaryError, match="ended watching ConfigMap objects at once"):
        list(faulty.cluster.watch(MAPS, faulty.cluster.namespace, since="1", seconds=20))
    assert faulty.proxy.count("watch=true") == 3


def test_a_watch_that_is_too_late_says_so(faulty: Faulty) -> None:
    gone = {"kind": "Status", "status": "Failure", "code": 410, "reason": "Expired", "message": "too old"}
    faulty.plan("watch=true", stream({"type": "ERROR", "object": gone}))
    with pytest.raises(ApiError, match="too old") as caught:
        list(faulty.cluster.watch(MAPS, faulty.cluster.namespace, since="1", seconds=20))
    assert caught.value.status == 410


def test_bookmarks_move_the_place_to_go_on_from(faulty: Faulty) -> None:
    mark = {"type": "BOOKMARK", "object": {"kind": "ConfigMap", "metadata": {"resourceVersion": "77"}}}
    faulty.plan("watch=true", stream(mark))
    faulty.plan("resourceVersion=77", stream({"type": "ADDED", "object": config("a")}))
    event = next(faulty.cluster.watch(MAPS, faulty.cluster.namespace, since="1", seconds=20))
    assert event.document["metadata"]["name"] == "a"


# Lists and discovery


def test_a_list_has_every_page(faulty: Faulty, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(5):
        faulty.cluster.apply(config(f"map-{number}") | {"metadata": {"name": f"map-{number}", "labels": {"a": "b"}}})
    monkeypatch.setattr(kubernetes, "_PAGE", 2)
    faulty.plan("continue=", answers(410, "the provided continue parameter is too old", "Expired"))
    listed = faulty.cluster.list(MAPS, faulty.cluster.namespace, labels="a=b")
    assert [item["metadata"]["name"] for item in listed.items] == [f"map-{number}" for number in range(5)]
    assert faulty.proxy.count("limit=2") == 2 + 3


def test_a_group_whose_server_is_away_is_unknown_not_absent(faulty: Faulty) -> None:
    def stale(document: Any) -> None:
        for group in document["items"]:
            if group["metadata"]["name"] == "batch":
                group["versions"] = [{"version": "v1", "resources": [], "freshness": "Stale"}]

    faulty.plan("GET /apis$", changed(stale))
    faulty.cluster.forget()
    assert faulty.cluster.stale == ("batch/v1",)
    assert faulty.cluster.resource("apps/v1", "Deployment")
    assert faulty.cluster.resource("apps/v1", "Job") is None
    with pytest.raises(TemporaryError, match="whether there is a kind Job in batch/v1"):
        faulty.cluster.resource("batch/v1", "Job")
    with pytest.raises(TemporaryError, match="kind Job in batch"):
        faulty.cluster.preferred("batch", "Job")


def test_a_server_that_knows_only_the_older_discovery(faulty: Faulty) -> None:
    newer = {
        (each, kind): faulty.cluster.resource(each, kind) for each, kind in (("v1", "Pod"), ("apps/v1", "Deployment"))
    }
    versions = {each for each in faulty.cluster.api_versions if each.startswith("apps/")}

    def plain(handler: Handler) -> bool:
        handler.headers.replace_header("Accept", "application/json")
        return False

    faulty.plan(r"GET /apis?$", plain, 2)
    faulty.plan(r"GET /apis/batch/v1$", answers(404, "away"))
    faulty.cluster.forget()
    assert {each: faulty.cluster.resource(*each) for each in newer} == newer
    assert "batch/v1" in faulty.cluster.stale  # others may come and go meanwhile
    assert {each for each in faulty.cluster.api_versions if each.startswith("apps/")} == versions


def test_a_kind_that_went_since_discovery(faulty: Faulty) -> None:
    gone = Resource("absent.example.com", "v1", "Gear", "gears", True)
    with pytest.raises(ApiError) as caught:
        faulty.cluster.get(gone, faulty.cluster.namespace, "big")
    assert caught.value.status == 404


# Answers of others, and who we are


def test_a_page_of_something_before_the_server(faulty: Faulty) -> None:
    faulty.plan("GET", page(404, "<h1>No such\x1b[31m site</h1>"))
    with pytest.raises(ApiError, match=r"refused: <h1>No such site</h1>"):
        faulty.cluster.get(MAPS, faulty.cluster.namespace, "settings")


def test_credentials_that_are_not_taken(faulty: Faulty) -> None:
    faulty.plan("GET", answers(401, "Unauthorized", "Unauthorized"), 2)
    with pytest.raises(ClusterError, match=r"does not accept the credentials of context faulty of .*kubeconfig"):
        faulty.cluster.list(MAPS, faulty.cluster.namespace)
    assert faulty.proxy.count("GET") == 2
    assert faulty.waits == []
