"""The settings of the operator's processes: flags over environment over defaults. Frozen once read.

Each process has a class of its own, all that they share is `Settings`. Each field is a flag (`--log-level`) and an environment
variable (`FAIRLEAD_LOG_LEVEL`); `describe` lists them, for the command line's help and for the reference page.
"""

from __future__ import annotations

import dataclasses
import os
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar
from urllib.parse import urlsplit

from fairlead.autoscale.model import METRICS_API, WAYS
from fairlead.core.meta import Key
from fairlead.engine.settings import EngineSettings, LeaseSettings
from fairlead.gates import credentials, guard

if TYPE_CHECKING:  # cryptography takes a moment to load, which no other verb has to wait for
    from fairlead.secrets.signing import Signer
    from fairlead.secrets.suites import PublicKey

PREFIX = "FAIRLEAD_"


class SettingsError(ValueError):
    """A setting cannot be what was given; the message names the flag and the variable."""


class Setting(NamedTuple):
    """One setting as people see it."""

    name: str
    flag: str
    variable: str
    default: Any
    help: str


def _setting(default: Any, help: str) -> Any:
    return dataclasses.field(default=default, metadata={"help": help})


@dataclass(frozen=True, slots=True)
class ProcessSettings:
    """What every process can be told. Durations are seconds; lists are separated by commas."""

    kubeconfig: str = _setting(
        "", "The kubeconfig to use. Empty: the pod's service account, else $KUBECONFIG or ~/.kube/config."
    )
    context: str = _setting("", "The kubeconfig's context to use. Empty: its current one.")
    namespaces: tuple[str, ...] = _setting(
        (), "Work in these namespaces only. Empty: in all, which needs cluster-wide rights."
    )
    identity: str = _setting(
        "", "This process's name, as in the Lease. Empty: the pod's name, or host name and process id."
    )
    health_address: str = _setting(":8081", "Where /healthz and /readyz are served. Empty: nowhere.")
    metrics_address: str = _setting(":8080", "Where /metrics is served. Empty: nowhere.")
    log_level: str = _setting("info", "debug, info, warning or error.")
    log_format: str = _setting("text", "text for people, json for log collectors.")

    def check(self) -> None:
        """SettingsError for what cannot be."""
        if self.log_level not in ("debug", "info", "warning", "error"):
            raise SettingsError(f"--log-level: {self.log_level!r} is none of debug, info, warning, error")
        if self.log_format not in ("text", "json"):
            raise SettingsError(f"--log-format: {self.log_format!r} is neither text nor json")


@dataclass(frozen=True, slots=True)
class Settings(ProcessSettings):
    """What every process can be told that reconciles objects."""

    leader_election: bool = _setting(
        True, "Work only while holding the Lease. Switch it off for a single process on a laptop."
    )
    lease_namespace: str = _setting("", "The Lease's namespace. Empty: the pod's own, else the context's.")
    lease_name: str = _setting("fairlead", "The Lease's name. Two installations in one cluster need two.")
    lease_duration: float = _setting(15.0, "A standby takes over this long after the leader was last heard of.")
    lease_renew_deadline: float = _setting(10.0, "A leader that could not renew for this long ends.")
    lease_retry_period: float = _setting(2.0, "Between two attempts to get or renew the Lease.")
    workers: int = _setting(16, "Objects reconciled at once.")
    max_creates: int = _setting(64, "Creates in flight, at most; the number used adapts to the API server below it.")
    max_deletes: int = _setting(64, "Deletes in flight, at most.")
    status_interval: float = _setting(
        0.2, "While only counters move, an object's status is written at most once in this time."
    )

    def engine(self) -> EngineSettings:
        return EngineSettings(
            workers=self.workers,
            create_concurrency=(min(8, self.max_creates), self.max_creates),
            delete_concurrency=(min(8, self.max_deletes), self.max_deletes),
            status_interval=self.status_interval,
        )

    def watched(self, own_namespace: str) -> tuple[str, ...]:
        """The namespaces that are listed and watched; none for all."""
        return self.namespaces

    def lease(self, own_namespace: str) -> LeaseSettings | None:
        if not self.leader_election:
            return None
        return LeaseSettings(
            namespace=self.lease_namespace or own_namespace,
            name=self.lease_name,
            duration=self.lease_duration,
            renew_deadline=self.lease_renew_deadline,
            retry_period=self.lease_retry_period,
        )

    def check(self) -> None:
        ProcessSettings.check(self)
        if not self.lease_retry_period * 2 < self.lease_renew_deadline < self.lease_duration:
            raise SettingsError(
                "--lease-duration must be above --lease-renew-deadline, and that above twice --lease-retry-period: "
                f"{self.lease_duration:g}, {self.lease_renew_deadline:g}, {self.lease_retry_period:g}"
            )
        for name in ("workers", "max_creates", "max_deletes"):
            if getattr(self, name) < 1:
                raise SettingsError(f"--{name.replace('_', '-')} must be at least 1")


