"""Configuration as part of a release, on a real control plane; KWOK answers for kubelets."""

from __future__ import annotations

import json
from typing import Any

import pytest

from fairlead.core.meta import JSON
from substrate.api import Api
from support.crds import app, refusal
from support.lab import Lab
from support.team import Team
from support.waiting import eventually

SETTINGS = [{"name": "settings", "mountPath": "/etc/shop", "configMap": "settings"}]


def config_map(team: Team, name: str = "settings", **data: str) -> None:
    team.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data})


def edited(team: Team, *themes: str) -> None:
    """Edits in a row, which are one release. By one connection: a kubectl may take longer than what makes two of them."""
    api = Api(team.lab.url, team.lab.token, team.lab.ca, timeout=60)
    for theme in themes:
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}, "data": {"theme": theme}}
        status, said = api.request("PUT", f"/api/v1/namespaces/{team.name}/configmaps/settings", body)
        assert status == 200, said
    api.close()


def copies(team: Team) -> dict[str, JSON]:
    return {item["metadata"]["name"]: item for item in team.get("configmaps", "-l", "fairlead.dev/app=shop")["items"]}


def contents(team: Team) -> list[JSON]:
    """What each pod has under /etc/shop."""
    kept = copies(team)
    names = [
        volume["configMap"]["name"]
        for pod in team.pods()
        for volume in pod["spec"]["volumes"]
        if volume["name"] == "config-settings"
    ]
    return [kept[name]["data"] for name in names]


def numbers(team: Team) -> list[int]:
    return sorted(item["spec"]["number"] for item in team.get("frev")["items"])


def runs(team: Team, theme: str, pods: int = 2) -> bool:
    return contents(team) == [{"theme": theme}] * pods


# ---------------------------------------------------------------- what the schema refuses

BAD = [
    ({"mountPath": "/x"}, "exactly one of files, values, configMap, encryptedSecret and secret"),
    (
        {"mountPath": "/x", "configMap": "a", "secret": "b"},
        "exactly one of files, values, configMap, encryptedSecret and secret",
    ),
    ({"configMap": "a"}, "exactly one of mountPath"),
    ({"mountPath": "/x", "env": True, "configMap": "a"}, "exactly one of mountPath"),
    ({"env": True, "files": {"a": "1"}}, "config[].files needs config[].mountPath"),
    ({"mountPath": "/x", "values": {"A": "1"}}, "config[].values needs config[].env"),
    ({"mountPath": "/x", "configMap": "a", "prefix": "P_"}, "config[].prefix needs config[].env"),
    ({"env": True, "secret": "a", "encryptedSecret": "b"}, "exactly one of files, values, configMap, encryptedSecret"),
    ({"env": True, "secret": "a", "keys": ["k"]}, "config[].keys needs config[].configMap"),
    ({"env": True, "encryptedSecret": "a", "reload": "1"}, "config[].reload needs config[].secret"),
    ({"env": True, "values": {"A": "1"}, "reload": "2"}, "config[].reload needs config[].secret"),
    ({"env": True, "secret": "a", "reload": ""}, "spec.config[0].reload"),
    ({"mountPath": "etc", "configMap": "a"}, "must be an absolute path"),
    ({"mountPath": "/etc/", "configMap": "a"}, "must be an absolute path"),
    ({"env": True, "values": {"1A": "x"}}, "config[].values has names of variables"),
    ({"mountPath": "/x", "files": {"a/b": "x"}}, "config[].files has names of files"),
    ({"mountPath": "/x", "files": {"..a": "x"}}, "config[].files has names of files"),
    ({"mountPath": "/x", "files": {"a": "x" * 131_073}}, "spec.config[0].files.a"),
    ({"name": "Not", "mountPath": "/x", "configMap": "a"}, "config[].name must consist of"),
]


@pytest.mark.parametrize(("entry", "words"), BAD, ids=[str(number) for number in range(len(BAD))])
def test_a_wrong_entry_is_refused_with_the_field_and_the_way_out(plane: Lab, entry: JSON, words: str) -> None:
    assert words in refusal(plane, app(config=[{"name": "settings", **entry}]))


def test_two_entries_of_one_name_or_at_one_place_are_refused(plane: Lab) -> None:
    entries: list[dict[str, Any]] = [
        {"name": "a", "mountPath": "/x", "secret": "a"},
        {"name": "b", "mountPath": "/x", "secret": "b"},
    ]
    assert "config[].mountPath must be unique" in refusal(plane, app(config=entries))
    assert "Duplicate value" in refusal(plane, app(config=[entries[0], entries[1] | {"name": "a", "mountPath": "/y"}]))


# ---------------------------------------------------------------- releases


def test_a_changed_config_map_is_one_release_and_undo_brings_the_old_content_back(team: Team) -> None:
    config_map(team, theme="dark")
    team.run(replicas=2, config=SETTINGS)
    assert runs(team, "dark")
    (copy,) = copies(team).values()
    said = team.kubectl("patch", "configmap", copy["metadata"]["name"], "-p", '{"data": {"theme": "x"}}', check=False)
    assert "immutable" in said
    edited(team, "grey", "blue", "light")
    team.wait("jsonpath={.status.revision}=2")
    team.wait("condition=Ready")
    assert runs(team, "light") and numbers(team) == [1, 2]
    team.patch({"rollout": {"undoTo": 1}})
    team.wait("jsonpath={.status.revision}=3")
    team.wait("condition=Ready")
    assert runs(team, "dark")
    assert team.get("configmap", "settings")["data"] == {"theme": "light"}, "the user's own is never written"


