"""What an App's route gets to see: the weights in the status, the live route, and whether there can be one at all."""

from __future__ import annotations

import msgspec
import pytest

from fairlead.core.actions import Failure
from fairlead.core.meta import JSON, LABEL_APP, LABEL_REVISION, Key
from fairlead.engine.store import Store
from fairlead.expose.controller import RoutePart, routed, routes, slices, source
from fairlead.expose.model import Expose, Header, Parent, Port, Route, Routed, RouteObserved
from fairlead.expose.plan import service
from fairlead.expose.route import KIND, manifest, revision_manifest
from fairlead.rollout.controller import sources
from fairlead.rollout.model import App
from fairlead.rollout.testing import make_app, make_revision

KEY = Key("default", "shop")
ROUTE = Route(parent_refs=(Parent("web"),), canary_headers=(Header("x-canary", "always"),))
EXPOSE = Expose(ports=(Port(80, "http"),), route=ROUTE)
SHARED: JSON = {"rollout": {"weights": {"v1": 90, "v2": 10}, "tried": "v2"}}
SEEN = RouteObserved("default", "shop", "app-uid", False, EXPOSE, Routed({"v1": 90, "v2": 10}, "v2"), None)
REFUSED = Failure("apply", KIND, "shop", 422, "Invalid", "no", 0.0)


def shop(strategy: str = "Canary", route: Route | None = ROUTE) -> App:
    app = make_app(status=SHARED, strategy=strategy)
    return msgspec.structs.replace(
        app, spec=msgspec.structs.replace(app.spec, expose=msgspec.structs.replace(EXPOSE, route=route))
    )


def store(app: App, *children: JSON) -> Store:
    made = Store()
    for each in (*sources(), source(), routes(), slices()):
        made.open(each)
    made.tables["App"].put(app)
    for revision in (make_revision(), make_revision(number=2, hash="v2")):
        made.tables["Revision"].put(revision)
    for number, child in enumerate(children, 1):
        child["metadata"] |= {"uid": f"uid-{number}", "resourceVersion": str(number)}
        made.tables[child["kind"]].learn(msgspec.json.encode(child))
    return made


def observed(store: Store, *failures: Failure) -> RouteObserved:
    seen = RoutePart().observe(store, KEY, failures)
    assert seen is not None
    return seen


def test_it_sees_the_route_the_services_of_revisions_and_no_others() -> None:
    own = service("default", "shop", "app-uid", EXPOSE)
    preview = service("default", "shop", "app-uid", EXPOSE, "shop-preview", {"fairlead.dev/revision": "v2"})
    second = revision_manifest(SEEN, EXPOSE, "shop-v2", "v2")
    seen = observed(store(shop(), own, preview, second, manifest(SEEN, EXPOSE, ROUTE)))
    assert [each.name for each in seen.services] == ["shop-v2"]
    assert seen.decided.weights == {"v1": 90, "v2": 10} and seen.live is not None and not seen.missing


def test_an_app_that_is_gone_has_no_route() -> None:
    assert RoutePart().observe(store(shop()), Key("default", "other"), ()) is None


def test_strategies_without_weights_share_nothing() -> None:
    there = store(shop("Rolling"), manifest(SEEN, EXPOSE, ROUTE))
    assert observed(there).decided.weights == {} and routed(there, shop("Rolling"), ()) is None


def test_only_refusals_of_its_own_writes_count() -> None:
    others = Failure("apply", "Service", "shop", 422, "Invalid", "no", 0.0)
    second = msgspec.structs.replace(others, name="shop-v2")
    assert observed(store(shop()), others, second, REFUSED).refused == (second, REFUSED)


def test_the_rollout_hears_what_the_live_route_gives() -> None:
    there = store(shop(), manifest(SEEN, EXPOSE, ROUTE))
    assert routed(there, shop(), ()) == Routed({"v1": 90, "v2": 10}, "v2", by_header=True, reached=frozenset())
    assert routed(there, shop(), (REFUSED,)) is not None, "what it gives goes on to be given"


def test_a_route_that_is_yet_to_be_made_gives_nothing() -> None:
    assert routed(store(shop()), shop(), ()) == Routed(by_header=True, reached=frozenset())
    theirs = manifest(msgspec.structs.replace(SEEN, app_uid="other"), EXPOSE, ROUTE)
    assert routed(store(shop(), theirs), shop(), ()) == Routed(by_header=True, reached=frozenset())


def endpoints(service: str, *pods: str, app: str = "shop", **labels: str) -> JSON:
    """A slice as the API server's controllers make it of a Service of a revision; pods in capitals are not ready."""
    own = {LABEL_APP: app, LABEL_REVISION: "v1", "kubernetes.io/service-name": service} | labels
    found = [{"conditions": {"ready": pod.islower()}, "targetRef": {"kind": "Pod", "uid": pod}} for pod in pods]
    meta = {"name": f"{service}-x", "namespace": "default", "labels": own}
    return {"kind": "EndpointSlice", "metadata": meta, "endpoints": found}


def test_the_rollout_hears_which_pods_requests_come_to() -> None:
    first, second = endpoints("shop-v1", "a", "b", "C"), endpoints("shop-v2", "d")
    others = endpoints("cart-v1", "e", app="cart"), endpoints("shop-v9", "f", **{"kubernetes.io/service-name": ""})
    seen = routed(store(shop(), first, second, *others), shop(), ())
    assert seen is not None and seen.reached == {"a", "b", "d"}


def test_a_service_that_has_no_endpoints_yet_reaches_nobody() -> None:
    empty = endpoints("shop-v1") | {"endpoints": None}  # as the API server writes none
    seen = routed(store(shop(), empty), shop(), ())
    assert seen is not None and seen.reached == frozenset()


def test_where_endpoints_may_not_be_seen_readiness_has_to_do() -> None:
    there = store(shop())
    there.tables["EndpointSlice"].missing = "Forbidden: no"
    seen = routed(there, shop(), ())
    assert seen is not None and seen.reached is None


def test_a_slice_concerns_its_app() -> None:
    found = slices().project(msgspec.json.encode(endpoints("shop-v1", "a")))
    assert list(slices().keys(found)) == [KEY]


@pytest.mark.parametrize("why", ["no route is wanted", "the kind is missing", "its write is refused"])
def test_nothing_waits_for_a_route_that_cannot_be(why: str) -> None:
    app = shop(route=None) if why == "no route is wanted" else shop()
    there = store(app)
    there.tables[KIND].missing = "NotFound: no such kind" if why == "the kind is missing" else ""
    assert routed(there, app, (REFUSED,) if why == "its write is refused" else ()) is None


def test_a_service_of_a_revision_concerns_its_app() -> None:
    second = store(shop(), revision_manifest(SEEN, EXPOSE, "shop-v2", "v2")).get("Service", "default", "shop-v2")
    assert KEY in list(source().keys(second))
