"""The CLI's way to the cluster: the only module here that does input and output over the network.

One pooled connection and plain JSON, so that a command is done in a few milliseconds more than the API server takes.
"""

from __future__ import annotations

import base64
import json
import os
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from email.utils import parsedate_to_datetime
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote, urlencode, urlsplit

import msgspec
import urllib3

from fairlead import __version__
from fairlead.cli import kubeconfig
from fairlead.cli.kubeconfig import Access, ConfigError, Exec, Overrides
from fairlead.core.meta import JSON
from fairlead.kube.errors import ApiError, Unreachable, from_status
from fairlead.kube.resources import Resource

T = TypeVar("T")

PAGE = 500  # objects a request
WATCH_SECONDS = 290
CONNECT_TIMEOUT = 10.0
SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
METADATA_ONLY = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"


# ---------------------------------------------------------------- where and as whom


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
        raise ConfigError(f"the kubeconfig {path} cannot be read: {_os_words(error)}") from None


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
                f"the certificate authority of context {access.context!r} cannot be used: {_os_words(error)}"
            ) from None
        certificate, key = self._certificate()
        if certificate:
            try:
                _load_certificate(context, certificate, key)
            except (OSError, ValueError) as error:
                raise ConfigError(
                    f"the client certificate of context {access.context!r} cannot be used: {_os_words(error)}"
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
        raise ConfigError(f"the {what} {path} cannot be read: {_os_words(error)}") from None


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
        raise ConfigError(f"the credential plugin {plugin.command!r} cannot be run: {_os_words(error)}") from None
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


# ---------------------------------------------------------------- requests


class _PageMeta(msgspec.Struct, frozen=True):
    next: str = msgspec.field(default="", name="continue")


class _Page(msgspec.Struct):
    """One page of a list; its items are not looked into."""

    items: list[msgspec.Raw] | None = None
    metadata: _PageMeta = _PageMeta()


_PAGE = msgspec.json.Decoder(_Page)
_OBJECT = msgspec.json.Decoder(dict[str, Any])


class Cluster:
    """One API server. All methods raise `kube.errors.ApiError` subclasses, ConfigError where it never gets that far."""

    def __init__(
        self, access: Access, *, request_timeout: float | None = None, field_manager: str = "fairlead-cli"
    ) -> None:
        """`request_timeout` in seconds for each request but watches; None waits as long as it takes."""
        self.access = access
        self.field_manager = field_manager
        self._timeout = request_timeout
        self._skew = 0.0
        self._streams: dict[Resource, urllib3.BaseHTTPResponse] = {}
        self._cut: set[Resource] = set()

    @property
    def namespace(self) -> str:
        return self.access.namespace

    def now(self) -> float:
        """The API server's clock (epoch seconds), as far as its answers told: ages and restarts are about its times."""
        return time.time() + self._skew

    @cached_property
    def _headers(self) -> urllib3.HTTPHeaderDict:
        credentials = Credentials(self.access)
        headers = urllib3.HTTPHeaderDict(credentials.headers())
        for key, value in credentials.impersonation():
            headers.add(key, value)
        return headers

    @cached_property
    def _pool(self) -> urllib3.PoolManager:
        access = self.access
        options: JSON = {"maxsize": 4, "retries": False}
        if access.server.startswith("https:"):
            options["ssl_context"] = Credentials(access).tls()
            if access.insecure:
                options["cert_reqs"] = "CERT_NONE"
                urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
            if access.tls_server_name:
                options["server_hostname"] = options["assert_hostname"] = access.tls_server_name
        proxy = access.proxy_url or environment_proxy(access.server)
        if not proxy:
            return urllib3.PoolManager(**options)
        if not proxy.startswith(("http://", "https://")):
            raise ConfigError(f"the proxy {proxy} cannot be used: only http:// and https:// proxies are supported")
        return urllib3.ProxyManager(proxy, **options)

    def close(self) -> None:
        if "_pool" in self.__dict__:
            self._pool.clear()

    def get(self, resource: Resource, name: str, *, namespace: str = "", subresource: str = "") -> JSON:
        return self._json("GET", resource.path(namespace or self.namespace, name, subresource))

    def pages(self, resource: Resource, **selection: Any) -> Iterator[list[JSON]]:
        """As `raw_pages`, decoded."""
        for page in self.raw_pages(resource, **selection):
            yield [msgspec.json.decode(item) for item in page]

    def raw_pages(
        self,
        resource: Resource,
        *,
        namespace: str | None = "",
        labels: str = "",
        fields: str = "",
        limit: int = 0,
        metadata_only: bool = False,
    ) -> Iterator[list[bytes]]:
        """The objects page by page as the server wrote them, so that a caller reads and keeps only what it needs; namespace
        None means all of them. With a `limit` one page of at most so many."""
        scope = None if namespace is None else namespace or self.namespace
        query = _query(labelSelector=labels, fieldSelector=fields, limit=limit or PAGE)
        headers = {"Accept": METADATA_ONLY} if metadata_only else {}
        while True:
            page = self._decoded(_PAGE, self._request("GET", resource.path(scope), query, headers=headers))
            yield [bytes(item) for item in page.items or ()]
            query["continue"] = page.metadata.next
            if limit or not page.metadata.next:
                return

    def snapshot(self, resource: Resource, *, labels: str = "", fields: str = "") -> tuple[list[JSON], str]:
        """All matching objects in the namespace and the resourceVersion to watch from."""
        page = self._json("GET", resource.path(self.namespace), _query(labelSelector=labels, fieldSelector=fields))
        return page.get("items") or [], (page.get("metadata") or {}).get("resourceVersion", "")

    def watch(
        self, resource: Resource, *, version: str, labels: str = "", fields: str = "", seconds: int = WATCH_SECONDS
    ) -> Iterator[JSON]:
        """Watch events until the server ends the stream. Gone where the version is too old, at the start or in the middle."""
        query = _query(labelSelector=labels, fieldSelector=fields, resourceVersion=version, timeoutSeconds=seconds)
        query |= {"watch": "true", "allowWatchBookmarks": "true"}
        response = self._open("GET", resource.path(self.namespace), query, timeout=seconds + 30.0)
        self._streams[resource] = response
        try:
            if resource in self._cut:
                return
            for line in _lines(response):
                event = json.loads(line)
                if event["type"] == "ERROR":
                    status = event["object"]
                    raise from_status(int(status.get("code") or 500), json.dumps(status).encode())
                yield event
        except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            raise Unreachable(0, "StreamCut", f"the watch was cut: {error}") from None
        finally:
            self._streams.pop(resource, None)
            response.close()

    def cut(self, resource: Resource) -> None:
        """End the watch of that kind for good, from another thread."""
        self._cut.add(resource)
        stream = self._streams.get(resource)
        if isinstance(stream, urllib3.HTTPResponse):
            with suppress(ValueError, OSError, RuntimeError):  # it ended by itself in the meantime
                stream.shutdown()

    def patch(self, resource: Resource, name: str, body: JSON, *, dry_run: bool = False) -> JSON:
        """A merge patch; fields the server's schema does not know are refused instead of dropped."""
        query = _query(fieldManager=self.field_manager, fieldValidation="Strict", dryRun="All" if dry_run else "")
        headers = {"Content-Type": "application/merge-patch+json"}
        return self._json(
            "PATCH", resource.path(self.namespace, name), query, body=json.dumps(body).encode(), headers=headers
        )

    def create(self, resource: Resource, body: JSON, *, dry_run: bool = False) -> JSON:
        """A new object, in the namespace its metadata names. Conflict (AlreadyExists) where there is one of that name."""
        query = _query(fieldManager=self.field_manager, fieldValidation="Strict", dryRun="All" if dry_run else "")
        path = resource.path(body["metadata"].get("namespace") or self.namespace)
        headers = {"Content-Type": "application/json"}
        return self._json("POST", path, query, body=json.dumps(body).encode(), headers=headers)

    def log(self, pod: str, container: str, *, lines: int, previous: bool) -> str:
        """The end of a container's log."""
        query = _query(container=container, tailLines=lines, previous="true" if previous else "", limitBytes=20_000)
        path = f"/api/v1/namespaces/{self.namespace}/pods/{pod}/log"
        return self._request("GET", path, query, headers={"Accept": "*/*"}).decode("utf-8", "replace")

    def through(self, path: str, *, timeout: float) -> bytes:
        """What is behind one of the API server's proxies, as it says it. ApiError where that is an error status."""
        response = self._open("GET", path, None, headers={"Accept": "*/*"}, timeout=timeout)
        try:
            return bytes(response.read(decode_content=True))
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise Unreachable(0, "AnswerCut", f"the answer was cut: {_reason(error)}") from None
        finally:
            response.release_conn()

    def raw(self, path: str, **query: str) -> JSON:
        """Any path that answers with a JSON object: /version, discovery."""
        return self._json("GET", path, dict(query))

    def _json(
        self,
        method: str,
        path: str,
        query: JSON | None = None,
        *,
        body: bytes | None = None,
        headers: JSON | None = None,
    ) -> JSON:
        return self._decoded(_OBJECT, self._request(method, path, query, body=body, headers=headers))

    def _decoded(self, decoder: msgspec.json.Decoder[T], answer: bytes) -> T:
        try:
            return decoder.decode(answer)
        except msgspec.MsgspecError:
            words = f"{self.access.server} does not answer like a Kubernetes API server"
            raise ApiError(0, "NotAnAPIServer", words) from None

    def _request(
        self,
        method: str,
        path: str,
        query: JSON | None = None,
        *,
        body: bytes | None = None,
        headers: JSON | None = None,
    ) -> bytes:
        response = self._open(method, path, query, body=body, headers=headers, timeout=self._timeout)
        try:
            return bytes(response.read(decode_content=True))
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise Unreachable(0, "AnswerCut", f"the answer of {self.access.server} was cut: {_reason(error)}") from None
        finally:
            response.release_conn()

    def _open(
        self,
        method: str,
        path: str,
        query: JSON | None,
        *,
        body: bytes | None = None,
        headers: JSON | None = None,
        timeout: float | None,
    ) -> urllib3.BaseHTTPResponse:
        url = self.access.server + path + (f"?{urlencode(query)}" if query else "")
        merged = self._headers.copy()
        for key, value in (headers or {}).items():
            merged[key] = value
        connect = CONNECT_TIMEOUT if timeout is None else min(CONNECT_TIMEOUT, timeout)
        try:
            response = self._pool.request(
                method,
                url,
                body=body,
                headers=merged,
                preload_content=False,
                redirect=False,
                timeout=urllib3.Timeout(connect=connect, read=timeout),
            )
        except urllib3.exceptions.HTTPError as error:
            raise Unreachable(0, "Unreachable", _reason(error)) from None
        self._learn_clock(response.headers.get("Date"))
        if response.status >= 300:
            answer = response.read(decode_content=True)
            response.release_conn()
            raise from_status(response.status, answer, response.headers.get("Retry-After"))
        return response

    def _learn_clock(self, date: str | None) -> None:
        """Keep the skew to the server's clock where it is more than the header's own grain of a second."""
        if not date:
            return
        try:
            skew = parsedate_to_datetime(date).timestamp() + 0.5 - time.time()
        except ValueError:
            return
        self._skew = skew if abs(skew) > 2 else 0.0


def _query(**values: Any) -> JSON:
    return {key: value for key, value in values.items() if value not in ("", 0)}


def _lines(response: urllib3.BaseHTTPResponse) -> Iterator[bytes]:
    """The stream's lines as they come, not as a buffer fills."""
    rest = b""
    while chunk := response.read1(65536):
        *lines, rest = (rest + chunk).split(b"\n")
        yield from (line for line in lines if line)


def _reason(error: BaseException) -> str:
    """The innermost cause in few words: "connection refused", not a chain of objects."""
    cause: BaseException = error
    while (inner := cause.__cause__ or cause.__context__ or getattr(cause, "reason", None)) and isinstance(
        inner, BaseException
    ):
        cause = inner
    if isinstance(cause, (TimeoutError, urllib3.exceptions.TimeoutError)):
        return "no answer in time"
    if isinstance(cause, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {cause.verify_message}"
    return _os_words(cause)


def _os_words(error: BaseException) -> str:
    words = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(str(words).split())


def server_host(access: Access) -> str:
    """The server for messages: host and port without credentials or path."""
    parts = urlsplit(access.server)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
