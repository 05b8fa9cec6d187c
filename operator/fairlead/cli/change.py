"""The verbs that change an App: each is one merge patch of a few fields of its spec, as anyone could write it."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

import click

from fairlead.cli.failures import Failed
from fairlead.cli.options import Verb, change, connection, name_argument
from fairlead.cli.session import Session, session_of
from fairlead.core.conditions import timestamp
from fairlead.core.meta import JSON
from fairlead.kube.resources import APPS
from fairlead.view.ages import duration
from fairlead.view.history import NoSuchRevision, undo_target
from fairlead.view.images import short_images
from fairlead.view.model import App, read

DRY = {"client": " (dry run)", "server": " (server dry run)", "none": ""}


class Writing:
    """How a change is made and told: the flags all these verbs share."""

    def __init__(self, session: Session, name: str, dry_run: str, output: str | None) -> None:
        self.session, self.name, self.dry_run, self.output = session, name, dry_run, output
        self.raw = session.app_object(name)
        self.app = read(self.raw, App)
        if self.app.metadata.deleting:
            raise Failed(f"App {name} is being deleted: it cannot be changed any more")

    def write(self, spec: JSON, told: str) -> None:
        """Patch these fields of the spec and say so."""
        self._patch({"spec": spec}, told)

    def write_as_read(self, spec: JSON, told: str) -> None:
        """The same, for a list that is written as a whole: refused where somebody has changed the App since it was read."""
        version = self.raw["metadata"]["resourceVersion"]
        self._patch({"metadata": {"resourceVersion": version}, "spec": spec}, told)

    def scale(self, replicas: int, told: str) -> None:
        """Set spec.replicas through the scale subresource, as `kubectl scale` does, and say so: the App's own autoscaling takes it
        for a size that a person has set."""
        body = {"spec": {"replicas": replicas}}
        if self.dry_run != "client":
            self.session.cluster.patch(APPS, self.name, body, subresource="scale", dry_run=self.dry_run == "server")
        self._tell(merged(self.raw, body), told)

    def annotate(self, annotations: JSON, told: str) -> None:
        """Set these annotations (None takes one away) and say so."""
        self._patch({"metadata": {"annotations": annotations}}, told)

    def _patch(self, body: JSON, told: str) -> None:
        if self.dry_run == "client":
            result = merged(self.raw, body)
        else:
            result = self.session.cluster.patch(APPS, self.name, body, dry_run=self.dry_run == "server")
        self._tell(result, told)

    def unchanged(self, told: str) -> None:
        """It is so already: nothing is written."""
        self._tell(self.raw, told)

    def _tell(self, result: JSON, told: str) -> None:
        screen = self.session.screen
        if self.output in ("json", "yaml"):
            screen.objects(without_managed_fields(result), self.output)
        elif self.output == "name":
            screen.say(f"app.fairlead.dev/{self.name}")
        else:
            screen.say(f"app.fairlead.dev/{self.name} {told}{DRY[self.dry_run]}")


def merged(target: Any, patch: Any) -> Any:
    """A JSON merge patch (RFC 7396) applied to a copy.

    >>> merged({"spec": {"replicas": 1, "rollout": {"paused": True}}}, {"spec": {"rollout": {"paused": None}}})
    {'spec': {'replicas': 1, 'rollout': {}}}
    """
    if not isinstance(patch, dict):
        return patch
    result = copy.deepcopy(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merged(result.get(key), value)
    return result


def without_managed_fields(raw: JSON) -> JSON:
    """As kubectl prints objects: who owns which field is noise to most readers."""
    metadata = {key: value for key, value in (raw.get("metadata") or {}).items() if key != "managedFields"}
    return {**raw, "metadata": metadata}


def changing(verb: Callable[..., None]) -> click.Command:
    """A command of a verb that changes one App. It takes the App's name and the flags that all such verbs share, for which
    the verb gets a `Writing`; arguments and options of its own stand under this decorator."""

    def command(name: str, dry_run: str, field_manager: str, output: str | None, **own: Any) -> None:
        session = session_of(click.get_current_context(), field_manager=field_manager)
        verb(Writing(session, name, dry_run, output), **own)

    shared = change(connection(command))
    for param in getattr(verb, "__click_params__", ()):
        shared.__click_params__.append(param)  # type: ignore[attr-defined]
    return click.command(verb.__name__, cls=Verb, help=verb.__doc__)(name_argument(shared))


@changing
@click.option(
    "--to",
    "number",
    type=click.IntRange(min=1),
    metavar="N",
    help="The revision to go back to; else the last one that ran well, or the one before.",
)
def undo(writing: Writing, number: int | None) -> None:
    """Go back to an earlier revision, by writing spec.rollout.undoTo. The template in the spec stays as it is; when it is
    changed the next time, that change is rolled out and the undo is over.

    \b
      fairlead undo shop                   the last revision that ran well
      fairlead undo shop --to 3            see: fairlead history shop
    """
    revisions = writing.session.revisions(writing.app)
    try:
        target = undo_target(writing.app, revisions, number)
    except NoSuchRevision as error:
        raise Failed(f"cannot undo {writing.name}: {error}") from None
    images = f" ({short_images(target.images)})" if target.images else ""
    told = f"goes back to revision {target.number}{images}"
    if writing.app.spec.rollout.paused:
        told += "; it is paused: it moves when it is resumed"
    writing.write({"rollout": {"undoTo": target.number}}, told)


@changing
def restart(writing: Writing) -> None:
    """Replace every pod there is by a new one of the same revision, within the rollout's limits, by writing
    spec.rollout.restartAt. The time is the API server's, so that a wrong clock here does no harm."""
    told = "restarts"
    if writing.app.spec.rollout.paused:
        told += "; it is paused: it moves when it is resumed"
    writing.write({"rollout": {"restartAt": timestamp(writing.session.cluster.now())}}, told)