@dataclass(frozen=True, slots=True)
class WorkloadSettings(Settings):
    """What `fairlead run workloads` can be told."""

    lease_name: str = _setting("fairlead-workloads", "The Lease's name. Two installations in one cluster need two.")
    gate_allow: tuple[str, ...] = _setting(
        (),
        "Whom gates may ask besides an App's own Services and pods: host, host:port, *.domain, or a network such as 10.0.0.0/8.",
    )
    gate_prometheus: str = _setting("", "Address of the Prometheus that gates ask where they name none. Empty: none.")
    gate_credentials: tuple[str, ...] = _setting(
        (),
        "What gates say to servers that want to know who asks: ORIGIN=FILE for a bearer token, ORIGIN=HEADER:FILE for another header, such as https://prom.example=/run/prom/token. It is sent to that scheme, host and port alone.",
    )

    autoscale_resource_metrics: tuple[str, ...] = _setting(
        (METRICS_API,),
        "Where cpu and memory of pods are read for spec.autoscale, the first that is there: metrics.k8s.io, kubelets. Kubelets are read each five seconds, through the API server's node proxy: the right to that is a right to run anything in any pod.",
    )

    activator_service: str = _setting(
        "",
        "Where the activators are, as namespace/name of their Service; its port `control` tells which Apps have requests waiting. "
        "Empty: none, and a request wakes no App.",
    )

    def activator(self) -> Key | None:
        """Its Service. SettingsError for what names none."""
        if not self.activator_service:
            return None
        namespace, _, name = self.activator_service.partition("/")
        if not namespace or not name or "/" in name:
            raise SettingsError(f"--activator-service: {self.activator_service!r} is no namespace/name")
        return Key(namespace, name)

    def check(self) -> None:
        Settings.check(self)
        self.activator()
        if unknown := [way for way in self.autoscale_resource_metrics if way not in WAYS]:
            raise SettingsError(f"--autoscale-resource-metrics: {unknown[0]!r} is none of {', '.join(WAYS)}")
        try:
            guard.parse(self.gate_allow)
        except ValueError as error:
            raise SettingsError(f"--gate-allow: {error}") from None
        if self.gate_prometheus and not self.gate_prometheus.startswith(("http://", "https://")):
            raise SettingsError(f"--gate-prometheus: {self.gate_prometheus!r} is no http or https URL")
        _check_credentials(self)


@dataclass(frozen=True, slots=True)
class SecretSettings(Settings):
    """What `fairlead run secrets` can be told."""

    lease_name: str = _setting("fairlead-secrets", "The Lease's name. Two installations in one cluster need two.")
    key_namespace: str = _setting("", "Where the private keys are. Empty: the pod's own namespace, else the context's.")
    key_renew_period: float = _setting(
        2592000.0, "After this long a new key seals; the old ones still open. 0: never. The default is 30 days."
    )
    recovery_public_keys: tuple[str, ...] = _setting(
        (), "Each new key is sealed to these, so that it can be brought back: public keys, SUITE:BASE64."
    )
    cluster_scope: bool = _setting(
        False,
        "Open values that were sealed for every namespace. Whoever may make an EncryptedSecret can then read them.",
    )
    sealed_secrets_namespace: str = _setting(
        "",
        "Make Secrets of SealedSecrets (bitnami.com) too, with the keys of sealed-secrets that are in this namespace. "
        "Empty: leave SealedSecrets alone.",
    )
    signers: tuple[str, ...] = _setting(
        (),
        "Open only EncryptedSecrets that one of these has signed: public keys, ed25519:BASE64. Empty: ask for no signature.",
    )
    protected_namespaces: tuple[str, ...] = _setting(
        ("kube-system",), "Namespaces where no Secret is written, besides that of the private keys."
    )

    def watched(self, own_namespace: str) -> tuple[str, ...]:
        """With the private keys' own, where an EncryptedSecret is refused in words."""
        return (*self.namespaces, self.key_namespace or own_namespace) if self.namespaces else ()

    def check(self) -> None:
        Settings.check(self)
        if self.key_renew_period < 0:
            raise SettingsError("--key-renew-period must be 0 or more")
        self.recovery()
        self.who_signs()

    def who_signs(self) -> tuple[Signer, ...]:
        """Whose signatures count. SettingsError for what is no key."""
        from fairlead.secrets.signing import Signer
        from fairlead.secrets.suites import BadKey

        try:
            return tuple(Signer.decode(text) for text in self.signers)
        except BadKey as error:
            raise SettingsError(f"--signers: {error}; print one with `fairlead keys generate --signing`") from None

    def recovery(self) -> tuple[PublicKey, ...]:
        """The recovery keys. SettingsError for what is none."""
        from fairlead.secrets.keys import public_from
        from fairlead.secrets.suites import BadKey

        try:
            return tuple(public_from(text) for text in self.recovery_public_keys)
        except BadKey as error:
            raise SettingsError(
                f"--recovery-public-keys: {error}; print one with `fairlead keys generate --recovery`"
            ) from None


