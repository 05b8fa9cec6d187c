"""EncryptedSecrets on a real control plane, by the very identity that the chart makes: no right is missing."""

from __future__ import annotations

import base64
import json
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography.hazmat.primitives.asymmetric import rsa

from fairlead.cli.main import run
from fairlead.core.conditions import find
from fairlead.core.meta import JSON
from fairlead.secrets.envelope import Place, Scope
from fairlead.secrets.keys import secret_name
from fairlead.secrets.sealing import seal
from fairlead.secrets.suites import PublicKey
from substrate import tools
from substrate.progress import Progress
from support.crds import served, undefine
from support.helm import CHART, helm
from support.kubeseal import DEFINITION, certificate, deployment, key_secret
from support.lab import Lab
from support.operator import Operator
from support.team import Team
from support.waiting import eventually

OPS = "fairlead-system"
OLD = "sealed-secrets"  # where that project keeps its keys


class Opener(Operator):
    """`fairlead run secrets`."""

    program = ("-m", "fairlead", "run", "secrets")


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """With the definition of SealedSecrets, which came when the operator had looked for it in vain."""
    with Lab("secrets", controllers=True) as lab:
        lab.kubectl("create", "namespace", OLD)
        moving = f"secrets.sealedSecrets.enabled=true,secrets.sealedSecrets.namespace={OLD}"
        values = [
            "--set",
            f"secrets.enabled=true,secrets.replicas=0,workloads.replicas=0,{moving}",
            "--create-namespace",
        ]
        helm("install", "fairlead", CHART, "--namespace", OPS, *values, kubeconfig=lab.kubeconfig)
        kinds = ("encryptedsecrets.fairlead.dev", "sealingkeys.fairlead.dev")
        served(lab, *kinds)
        lab.know_kinds()
        kubeconfig = as_the_chart_has_it(lab, tmp_path_factory.mktemp("secrets") / "kubeconfig")
        told = {"key_namespace": OPS, "lease_namespace": OPS, "sealed_secrets_namespace": OLD}
        with Opener(lab, "secrets", kubeconfig=kubeconfig, **told) as opener:
            eventually(lambda: re.search("sealedsecrets: .*looked for again", opener.log.read_text()) is not None)
            lab.kubectl("apply", "-f", "-", stdin=json.dumps(DEFINITION))
            yield lab


def as_the_chart_has_it(lab: Lab, path: Path) -> Path:
    config = json.loads(lab.kubeconfig.read_text())
    config["users"][0]["user"] = {"token": lab.service_account_token(OPS, "fairlead-secrets")}
    path.write_text(json.dumps(config))
    return path


def keys(lab: Lab) -> list[JSON]:
    """The SealingKeys, oldest first."""
    return sorted(lab.get("fkey")["items"], key=lambda key: str(key["spec"]["createdAt"]))


def key_status(lab: Lab, kid: str) -> JSON:
    status: JSON = lab.get("fkey", kid).get("status") or {}
    return status


def key_reason(lab: Lab, kid: str) -> str:
    """Of its condition Ready."""
    return str((find(key_status(lab, kid).get("conditions") or (), "Ready") or {}).get("reason"))


def active(lab: Lab) -> PublicKey:
    def one() -> list[JSON]:
        return [key for key in keys(lab) if key.get("status", {}).get("state") == "Active"]

    eventually(lambda: len(one()) == 1)
    spec = one()[0]["spec"]
    return PublicKey.decode(spec["suite"], spec["publicKey"])


def sealed(team: Team, public: PublicKey, name: str = "db", **values: str) -> dict[str, str]:
    now = int(time.time())
    return {
        key: seal(public, Place(Scope.STRICT, team.name, name, key), value.encode(), now)
        for key, value in values.items()
    }


def apply(team: Team, values: dict[str, str], name: str = "db", **spec: Any) -> None:
    meta = {"name": name}
    body = {
        "apiVersion": "fairlead.dev/v1alpha1",
        "kind": "EncryptedSecret",
        "metadata": meta,
        "spec": {"values": values, **spec},
    }
    team.apply(body)


def content(team: Team, name: str = "db") -> dict[str, str]:
    found = team.kubectl("get", "secret", name, "-o", "json", "--ignore-not-found")
    data = json.loads(found).get("data", {}) if found else {}
    return {key: base64.b64decode(text).decode() for key, text in data.items()}


def ready(team: Team, name: str = "db") -> JSON:
    status = team.get("encryptedsecret", name).get("status", {})
    return next((one for one in status.get("conditions", ()) if one["type"] == "Ready"), {})


