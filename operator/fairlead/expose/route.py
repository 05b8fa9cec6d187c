"""The HTTPRoute of an App, which shares the traffic of its releases by exact weights. Pure.

Each revision with pods has a Service of its own, and the route names them with their weights: so a weight changes by one
write of one object, and at the end of a release no selector has to move. Without releases by weights it names the App's
Service. The weights are the rollout's decision (`rollout/routing.py`), found in the status.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from fairlead.core.actions import Action, Apply, Delete, Plan
from fairlead.core.children import Child, child_manifest, must_apply, owned, refused
from fairlead.core.conditions import Condition
from fairlead.core.meta import JSON, LABEL_APP, LABEL_REVISION
from fairlead.expose.model import Expose, Parent, Path, Route, Routed, RouteObserved, revision_service
from fairlead.expose.plan import service

KIND = "HTTPRoute"
API_VERSION = "gateway.networking.k8s.io/v1"
LOOK_AGAIN = 30.0  # seconds, while Gateway API is not there: nothing else would tell of it


def plan(observed: RouteObserved) -> Plan:
    """Keep the HTTPRoute and the Services it names as spec.expose.route and the rollout's weights say, and say in the
    condition `Routed` how it stands. Where Gateway API is not there, the App's Service goes on alone."""
    if observed.deleting:
        return Plan()  # garbage collection takes them with the App
    route = observed.wanted.route if observed.wanted else None
    if observed.wanted is None or route is None:
        return Plan(actions=tuple(_gone(observed)))
    if observed.missing:
        return Plan(status={"conditions": [condition(observed, route)]}, requeue_after=LOOK_AGAIN)
    actions = [*_services(observed, observed.wanted)]
    if not any(failure.kind == "Service" for failure in observed.refused):
        actions += _route(observed, observed.wanted, route)  # never to a Service that is another's
    return Plan(actions=tuple(actions), status={"conditions": [condition(observed, route)]})


def _gone(observed: RouteObserved) -> Iterable[Action]:
    """The route was taken away, and all that was there for it."""
    if live := owned(observed.live, observed.app_uid):
        yield Delete(KIND, observed.namespace, live.name, live.uid)
    for each in observed.services:
        yield Delete("Service", each.namespace, each.name, each.uid)


def _services(observed: RouteObserved, expose: Expose) -> Iterable[Action]:
    """A Service per revision of the weights; those of others go when the route names them no more."""
    names = {revision_service(observed.app, hash): hash for hash in observed.decided.weights}
    there = {each.name: each for each in observed.services}
    for name, hash in names.items():
        made = revision_manifest(observed, expose, name, hash)
        if must_apply(made, there.get(name)):
            yield Apply("Service", observed.namespace, name, msgspec.json.encode(made), observed.app_uid)
    used = set(backends(observed.live)) if observed.live else set()
    for each in observed.services:
        if each.name not in names and each.name not in used:
            yield Delete("Service", each.namespace, each.name, each.uid)


def revision_manifest(observed: RouteObserved, expose: Expose, name: str, hash: str) -> JSON:
    """The ports of the App's Service, inside the cluster; all pods of one revision, for the weight is their share. Its
    EndpointSlices take over its labels, and are found by that of the revision."""
    inside = Expose(
        ports=tuple(msgspec.structs.replace(port, node_port=None) for port in expose.ports),
        ip_family_policy=expose.ip_family_policy,
        ip_families=expose.ip_families,
    )
    mark = {LABEL_REVISION: hash}
    selector = {LABEL_APP: observed.app} | mark
    return service(observed.namespace, observed.app, observed.app_uid, inside, name, selector, mark)


def _route(observed: RouteObserved, expose: Expose, route: Route) -> Iterable[Action]:
    made = manifest(observed, expose, route)
    if must_apply(made, owned(observed.live, observed.app_uid)):
        yield Apply(KIND, observed.namespace, observed.app, msgspec.json.encode(made), observed.app_uid)


def manifest(observed: RouteObserved, expose: Expose, route: Route) -> JSON:
    """The HTTPRoute. The rule with the headers comes first; a Gateway would prefer it anyway, as the more specific one.

    >>> from fairlead.expose.model import Header, Port
    >>> route = Route(parent_refs=(Parent("web"),), canary_headers=(Header("x-canary", "always"),))
    >>> decided = Routed({"v1": 90, "v2": 10}, "v2")
    >>> seen = RouteObserved("default", "shop", "u", False, Expose(ports=(Port(80),), route=route), decided, None)
    >>> rules = manifest(seen, seen.wanted, route)["spec"]["rules"]
    >>> [[(ref["name"], ref["weight"]) for ref in rule["backendRefs"]] for rule in rules]
    [[('shop-v2', 1)], [('shop-v1', 90), ('shop-v2', 10)]]
    >>> rules[0]["matches"]
    [{'path': {'type': 'PathPrefix', 'value': '/'}, 'headers': [{'name': 'x-canary', 'value': 'always', 'type': 'Exact'}]}]
    """
    port = route.port or expose.ports[0].port
    paths = [{"path": {"type": path.type, "value": path.value}} for path in route.paths or (Path(),)]
    rules = []
    decided = observed.decided
    if not decided.weights:
        rules.append({"matches": paths, "backendRefs": [_backend(observed.app, port, 1)]})
    else:
        if decided.tried:
            headers = [msgspec.to_builtins(header) for header in route.canary_headers]
            tried = _backend(revision_service(observed.app, decided.tried), port, 1)
            rules.append({"matches": [path | {"headers": headers} for path in paths], "backendRefs": [tried]})
        shares = sorted(decided.weights.items())
        refs = [_backend(revision_service(observed.app, hash), port, weight) for hash, weight in shares]
        rules.append({"matches": paths, "backendRefs": refs})
    spec: JSON = {"parentRefs": [_parent(parent) for parent in route.parent_refs], "rules": rules}
    if route.hostnames:
        spec["hostnames"] = list(route.hostnames)
    return child_manifest(
        API_VERSION, KIND, observed.app, observed.namespace, observed.app_uid, spec, route.annotations
    )


