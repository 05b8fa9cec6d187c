"""Every series Fairlead exposes, in one table: the code registers from it, the reference page is generated from it."""

from __future__ import annotations

from typing import Literal, NamedTuple


class Series(NamedTuple):
    """One metric: its name, type, what it says, its labels, and a histogram's bucket bounds (seconds)."""

    name: str
    type: Literal["counter", "gauge", "histogram"]
    help: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()


_SHORT = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
_LONG = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_COLD = (0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 5.0, 8.0, 13.0, 20.0, 30.0, 60.0)

TABLE: tuple[Series, ...] = (
    Series("fairlead_queue_depth", "gauge", "Keys ready to be reconciled now.", ("controller",)),
    Series("fairlead_queue_delayed", "gauge", "Keys that wait for a time to come.", ("controller",)),
    Series(
        "fairlead_queue_oldest_seconds", "gauge", "How long the oldest ready key has been waiting.", ("controller",)
    ),
    Series(
        "fairlead_queue_adds_total", "counter", "Requests to reconcile a key, before deduplication.", ("controller",)
    ),
    Series("fairlead_queue_retries_total", "counter", "Keys put back with a backoff.", ("controller",)),
    Series("fairlead_queue_wait_seconds", "histogram", "From ready to taken by a worker.", ("controller",), _SHORT),
    Series(
        "fairlead_reconciles_total",
        "counter",
        "Reconciles by result: done, waiting, gone, refused, conflict, continued, stopped, fenced, error.",
        ("controller", "result"),
    ),
    Series("fairlead_reconcile_seconds", "histogram", "One reconcile, with its requests.", ("controller",), _LONG),
    Series(
        "fairlead_plan_seconds",
        "histogram",
        "The part of a reconcile that occupies the loop: observe, plan, summarise.",
        ("controller",),
        _SHORT,
    ),
    Series("fairlead_plan_errors_total", "counter", "Exceptions in a room's observe or plan.", ("controller", "part")),
    Series(
        "fairlead_errands_total",
        "counter",
        "Work apart from the reconciles (gates, looks at autoscaled Apps), by kind and by what came of it: news, nothing, failed.",
        ("kind", "result"),
    ),
    Series("fairlead_errand_seconds", "histogram", "One errand, with its wait for a turn.", ("kind",), _LONG),
    Series(
        "fairlead_expectations_expired_total",
        "counter",
        "Writes whose echo never came within the time to live.",
        ("controller",),
    ),
    Series(
        "fairlead_stale_reads_total",
        "counter",
        "Reconciles that went on although the store had not caught up with our own last write.",
        ("controller",),
    ),
    Series("fairlead_store_objects", "gauge", "Objects kept in memory.", ("kind",)),
    Series(
        "fairlead_watch_age_seconds",
        "gauge",
        "Since the last line (event or bookmark) of the kind's watch; bookmarks come each minute.",
        ("kind", "namespace"),
    ),
    Series("fairlead_watch_events_total", "counter", "Watch lines by kind.", ("kind",)),
    Series(
        "fairlead_watch_restarts_total",
        "counter",
        "Watch streams that ended, by cause: eof, gone, error, silent, refused.",
        ("kind", "cause"),
    ),
    Series("fairlead_relists_total", "counter", "Complete lists, the first one included.", ("kind",)),
    Series(
        "fairlead_resource_version_regressions_total",
        "counter",
        "Lists older than what was seen before: etcd was restored.",
        ("kind",),
    ),
    Series("fairlead_unreadable_objects_total", "counter", "Objects whose projection failed.", ("kind",)),
    Series(
        "fairlead_writes_total",
        "counter",
        "Requests that write, by the HTTP status they got (0: no answer).",
        ("kind", "verb", "code"),
    ),
    Series("fairlead_write_seconds", "histogram", "Latency of requests that write.", ("verb",), _LONG),
    Series("fairlead_limiter_in_flight", "gauge", "Writes under way.", ("lane",)),
    Series(
        "fairlead_limiter_limit", "gauge", "Writes that may be under way at once; adapts to the API server.", ("lane",)
    ),
    Series(
        "fairlead_limiter_pushbacks_total",
        "counter",
        "Times the API server asked to slow down (429), or its latency did.",
        ("lane", "cause"),
    ),
    Series("fairlead_leader", "gauge", "1 while this process holds the lease."),
    Series(
        "fairlead_events_total",
        "counter",
        "Kubernetes Events by what became of them: written, aggregated, dropped, failed.",
        ("result",),
    ),
    Series("fairlead_activator_held", "gauge", "Connections that an activator holds until a pod takes them."),
    Series(
        "fairlead_activator_requests_total",
        "counter",
        "Connections that came to an activator, by what became of them: passed, refused.",
        ("result",),
    ),
    Series(
        "fairlead_activator_refused_total",
        "counter",
        "Connections that an activator did not pass on, by cause: app, all, bytes (too many), deadline, head, slow, silent, gone, stopping.",
        ("cause",),
    ),
    Series(
        "fairlead_activator_cold_start_seconds",
        "histogram",
        "From a request that found no pod until one had taken it.",
        (),
        _COLD,
    ),
    Series(
        "fairlead_loop_lag_seconds",
        "gauge",
        "How late the event loop runs its timers (highest of the last half minute).",
    ),
    Series("fairlead_build_info", "gauge", "1, with the version as label.", ("version",)),
)
