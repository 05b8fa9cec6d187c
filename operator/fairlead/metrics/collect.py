"""The series of `metrics.series` as prometheus objects, one set per process (or per test)."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics, generate_latest

from fairlead.metrics.series import TABLE, Series

disable_created_metrics()  # type: ignore[no-untyped-call]


class Metrics:
    """All series, registered in a registry of their own so that two engines in one process do not collide."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._table = {series.name: series for series in TABLE}
        self.queue_depth = self._gauge("fairlead_queue_depth")
        self.queue_delayed = self._gauge("fairlead_queue_delayed")
        self.queue_oldest = self._gauge("fairlead_queue_oldest_seconds")
        self.queue_adds = self._counter("fairlead_queue_adds_total")
        self.queue_retries = self._counter("fairlead_queue_retries_total")
        self.queue_wait = self._histogram("fairlead_queue_wait_seconds")
        self.reconciles = self._counter("fairlead_reconciles_total")
        self.reconcile_seconds = self._histogram("fairlead_reconcile_seconds")
        self.plan_seconds = self._histogram("fairlead_plan_seconds")
        self.plan_errors = self._counter("fairlead_plan_errors_total")
        self.errands = self._counter("fairlead_errands_total")
        self.errand_seconds = self._histogram("fairlead_errand_seconds")
        self.expectations_expired = self._counter("fairlead_expectations_expired_total")
        self.stale_reads = self._counter("fairlead_stale_reads_total")
        self.store_objects = self._gauge("fairlead_store_objects")
        self.watch_age = self._gauge("fairlead_watch_age_seconds")
        self.watch_events = self._counter("fairlead_watch_events_total")
        self.watch_restarts = self._counter("fairlead_watch_restarts_total")
        self.relists = self._counter("fairlead_relists_total")
        self.regressions = self._counter("fairlead_resource_version_regressions_total")
        self.unreadable = self._counter("fairlead_unreadable_objects_total")
        self.writes = self._counter("fairlead_writes_total")
        self.write_seconds = self._histogram("fairlead_write_seconds")
        self.limiter_in_flight = self._gauge("fairlead_limiter_in_flight")
        self.limiter_limit = self._gauge("fairlead_limiter_limit")
        self.limiter_pushbacks = self._counter("fairlead_limiter_pushbacks_total")
        self.leader = self._gauge("fairlead_leader")
        self.events = self._counter("fairlead_events_total")
        self.activator_held = self._gauge("fairlead_activator_held")
        self.activator_requests = self._counter("fairlead_activator_requests_total")
        self.activator_refused = self._counter("fairlead_activator_refused_total")
        self.activator_cold_start = self._histogram("fairlead_activator_cold_start_seconds")
        self.loop_lag = self._gauge("fairlead_loop_lag_seconds")
        self.build_info = self._gauge("fairlead_build_info")

    def exposition(self) -> bytes:
        """The text format Prometheus scrapes. Call it in the engine's loop: ages are measured on its clock."""
        return generate_latest(self.registry)

    def _declared(self, name: str, type: str) -> Series:
        series = self._table[name]
        if series.type != type:
            raise TypeError(f"{name} is declared a {series.type}, not a {type}")
        return series

    def _gauge(self, name: str) -> Gauge:
        series = self._declared(name, "gauge")
        return Gauge(name, series.help, series.labels, registry=self.registry)

    def _counter(self, name: str) -> Counter:
        series = self._declared(name, "counter")
        return Counter(name, series.help, series.labels, registry=self.registry)

    def _histogram(self, name: str) -> Histogram:
        series = self._declared(name, "histogram")
        return Histogram(name, series.help, series.labels, registry=self.registry, buckets=series.buckets)
