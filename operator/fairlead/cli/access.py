"""Where the API server is and as whom the CLI asks it: kubeconfig, service account, credential plugins, proxies."""

from __future__ import annotations

import base64
import json
import os
import ssl
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import msgspec

from fairlead import __version__
from fairlead.cli import kubeconfig
from fairlead.cli.kubeconfig import Access, ConfigError, Exec, Overrides
from fairlead.core.meta import JSON

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")


def load_access(explicit: str, overrides: Overrides, environ: Mapping[str, str]) -> Access:
    """From --kubeconfig, else $KUBECONFIG, else ~/.kube/config, else the pod's service account. ConfigError otherwise."""
    if explicit and not Path(explicit).is_file():
        raise ConfigError(f"--kubeconfig {explicit}: there is no such file")
    paths = _config_paths(explicit, environ)
    files = [kubeconfig.parse(_read(path), str(path.resolve())) for path in paths]
    config = kubeconfig.merge(files)
    if not config["contexts"] and not (overrides.server or overrides.context):
        inside = _in_cluster(overrides, environ)
        if inside is not None:
            return inside
    return msgspec.structs.replace(kubeconfig.resolve(config, overrides), source=explicit)


def _config_paths(explicit: str, environ: Mapping[str, str]) -> list[Path]:
    if explicit:
        return [Path(explicit)]
    named = [Path(part) for part in environ.get("KUBECONFIG", "").split(os.pathsep) if part]
    candidates = named or [Path(environ.get("HOME") or Path.home()) / ".kube" / "config"]
    return [path for path in candidates if path.is_file()]


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"the kubeconfig {path} cannot be read: {os_words(error)}") from None


def _in_cluster(overrides: Overrides, environ: Mapping[str, str]) -> Access | None:
    host, port = environ.get("KUBERNETES_SERVICE_HOST"), environ.get("KUBERNETES_SERVICE_PORT")
    if not host or not port or not (SERVICE_ACCOUNT / "token").is_file():
        return None
    namespace = SERVICE_ACCOUNT / "namespace"
    return Access(
        server=f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}",
        namespace=overrides.namespace or (namespace.read_text().strip() if namespace.is_file() else "default"),
        ca_file=str(SERVICE_ACCOUNT / "ca.crt"),
        token=overrides.token,
        token_file="" if overrides.token else str(SERVICE_ACCOUNT / "token"),
        impersonate=overrides.impersonate,
        impersonate_groups=overrides.impersonate_groups,
        impersonate_uid=overrides.impersonate_uid,
    )


# ---------------------------------------------------------------- credentials


class Credentials:
    """What an Access turns into: headers, and a client certificate. Plugins run when they are first needed."""

    def __init__(self, access: Access) -> None:
        self._access = access

    @cached_property
    def _plugin(self) -> JSON:
        access = self._access
        return run_plugin(access.exec, access) if access.exec else {}

    def headers(self) -> dict[str, str]:
        access = self._access
        headers = {"User-Agent": f"fairlead-cli/{__version__}", "Accept": "application/json", "Accept-Encoding": "gzip"}
        token = access.token or self._plugin.get("token") or ""
        if access.token_file:
            token = _secret(access.token_file, "token file").strip()
        if access.auth_provider:
            token = legacy_token(access)
        if token:
            headers["Authorization"] = f"Bearer {token}"
        elif access.username:
            basic = base64.b64encode(f"{access.username}:{access.password}".encode()).decode()
            headers["Authorization"] = f"Basic {basic}"
        return headers

    def impersonation(self) -> list[tuple[str, str]]:
        """Impersonation headers; a group is a header of its own, so this is a list."""
        access = self._access
        pairs = [("Impersonate-User", access.impersonate)] if access.impersonate else []
        pairs += [("Impersonate-Group", group) for group in access.impersonate_groups]
        if access.impersonate_uid:
            pairs.append(("Impersonate-Uid", access.impersonate_uid))
        for key, values in access.impersonate_extra.items():
            pairs += [(f"Impersonate-Extra-{quote(key, safe='')}", value) for value in values]
        return pairs

    def tls(self) -> ssl.SSLContext:
        access = self._access
        try:
            context = self._context()
        except (OSError, ValueError) as error:
            raise ConfigError(
                f"the certificate authority of context {access.context!r} cannot be used: {os_words(error)}"
            ) from None
        certificate, key = self._certificate()
        if certificate:
            try:
                _load_certificate(context, certificate, key)
            except (OSError, ValueError) as error:
                raise ConfigError(
                    f"the client certificate of context {access.context!r} cannot be used: {os_words(error)}"
                ) from None
        return context

    def _context(self) -> ssl.SSLContext:
        access = self._access
        if access.insecure:
            context = ssl.create_default_context()
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            return context
        if access.ca_data:
            return ssl.create_default_context(cadata=base64.b64decode(access.ca_data).decode())
        return ssl.create_default_context(cafile=access.ca_file or None)

    def _certificate(self) -> tuple[bytes, bytes]:
        """Certificate and key as PEM, empty for none."""
        access, plugin = self._access, self._plugin
        if plugin.get("clientCertificateData"):
            return plugin["clientCertificateData"].encode(), plugin.get("clientKeyData", "").encode()
        certificate = base64.b64decode(access.cert_data) if access.cert_data else b""
        key = base64.b64decode(access.key_data) if access.key_data else b""
        if access.cert_file and not certificate:
            certificate = _secret(access.cert_file, "client certificate").encode()
        if access.key_file and not key:
            key = _secret(access.key_file, "client key").encode()
        return certificate, key


