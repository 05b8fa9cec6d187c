"""The config room's shell: which ConfigMaps and EncryptedSecrets matter to which App, and what is known of them.

All ConfigMaps are watched, by their metadata alone; those that an App names are read in full when they changed
(docs/adr/0009). Of EncryptedSecrets the status is enough, which names the Secret to pin: no Secret is ever read.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from fairlead.config.model import (
    ConfigMap,
    ConfigObserved,
    Sealed,
    Wanted,
    project_config_map,
    project_content,
    project_sealed,
)
from fairlead.config.pins import KIND, Found, wanted
from fairlead.config.plan import plan
from fairlead.core.actions import Failure, Plan, refused_with
from fairlead.core.meta import Key
from fairlead.engine.controller import Source, View
from fairlead.engine.listeners import Listeners
from fairlead.kube.resources import CONFIG_MAPS, ENCRYPTED_SECRETS
from fairlead.rollout.model import App, Revision

SEALED = ENCRYPTED_SECRETS.kind
Named = tuple[str, str, str]  # (kind, namespace, name)
COPIES = "copies"  # index: copies of ours, by (namespace, App)
OWNER = "owner"  # the index of Revisions and pods by their App's uid


class ConfigPart:
    """The copies of an App's configuration. It knows which App waits to hear of which ConfigMap or EncryptedSecret."""

    name = "config"

    def __init__(self) -> None:
        self._readers = Listeners[Named]()

    def wanted(self, view: View, app: App) -> Wanted:
        """What spec.config comes to by what is known now."""
        if not app.spec.config:
            return Wanted()

        def find(name: str) -> Found:
            return view.get(KIND, app.namespace, name), view.content(KIND, app.namespace, name)

        def find_sealed(name: str) -> Sealed | None:
            sealed: Sealed | None = view.get(SEALED, app.namespace, name)
            return sealed

        template = msgspec.json.decode(app.spec.template)
        return wanted(app.namespace, app.name, app.spec.config, template, find, find_sealed)

    def observe(self, view: View, key: Key, failures: tuple[Failure, ...]) -> ConfigObserved | None:
        app: App | None = view.get("App", key.namespace, key.name)
        self._readers.says(key, _named(app) if app else ())
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

    def sources(self) -> tuple[Source, ...]:
        """Every ConfigMap's metadata, and content where a plan asks for it; every EncryptedSecret's status."""
        config_maps = Source(
            resource=CONFIG_MAPS,
            project=project_config_map,
            keys=self._concerned,
            indexes={COPIES: lambda copy: (copy.namespace, copy.app) if copy.app else None},
            metadata_only=True,
            content=project_content,
        )
        return config_maps, Source(resource=ENCRYPTED_SECRETS, project=project_sealed, keys=self._pinning)

    def _pinning(self, sealed: Sealed) -> Iterable[Key]:
        return self._readers.of((SEALED, sealed.namespace, sealed.name))

    def _concerned(self, config_map: ConfigMap) -> Iterable[Key]:
        asked = self._readers.of((KIND, config_map.namespace, config_map.name))
        if config_map.app:
            return {*asked, Key(config_map.namespace, config_map.app)}
        return asked


def _named(app: App) -> Iterable[Named]:
    """What spec.config names that others may change."""
    for entry in app.spec.config:
        if entry.config_map:
            yield KIND, app.namespace, entry.config_map
        if entry.encrypted_secret:
            yield SEALED, app.namespace, entry.encrypted_secret
