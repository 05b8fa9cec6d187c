"""Where the API server is and who we are: from a kubeconfig or from the pod's service account.

The `kubernetes` package reads both, runs credential plugins and refreshes what they gave. What comes out here is a
frozen `Access`; a `Login` gives a new one whenever something in it has changed.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Protocol

import kubernetes.config
import msgspec
from kubernetes.client import Configuration
from kubernetes.config import ConfigException

_loaders: Any = kubernetes.config  # not typed

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")


class ConfigError(Exception):
    """There is no usable way to an API server; the message says what was tried."""


class Access(msgspec.Struct, frozen=True):
    """Everything a request needs. Paths name files that may be rewritten; `versions` moves when one is."""

    server: str
    namespace: str = "default"
    authorization: str = ""  # the header, "" with a client certificate
    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""
    verify: bool = True
    tls_server_name: str = ""
    proxy: str = ""
    versions: tuple[int, ...] = ()  # modification times (ns) of the TLS files


class Login(Protocol):
    """Both methods read files and may run a plugin: call them in a thread."""

    def access(self) -> Access:
        """What is valid now."""
        ...

    def renew(self) -> Access:
        """The server has refused what was valid: begin anew. ConfigError where that cannot be done."""
        ...


class StaticLogin:
    """One Access that never changes."""

    def __init__(self, access: Access) -> None:
        self._access = access

    def access(self) -> Access:
        return self._access

    def renew(self) -> Access:
        return self._access


class InClusterLogin:
    """The pod's service account. Its token is replaced by the kubelet about hourly, the CA on a rotation."""

    def __init__(self, directory: Path = SERVICE_ACCOUNT) -> None:
        self._directory = directory

    def access(self) -> Access:
        directory = self._directory
        configuration = Configuration()
        loader = _loaders.incluster_config.InClusterConfigLoader(
            token_filename=str(directory / "token"), cert_filename=str(directory / "ca.crt"), try_refresh_token=False
        )
        try:
            loader.load_and_set(configuration)
            namespace = (directory / "namespace").read_text().strip()
        except (ConfigException, OSError) as error:
            raise ConfigError(f"the pod's service account cannot be used: {error}") from error
        return _access(configuration, namespace)

    def renew(self) -> Access:
        return self.access()


class KubeconfigLogin:
    """A kubeconfig: `path` "" is $KUBECONFIG or ~/.kube/config, `context` "" the current one."""

    def __init__(self, path: str = "", context: str = "") -> None:
        self._path = path
        self._context = context
        self._configuration: Any = None
        self._namespace = "default"

    def access(self) -> Access:
        if self._configuration is None:
            return self.renew()
        return _access(self._configuration, self._namespace)

    def renew(self) -> Access:
        path, context = self._path or None, self._context or None
        configuration = Configuration()
        try:
            contexts, current = _loaders.list_kube_config_contexts(path)
            chosen = next((c for c in contexts if c["name"] == context), None) if context else current
            _loaders.load_kube_config(path, context, client_configuration=configuration, persist_config=False)
        except (ConfigException, OSError) as error:
            raise ConfigError(f"the kubeconfig cannot be used: {error}") from error
        self._namespace = ((chosen or {}).get("context") or {}).get("namespace") or "default"
        self._configuration = configuration
        return _access(configuration, self._namespace)


def login(kubeconfig: str = "", context: str = "") -> Login:
    """What was asked for, else the pod's service account, else the user's own kubeconfig."""
    if not kubeconfig and not context and os.environ.get("KUBERNETES_SERVICE_HOST"):
        return InClusterLogin()
    return KubeconfigLogin(kubeconfig, context)


def _access(configuration: Any, namespace: str) -> Access:
    authorization = configuration.get_api_key_with_prefix("BearerToken") or ""  # runs the plugin again when it expired
    scheme, _, secret = authorization.strip().partition(" ")
    files = [configuration.ssl_ca_cert, configuration.cert_file, configuration.key_file]
    return Access(
        server=configuration.host.rstrip("/"),
        namespace=namespace,
        authorization=f"{scheme.capitalize()} {secret.strip()}" if secret else "",
        ca_file=configuration.ssl_ca_cert or "",
        cert_file=configuration.cert_file or "",
        key_file=configuration.key_file or "",
        verify=bool(configuration.verify_ssl),
        tls_server_name=configuration.tls_server_name or "",
        proxy=configuration.proxy or "",
        versions=tuple(Path(file).stat().st_mtime_ns for file in files if file),
    )
