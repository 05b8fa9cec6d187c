"""Which server, as whom: kubeconfig files as kubectl reads them."""

from __future__ import annotations

import base64
import json
import stat
import textwrap
from pathlib import Path

import pytest
import yaml

from fairlead.cli.access import Credentials, environment_proxy, load_access, run_plugin
from fairlead.cli.kubeconfig import Access, ConfigError, Exec, Overrides, merge, parse, resolve
from fairlead.core.meta import JSON
from unit.cli.conftest import Cli, Shop
from unit.cli.served import TOKEN


def config(**user: object) -> JSON:
    return {
        "current-context": "a",
        "contexts": [
            {"name": "a", "context": {"cluster": "one", "user": "me", "namespace": "team"}},
            {"name": "b", "context": {"cluster": "two", "user": "me"}},
        ],
        "clusters": [
            {"name": "one", "cluster": {"server": "https://one:6443/", "certificate-authority": "ca.crt"}},
            {"name": "two", "cluster": {"server": "https://two", "insecure-skip-tls-verify": True}},
        ],
        "users": [{"name": "me", "user": user or {"token": "t"}}],
    }


def access(overrides: Overrides = Overrides(), **user: object) -> Access:
    return resolve(merge([parse(yaml.safe_dump(config(**user)), "/home/me/.kube/config")]), overrides)


def test_the_current_context_gives_server_namespace_and_user() -> None:
    found = access()
    assert (found.server, found.namespace, found.token) == ("https://one:6443", "team", "t")
    assert found.ca_file == "/home/me/.kube/ca.crt", "paths are relative to the file they are in"


@pytest.mark.parametrize(
    ("overrides", "field", "value"),
    [
        (Overrides(context="b"), "server", "https://two"),
        (Overrides(context="b"), "namespace", "default"),
        (Overrides(context="b"), "insecure", True),
        (Overrides(cluster="two"), "server", "https://two"),
        (Overrides(namespace="x"), "namespace", "x"),
        (Overrides(server="https://three"), "server", "https://three"),
        (Overrides(server="localhost:8001"), "server", "http://localhost:8001"),
        (Overrides(token="other"), "token", "other"),
        (Overrides(insecure=True), "ca_file", ""),
        (Overrides(certificate_authority="/x.crt"), "ca_file", "/x.crt"),
        (Overrides(tls_server_name="api"), "tls_server_name", "api"),
        (Overrides(impersonate="jane", impersonate_groups=("a", "b")), "impersonate_groups", ("a", "b")),
    ],
)
def test_the_command_line_wins_over_the_file(overrides: Overrides, field: str, value: object) -> None:
    assert getattr(access(overrides), field) == value


