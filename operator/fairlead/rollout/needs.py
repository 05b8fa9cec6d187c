"""What pods wait for that the kubelet tells of in Events alone: ConfigMaps that the template mounts. Pure.

A container that cannot be made says so in the pod's status; a volume that cannot be mounted leaves it ContainerCreating, without
a word of why. Which ConfigMaps there are is known from their watch.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache

import msgspec

from fairlead.core.meta import JSON
from fairlead.core.podstate import Pod

Need = tuple[str, str]  # (volume, ConfigMap)


@lru_cache(maxsize=1024)
def mounted_config_maps(template: bytes) -> tuple[Need, ...]:
    """The ConfigMaps that the volumes of a template cannot do without.

    >>> mounted_config_maps(b'{"spec": {"volumes": [{"name": "v", "configMap": {"name": "settings"}}]}}')
    (('v', 'settings'),)
    >>> mounted_config_maps(b'{"spec": {"volumes": [{"name": "v", "configMap": {"name": "settings", "optional": true}}]}}')
    ()
    """
    volumes = (msgspec.json.decode(template).get("spec") or {}).get("volumes") or ()
    return tuple((volume.get("name", ""), source["name"]) for volume in volumes for source in _sources(volume))


def _sources(volume: JSON) -> Iterable[JSON]:
    projected = (volume.get("projected") or {}).get("sources") or ()
    for source in (volume.get("configMap"), *(one.get("configMap") for one in projected)):
        if source and source.get("name") and not source.get("optional"):
            yield source


def with_cause(pod: Pod, absent: Mapping[str, Need]) -> Pod:
    """The pod with what it waits for, if it is on its node, does not start, and says nothing of why. `absent`: by revision,
    a volume and the ConfigMap that is not there.

    >>> stuck = Pod("", "p", "u", 1, 0, node="n", revision="v1")
    >>> with_cause(stuck, {"v1": ("v", "settings")}).problem
    'ConfigMapMissing'
    """
    need = absent.get(pod.revision)
    if need is None or not pod.starting:
        return pod
    words = f'configmap "{need[1]}" not found: volume {need[0]} of the template mounts it'
    return msgspec.structs.replace(pod, problem="ConfigMapMissing", message=words)
