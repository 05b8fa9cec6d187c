"""Which server, as whom, and where: kubeconfig files merged and resolved as kubectl does. Pure: files come in as text.

Why not `kubernetes.config`: importing it takes 0.4 s, more than everything else `fairlead status` does together. What is
rare (auth-provider) still goes through it, see `cluster.legacy_token`.

Source: client-go tools/clientcmd (loader.go, client_config.go, overrides.go).
"""

from __future__ import annotations

from pathlib import PurePath
from typing import Any

import msgspec
import yaml

JSON = dict[str, Any]


class ConfigError(Exception):
    """The kubeconfig cannot be used; the message says which file or entry, and what to do."""


class Overrides(msgspec.Struct, frozen=True):
    """What the command line says over what the files say; "" and () leave it to the files."""

    context: str = ""
    cluster: str = ""
    user: str = ""
    namespace: str = ""
    server: str = ""
    token: str = ""
    insecure: bool = False
    certificate_authority: str = ""
    tls_server_name: str = ""
    impersonate: str = ""
    impersonate_groups: tuple[str, ...] = ()
    impersonate_uid: str = ""


class Exec(msgspec.Struct, frozen=True, rename="camel"):
    """A credential plugin (client.authentication.k8s.io)."""

    command: str
    api_version: str = "client.authentication.k8s.io/v1"
    args: list[str] | None = None
    env: list[dict[str, str]] | None = None
    install_hint: str = ""
    provide_cluster_info: bool = False
    interactive_mode: str = "IfAvailable"


class Access(msgspec.Struct, frozen=True):
    """Everything needed to talk to one API server. Data (`*_data`) is base64 as in the file; paths are absolute."""

    server: str
    namespace: str = "default"
    context: str = ""
    ca_data: str = ""
    ca_file: str = ""
    insecure: bool = False
    tls_server_name: str = ""
    proxy_url: str = ""
    cert_data: str = ""
    cert_file: str = ""
    key_data: str = ""
    key_file: str = ""
    token: str = ""
    token_file: str = ""
    username: str = ""
    password: str = ""
    exec: Exec | None = None
    auth_provider: str = ""
    impersonate: str = ""
    impersonate_groups: tuple[str, ...] = ()
    impersonate_uid: str = ""
    impersonate_extra: dict[str, list[str]] = {}
    source: str = ""  # the file --kubeconfig named


def parse(text: str, path: str) -> JSON:
    """One kubeconfig file, its relative paths made absolute against where it lies."""
    try:
        loaded = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except yaml.YAMLError as error:
        raise ConfigError(f"the kubeconfig {path} is no YAML: {_first_line(error)}") from None
    if loaded is None:
        return {}
    if not isinstance(loaded, dict):
        raise ConfigError(
            f"the kubeconfig {path} is no kubeconfig: it must be a mapping with clusters, users and contexts"
        )
    folder = PurePath(path).parent
    for section, item, fields in (
        ("clusters", "cluster", ("certificate-authority",)),
        ("users", "user", ("client-certificate", "client-key", "tokenFile")),
    ):
        for entry in loaded.get(section) or ():
            _resolve_paths(entry.get(item) or {}, fields, folder)
    for entry in loaded.get("users") or ():
        plugin = (entry.get("user") or {}).get("exec")
        if plugin and "/" in str(plugin.get("command", "")):
            _resolve_paths(plugin, ("command",), folder)
    return loaded


def _resolve_paths(values: JSON, fields: tuple[str, ...], folder: PurePath) -> None:
    for field in fields:
        if values.get(field):
            values[field] = str(folder / str(values[field]))