def test_of_several_files_the_first_that_says_something_wins(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    first = config() | {"current-context": "b"}
    second = config(token="second")
    second["contexts"].append({"name": "c", "context": {"cluster": "one", "user": "only"}})
    second["users"].append({"name": "only", "user": {"token": "of-the-second"}})
    one.write_text(yaml.safe_dump(first))
    two.write_text(yaml.safe_dump(second))
    environ = {"KUBECONFIG": f"{tmp_path / 'none'}:{one}:{two}"}
    assert load_access("", Overrides(), environ).context == "b"
    assert load_access("", Overrides(context="a"), environ).token == "t"
    assert load_access("", Overrides(context="c"), environ).token == "of-the-second"


@pytest.mark.parametrize(
    ("user", "header"),
    [
        ({"token": "abc"}, "Bearer abc"),
        ({"username": "u", "password": "p"}, "Basic " + base64.b64encode(b"u:p").decode()),
        ({"client-certificate-data": "x"}, None),
    ],
)
def test_a_user_becomes_a_header(user: JSON, header: str | None) -> None:
    assert Credentials(access(**user)).headers().get("Authorization") == header


def test_a_token_file_is_read_anew(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("fresh\n")
    assert Credentials(access(tokenFile=str(path))).headers()["Authorization"] == "Bearer fresh"
    path.unlink()
    with pytest.raises(ConfigError, match=r"the token file .* cannot be read: No such file"):
        Credentials(access(tokenFile=str(path))).headers()


def test_impersonation_goes_as_headers_a_group_at_a_time(shop: Shop, cli: Cli) -> None:
    assert cli("status", "shop", "--as", "jane", "--as-group", "a", "--as-group", "b", "--as-uid", "7").code == 0
    headers = shop.server.requests[0].headers
    assert (headers["Impersonate-User"], headers["Impersonate-Uid"]) == ("jane", "7")
    user = access(**{"token": "t", "as": "x", "as-groups": ["a", "b"], "as-user-extra": {"r/e": ["1"]}})
    assert Credentials(user).impersonation() == [
        ("Impersonate-User", "x"),
        ("Impersonate-Group", "a"),
        ("Impersonate-Group", "b"),
        ("Impersonate-Extra-r%2Fe", "1"),
    ]


# ---------------------------------------------------------------- credential plugins


def plugin(tmp_path: Path, script: str) -> str:
    path = tmp_path / "login"
    path.write_text("#!/bin/sh\n" + textwrap.dedent(script))
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


def test_a_credential_plugin_is_run_with_what_it_may_know(tmp_path: Path) -> None:
    command = plugin(
        tmp_path,
        """
        test "$REGION" = eu || exit 9
        test "$1" = get-token || exit 8
        echo "$KUBERNETES_EXEC_INFO" > "$(dirname "$0")/info"
        echo '{"kind": "ExecCredential", "status": {"token": "from-plugin"}}'
        """,
    )
    user = {
        "exec": {
            "apiVersion": "client.authentication.k8s.io/v1beta1",
            "command": command,
            "args": ["get-token"],
            "env": [{"name": "REGION", "value": "eu"}],
            "provideClusterInfo": True,
            "interactiveMode": "Never",
        }
    }
    assert Credentials(access(**user)).headers()["Authorization"] == "Bearer from-plugin"
    info = json.loads((tmp_path / "info").read_text())
    assert info["apiVersion"] == "client.authentication.k8s.io/v1beta1"
    assert info["spec"] == {"interactive": False, "cluster": {"server": "https://one:6443"}}


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("exit 3", "failed with exit code 3: log in again"),
        ("echo hello", "did not print an ExecCredential with a status"),
        ("echo '{}'", "did not print an ExecCredential with a status"),
    ],
)
def test_a_credential_plugin_that_fails_is_named(tmp_path: Path, script: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        run_plugin(Exec(command=plugin(tmp_path, script)), Access("https://x"))


def test_a_credential_plugin_that_is_not_there_comes_with_its_own_hint() -> None:
    missing = Exec(command="/no/such/plugin", install_hint="brew install it")
    with pytest.raises(ConfigError, match="is not installed; brew install it"):
        run_plugin(missing, Access("https://x"))


def test_a_token_on_the_command_line_needs_no_plugin(tmp_path: Path) -> None:
    found = access(Overrides(token="mine"), exec={"command": plugin(tmp_path, "exit 1")})
    assert Credentials(found).headers()["Authorization"] == "Bearer mine"


# ---------------------------------------------------------------- in a pod, behind a proxy


def test_in_a_pod_without_a_kubeconfig_the_service_account_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fairlead.cli.access.SERVICE_ACCOUNT", tmp_path)
    (tmp_path / "token").write_text(TOKEN)
    (tmp_path / "namespace").write_text("team\n")
    environ = {"HOME": "/nowhere", "KUBERNETES_SERVICE_HOST": "fd00::1", "KUBERNETES_SERVICE_PORT": "443"}
    found = load_access("", Overrides(), environ)
    assert (found.server, found.namespace) == ("https://[fd00::1]:443", "team")
    assert Credentials(found).headers()["Authorization"] == f"Bearer {TOKEN}"


def test_proxies_of_the_environment_are_honoured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy:3128")
    monkeypatch.setenv("NO_PROXY", "inside.example")
    assert environment_proxy("https://api.example:6443") == "http://proxy:3128"
    assert environment_proxy("https://inside.example") == ""


def test_a_certificate_authority_that_is_none_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="the certificate authority of context 'a' cannot be used"):
        Credentials(access()).tls()
