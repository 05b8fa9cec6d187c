"""Specs of Apps by chance: from the CRD's own schema, and from what is known to go wrong with pods.

A library for JSON schemas does not fit: a structural schema has int-or-string, list maps and quantities, and most of what
goes wrong is known to no schema (a volume that is not there, a node that does not exist).
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from copy import deepcopy
from typing import Any, NamedTuple

JSON = dict[str, Any]

_DEEP = 5  # levels that a made-up value may have
_TEXTS = ["a", "web", "http", "shop", "1", "true", "x-y", "A", "app.kubernetes.io/name", "node-1", "10.0.0.1", "/tmp"]
_RUBBISH_TEXTS = ["", " ", "-", "UPPER_case", "ä", "\u0000", "\x1b[31m", "../..", "<b>", "x" * 300, "150%", "1.5", "-1"]
_QUANTITIES = ["1", "100m", "64Mi", "0", "1e3", "2Gi", "10k", 1]
_RUBBISH_QUANTITIES = ["-1", "1 GB", "NaN", "1e", "", "0x10", "ten"]
_RUBBISH_INT_OR_STRINGS = ["150%", "1.5", "-1", "", "ten", "25 %", "%", -1, 2**31, "0x1", 1.5, True, []]
_WRONG_TYPES: list[Any] = ["text", 7, -1, 2**31, 2**63, 1.5, True, None, [], {}, [None], {"a": None}, [[]]]


class Place(NamedTuple):
    """A field that a spec has: where it is kept, under what key, and its schema."""

    holder: Any
    key: Any
    schema: JSON

    @property
    def value(self) -> Any:
        return self.holder[self.key]


class Change(NamedTuple):
    """What was done to a spec, in words, and what came of it."""

    how: str
    spec: JSON


class Generator:
    """Makes the next spec out of the last; the same `chance` makes the same specs."""

    def __init__(self, schema: JSON, chance: random.Random):
        self._schema, self._chance = schema, chance

    def base(self) -> JSON:
        """A spec that runs anywhere."""
        pick = self._chance.choice
        spec: JSON = {"replicas": pick([1, 1, 2, 3]), "template": template(pick(["shop:1", "shop:2"]))}
        spec |= pick(
            [{}, {"expose": {"ports": [{"port": 80, "targetPort": "http"}]}}, {"expose": {"type": "Headless"}}]
        )
        spec |= pick([{}, {"disruption": {"maxUnavailable": 1}}, {"disruption": {"minAvailable": "50%"}}])
        spec |= pick([{}, {"rollout": {"strategy": "Recreate"}}, {"rollout": {"maxSurge": 1, "maxUnavailable": 0}}])
        return spec

    def change(self, spec: JSON) -> Change:
        """One to three things done to a copy of the spec."""
        changed, words = deepcopy(spec), []
        ways = [self._set, self._set, self._remove, self._reorder, self._spoil, self._add_unknown, *[self._known] * 5]
        for _ in range(self._chance.choice([1, 1, 1, 2, 3])):
            try:
                words.append(self._chance.choice(ways)(changed))
            except (KeyError, IndexError, TypeError, AttributeError):
                words.append("nothing: what was to be changed had gone")  # an earlier change took its place away
        return Change("; ".join(words), changed)

    # ------------------------------------------------------------ ways to change a spec

    def _set(self, spec: JSON) -> str:
        """A field that there is or could be gets another value its schema allows."""
        holder, schema, path = spec, self._schema, "spec"
        while True:
            name = self._chance.choice(sorted(schema["properties"]))
            inner, path = schema["properties"][name], f"{path}.{name}"
            below = holder.get(name)
            if isinstance(below, list) and below and isinstance(below[0], dict) and "properties" in inner["items"]:
                below, inner = self._chance.choice(below), inner["items"]
            if not (isinstance(below, dict) and below and "properties" in inner) or self._chance.random() < 0.1:
                break
            holder, schema = below, inner
        holder[name] = self.value(schema["properties"][name], name)
        return f"set {path}"

    def _remove(self, spec: JSON) -> str:
        place = self._chance.choice(list(places(self._schema, spec)))
        del place.holder[place.key]
        return f"removed {place.key}"

    def _reorder(self, spec: JSON) -> str:
        lists = [p for p in places(self._schema, spec) if isinstance(p.value, list) and len(p.value) > 1]
        place = self._chance.choice(lists)
        self._chance.shuffle(place.value)
        return f"reordered {place.key}"

    def _spoil(self, spec: JSON) -> str:
        place = self._chance.choice(list(places(self._schema, spec)))
        place.holder[place.key] = self.rubbish(place.schema)
        return f"spoilt {place.key} with {place.value!r:.40}"

    def _add_unknown(self, spec: JSON) -> str:
        holders = [spec, *(p.value for p in places(self._schema, spec) if "properties" in p.schema)]
        self._chance.choice([holder for holder in holders if isinstance(holder, dict)])["replica"] = 1
        return "added an unknown field"

    def _known(self, spec: JSON) -> str:
        """Something from the lists below."""
        where = self._chance.choice(["pod", "container", "part", "act"])
        if where == "act":
            act = self._chance.choice(ACTS)
            act(spec, self._chance)
            return act.__name__.strip("_").replace("_", " ")
        if where == "part":
            return self._part(spec)
        fields = self._chance.choice(PODS if where == "pod" else CONTAINERS)
        pod = spec["template"]["spec"]
        (pod if where == "pod" else pod["containers"][0]).update(deepcopy(fields))
        return f"{where}: {fields!r:.90}"

    def _part(self, spec: JSON) -> str:
        name = self._chance.choice(list(PARTS))
        fields = self._chance.choice(PARTS[name])
        if fields is None:
            del spec[name]
        else:
            spec[name] = {**(spec.get(name) or {}), **deepcopy(fields)}
        return f"{name}: {fields!r:.90}"

    # ------------------------------------------------------------ values

    def value(self, schema: JSON, name: str = "", depth: int = 0) -> Any:
        """A value the schema allows, as far as it says."""
        pick = self._chance.choice
        if "enum" in schema:
            return pick(schema["enum"])
        if schema.get("x-kubernetes-int-or-string"):
            if "pattern" in schema:
                return pick(_QUANTITIES)
            most = 12 if name == "minAvailable" else 8080  # autoscaling keeps that many: a size as well
            return pick([0, 1, 2, "25%", "100%", "0%", "http", most])
        kind = schema.get("type")
        if kind == "boolean":
            return pick([True, False])
        if kind in ("integer", "number"):
            return self._number(schema, name)
        if kind == "string":
            return "2030-01-31T12:00:00Z" if schema.get("format") == "date-time" else pick(_TEXTS)
        if kind == "array":
            count = max(schema.get("minItems", 0), pick([0, 1, 1, 2]))
            return [self.value(schema["items"], name, depth + 1) for _ in range(min(count, schema.get("maxItems", 2)))]
        return self._object(schema, depth)

    def _number(self, schema: JSON, name: str) -> int:
        if name in ("replicas", "min", "minPerRevision", "previewReplicas"):  # sizes, for autoscaling keeps them all
            # Up and down; a thousand is rare, for the machine's sake.
            return 1000 if self._chance.random() < 0.003 else self._chance.choice([0, 1, 1, 2, 2, 3, 12])
        least, most = schema.get("minimum", -1), schema.get("maximum", 2**31 - 1)
        return int(self._chance.choice([least, least + 1, min(most, 2), min(most, 30), min(most, 8080), most]))

    def _object(self, schema: JSON, depth: int) -> JSON:
        if isinstance(schema.get("additionalProperties"), dict):
            inner = schema["additionalProperties"]
            return {self._chance.choice(_TEXTS): self.value(inner, "", depth + 1) for _ in range(2)}
        names = set(schema.get("required", ()))
        optional = sorted(schema.get("properties", {}).keys() - names)
        if depth < _DEEP and optional:
            names.update(self._chance.sample(optional, min(len(optional), self._chance.choice([0, 1, 1, 2]))))
        return {name: self.value(schema["properties"][name], name, depth + 1) for name in sorted(names)}

    def rubbish(self, schema: JSON) -> Any:
        """A value the schema forbids, most of the time."""
        pick = self._chance.choice
        if schema.get("x-kubernetes-int-or-string"):
            return pick(_RUBBISH_QUANTITIES if "pattern" in schema else _RUBBISH_INT_OR_STRINGS)
        if "enum" in schema:
            return pick(["Sometimes", "", schema["enum"][0].lower()])
        if schema.get("type") == "string" and self._chance.random() < 0.7:
            return pick(_RUBBISH_TEXTS)
        if schema.get("type") == "array" and self._chance.random() < 0.5:
            return [self.value(schema["items"])] * pick([2, 101])
        return deepcopy(pick(_WRONG_TYPES))


def places(schema: JSON, value: Any) -> Iterator[Place]:
    """All fields and list items below `value`.

    >>> schema = {"properties": {"a": {"properties": {"b": {"type": "integer"}}}}}
    >>> [place.key for place in places(schema, {"a": {"b": 1}, "unknown": 2})]
    ['a', 'b']
    """
    if isinstance(value, dict):
        known = schema.get("properties") or {}
        below = [(key, known[key]) for key in value if key in known]
    elif isinstance(value, list) and isinstance(schema.get("items"), dict):
        below = [(index, schema["items"]) for index in range(len(value))]
    else:
        return
    for key, inner in below:
        yield Place(value, key, inner)
        yield from places(inner, value[key])


def template(image: str) -> JSON:
    ports = [{"name": "http", "containerPort": 8080}, {"name": "admin", "containerPort": 9000}]
    env = [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]
    container = {"name": "web", "image": image, "ports": ports, "env": env}
    return {"metadata": {"labels": {"team": "shop"}}, "spec": {"containers": [container]}}


# ---------------------------------------------------------------- what is known to go wrong (Acto's generators, SOSP'23)


def _replicas(spec: JSON, chance: random.Random) -> None:
    spec["replicas"] = chance.choice([0, 1, 2, 3, 0, 12, 1, 2, -1, 100001, 2**31, "3", 1.5, None])


def _good_image(spec: JSON, chance: random.Random) -> None:
    spec["template"]["spec"]["containers"][0]["image"] = f"shop:{chance.randint(1, 50)}"


def _second_container(spec: JSON, chance: random.Random) -> None:
    name = chance.choice(["side", "web", "Bad_Name"])
    spec["template"]["spec"]["containers"].append({"name": name, "image": "side:1"})


def _labels(spec: JSON, chance: random.Random) -> None:
    label = {"tier": "web", "bad key!": "x", "fairlead.dev/app": "other", "app.kubernetes.io/name": "x", "a": "b c"}
    key = chance.choice(list(label))
    spec["template"].setdefault("metadata", {}).setdefault("labels", {})[key] = label[key]


def _huge(spec: JSON, chance: random.Random) -> None:
    size = chance.choice([1000, 200_000, 300_000])
    spec["template"].setdefault("metadata", {})["annotations"] = {"note": "x" * size}


def _many_variables(spec: JSON, chance: random.Random) -> None:
    env = [{"name": f"V{number}", "value": str(number)} for number in range(chance.choice([200, 1001]))]
    spec["template"]["spec"]["containers"][0]["env"] = env


def _type(spec: JSON, chance: random.Random) -> None:
    spec["type"] = chance.choice(["Stateless", "Stateful", "PerNode", ""])


def _undo(spec: JSON, chance: random.Random) -> None:
    spec.setdefault("rollout", {})["undoTo"] = chance.choice([1, 2, 3, 99, 0, -1, "1"])


ACTS: list[Callable[[JSON, random.Random], None]] = [
    *[_good_image] * 4,
    *[_replicas] * 2,
    _second_container,
    _labels,
    _huge,
    _many_variables,
    _type,
    _undo,
]

_node = {"nodeSelectorTerms": [{"matchExpressions": [{"key": "disk", "operator": "In", "values": ["fast"]}]}]}
_term = {"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": {"team": "shop"}}}
_spread = {"maxSkew": 1, "topologyKey": "kubernetes.io/hostname", "labelSelector": {}}
PODS: list[JSON] = [
    {"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": _node}}},
    {"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": []}}}},
    {"affinity": {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [_term]}}},
    {"affinity": {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [{"topologyKey": ""}]}}},
    {"affinity": {"podAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 0}]}}},
    {"affinity": {}},
    {"nodeSelector": {"disk": "fast"}},
    {"nodeSelector": {"bad key!": "x"}},
    {"nodeSelector": {}},
    {"tolerations": [{"operator": "Exists"}]},
    {"tolerations": [{"key": "a", "operator": "Sometimes"}]},
    {"tolerations": [{"key": "a", "effect": "NoSchedule", "tolerationSeconds": 5}]},
    {"topologySpreadConstraints": [{**_spread, "whenUnsatisfiable": "DoNotSchedule"}]},
    {"topologySpreadConstraints": [{**_spread, "whenUnsatisfiable": "Never"}]},
    {"topologySpreadConstraints": [{**_spread, "whenUnsatisfiable": "ScheduleAnyway"}] * 2},
    {"serviceAccountName": "nobody"},
    {"serviceAccountName": "Bad_Name"},
    {"priorityClassName": "urgent"},
    {"priority": 5},
    {"preemptionPolicy": "Sometimes"},
    {"runtimeClassName": "gvisor"},
    {"schedulerName": "nobody"},
    {"imagePullSecrets": [{"name": "missing"}, {}]},
    {"schedulingGates": [{"name": "example.com/wait"}]},
    {"schedulingGates": [{"name": ""}]},
    {"readinessGates": [{"conditionType": "example.com/ready"}]},
    {"nodeName": "nowhere"},
    {"nodeName": "Bad_Name"},
    {"os": {"name": "windows"}},
    {"os": {"name": "beos"}},
    {"hostNetwork": True},
    {"hostPID": True, "shareProcessNamespace": True},
    {"dnsPolicy": "None"},
    {"dnsPolicy": "Sometimes"},
    {"dnsConfig": {"nameservers": ["not an address"]}},
    {"hostAliases": [{"ip": "300.1.1.1", "hostnames": ["a"]}]},
    {"hostname": "Bad_Name"},
    {"subdomain": "x" * 64},
    {"restartPolicy": "Never"},
    {"activeDeadlineSeconds": 5},
    {"ephemeralContainers": [{"name": "debug", "image": "shop:1"}]},
    {"terminationGracePeriodSeconds": -1},
    {"terminationGracePeriodSeconds": 0},
    {"terminationGracePeriodSeconds": 2**40},
    {"initContainers": [{"name": "first", "image": "shop:1"}]},
    {"initContainers": [{"name": "web", "image": "shop:1"}]},
    {"initContainers": [{"name": "side", "image": "shop:1", "restartPolicy": "Always"}]},
    {"containers": []},
    {"volumes": [{"name": "v", "configMap": {"name": "missing"}}]},
    {"volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "missing"}}]},
    {"volumes": [{"name": "v", "emptyDir": {}, "hostPath": {"path": "/"}}]},
    {"volumes": [{"name": "v", "emptyDir": {}}, {"name": "v", "emptyDir": {}}]},
    {"volumes": [{"name": "v", "hostPath": {"path": "../.."}}]},
    {"volumes": [{"name": "v", "emptyDir": {"sizeLimit": "-1"}}]},
    {"volumes": []},
    {"securityContext": {"runAsUser": -1}},
    {"securityContext": {"fsGroup": 2**31}},
    {"securityContext": {"sysctls": [{"name": "bad sysctl", "value": "1"}]}},
    {"securityContext": {"seccompProfile": {"type": "Localhost"}}},
    {"securityContext": {"windowsOptions": {"hostProcess": True}}},
    {"overhead": {"cpu": "1"}},
    {"resources": {"requests": {"cpu": "1"}}},
    {"resourceClaims": [{"name": "gpu", "resourceClaimName": "missing"}]},
]
CONTAINERS: list[JSON] = [
    {"image": "UPPER/Case"},
    {"image": ":"},
    {"image": "shop@sha256:bad"},
    {"image": ""},
    {"image": " shop:1"},
    {"image": "x" * 5000},
    {"imagePullPolicy": "Sometimes"},
    {"name": "Bad_Name"},
    {"livenessProbe": {}},
    {"livenessProbe": {"httpGet": {"port": 8080}, "tcpSocket": {"port": 8080}}},
    {"livenessProbe": {"httpGet": {"port": "nowhere"}}},
    {"readinessProbe": {"httpGet": {"port": 0}}},
    {"readinessProbe": {"tcpSocket": {"port": "Bad Port"}}},
    {"readinessProbe": {"exec": {"command": []}, "periodSeconds": -1}},
    {"readinessProbe": {"grpc": {"port": 70000}}},
    {"startupProbe": {"tcpSocket": {"port": "http"}, "successThreshold": 2}},
    {"livenessProbe": {"tcpSocket": {"port": "http"}, "terminationGracePeriodSeconds": 0}},
    {"resources": {"requests": {"cpu": "10k"}}},
    {"resources": {"requests": {"cpu": "2"}, "limits": {"cpu": "1"}}},
    {"resources": {"requests": {"example.com/gpu": "0.5"}}},
    {"resources": {"requests": {"bad resource": "1"}}},
    {"resources": {"limits": {"memory": "1"}}},
    {"resources": {"limits": {"memory": "NaN"}}},
    {"resources": {"claims": [{"name": "missing"}]}},
    {"ports": [{"containerPort": 0}]},
    {"ports": [{"containerPort": 8080}, {"containerPort": 8080}]},
    {"ports": [{"name": "http", "containerPort": 8080, "protocol": "QUIC"}]},
    {"ports": [{"name": "http", "containerPort": 1}, {"name": "http", "containerPort": 2}]},
    {"ports": [{"name": "http", "containerPort": 8080, "hostPort": 8080}]},
    {"ports": []},
    {"env": [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]},
    {"env": [{"name": "A", "value": "1", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]},
    {"env": [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.nothing"}}}]},
    {"env": [{"name": "A", "valueFrom": {}}]},
    {"env": [{"name": "", "value": "1"}]},
    {"env": [{"name": "a=b", "value": "1"}]},
    {"env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "missing", "key": "k"}}}]},
    {"envFrom": [{"configMapRef": {"name": "missing"}}]},
    {"envFrom": [{}]},
    {"volumeMounts": [{"name": "missing", "mountPath": "/v"}]},
    {"volumeMounts": [{"name": "v", "mountPath": "/v"}, {"name": "v", "mountPath": "/v"}]},
    {"volumeMounts": [{"name": "v", "mountPath": ""}]},
    {"lifecycle": {"preStop": {"sleep": {"seconds": 0}}}},
    {"lifecycle": {"preStop": {"sleep": {"seconds": 9999}}}},
    {"lifecycle": {"postStart": {}}},
    {"securityContext": {"privileged": True, "allowPrivilegeEscalation": False}},
    {"securityContext": {"capabilities": {"add": ["BOGUS"]}}},
    {"securityContext": {"procMount": "Unmasked"}},
    {"terminationMessagePolicy": "Never"},
    {"workingDir": "", "stdin": True, "tty": True},
    {"restartPolicy": "Always"},
]
# None removes the part.
PARTS: dict[str, list[JSON | None]] = {
    "rollout": [
        {"maxSurge": 0, "maxUnavailable": 0},
        {"maxSurge": "150%"},
        {"maxSurge": "1.5"},
        {"maxUnavailable": "-1"},
        {"maxUnavailable": -1},
        {"maxSurge": "100%", "maxUnavailable": "100%"},
        {"maxSurge": 2**31 - 1},
        {"strategy": "Canary"},
        {"strategy": "Recreate"},
        {"strategy": "Rolling"},
        None,
        {"minReadySeconds": 600},
        {"minReadySeconds": 1},
        {"minReadySeconds": 30, "progressDeadlineSeconds": 60},
        {"progressDeadlineSeconds": 0},
        {"progressDeadlineSeconds": 1},
        {"revisionHistoryLimit": 0},
        {"revisionHistoryLimit": 1001},
        {"paused": True},
        {"paused": "yes"},
        {"restartAt": "2030-01-31T12:00:00Z"},
        {"restartAt": "tomorrow"},
        {"restartAt": "9999-12-31T23:59:59Z"},
    ],
    "expose": [
        {"ports": [{"port": 80, "targetPort": "http"}]},
        {"ports": [{"port": 80, "targetPort": "nowhere"}]},
        {"ports": [{"port": 0}]},
        {"ports": [{"port": 80}, {"port": 81}]},
        {"ports": [{"name": "a", "port": 80}, {"name": "b", "port": 80}]},
        {"ports": [{"name": "a", "port": 80}, {"name": "a", "port": 81}]},
        {"ports": [{"name": "Bad Name", "port": 80}]},
        {"ports": [{"port": 80, "nodePort": 80}], "type": "NodePort"},
        {"ports": []},
        None,
        {"type": "Headless"},
        {"type": "NodePort", "ports": [{"port": 80}]},
        {"type": "LoadBalancer", "ports": [{"port": 80}]},
        {"type": "ExternalName"},
        {"sessionAffinity": "ClientIP", "sessionAffinityTimeoutSeconds": 10},
        {"ipFamilyPolicy": "RequireDualStack", "ports": [{"port": 80}]},
        {"ipFamilies": ["IPv6"], "ports": [{"port": 80}]},
        {"ipFamilies": ["IPv4", "IPv4"]},
        {"loadBalancerSourceRanges": ["300.0.0.0/8"], "type": "LoadBalancer", "ports": [{"port": 80}]},
        {"annotations": {"bad key!": "x"}, "ports": [{"port": 80}]},
        {"annotations": {"note": "x" * 300_000}, "ports": [{"port": 80}]},
        {"drainSeconds": 0},
        {"drainSeconds": 3600},
        {"publishNotReadyAddresses": True},
    ],
    "disruption": [
        {"maxUnavailable": 1},
        {"minAvailable": "50%"},
        {"maxUnavailable": 1, "minAvailable": 1},
        {"maxUnavailable": "101%"},
        {"minAvailable": -1},
        {"minAvailable": 2**31 - 1},
        {"unhealthyPodEvictionPolicy": "Never"},
        None,
    ],
    "placement": [
        {"spread": "None"},
        {"spread": "Everywhere"},
        {"spread": "Default"},
        None,
    ],
}
