"""The engine's tuning, with the values it is measured with. Durations are seconds."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LeaseSettings:
    """Who leads. A standby takes over at most `duration` after the leader's last renewal."""

    namespace: str = "fairlead"
    """Namespace of the Lease: the operator's own."""
    name: str = "fairlead-workloads"
    """Name of the Lease; two installations that share a cluster need two."""
    duration: float = 15.0
    """What a standby waits, on its own clock, after it last saw the lease move."""
    renew_deadline: float = 10.0
    """The leader gives up when it could not renew for this long; must be below `duration`."""
    retry_period: float = 2.0
    """Between two attempts to acquire or to renew."""


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """How hard and how patiently the engine works."""

    workers: int = 16
    """Keys reconciled at once; never two workers for one key."""
    page_size: int = 500
    """Objects per page of a list."""
    watch_timeout: int = 290
    """The server is asked to end a watch after about this long (jittered by a fifth, so that streams do not end together)."""
    silence_limit: float = 70.0
    """A watch without a line for this long is dead: bookmarks come each minute."""
    stream_backoff: tuple[float, float] = (0.2, 30.0)
    """First and longest pause before a list or watch is tried again."""
    missing_recheck: float = 30.0
    """After this long a kind that is not installed is looked for again (Gateway API may come later than we do)."""
    window: float = 0.005
    """Events of one parent within this time make one reconcile."""
    window_factor: float = 16.0
    """The window grows with the parent: this many times what its last plan took, so that plans take a seventeenth of the time."""
    window_limit: float = 0.25
    """The longest window."""
    retry_backoff: tuple[float, float] = (0.2, 30.0)
    """First and longest pause after a reconcile that met a conflict or an API server in trouble: as soon as that is over
    the work goes on. How much is asked meanwhile is the limiter's business."""
    broken_backoff: tuple[float, float] = (0.2, 300.0)
    """First and longest pause after a plan that failed; a change of the spec ends it."""
    refusal_backoff: tuple[float, float] = (1.0, 300.0)
    """First and longest pause before a write the API server refused is tried again; a change of the spec ends it."""
    expectation_ttl: float = 300.0
    """After this long an echo that never came is given up on."""
    own_write_timeout: float = 30.0
    """After this long a reconcile goes on although the store has not caught up with our own last write."""
    status_interval: float = 0.2
    """At most one status write per parent in this time, but for the last word on a spec (Ready, Stalled) and when that no longer holds."""
    child_status_interval: float = 1.0
    """At most one status write per child (a Revision) in this time: what anybody waits for is told by the parent."""
    status_turns: tuple[float, float] = (10.0, 20.0)
    """Status writes a second, of all parents, that nobody waits for; and within how many seconds one is written in any case."""
    child_status_turns: tuple[float, float] = (4.0, 60.0)
    """The same for children."""
    slice: float = 3.0
    """A pass stops starting writes after this long, so that the status moves and a new spec is heard."""
    create_concurrency: tuple[int, int] = (8, 64)
    """Creates in flight: at the start, and at most."""
    delete_concurrency: tuple[int, int] = (8, 64)
    """Deletes in flight: at the start, and at most."""
    other_concurrency: tuple[int, int] = (8, 32)
    """All other writes (status, apply, patch) in flight: at the start, and at most."""
    queueing_delay: float = 0.2
    """Latency above the best seen by more than this means the API server queues: the limiter backs off."""
    write_attempts: int = 4
    """Tries of one write within a pass when the server is in trouble; the name stays the same, so none is made twice."""
    shutdown_grace: float = 5.0
    """What a clean stop gives running reconciles to end."""
    event_rate: float = 10.0
    """Kubernetes Events written per second, process-wide; ten times as many in a burst."""
    event_burst_per_object: int = 25
    """Different Events one object may have at once; one more each ten seconds."""
    stale_after: float = 180.0
    """Nothing is decided while any kind's watch has been silent for this long: bookmarks come each minute."""