def test_trust_19_a_missing_config_map_is_told_and_awaited_and_nothing_is_touched(team: Team) -> None:
    team.run(replicas=2)
    before = team.uids()
    team.patch({"config": SETTINGS})
    team.wait("jsonpath={.status.summary}='Waiting: ConfigMapMissing'")
    assert "there is no ConfigMap settings" in team.condition("Config")["message"]
    assert team.uids() == before
    config_map(team, theme="dark")
    team.wait("condition=Ready")
    assert runs(team, "dark")


SEALED = [{"name": "db", "env": True, "encryptedSecret": "shop-db"}]


def sealed(team: Team, version: str, ready: bool = True) -> None:
    """Somebody seals a value anew, and its status says what came of it, as `fairlead run secrets` would."""
    text = f"fl1:x:{'0' * 32}:{version.encode().hex()}"
    kind = {"apiVersion": "fairlead.dev/v1alpha1", "kind": "EncryptedSecret"}
    team.apply({**kind, "metadata": {"name": "shop-db"}, "spec": {"values": {"password": text}}})
    said = {"type": "Ready", "status": "True" if ready else "False", "reason": "Said", "message": "password is damaged"}
    status = {
        "observedGeneration": team.get("fsecret", "shop-db")["metadata"]["generation"],
        "version": version,
        "keys": ["password"],
        "conditions": [{**said, "lastTransitionTime": "2026-11-21T00:00:00Z"}],
    }
    patch = json.dumps({"status": status})
    team.kubectl("patch", "fsecret", "shop-db", "--subresource=status", "--type=merge", "-p", patch)


def versions(team: Team) -> list[str]:
    """What each pod's variables come from."""
    return [pod["spec"]["containers"][0]["envFrom"][0]["secretRef"]["name"] for pod in team.pods()]


def test_a_secret_that_is_sealed_anew_is_a_release_and_one_that_does_not_open_touches_nothing(team: Team) -> None:
    sealed(team, "shop-db-1")
    team.run(replicas=2, config=SEALED)
    assert versions(team) == ["shop-db-1"] * 2
    sealed(team, "shop-db-2")
    team.wait("jsonpath={.status.revision}=2")
    team.wait("condition=Ready")
    assert versions(team) == ["shop-db-2"] * 2
    before = team.uids()
    sealed(team, "shop-db-3", ready=False)
    team.wait("jsonpath={.status.summary}='Waiting: EncryptedSecretNotReady'")
    assert "password is damaged" in team.condition("Config")["message"]
    assert team.uids() == before
    team.patch({"rollout": {"undoTo": 1}})
    team.wait("jsonpath={.status.revision}=3")
    eventually(lambda: versions(team) == ["shop-db-1"] * 2)
    pins = {item["spec"]["number"]: item["spec"]["config"][0] for item in team.get("frev")["items"]}
    assert pins[3] == {"name": "db", "env": True, "source": "shop-db", "secret": "shop-db-1"}


def test_a_copy_that_was_deleted_is_made_again_and_copies_go_with_their_app(team: Team) -> None:
    config_map(team, theme="dark")
    team.run(replicas=1, config=SETTINGS)
    (name,) = copies(team)
    team.kubectl("delete", "configmap", name)
    eventually(lambda: list(copies(team)) == [name])
    team.kubectl("delete", "fapp", "shop")
    eventually(lambda: not copies(team))
    assert team.get("configmap", "settings")["data"] == {"theme": "dark"}


def test_binary_content_and_single_keys_are_copied_as_they_are(team: Team) -> None:
    body = {"data": {"a": "1", "b": "2"}, "binaryData": {"c": "/wD/"}, "metadata": {"name": "settings"}}
    team.kubectl("apply", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "ConfigMap", **body}))
    team.run(replicas=1, config=[SETTINGS[0] | {"keys": ["a", "c"]}])
    (copy,) = copies(team).values()
    assert (copy["data"], copy["binaryData"]) == ({"a": "1"}, {"c": "/wD/"})
    (revision,) = team.get("frev")["items"]
    assert sorted(revision["spec"]["config"][0]["keys"]) == ["a", "c"]


def test_trust_28_an_undo_to_configuration_that_is_gone_is_refused_before_any_pod_is_touched(team: Team) -> None:
    config_map(team, theme="dark")
    team.run(replicas=2, config=SETTINGS)
    (dark,) = copies(team)
    config_map(team, theme="light")
    team.wait("jsonpath={.status.revision}=2")
    team.wait("condition=Ready")
    team.kubectl("delete", "configmap", dark)
    before = team.uids()
    team.patch({"rollout": {"undoTo": 1}})
    team.wait("jsonpath={.status.conditions[?(@.type=='Accepted')].reason}=RollbackBlocked")
    assert dark in team.condition("Accepted")["message"]
    assert team.uids() == before and runs(team, "light")
    config_map(team, theme="dark")  # the way out: the content is there again
    eventually(lambda: dark in copies(team) and runs(team, "dark"))