@dataclass(frozen=True, slots=True)
class ActivatorSettings(ProcessSettings):
    """What `fairlead run activator` can be told."""

    control_address: str = _setting(
        ":8082", "Where the operator listens to which Apps have requests waiting. Nobody else needs to reach it."
    )
    max_waiting: int = _setting(4000, "Connections held at once, of all Apps.")
    max_waiting_per_app: int = _setting(1000, "Connections held at once of each App.")
    max_waiting_bytes: int = _setting(67108864, "Bytes kept of them at once, of all Apps.")
    drain_seconds: float = _setting(
        10.0, "After SIGTERM it goes on taking connections for so long: not all nodes have heard of its end."
    )
    grace_seconds: float = _setting(40.0, "After that, so long for the connections that are left.")

    def check(self) -> None:
        ProcessSettings.check(self)
        if not self.control_address.rpartition(":")[2].isdigit():
            raise SettingsError(f"--control-address: {self.control_address!r} is no host:port, such as :8082")
        for name in ("max_waiting", "max_waiting_per_app", "max_waiting_bytes"):
            if getattr(self, name) < 1:
                raise SettingsError(f"--{name.replace('_', '-')} must be at least 1")
        for name in ("drain_seconds", "grace_seconds"):
            if getattr(self, name) < 0:
                raise SettingsError(f"--{name.replace('_', '-')} must be 0 or more")


P = TypeVar("P", bound=ProcessSettings)
S = TypeVar("S", bound=Settings)


def describe(kind: type[ProcessSettings]) -> Iterator[Setting]:
    """Every setting of a process, in the order of the class."""
    for field in dataclasses.fields(kind):
        flag = "--" + field.name.replace("_", "-")
        yield Setting(field.name, flag, PREFIX + field.name.upper(), field.default, field.metadata["help"])


def load(kind: type[P], flags: Mapping[str, Any], environ: Mapping[str, str] | None = None) -> P:
    """The settings of a process from flags (by field name; None means not given), else from the environment, else the
    defaults.

    >>> load(WorkloadSettings, {"workers": 4}, {"FAIRLEAD_WORKERS": "8", "FAIRLEAD_NAMESPACES": "a, b"}).namespaces
    ('a', 'b')
    """
    environ = os.environ if environ is None else environ
    values: dict[str, Any] = {}
    for setting in describe(kind):
        given: Any = flags.get(setting.name)
        if given is None:
            given = environ.get(setting.variable)
        if given is not None:
            values[setting.name] = _parse(setting, given)
    values["identity"] = values.get("identity") or environ.get("POD_NAME") or f"{socket.gethostname()}_{os.getpid()}"
    own = environ.get("POD_NAMESPACE", "")
    for name in ("lease_namespace", "key_namespace"):
        if name in {field.name for field in dataclasses.fields(kind)}:
            values[name] = values.get(name) or own
    settings = kind(**values)
    settings.check()
    return settings


def _parse(setting: Setting, given: Any) -> Any:
    wanted = type(setting.default)
    try:
        if wanted is tuple:
            parts = given.split(",") if isinstance(given, str) else given
            return tuple(part.strip() for part in parts if part.strip())
        if wanted is bool and isinstance(given, str):
            return {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}[
                given.strip().lower()
            ]
        return wanted(given)
    except (KeyError, TypeError, ValueError):
        raise SettingsError(f"{setting.flag} ({setting.variable}): {given!r} is no {_WORDS[wanted]}") from None


_WORDS = {bool: "true or false", int: "whole number", float: "number of seconds", str: "text", tuple: "list"}


def _check_credentials(settings: WorkloadSettings) -> None:
    """Each can be read, and is for a server that gates may ask: one that is never sent was meant for another."""
    try:
        known = credentials.parse(settings.gate_credentials)
    except ValueError as error:
        raise SettingsError(f"--gate-credentials: {error}") from None
    allowed, own = guard.parse(settings.gate_allow), known.of(settings.gate_prometheus)
    for origin, credential in known.by_origin.items():
        parts = urlsplit(origin)
        if credential != own and allowed.refuses_name(parts.hostname or "", parts.port or 0):
            raise SettingsError(
                f"--gate-credentials: {origin} is nobody whom gates may ask: name its host in --gate-allow, or take it away"
            )