def _backend(name: str, port: int, weight: int) -> JSON:
    return {"name": name, "port": port, "weight": weight}


def _parent(parent: Parent) -> JSON:
    optional = {"namespace": parent.namespace, "sectionName": parent.section_name, "port": parent.port}
    return {"name": parent.name} | {field: value for field, value in optional.items() if value}


def backends(live: Child) -> dict[str, int]:
    """The weights of a route's last rule, the one for all requests, by the name of the Service.

    >>> spec = {"rules": [{"backendRefs": [{"name": "a"}]}, {"backendRefs": [{"name": "a", "weight": 9}, {"name": "b"}]}]}
    >>> backends(Child("default", "shop", "u", 1, "", "", "shop", {}, spec, {}))
    {'a': 9, 'b': 1}
    """
    rules = live.spec.get("rules") or [{}]
    return {ref["name"]: ref.get("weight", 1) for ref in rules[-1].get("backendRefs") or ()}


def given(app: str, live: Child | None, hashes: Iterable[str], by_header: bool) -> Routed:
    """What a route gives each revision now; nothing where it is not there, or names other Services.

    >>> spec = {"rules": [{"backendRefs": [{"name": "shop-v2"}]}, {"backendRefs": [{"name": "shop-v1", "weight": 100}]}]}
    >>> given("shop", Child("default", "shop", "u", 1, "", "", "shop", {}, spec, {}), ["v1", "v2"], True)
    Routed(weights={'v1': 100}, tried='v2', by_header=True, reached=None)
    """
    if live is None:
        return Routed(by_header=by_header)
    names = {revision_service(app, hash): hash for hash in hashes}
    # A Service of no revision that is known has its weight too, under its own name: no decision is the same as that.
    weights = {names.get(name, name): weight for name, weight in backends(live).items()}
    rules = live.spec.get("rules") or []
    first = (rules[0].get("backendRefs") or [{}])[0].get("name", "") if len(rules) > 1 else ""
    return Routed(weights, names.get(first, first), by_header)


def condition(observed: RouteObserved, route: Route) -> Condition:
    """What `Routed` says: missing before refused before pending before what the Gateways say."""
    if observed.missing:
        words = (
            f"HTTPRoutes cannot be used here ({observed.missing}): the Service shares the traffic by counts of pods; install "
            "Gateway API, or give Fairlead the right to its httproutes; it is looked for again each half minute"
        )
        return Condition("Routed", "False", "GatewayApiMissing", words)
    if observed.refused:
        first = observed.refused[0]
        refusal = (first.reason, first.message)
        return refused("Routed", first.kind, first.name, refusal, "RouteRefused", "delete it, or rename the App")
    if observed.live is None:
        return _pending("Creating", "the HTTPRoute is being created")
    for parent in route.parent_refs:
        if trouble := _said_by(parent, observed.live):
            return trouble
    gateways = ", ".join(parent.name for parent in route.parent_refs)
    return Condition("Routed", "True", "RouteAccepted", f"HTTPRoute {observed.app} is accepted by {gateways}")


def _said_by(parent: Parent, live: Child) -> Condition | None:
    """What is wrong at one Gateway; None where it has taken the route with all its Services."""
    own = _parent(parent)
    statuses = live.status.get("parents") or ()
    said = next((s for s in statuses if own.items() <= (s.get("parentRef") or {}).items()), None)
    found = {condition.get("type"): condition for condition in said.get("conditions") or ()} if said else {}
    name = f"{parent.namespace}/{parent.name}" if parent.namespace else parent.name
    if "Accepted" not in found:
        words = f"waiting for Gateway {name} to accept the HTTPRoute: does it exist, and does its controller run?"
        return _pending("GatewayPending", words)
    if found["Accepted"].get("status") != "True":
        return _pending(
            "RouteNotAccepted", f"Gateway {name} does not accept the HTTPRoute: {_words(found['Accepted'])}"
        )
    if "ResolvedRefs" in found and found["ResolvedRefs"].get("status") == "False":
        words = f"Gateway {name} cannot use the HTTPRoute's Services: {_words(found['ResolvedRefs'])}"
        return _pending("BackendsUnresolved", words)
    return None


def _words(condition: JSON) -> str:
    return f"{condition.get('reason', '')}: {condition.get('message', '')}"


def _pending(reason: str, message: str) -> Condition:
    return Condition("Routed", "False", reason, message)