def merge(files: list[JSON]) -> JSON:
    """Several files as one: whatever is said first, stays.

    >>> one, two = {"current-context": "a"}, {"current-context": "b", "contexts": [{"name": "b", "context": {"cluster": "c"}}]}
    >>> merged = merge([one, two])
    >>> merged["current-context"], merged["contexts"]
    ('a', {'b': {'cluster': 'c'}})
    """
    merged: JSON = {"current-context": "", "clusters": {}, "users": {}, "contexts": {}}
    for file in files:
        merged["current-context"] = merged["current-context"] or file.get("current-context") or ""
        for section, item in (("clusters", "cluster"), ("users", "user"), ("contexts", "context")):
            for entry in file.get(section) or ():
                merged[section].setdefault(entry.get("name", ""), entry.get(item) or {})
    return merged


def resolve(config: JSON, overrides: Overrides) -> Access:
    """The access a merged kubeconfig and the command line's overrides give. ConfigError where a name leads nowhere."""
    context_name = overrides.context or config["current-context"]
    context = _entry(config, "contexts", "context", context_name)
    if not context and not (overrides.server or overrides.cluster):
        raise ConfigError(_no_context(config))
    cluster = _entry(config, "clusters", "cluster", overrides.cluster or context.get("cluster", ""))
    user = _entry(config, "users", "user", overrides.user or context.get("user", ""))
    server = overrides.server or cluster.get("server", "")
    if not server:
        raise ConfigError(
            f"the cluster of context {context_name!r} has no server: kubectl config set-cluster NAME --server=https://…"
        )
    return _access(server, context_name, context, cluster, user, overrides)


def _access(server: str, context_name: str, context: JSON, cluster: JSON, user: JSON, overrides: Overrides) -> Access:
    insecure = overrides.insecure or bool(cluster.get("insecure-skip-tls-verify"))
    own_ca = overrides.certificate_authority
    token = overrides.token
    return Access(
        server=server.rstrip("/") if "://" in server else f"http://{server.rstrip('/')}",
        namespace=overrides.namespace or context.get("namespace") or "default",
        context=context_name,
        ca_data="" if own_ca or insecure else cluster.get("certificate-authority-data", ""),
        ca_file="" if insecure else own_ca or cluster.get("certificate-authority", ""),
        insecure=insecure,
        tls_server_name=overrides.tls_server_name or cluster.get("tls-server-name", ""),
        proxy_url=cluster.get("proxy-url", ""),
        cert_data=user.get("client-certificate-data", ""),
        cert_file=user.get("client-certificate", ""),
        key_data=user.get("client-key-data", ""),
        key_file=user.get("client-key", ""),
        token=token or user.get("token", ""),
        token_file="" if token else user.get("tokenFile", ""),
        username=user.get("username", ""),
        password=user.get("password", ""),
        exec=None if token else _exec(user),
        auth_provider="" if token else (user.get("auth-provider") or {}).get("name", ""),
        impersonate=overrides.impersonate or user.get("as", ""),
        impersonate_groups=overrides.impersonate_groups or tuple(user.get("as-groups") or ()),
        impersonate_uid=overrides.impersonate_uid or user.get("as-uid", ""),
        impersonate_extra=user.get("as-user-extra") or {},
    )


def _exec(user: JSON) -> Exec | None:
    if not user.get("exec"):
        return None
    try:
        return msgspec.convert({key: value for key, value in user["exec"].items() if value is not None}, Exec)
    except msgspec.ValidationError as error:
        raise ConfigError(f"the exec plugin of the user is not described as it must be: {error}") from None


def _entry(config: JSON, section: str, kind: str, name: str) -> JSON:
    if not name:
        return {}
    found = config[section].get(name)
    if found is None:
        there = ", ".join(sorted(config[section])) or "none"
        raise ConfigError(f"there is no {kind} {name!r} in the kubeconfig; there is: {there}")
    return dict(found)


def _no_context(config: JSON) -> str:
    there = ", ".join(sorted(config["contexts"]))
    if there:
        return f"the kubeconfig has no current context: choose one with --context or `kubectl config use-context`; there is: {there}"
    return (
        "there is no kubeconfig and this is no pod: set KUBECONFIG or --kubeconfig to the file that names your cluster"
    )


def _first_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