def holds(team: Team, name: str = "db", **values: str) -> None:
    eventually(lambda: content(team, name) == values)
    team.wait("condition=Ready", f"encryptedsecret/{name}")


def test_a_sealed_secret_is_opened_kept_as_it_is_and_versioned(plane: Lab, team: Team) -> None:
    public = active(plane)
    apply(team, sealed(team, public, password="one"), template={"type": "Opaque", "data": {"url": "db://${password}"}})
    holds(team, password="one", url="db://one")
    first = team.get("encryptedsecret", "db")["status"]["version"]
    assert content(team, first) == content(team) and team.get("secret", first)["immutable"] is True
    said = team.kubectl("patch", "secret", first, "-p", json.dumps({"data": {"password": "eA=="}}), check=False)
    assert "immutable" in said
    apply(team, sealed(team, public, password="two"))
    holds(team, password="two")
    assert team.get("encryptedsecret", "db")["status"]["version"] != first
    assert content(team, first)["password"] == "one"


def test_trust_60_an_output_that_is_deleted_edited_or_stripped_of_its_label_comes_back(plane: Lab, team: Team) -> None:
    apply(team, sealed(team, active(plane), password="one"))
    holds(team, password="one")
    team.kubectl("delete", "secret", "db")
    holds(team, password="one")
    team.kubectl("patch", "secret", "db", "-p", json.dumps({"data": {"password": "eA==", "more": "eA=="}}))
    holds(team, password="one")
    team.kubectl("label", "secret", "db", "fairlead.dev/secret-")
    eventually(lambda: team.get("secret", "db")["metadata"]["labels"].get("fairlead.dev/secret") == "current")
    eventually(
        lambda: {"SecretRecreated", "SecretReverted"} <= {event["reason"] for event in team.get("events")["items"]}
    )


def test_trust_59_a_secret_of_somebody_else_is_left_alone_until_both_agree(plane: Lab, team: Team) -> None:
    team.kubectl("create", "secret", "generic", "db", "--from-literal=theirs=1")
    apply(team, sealed(team, active(plane), password="one"), adopt=True)
    eventually(lambda: ready(team).get("reason") == "NotOwned")
    assert content(team) == {"theirs": "1"}
    words = ready(team)["message"]
    commands = [word for word in words.split("`") if word.startswith(("kubectl annotate", "kubectl label"))]
    assert len(commands) == 2
    for command in commands:  # what it says to do is what helps
        plane.kubectl(*command.split()[1:])
    holds(team, password="one")


def test_trust_69_what_is_deleted_goes_and_comes_back_from_the_same_file(plane: Lab, team: Team) -> None:
    values = sealed(team, active(plane), password="one")
    apply(team, values)
    holds(team, password="one")
    team.kubectl("delete", "encryptedsecret", "db")
    eventually(lambda: content(team) == {})
    apply(team, values, deletionPolicy="Retain")
    holds(team, password="one")
    team.kubectl("delete", "encryptedsecret", "db")
    assert content(team) == {"password": "one"}
    eventually(lambda: {"SecretsDeleted", "SecretsRetained"} <= {one["reason"] for one in team.get("events")["items"]})
    apply(team, values)
    holds(team, password="one")


def test_trust_69_a_version_that_a_revision_runs_with_outlives_its_encrypted_secret(plane: Lab, team: Team) -> None:
    apply(team, sealed(team, active(plane), password="one"))
    holds(team, password="one")
    version = team.get("encryptedsecret", "db")["status"]["version"]
    pin = {"name": "db", "env": True, "source": "db", "secret": version}
    template = {"spec": {"containers": [{"name": "web", "image": "example.org/web"}]}}
    spec = {"app": "web", "number": 1, "templateHash": "0123456789", "template": template, "config": [pin]}
    team.apply({"apiVersion": "fairlead.dev/v1alpha1", "kind": "Revision", "metadata": {"name": "web-1"}, "spec": spec})
    eventually(lambda: len(team.get("secret", version)["metadata"]["ownerReferences"]) == 2)
    team.kubectl("delete", "encryptedsecret", "db")
    eventually(lambda: content(team) == {})
    eventually(
        lambda: [one["kind"] for one in team.get("secret", version)["metadata"]["ownerReferences"]] == ["Revision"]
    )
    assert content(team, version) == {"password": "one"}
    eventually(lambda: any("web-1 runs with one of them" in event["message"] for event in team.get("events")["items"]))
    team.kubectl("delete", "frev", "web-1")
    eventually(lambda: content(team, version) == {})


