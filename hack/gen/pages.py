"""The reference pages that are made from the code: conditions and reasons, metrics, settings."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from fairlead import settings as operator_settings
from fairlead.metrics.series import TABLE, Series
from fairlead.view.advice import CATALOGUE
from gen import markdown, reasons

ROOT = Path(__file__).resolve().parents[2]
TROUBLESHOOTING = ROOT / "docs" / "troubleshooting.md"

# What a condition says, in the order a reader needs them. A type that is not here stops the generator.
CONDITIONS = {
    "Ready": "The newest spec runs as it was asked for: all pods are of the wanted revision and available, and what belongs to them is taken by the API server. This is the one to wait for.",
    "Available": "Enough pods serve: at least replicas minus maxUnavailable. It does not ask of which revision they are.",
    "Progressing": "How the newest release stands: under way, complete, held, or without progress for too long.",
    "Gates": "There only with False: a Gate that the spec names is not there, or cannot be read. A release waits where it needs it.",
    "HealthGates": "There only with False: health gates cannot be measured at pods that are ready, or what they found cannot be written.",
    "Autoscaling": "There only with spec.autoscale, and after it was taken away: whether the size follows the metrics, and what it came from.",
    "RequestsApplied": "There only with autoscale.resources.mode Apply: whether all pods request what is recommended, and what is awaited.",
    "RolledBack": "There only while the template in the spec is one whose release was taken back: why, and what runs instead.",
    "Paused": "There only while spec.rollout.paused is set.",
    "ReplicaFailure": "There only while the API server refuses a write that pods or revisions need. Its reason is that of the problem.",
    "Accepted": "There only with False: the spec cannot be obeyed. What runs is left as it is.",
    "Config": "There only with spec.config: whether all that it names is there and pinned. Before that nothing of it is released.",
    "InOrder": "There only with False: a new release waits for the Apps that spec.after names, or a way back for those of its release group.",
    "Exposed": "There only with spec.expose: whether the Service stands.",
    "WeightsExact": "There only with False, with the strategy Canary: a weight is not to be had in whole pods. Nothing waits for it.",
    "Disruption": "There only with spec.disruption: whether the PodDisruptionBudget stands and can let a pod go.",
    "PreviewExposed": "There only with spec.expose and the strategy BlueGreen: whether the preview's Service stands.",
    "Routed": "There only with spec.expose.route: whether its Gateways have taken the HTTPRoute. No pod waits for them.",
}
FOUND_ELSEWHERE = {
    "ReplicaFailure": "True: the reason of the refusal, such as QuotaExceeded",
}
SUMMARIES = {
    "Reconciling": "There only with True: Fairlead is at work and needs nobody. Reason and message are those of Ready.",
    "Stalled": "There only with True: nothing goes on without a person. Reason and message are those of the condition that says why.",
}

EVENTS = {
    "RolloutStarted": "A revision begins to roll out, or is gone back to; with its images.",
    "RolloutComplete": "All pods are of the wanted revision and available.",
    "RolledBack": "A release failed, or was aborted, and is taken back; with what failed.",
    "Scaled": "spec.replicas changed; with both numbers.",
    "Autoscaled": "spec.autoscale has come to another number of pods; with both numbers, and what it came from.",
    "RequestsChanged": "With autoscale.resources.mode Apply: what pods are to request has changed; with the amounts.",
    "MetricsUnavailable": "A metric of spec.autoscale cannot be told any more: the size stays.",
    "Recovered": "A release that had passed its deadline went on and is complete.",
    "NoEvictionAllowed": "spec.disruption can allow no eviction, even while all pods are healthy: node drains wait for ever.",
    "RecreatingService": "The Service is deleted and made anew, because its cluster IP cannot be changed in place (to or from Headless).",
}

KSTATUS = """\
| status | `kubectl wait`, Flux, Helm 4 and others that follow [kstatus](https://github.com/kubernetes-sigs/cli-utils/blob/master/pkg/kstatus/README.md) see |
|---|---|
| `Ready` is True | Current: done |
| `Reconciling` is True | InProgress: wait |
| `Stalled` is True | Failed: waiting longer is no use |
| `metadata.generation` is above `status.observedGeneration` | InProgress: the status speaks of an older spec |"""


def conditions() -> str:
    """docs/reference/conditions.md."""
    found = reasons.collect()
    anchors = sections()
    types = {reason.type for reason in found if reason.kind == "condition"}
    unknown = types - CONDITIONS.keys() - SUMMARIES.keys()
    events = [reason.word for reason in found if reason.kind == "event"]
    if unknown or set(events) != EVENTS.keys():
        raise ValueError(f"hack/gen/pages.py has no words for {unknown or set(events) ^ EVENTS.keys()}")
    problems = sorted({reason.word for reason in found if reason.kind == "problem"} | known_problems(found))
    parts = [
        generated("the source of operator/fairlead"),
        "# Conditions, problems and events",
        "What an App says of itself. Each reason links to what it means and what to do: [troubleshooting](../troubleshooting.md).",
        "## Conditions of an App",
        table(("condition", "what it says", "status and reasons"), (row(type, found, anchors) for type in CONDITIONS)),
        "Two more sum up the others for tools:",
        table(("condition", "what it says"), ((f"`{type}`", text) for type, text in SUMMARIES.items())),
        KSTATUS,
        "Every condition carries the `observedGeneration` it was made for, so `kubectl wait --for=condition=Ready` does not take "
        "the status of an older spec for an answer.",
        "## Problems",
        "`status.problems[]` says what keeps pods from being ready: at most eight entries, the most frequent first, each with a count, "
        "a sample pod, the container, the revision and since when. The kubelet's and the scheduler's own words are passed on, so "
        "there may be others than these:",
        table(
            ("reason", "what is wrong"),
            ((link(word, anchors), CATALOGUE[word].meaning if word in CATALOGUE else "") for word in problems),
        ),
        "## Conditions of a Revision",
        "A Revision has the condition `Ready` alone. Its reason is its phase: "
        + ", ".join(f"`{reason.word}`" for reason in unique(r for r in found if r.kind == "revision"))
        + ". It is False while pods of the revision come or go, so that tools which wait for everything wait for them.",
        "## Events",
        "`kubectl describe fapp NAME` shows them. Repetitions raise the count of the first one. Besides these, each new problem is an Event of "
        "type Warning with the problem's reason.",
        table(("reason", "what happened"), ((f"`{word}`", EVENTS[word]) for word in EVENTS)),
    ]
    return page(parts)


def known_problems(found: Sequence[reasons.Reason]) -> set[str]:
    """Words of the kubelet and the scheduler that `fairlead why` has advice for, and that no condition of ours uses."""
    return CATALOGUE.keys() - {reason.word for reason in found if reason.kind == "condition"}


def row(type: str, found: Iterable[reasons.Reason], anchors: dict[str, str]) -> tuple[str, str, str]:
    own = [reason for reason in found if reason.kind == "condition" and reason.type == type]
    own.sort(key=lambda reason: (("True", "False", "Unknown").index(reason.status), reason.word))
    parts = [
        f"{status}: {', '.join(link(reason.word, anchors) for reason in group)}"
        for status, group in groupby(own, key=lambda reason: reason.status)
    ]
    if type in FOUND_ELSEWHERE:
        parts.append(FOUND_ELSEWHERE[type])
    return f"`{type}`", CONDITIONS[type], "<br>".join(parts)


def sections() -> dict[str, str]:
    """Reason -> anchor of its section in troubleshooting.md; a section may be about several.

    >>> sections()["ImagePullBackOff"] == sections()["ErrImagePull"]
    True
    """
    found = {}
    for heading in markdown.headings(TROUBLESHOOTING.read_text()):
        for word in heading.replace("`", "").split(", "):
            found[word] = markdown.anchor(heading)
    return found


def link(word: str, anchors: dict[str, str]) -> str:
    return f"[`{word}`](../troubleshooting.md#{anchors[word]})" if word in anchors else f"`{word}`"


def unique(found: Iterable[reasons.Reason]) -> list[reasons.Reason]:
    return list({reason.word: reason for reason in found}.values())


# ---------------------------------------------------------------- metrics


def metrics() -> str:
    """docs/reference/metrics.md."""
    histograms = [series for series in TABLE if series.type == "histogram"]
    parts = [
        generated("operator/fairlead/metrics/series.py"),
        "# Metrics",
        "Each replica of the operator serves them on port 8080 at `/metrics`, in Prometheus' text format. The chart's value "
        "`serviceMonitor.enabled` makes a ServiceMonitor of them. A standby has them too: ask for `fairlead_leader == 1` where "
        "only the leader counts.",
        table(("metric", "type", "labels", "meaning"), map(series_row, TABLE)),
        "Times are seconds. The buckets of the histograms:",
        table(
            ("histogram", "upper bounds"), ((f"`{s.name}`", ", ".join(f"{b:g}" for b in s.buckets)) for s in histograms)
        ),
        "## What to watch",
        table(("expression", "what it tells"), WATCHED),
    ]
    return page(parts)


WATCHED = (
    ("`sum(fairlead_leader) != 1`", "For more than half a minute: nobody leads, so nothing is replaced or rolled out."),
    ("`max(fairlead_watch_age_seconds) > 120`", "A watch is in trouble; the operator's log and `/readyz` name the kind and the cause."),
    ("`max(fairlead_queue_oldest_seconds) > 30`", "Apps wait for a worker: see `fairlead_loop_lag_seconds` and the operator's CPU."),
    ("`increase(fairlead_plan_errors_total[10m]) > 0`", "A bug: one App is left alone until its spec changes. The log has the traceback; please report it."),
    ("`increase(fairlead_unreadable_objects_total[10m]) > 0`", "An object could not be read, and what was known of it stays in use. The log names it."),
    ('`sum by (kind, code) (rate(fairlead_writes_total{code=~"4..\\|5..\\|0"}[5m]))`', "Writes that fail. 409 now and then is normal."),
    ("`increase(fairlead_limiter_pushbacks_total[10m])`", "The API server asks to slow down; the operator does."),
    ("`increase(fairlead_resource_version_regressions_total[1h]) > 0`", "etcd was restored from a backup."),
)  # fmt: skip


def series_row(series: Series) -> tuple[str, ...]:
    return f"`{series.name}`", series.type, ", ".join(f"`{label}`" for label in series.labels), series.help


# ---------------------------------------------------------------- settings


def settings() -> str:
    """docs/reference/settings.md."""
    common = tuple(operator_settings.describe(operator_settings.ProcessSettings))
    shared = tuple(operator_settings.describe(operator_settings.Settings))
    parts = [
        generated("operator/fairlead/settings.py and engine/settings.py"),
        "# Settings of the operator",
        "`fairlead run workloads`, `fairlead run secrets` and `fairlead run activator` take each as a flag or as an environment variable; the "
        "flag wins. The Helm chart sets what it has a value for ([its README](../../charts/fairlead/README.md)) and passes the rest on through "
        "`workloads.env`, `secrets.env` and `activator.env`:",
        '```yaml\nworkloads:\n  env:\n  - {name: FAIRLEAD_WORKERS, value: "32"}\n```',
        "Durations are seconds, lists are separated by commas. What cannot be is refused at the start, with the names of flag and variable.",
        "## All",
        settings_table(operator_settings.ProcessSettings, ()),
        "## `fairlead run workloads` and `fairlead run secrets`",
        settings_table(operator_settings.Settings, common),
        "## `fairlead run workloads`",
        settings_table(operator_settings.WorkloadSettings, shared),
        "## `fairlead run secrets`",
        settings_table(operator_settings.SecretSettings, shared),
        "## `fairlead run activator`",
        settings_table(operator_settings.ActivatorSettings, common),
        "## What is fixed",
        "These are the engine's own numbers. No flag changes them: they are what the tests and benchmarks run with. They are listed because "
        "they answer how soon something happens.",
        table(("name", "value", "meaning"), engine_rows()),
    ]
    return page(parts)


def settings_table(kind: type[operator_settings.ProcessSettings], told: Sequence[operator_settings.Setting]) -> str:
    """The settings of a process, without those that were told before."""
    own = (setting for setting in operator_settings.describe(kind) if setting not in told)
    return table(("flag", "variable", "default", "meaning"), map(setting_row, own))


def setting_row(setting: operator_settings.Setting) -> tuple[str, ...]:
    return f"`{setting.flag}`", f"`{setting.variable}`", shown(setting.default), setting.help


def shown(value: Any) -> str:
    """A default as it would be typed.

    >>> shown(True), shown(15.0), shown(()), shown(":8080")
    ('`true`', '`15`', '', '`:8080`')
    """
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, float):
        return f"`{int(value) if value.is_integer() else value}`"
    return f"`{value}`" if value != "" and value != () else ""


def engine_rows() -> Iterable[tuple[str, ...]]:
    """The fields of EngineSettings that no setting feeds, with the text under each."""
    path = ROOT / "operator" / "fairlead" / "engine" / "settings.py"
    own = {"workers", "create_concurrency", "delete_concurrency", "status_interval", "lease"}
    for node in ast.parse(path.read_text()).body:
        if not isinstance(node, ast.ClassDef) or node.name != "EngineSettings":
            continue
        for field, text in zip(node.body, node.body[1:], strict=False):
            if not isinstance(field, ast.AnnAssign) or ast.unparse(field.target) in own or field.value is None:
                continue
            assert isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant), ast.unparse(field)
            value = ast.literal_eval(field.value)
            words = " to ".join(f"{part:g}" for part in value) if isinstance(value, tuple) else f"{value:g}"
            yield f"`{ast.unparse(field.target)}`", words, str(text.value.value)


# ---------------------------------------------------------------- Markdown


def generated(source: str) -> str:
    return f"<!-- Generated by hack/gen_docs.py from {source}: edit that instead. -->"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(line) + " |" for line in (head, *rows)]
    return "\n".join([lines[0], "|" + "---|" * len(head), *lines[1:]])


def page(parts: Iterable[str]) -> str:
    return "\n\n".join(part for part in parts if part) + "\n"


PAGES = {"conditions": conditions, "metrics": metrics, "settings": settings}