def _load_certificate(context: ssl.SSLContext, certificate: bytes, key: bytes) -> None:
    """OpenSSL reads certificates from files only: a private one (mode 0600) that is gone at once."""
    with tempfile.NamedTemporaryFile(prefix="fairlead-") as file:
        file.write(certificate + b"\n" + key)
        file.flush()
        context.load_cert_chain(file.name)


def _secret(path: str, what: str) -> str:
    try:
        return Path(path).read_text()
    except OSError as error:
        raise ConfigError(f"the {what} {path} cannot be read: {os_words(error)}") from None


def run_plugin(plugin: Exec, access: Access) -> JSON:
    """The `status` of the ExecCredential a credential plugin prints. Its stderr goes to the terminal: it may ask for a login."""
    interactive = plugin.interactive_mode != "Never" and sys.stdin.isatty()
    spec: JSON = {"interactive": interactive}
    if plugin.provide_cluster_info:
        known = {
            "server": access.server,
            "certificate-authority-data": access.ca_data,
            "tls-server-name": access.tls_server_name,
            "insecure-skip-tls-verify": access.insecure,
            "proxy-url": access.proxy_url,
        }
        spec["cluster"] = {key: value for key, value in known.items() if value}
    info = {"apiVersion": plugin.api_version, "kind": "ExecCredential", "spec": spec}
    environment = dict(os.environ) | {entry["name"]: entry["value"] for entry in plugin.env or ()}
    environment["KUBERNETES_EXEC_INFO"] = json.dumps(info)
    try:
        done = subprocess.run(
            [plugin.command, *(plugin.args or ())],
            env=environment,
            stdin=None if interactive else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            check=True,
        )
        status: JSON = json.loads(done.stdout)["status"]
    except FileNotFoundError:
        hint = (
            f"; {plugin.install_hint.strip()}"
            if plugin.install_hint
            else ": install it, or correct the user's exec.command"
        )
        raise ConfigError(f"the credential plugin {plugin.command!r} is not installed{hint}") from None
    except OSError as error:
        raise ConfigError(f"the credential plugin {plugin.command!r} cannot be run: {os_words(error)}") from None
    except subprocess.CalledProcessError as error:
        raise ConfigError(
            f"the credential plugin {plugin.command!r} failed with exit code {error.returncode}: log in again"
        ) from None
    except (ValueError, KeyError, TypeError):
        raise ConfigError(
            f"the credential plugin {plugin.command!r} did not print an ExecCredential with a status"
        ) from None
    return status


def legacy_token(access: Access) -> str:
    """Old auth providers (oidc, gcp, azure) have rules of their own, which the official client knows."""
    from kubernetes import client, config  # takes 0.4 s, and hardly anyone needs it

    configuration = client.Configuration()
    load: Any = config.load_kube_config
    load(config_file=access.source or None, context=access.context or None, client_configuration=configuration)
    value = configuration.get_api_key_with_prefix("authorization") or configuration.api_key.get("authorization", "")
    return str(value).removeprefix("Bearer ")


def environment_proxy(server: str) -> str:
    """The proxy HTTPS_PROXY, HTTP_PROXY and NO_PROXY give for the server, "" for none."""
    if not any(name.lower().endswith("_proxy") for name in os.environ):
        return ""
    from urllib import request  # 15 ms, for the few who need it

    parts = urlsplit(server)
    if request.proxy_bypass(parts.hostname or ""):
        return ""
    return request.getproxies().get(parts.scheme, "")


def os_words(error: BaseException) -> str:
    """What the system says of an error, in a line."""
    words = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(str(words).split())