@changing
@click.argument("entries", nargs=-1, metavar="[ENTRY...]")
def reload(writing: Writing, entries: tuple[str, ...]) -> None:
    """Release the App anew with its Secrets as they are now, by writing spec.config[].reload of the entries that name a
    Secret (all of them, unless some are said). The Secret itself is not read.

    \b
      fairlead reload shop                 after kubectl edit secret shop-db
      fairlead reload shop db              that entry of spec.config alone
    """
    config = writing.raw["spec"].get("config") or []
    chosen = reloadable(writing.name, config, entries)
    word = timestamp(writing.session.cluster.now())
    made = [entry | {"reload": word} if entry["name"] in chosen else entry for entry in config]
    told = f"is released anew with {', '.join(chosen.values())}"
    if writing.app.spec.rollout.paused:
        told += "; it is paused: it moves when it is resumed"
    writing.write_as_read({"config": made}, told)


def reloadable(name: str, config: Sequence[JSON], entries: Sequence[str]) -> dict[str, str]:
    """The entries of spec.config to reload, each with what it names. Failed says which there are.

    >>> reloadable("shop", [{"name": "db", "env": True, "secret": "shop-db"}, {"name": "s", "files": {}}], ())
    {'db': 'Secret shop-db'}
    """
    found = {entry["name"]: f"Secret {entry['secret']}" for entry in config if entry.get("secret")}
    if not found:
        raise Failed(
            f"App {name} has no Secret under spec.config: what else stands there is released by itself when it changes, and a "
            f"Secret that the template names is read anew by: fairlead restart {name}"
        )
    if unknown := [entry for entry in entries if entry not in found]:
        raise Failed(
            f'App {name} has no entry "{unknown[0]}" with a Secret under spec.config; there are {", ".join(found)}'
        )
    return {entry: what for entry, what in found.items() if entry in entries or not entries}


@changing
def pause(writing: Writing) -> None:
    """Hold the rollout where it is, by setting spec.rollout.paused. Pods that run keep running; scaling still works."""
    if writing.app.spec.rollout.paused:
        return writing.unchanged("is paused already")
    return writing.write({"rollout": {"paused": True}}, "paused")


@changing
def resume(writing: Writing) -> None:
    """Let a paused rollout go on, by clearing spec.rollout.paused."""
    if not writing.app.spec.rollout.paused:
        return writing.unchanged("is not paused")
    return writing.write({"rollout": {"paused": False}}, "resumed")


@changing
@click.option(
    "--replicas", type=click.IntRange(0, 100_000), required=True, metavar="N", help="How many pods are wanted."
)
def scale(writing: Writing, replicas: int) -> None:
    """Set the number of pods, by writing spec.replicas through the scale subresource, as `kubectl scale` does. An App with
    spec.autoscale keeps that size for autoscale.holdSeconds."""
    app = writing.app
    before, scaling = app.replicas, app.spec.autoscale
    if app.spec.replicas == replicas and before != replicas:
        raise Failed(
            f"spec.replicas of App {writing.name} is {replicas} already, so that to write it would say nothing; scale to another "
            "number first, or change spec.autoscale"
        )
    if before == replicas:
        return writing.unchanged(f"has {replicas} replicas already")
    told = f"scaled from {before} to {replicas}"
    if scaling is not None and replicas:
        told += f"; spec.autoscale decides again after {duration(scaling.hold_seconds)}"
    return writing.scale(replicas, told)
