"""The config room's shell: which ConfigMaps matter to which App, and what is known of them.

All ConfigMaps are watched, by their metadata alone; those that an App names are read in full when they changed
(docs/adr/0009).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

import msgspec

from fairlead.config.model import ConfigMap, ConfigObserved, Wanted, project_config_map, project_content
from fairlead.config.pins import KIND, Found, wanted
from fairlead.config.plan import plan
from fairlead.core.actions import Failure, Plan, refused_with
from fairlead.core.meta import Key
from fairlead.engine.controller import Source, View
from fairlead.kube.resources import CONFIG_MAPS
from fairlead.rollout.model import App, Revision

COPIES = "copies"  # index: copies of ours, by (namespace, App)
OWNER = "owner"  # the index of Revisions and pods by their App's uid


class ConfigPart:
    """The copies of an App's configuration. It knows which App waits to hear of which ConfigMap: every App says so each
    time it is looked at, so nothing is lost with the process."""

    name = "config"

    def __init__(self) -> None:
        self._readers: dict[tuple[str, str], set[Key]] = defaultdict(set)  # (namespace, ConfigMap) -> Apps
        self._named: dict[Key, frozenset[str]] = {}

    def wanted(self, view: View, app: App) -> Wanted:
        """What spec.config comes to by what is known now."""
        if not app.spec.config:
            return Wanted()

        def find(name: str) -> Found:
            return view.get(KIND, app.namespace, name), view.content(KIND, app.namespace, name)

        template = msgspec.json.decode(app.spec.template)
        return wanted(app.namespace, app.name, app.spec.config, template, find)

    def observe(self, view: View, key: Key, failures: tuple[Failure, ...]) -> ConfigObserved | None:
        app: App | None = view.get("App", key.namespace, key.name)
        self._listen(key, app)
        if app is None:
            return None
        copies = [copy for copy in view.by(KIND, COPIES, tuple(key)) if copy.owner_uid in (app.uid, "")]
        revisions: tuple[Revision, ...] = tuple(view.by("Revision", OWNER, app.uid))
        kept = frozenset(pin.copy for revision in revisions for pin in revision.config if pin.copy)
        if not app.spec.config and not copies and not kept:
            return None
        wanted, active = self.wanted(view, app), app.status.get("activeRevision")
        there = {copy.name for copy in (*copies, *wanted.copies)}
        runs = (pin.copy for revision in revisions if revision.name == active for pin in revision.config if pin.copy)
        known = {revision.hash for revision in revisions}
        return ConfigObserved(
            namespace=app.namespace,
            app=app.name,
            app_uid=app.uid,
            deleting=app.deleting or bool(app.invalid),
            configured=bool(app.spec.config),
            wanted=wanted,
            copies=tuple(copies),
            kept=kept,
            lost=tuple(name for name in runs if name not in there),
            strays=any(pod.revision not in known for pod in view.by("Pod", OWNER, app.uid)),
            refused=refused_with(failures, KIND),
        )

    def plan(self, observed: ConfigObserved, now: float) -> Plan:
        return plan(observed, now)

    def source(self) -> Source:
        """Every ConfigMap's metadata; content where a plan asks for it."""
        return Source(
            resource=CONFIG_MAPS,
            project=project_config_map,
            keys=self._concerned,
            indexes={COPIES: lambda copy: (copy.namespace, copy.app) if copy.app else None},
            metadata_only=True,
            content=project_content,
        )

    def _concerned(self, config_map: ConfigMap) -> Iterable[Key]:
        asked = self._readers.get((config_map.namespace, config_map.name), ())
        if config_map.app:
            return {*asked, Key(config_map.namespace, config_map.app)}
        return tuple(asked)

    def _listen(self, key: Key, app: App | None) -> None:
        named = frozenset(entry.config_map for entry in app.spec.config if entry.config_map) if app else frozenset()
        before = self._named.get(key, frozenset())
        if named == before:
            return
        for name in before - named:
            self._readers[(key.namespace, name)].discard(key)
            if not self._readers[(key.namespace, name)]:
                del self._readers[(key.namespace, name)]
        for name in named - before:
            self._readers[(key.namespace, name)].add(key)
        if named:
            self._named[key] = named
        else:
            self._named.pop(key, None)
