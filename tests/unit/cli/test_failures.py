"""Errors are one clear line: what, why, what to do."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from fairlead.kube.resources import APPS, NAMESPACES, REVISIONS
from unit.cli import objects
from unit.cli.conftest import Cli, Shop
from unit.cli.served import ServedCluster


def test_without_the_crds_it_says_how_to_install_them(server: ServedCluster, cli: Cli) -> None:
    server.forget(APPS, REVISIONS)
    for arguments in (["status"], ["status", "shop"], ["pause", "shop"], ["why", "shop"]):
        result = cli(*arguments)
        assert result.code == 1
        assert result.err.startswith("error: Fairlead's CRDs are not installed in this cluster: helm install fairlead")


@pytest.mark.parametrize("verb", ["status", "tree", "history", "why", "undo", "restart", "pause", "resume"])
def test_an_app_that_is_not_there_is_an_error_with_what_may_have_been_meant(shop: Shop, cli: Cli, verb: str) -> None:
    result = cli(verb, "shpo")
    assert (result.code, result.out) == (1, "")
    assert result.err == "error: there is no App shpo in namespace default; did you mean shop?\n"


def test_an_app_of_that_name_in_another_namespace_is_pointed_out(shop: Shop, cli: Cli) -> None:
    shop.server.add(NAMESPACES, {"metadata": {"name": "prod"}}, namespace="")
    shop.server.add(APPS, objects.app("blog"), "prod")
    assert (
        cli("status", "blog").err == "error: there is no App blog in namespace default; there is one in prod: use -n\n"
    )


def test_a_name_like_no_other_points_to_the_list(shop: Shop, cli: Cli) -> None:
    assert cli("status", "zzz").err.endswith("there is no App zzz in namespace default; see: fairlead status -A\n")


def test_who_may_not_look_for_near_misses_still_gets_the_error(shop: Shop, cli: Cli) -> None:
    shop.server.forbid("list", "apps")
    assert cli("status", "shpo").err == "error: there is no App shpo in namespace default; see: fairlead status -A\n"


def test_what_is_not_allowed_is_named_by_verb_and_resource(shop: Shop, cli: Cli) -> None:
    shop.server.forbid("list", "apps")
    assert cli("status", "-A").err == (
        "error: not allowed: jane may not list apps.fairlead.dev in the whole cluster; "
        "see: kubectl auth can-i list apps.fairlead.dev -A\n"
    )


def test_trust_70_an_expired_token_is_told_and_shows_no_data(shop: Shop, cli: Cli) -> None:
    result = cli("status", "--token", "old")
    assert (result.code, result.out) == (1, "")
    assert "does not accept your credentials: they may have expired" in result.err


def test_a_server_that_is_not_there_is_told_with_the_context_that_named_it(
    tmp_path: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        server = ServedCluster()
        server.port = port
        monkeypatch.setenv("KUBECONFIG", str(server.kubeconfig(tmp_path / "config")))
        result = cli("status")
    server._loop.close()
    assert result.code == 1
    assert result.err == (
        f"error: cannot reach http://127.0.0.1:{port}: Connection refused; "
        "is the cluster up, and is context test the one you mean?\n"
    )


def test_a_server_that_does_not_answer_is_given_up_after_the_request_timeout(cli: Cli) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        result = cli("status", "--server", url, "--request-timeout", "100ms")
    assert (result.code, "no answer in time" in result.err) == (1, True)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (500, "is in trouble (HTTP 500): the server is broken; try again"),
        (503, "is in trouble (HTTP 503)"),
        (429, "is busy: try again in 1s"),
        (0, "cannot reach http://"),
        (418, "error: the server is broken"),
    ],
)
def test_a_server_in_trouble_is_told_from_one_that_refuses(
    server: ServedCluster, cli: Cli, code: int, words: str
) -> None:
    server.break_next(code)
    result = cli("status")
    assert result.code == 1 and words in result.err
    assert len(result.err.splitlines()) == 1


def test_something_that_is_no_api_server_is_recognised(cli: Cli, tmp_path: Path) -> None:
    import http.server
    import threading

    class Web(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"<html>hello</html>")

        def log_message(self, *_: object) -> None: ...

    with http.server.HTTPServer(("127.0.0.1", 0), Web) as web:
        thread = threading.Thread(target=web.serve_forever)
        thread.start()
        result = cli("status", "--server", f"http://127.0.0.1:{web.server_port}")
        web.shutdown()
        thread.join()
    assert result.code == 1 and "does not answer like a Kubernetes API server" in result.err


# ---------------------------------------------------------------- kubeconfig


def test_without_a_kubeconfig_it_says_what_to_set(cli: Cli) -> None:
    result = cli("status")
    assert (result.code, result.out) == (1, "")
    assert result.err == (
        "error: there is no kubeconfig and this is no pod: set KUBECONFIG or --kubeconfig to the file that names your "
        "cluster\n"
    )


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--context", "prod"], "there is no context 'prod' in the kubeconfig; there is: test"),
        (["--cluster", "x"], "there is no cluster 'x' in the kubeconfig; there is: c"),
        (["--user", "x"], "there is no user 'x' in the kubeconfig; there is: u"),
        (["--kubeconfig", "/nowhere"], "--kubeconfig /nowhere: there is no such file"),
    ],
)
def test_a_name_that_is_not_in_the_kubeconfig_is_told_with_those_that_are(
    server: ServedCluster, cli: Cli, arguments: list[str], words: str
) -> None:
    assert cli("status", *arguments).err == f"error: {words}\n"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "is no YAML"),
        ("- a", "is no kubeconfig: it must be a mapping"),
        ("contexts: []", "there is no kubeconfig and this is no pod"),
        ("contexts: [{name: a, context: {}}]", "has no current context: choose one with --context"),
        ("{current-context: a, contexts: [{name: a, context: {cluster: b}}]}", "there is no cluster 'b'"),
        (
            "{current-context: a, contexts: [{name: a, context: {cluster: b}}], clusters: [{name: b, cluster: {}}]}",
            "the cluster of context 'a' has no server",
        ),
    ],
)
def test_a_damaged_kubeconfig_is_named(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, words: str
) -> None:
    path = tmp_path / "damaged"
    path.write_text(text)
    monkeypatch.setenv("KUBECONFIG", str(path))
    result = cli("status")
    assert result.code == 1 and words in result.err


# ---------------------------------------------------------------- trust.md 4, number 74: versions


@pytest.mark.parametrize(
    ("operator", "code", "words"),
    [
        ("0.1.0", 0, ""),
        ("0.1.9", 0, ""),
        ("0.3.0", 2, "error: this program is 0.1.0 and the operator 0.3.0: they may not understand each other"),
        ("1.0.0", 2, "upgrade this program"),
    ],
)
def test_trust_74_a_version_skew_is_told_and_exits_with_2(
    server: ServedCluster, cli: Cli, monkeypatch: pytest.MonkeyPatch, operator: str, code: int, words: str
) -> None:
    monkeypatch.setattr("fairlead.cli.version.__version__", "0.1.0")
    server.add(*_deployment(operator))
    result = cli("version")
    assert result.out.splitlines() == ["fairlead:    0.1.0", f"operator:    {operator}", "Kubernetes:  v1.36.3"]
    assert result.code == code and words in result.err


def _deployment(version: str) -> tuple[object, ...]:
    from unit.cli.served import DEPLOYMENTS

    labels = {
        "app.kubernetes.io/name": "fairlead",
        "app.kubernetes.io/component": "workloads",
        "app.kubernetes.io/version": version,
    }
    return DEPLOYMENTS, {"metadata": {"name": "fairlead-workloads", "labels": labels}}


def test_an_older_crd_that_does_not_know_a_field_is_told_as_such() -> None:
    from fairlead.cli.failures import words
    from fairlead.kube.errors import Invalid

    told = words(Invalid(400, "BadRequest", 'strict decoding error: unknown field "spec.rollout.undoTo"'))
    assert told.startswith("the CRDs in this cluster do not know a field this command writes")
    assert told.endswith("upgrade Fairlead in the cluster")


def test_the_clients_version_needs_no_cluster(cli: Cli) -> None:
    assert cli("version", "--client").code == 0
    assert cli("version").code == 1