def test_from_the_command_line_a_value_is_sealed_renewed_and_backed_up(
    plane: Lab, team: Team, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The program of a person with all rights: seal, apply, seal nothing twice, rotate, reseal, retire, lose a key and import it."""
    old, file, home = active(plane), tmp_path / "db.yaml", iter(range(100))

    def fairlead(*arguments: str) -> str:
        monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / f"a-machine-of-its-own-{next(home)}"))
        capsys.readouterr()
        assert run([*arguments, "--kubeconfig", str(plane.kubeconfig)], "fairlead") == 0, capsys.readouterr().err
        return "".join(capsys.readouterr())

    literals = ("--from-literal", "password=one", "--from-literal", "user=shop")
    file.write_text(fairlead("seal", "--name", "db", "-n", team.name, *literals).partition("warning:")[0])
    team.kubectl("apply", "-f", str(file))
    holds(team, password="one", user="shop")
    before = file.read_text()
    assert "2 values unchanged" in fairlead("seal", "--into", str(file), *literals)
    assert file.read_text() == before

    fairlead("keys", "rotate")
    eventually(lambda: active(plane).kid != old.kid)
    assert f"2 values sealed to {active(plane).kid}" in fairlead("reseal", str(file))
    team.kubectl("apply", "-f", str(file))
    eventually(lambda: old.kid not in team.get("encryptedsecret", "db")["status"]["kids"])
    assert "form and keys are right" in fairlead("seal", "--verify", str(file))
    eventually(lambda: f"{old.kid}   xw      DecryptOnly" in fairlead("keys", "list"))

    recovery, backup = str(tmp_path / "recovery.key"), tmp_path / "backup.yaml"
    assert run(["keys", "generate", "--recovery", recovery], "fairlead") == 0
    backup.write_text(fairlead("keys", "export", "--private", "--to", f"{recovery}.pub", "--yes"))
    plane.kubectl("delete", "secret", "-n", OPS, "-l", "fairlead.dev/secret=sealing-key-next")
    plane.kubectl("delete", "secret", "-n", OPS, secret_name(old.kid))
    fairlead("keys", "import", str(backup), "--recovery-key", recovery)
    restored = plane.get("secret", "-n", OPS, secret_name(old.kid))
    assert restored["immutable"] is True
    plane.kubectl("delete", "fkey", old.kid)  # with its Secret there it is published again, also by the one who imports
    fairlead("keys", "import", str(backup), "--recovery-key", recovery)
    eventually(lambda: old.kid in [key["metadata"]["name"] for key in keys(plane)])
    eventually(lambda: f"{old.kid}   xw      DecryptOnly" in fairlead("keys", "list"))
    eventually(lambda: key_status(plane, old.kid).get("objects") == 0)
    fairlead("keys", "retire", old.kid)
    eventually(lambda: key_status(plane, old.kid)["state"] == "Retired")
    assert content(team) == {"password": "one", "user": "shop"}


def test_trust_61_63_a_compromised_key_gets_a_successor_and_a_lost_one_is_told_and_comes_back(
    plane: Lab, team: Team
) -> None:
    old = active(plane)
    apply(team, sealed(team, old, password="one"))
    holds(team, password="one")
    plane.kubectl("patch", "fkey", old.kid, "--type=merge", "-p", json.dumps({"spec": {"wish": "Compromised"}}))
    eventually(lambda: active(plane).kid != old.kid)
    eventually(
        lambda: f"{team.name}/db" in plane.kubectl("get", "fkey", old.kid, "-o", "jsonpath={.status.conditions}")
    )
    assert content(team) == {"password": "one"}

    name, new = secret_name(old.kid), active(plane)
    backup = plane.get("secret", "-n", OPS, name)
    # With it what keys were minted by lately, or the operator would simply make it again.
    plane.kubectl("delete", "secret", "-n", OPS, "-l", "fairlead.dev/secret=sealing-key-next")
    plane.kubectl("delete", "secret", "-n", OPS, name)
    eventually(lambda: key_reason(plane, old.kid) == "KeyRingIncomplete")
    assert content(team) == {"password": "one"}
    meta = {key: backup["metadata"][key] for key in ("name", "namespace", "labels", "annotations")}
    plane.kubectl("apply", "-f", "-", stdin=json.dumps({**backup, "metadata": meta}))
    eventually(lambda: key_reason(plane, old.kid) == "Compromised")
    plane.kubectl("patch", "fkey", old.kid, "--type=merge", "-p", json.dumps({"spec": {"wish": "Retired"}}))
    eventually(lambda: key_reason(plane, old.kid) == "StillUsed")
    apply(team, sealed(team, new, password="two"))
    holds(team, password="two")
    eventually(lambda: key_status(plane, old.kid)["state"] == "Retired")


# ---------------------------------------------------------------- SealedSecrets, in place of their own controller


class Kubeseal:
    """The real program, with the certificate of a key that is in the cluster."""

    def __init__(self, lab: Lab, folder: Path) -> None:
        tools.ensure(["kubeseal"], Progress(quiet=True))
        key = rsa.generate_private_key(65537, 4096)
        self._certificate = folder / "tls.crt"
        self._certificate.write_bytes(certificate(key))
        lab.kubectl("apply", "-f", "-", stdin=json.dumps(key_secret(key, OLD)))

    def __call__(self, *arguments: str, stdin: str) -> str:
        command = [str(tools.TOOLS["kubeseal"].link), "--cert", str(self._certificate), *arguments]
        return subprocess.run(command, input=stdin, capture_output=True, text=True, check=True, timeout=60).stdout

    def secret(self, team: Team, name: str = "db", scope: str = "strict", **values: str) -> JSON:
        """A SealedSecret of a Secret with a label."""
        secret = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": name, "namespace": team.name, "labels": {"team": "blue"}},
            "stringData": values,
        }
        made: JSON = yaml.safe_load(self("--scope", scope, "--format", "yaml", stdin=json.dumps(secret)))
        return made


@pytest.fixture(scope="module")
def kubeseal(plane: Lab, tmp_path_factory: pytest.TempPathFactory) -> Kubeseal:
    return Kubeseal(plane, tmp_path_factory.mktemp("kubeseal"))


def synced(team: Team, name: str = "db") -> str:
    status = team.get("sealedsecret", name).get("status", {})
    said = next((one for one in status.get("conditions", ()) if one["type"] == "Synced"), {})
    return f"{said.get('status')} {said.get('reason')}"


@pytest.mark.parametrize("scope", ["strict", "namespace-wide"])
def test_what_kubeseal_sealed_is_opened_without_its_controller_and_kept_as_it_is(
    plane: Lab, team: Team, kubeseal: Kubeseal, scope: str
) -> None:
    made = kubeseal.secret(team, scope=scope, password="one", user="shop")
    given = ("--scope", scope, "--name", "db", "--namespace", team.name)
    made["spec"]["encryptedData"]["token"] = kubeseal("--raw", *given, "--from-file=/dev/stdin", stdin="three")
    team.apply(made)
    eventually(lambda: content(team) == {"password": "one", "user": "shop", "token": "three"})
    eventually(lambda: synced(team) == "True Opened")
    secret = team.get("secret", "db")
    assert secret["metadata"]["labels"]["team"] == "blue" and secret["type"] == "Opaque"
    assert secret["metadata"]["ownerReferences"][0]["kind"] == "SealedSecret"

    team.kubectl("label", "secret", "db", "fairlead.dev/secret-")  # as the old controller would have made it
    eventually(lambda: team.get("secret", "db")["metadata"]["labels"].get("fairlead.dev/secret") == "unsealed")
    assert team.get("secret", "db")["metadata"]["uid"] == secret["metadata"]["uid"]
    team.kubectl("patch", "secret", "db", "-p", json.dumps({"data": {"password": "eA=="}}))
    eventually(lambda: content(team)["password"] == "one")
    team.apply(kubeseal.secret(team, scope=scope, password="two"))
    eventually(lambda: content(team) == {"password": "two"})
    team.kubectl("delete", "sealedsecret", "db")
    eventually(lambda: content(team) == {})


def test_what_was_sealed_for_another_place_or_for_every_namespace_is_not_opened(team: Team, kubeseal: Kubeseal) -> None:
    moved = kubeseal.secret(team, password="one")
    moved["metadata"]["name"] = "mail"
    team.apply(moved)
    eventually(lambda: synced(team, "mail") == "False CannotOpen")
    team.apply(kubeseal.secret(team, scope="cluster-wide", password="one"))
    eventually(lambda: synced(team) == "False Protected")
    assert content(team) == content(team, "mail") == {}


def test_a_sealed_secret_leaves_a_foreign_secret_alone_and_hands_its_own_to_an_encrypted_secret(
    plane: Lab, team: Team, kubeseal: Kubeseal
) -> None:
    team.kubectl("create", "secret", "generic", "db", "--from-literal=theirs=1")
    team.apply(kubeseal.secret(team, password="one"))
    eventually(lambda: synced(team) == "False NotOwned")
    assert content(team) == {"theirs": "1"}
    team.kubectl("delete", "secret", "db")
    eventually(lambda: content(team) == {"password": "one"}, 120)  # the pause before the next attempt doubles
    uid = team.get("secret", "db")["metadata"]["uid"]

    apply(team, sealed(team, active(plane), password="one"), adopt=True)
    eventually(lambda: ready(team).get("reason") == "NotOwned")
    (command,) = [word for word in ready(team)["message"].split("`") if word.startswith("kubectl")]
    plane.kubectl(*command.split()[1:])
    holds(team, password="one")
    assert team.get("secret", "db")["metadata"]["uid"] == uid


def told(team: Team, name: str, reason: str) -> list[str]:
    """The words of Events about a SealedSecret."""
    fields = f"involvedObject.kind=SealedSecret,involvedObject.name={name},reason={reason}"
    return [event["message"] for event in team.get("events", "--field-selector", fields)["items"]]


def test_while_the_controller_of_sealed_secrets_runs_nothing_is_taken_over_from_it(
    plane: Lab, team: Team, kubeseal: Kubeseal
) -> None:
    team.apply(kubeseal.secret(team, password="one"))
    eventually(lambda: content(team) == {"password": "one"})
    plane.kubectl("apply", "-f", "-", stdin=json.dumps(deployment(OLD)))
    try:
        eventually(lambda: told(team, "db", "OldControllerRuns") != [])
        team.kubectl("delete", "secret", "db")
        team.apply(kubeseal.secret(team, "mail", password="two"))
        eventually(lambda: told(team, "mail", "OldControllerRuns") != [])
        assert content(team) == content(team, "mail") == {} and synced(team, "mail") == "None None"
        (words,) = told(team, "mail", "OldControllerRuns")
        (command,) = [word for word in words.split("`") if word.startswith("kubectl")]
        plane.kubectl(*command.split()[1:])  # what it says to do is what helps
        eventually(lambda: content(team) == {"password": "one"} and content(team, "mail") == {"password": "two"})
    finally:
        plane.kubectl("delete", "deployment", "sealed-secrets-controller", "-n", OLD, "--ignore-not-found")


MAY = [("get", ""), ("list", ""), ("watch", ""), ("patch", "status")]
MAY_NOT = [*((verb, "") for verb in ("create", "update", "patch", "delete", "deletecollection")), ("update", "status")]


@pytest.mark.parametrize(
    ("verb", "part", "answer"), [*((*what, "yes") for what in MAY), *((*what, "no") for what in MAY_NOT)]
)
def test_who_reads_sealed_secrets_may_write_nothing_of_theirs_but_the_status(
    plane: Lab, verb: str, part: str, answer: str
) -> None:
    asked = ("auth", "can-i", verb, "sealedsecrets.bitnami.com", f"--subresource={part}", "--all-namespaces")
    accounts = {name: f"--as=system:serviceaccount:{OPS}:fairlead-{name}" for name in ("secrets", "workloads")}
    assert plane.kubectl(*asked, accounts["secrets"], check=False).split()[0] == answer
    assert plane.kubectl(*asked, accounts["workloads"], check=False).split()[0] == "no"


@pytest.mark.parametrize(
    ("verb", "namespace", "answer"), [("list", OLD, "yes"), ("patch", OLD, "no"), ("list", OPS, "no")]
)
def test_it_may_see_deployments_where_the_old_controller_is_and_nowhere_else(
    plane: Lab, verb: str, namespace: str, answer: str
) -> None:
    account = f"--as=system:serviceaccount:{OPS}:fairlead-secrets"
    said = plane.kubectl("auth", "can-i", verb, "deployments.apps", "-n", namespace, account, check=False)
    assert said.split()[0] == answer


def test_the_definition_of_sealed_secrets_may_go_with_all_of_them_and_nothing_else_notices(
    plane: Lab, team: Team, kubeseal: Kubeseal
) -> None:
    """The last one here: it is half a minute until the operator looks for the definition again."""
    team.apply(kubeseal.secret(team, password="one"))
    eventually(lambda: content(team) == {"password": "one"})
    undefine(plane, "sealedsecrets.bitnami.com")
    apply(team, sealed(team, active(plane), "mail", password="two"), "mail")
    holds(team, "mail", password="two")
    team.kubectl("delete", "secret", "mail")
    holds(team, "mail", password="two")
