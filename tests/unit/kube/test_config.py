"""Where the API server is and who we are, from a kubeconfig or from a pod's files."""

from __future__ import annotations

import base64
import json
import stat
from pathlib import Path
from typing import Any

import msgspec
import pytest

from fairlead.kube.config import ConfigError, InClusterLogin, KubeconfigLogin, login


def kubeconfig(path: Path, user: dict[str, Any], **cluster: Any) -> Path:
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "one",
        "contexts": [
            {"name": "one", "context": {"cluster": "c", "user": "u", "namespace": "shop"}},
            {"name": "two", "context": {"cluster": "c", "user": "u"}},
        ],
        "clusters": [{"name": "c", "cluster": {"server": "https://api.example:6443/", **cluster}}],
        "users": [{"name": "u", "user": user}],
    }
    path.write_bytes(msgspec.yaml.encode(config))
    return path


def test_a_token_and_the_contexts_namespace(tmp_path: Path) -> None:
    file = kubeconfig(tmp_path / "config", {"token": "secret"})
    access = KubeconfigLogin(str(file)).access()
    assert (access.server, access.namespace, access.authorization) == (
        "https://api.example:6443",
        "shop",
        "Bearer secret",
    )
    assert KubeconfigLogin(str(file), "two").access().namespace == "default"


def test_certificates_in_the_file_or_beside_it(tmp_path: Path) -> None:
    (tmp_path / "ca.crt").write_text("the CA")
    file = kubeconfig(
        tmp_path / "config",
        {"client-certificate-data": _encoded("a cert"), "client-key-data": _encoded("a key")},
        **{"certificate-authority": "ca.crt", "tls-server-name": "kubernetes"},
    )
    access = KubeconfigLogin(str(file)).access()
    assert Path(access.ca_file).read_text() == "the CA"
    assert Path(access.cert_file).read_text() == "a cert"
    assert Path(access.key_file).read_text() == "a key"
    assert access.tls_server_name == "kubernetes"
    assert access.authorization == ""
    assert access.verify


def test_insecure_is_said_so(tmp_path: Path) -> None:
    file = kubeconfig(tmp_path / "config", {"token": "x"}, **{"insecure-skip-tls-verify": True})
    assert not KubeconfigLogin(str(file)).access().verify


def test_a_plugin_is_run_and_run_again_when_the_token_is_refused(tmp_path: Path) -> None:
    count = tmp_path / "count"
    count.write_text("0")
    plugin = tmp_path / "plugin"
    credential = {"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": {"token": "t-N"}}
    plugin.write_text(
        f"#!/bin/sh\nn=$(($(cat {count}) + 1)); echo $n > {count}\necho '{json.dumps(credential)}' | sed s/t-N/t-$n/\n"
    )
    plugin.chmod(plugin.stat().st_mode | stat.S_IXUSR)
    user = {
        "exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": str(plugin), "interactiveMode": "Never"}
    }
    way = KubeconfigLogin(str(kubeconfig(tmp_path / "config", user)))
    assert way.access().authorization == "Bearer t-1"
    assert way.access().authorization == "Bearer t-1", "it has not run out"
    assert way.renew().authorization == "Bearer t-2"
    assert way.access().authorization == "Bearer t-2"


def test_what_cannot_be_read_is_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="kubeconfig cannot be used"):
        KubeconfigLogin(str(tmp_path / "missing")).access()
    with pytest.raises(ConfigError, match="nonsense"):
        KubeconfigLogin(str(kubeconfig(tmp_path / "config", {"token": "x"})), "nonsense").access()


@pytest.fixture
def account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")
    for name, text in {"token": "first\n", "ca.crt": "the CA", "namespace": "fairlead"}.items():
        (tmp_path / name).write_text(text)
    return tmp_path


def test_the_pods_own_account(account: Path) -> None:
    access = InClusterLogin(account).access()
    assert (access.server, access.namespace, access.authorization) == (
        "https://10.0.0.1:443",
        "fairlead",
        "Bearer first",
    )
    assert access.ca_file == str(account / "ca.crt")


def test_a_rotated_token_or_ca_is_another_access(account: Path) -> None:
    way = InClusterLogin(account)
    first = way.access()
    assert way.access() == first
    (account / "token").write_text("second")
    second = way.access()
    assert second.authorization == "Bearer second"
    (account / "ca.crt").unlink()
    (account / "ca.crt").write_text("the next CA")
    assert way.access().versions != second.versions


def test_a_pod_without_an_account_is_told_so(account: Path) -> None:
    (account / "token").unlink()
    with pytest.raises(ConfigError, match="service account cannot be used"):
        InClusterLogin(account).access()


def test_in_a_pod_its_account_is_used_unless_something_else_was_asked_for(account: Path) -> None:
    assert isinstance(login(), InClusterLogin)
    assert isinstance(login("some/kubeconfig"), KubeconfigLogin)
    assert isinstance(login("", "context"), KubeconfigLogin)


def _encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
