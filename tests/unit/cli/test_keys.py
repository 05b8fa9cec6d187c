"""`fairlead keys`: what is listed, backed up, brought back, renewed and retired; private keys are shown to nobody."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from fairlead.core.meta import JSON
from fairlead.kube.resources import NAMESPACES, SEALING_KEYS, SECRETS
from fairlead.secrets import keys as forms
from fairlead.secrets.suites import PrivateKey
from unit.cli import sealed
from unit.cli.conftest import Cli, Result
from unit.cli.sealed import NOW, key_manifest, objects_of
from unit.cli.served import ServedCluster

DAY = 86_400.0
SYSTEM = "fairlead-system"


@pytest.fixture
def old() -> PrivateKey:
    return sealed.new_key()


@pytest.fixture
def new() -> PrivateKey:
    return sealed.new_key()


@pytest.fixture
def ring(server: ServedCluster, monkeypatch: pytest.MonkeyPatch, old: PrivateKey, new: PrivateKey) -> ServedCluster:
    """Two keys, of which the new one seals; the old one is still used by two objects."""
    monkeypatch.setattr("time.time", lambda: NOW + DAY)
    server.add(NAMESPACES, {"metadata": {"name": SYSTEM}}, "")
    older = key_manifest(old, "DecryptOnly", NOW - 30 * DAY)
    older["status"]["objects"] = 2
    sealed.published(server, older, key_manifest(new))
    for key in (old, new):
        server.add(SECRETS, forms.key_secret(key, SYSTEM, NOW), SYSTEM)
    return server


@pytest.fixture
def recovery(cli: Cli, tmp_path: Path) -> str:
    path = str(tmp_path / "recovery.key")
    assert cli("keys", "generate", "--recovery", path).code == 0
    return path


def shows_no_private_key(result: Result, *keys: PrivateKey) -> bool:
    return not any(key.encode() in result.out + result.err for key in keys)


def test_list_shows_the_newest_first_with_what_still_uses_each(
    cli: Cli, ring: ServedCluster, old: PrivateKey, new: PrivateKey
) -> None:
    result = cli("keys", "list")

    assert result.lines[0].split() == ["KID", "SUITE", "STATE", "AGE", "OBJECTS", "RECOVERY", "KEYS"]
    assert [line.split() for line in result.lines[1:]] == [
        [new.kid, "x", "Active", "24h", "0", "0"],
        [old.kid, "x", "DecryptOnly", "31d", "2", "0"],
    ]


def test_export_prints_the_key_that_seals_and_seal_takes_it(
    cli: Cli, ring: ServedCluster, tmp_path: Path, new: PrivateKey
) -> None:
    result = cli("keys", "export")
    (raw,) = objects_of(result.out)
    (tmp_path / "key.yaml").write_text(result.out)

    assert (raw["metadata"], raw["status"]) == ({"name": new.kid}, {"state": "Active"})
    sealing = ("seal", "--name", "db", "-n", "shop", "--from-literal", "p=v", "--key", str(tmp_path / "key.yaml"))
    assert sealed.opened(new, objects_of(cli(*sealing).out)[0]) == {"p": "v"}


def test_generate_makes_a_pair_whose_private_half_is_for_its_owner_alone(cli: Cli, tmp_path: Path) -> None:
    result = cli("keys", "generate", "--recovery", str(tmp_path / "r.key"))
    private = forms.private_from((tmp_path / "r.key").read_text())

    assert stat.S_IMODE((tmp_path / "r.key").stat().st_mode) == 0o600
    assert forms.public_from((tmp_path / "r.key.pub").read_text()) == private.public
    assert result.out == forms.key_text(private.public) + "\n" and shows_no_private_key(result, private)
    again = cli("keys", "generate", "--recovery", str(tmp_path / "r.key"))
    assert again.code == 1 and "is there already" in again.err
    assert forms.private_from((tmp_path / "r.key").read_text()).kid == private.kid


def backed_up(cli: Cli, tmp_path: Path, recovery: str, *keys: PrivateKey) -> str:
    result = cli("keys", "export", "--private", "--to", f"{recovery}.pub", "--yes")
    assert result.code == 0 and shows_no_private_key(result, *keys)
    (tmp_path / "backup.yaml").write_text(result.out)
    return str(tmp_path / "backup.yaml")


def test_private_keys_leave_sealed_to_a_recovery_key_and_come_back_into_another_cluster_to_open_only(
    cli: Cli, ring: ServedCluster, tmp_path: Path, recovery: str, old: PrivateKey, new: PrivateKey
) -> None:
    stored = backed_up(cli, tmp_path, recovery, old, new)
    with ServedCluster() as other:
        other.add(NAMESPACES, {"metadata": {"name": SYSTEM}}, "")
        there = ("--kubeconfig", str(other.kubeconfig(tmp_path / "other")))
        dry = cli("keys", "import", stored, "--recovery-key", recovery, "--dry-run", "client", *there)
        assert dry.code == 0 and not other.made("POST")
        result = cli("keys", "import", stored, "--recovery-key", recovery, *there)

        assert result.code == 0 and shows_no_private_key(result, old, new)
        for key in (old, new):
            assert other.get(SECRETS, forms.secret_name(key.kid), SYSTEM)["data"] == private_data(ring, key)
            assert other.get(SEALING_KEYS, key.kid, "")["spec"]["wish"] == "DecryptOnly"
        again = cli("keys", "import", stored, "--recovery-key", recovery, *there)
        assert again.code == 0 and again.out.count("is there already") == 4


def private_data(server: ServedCluster, key: PrivateKey) -> JSON:
    data: JSON = server.get(SECRETS, forms.secret_name(key.kid), SYSTEM)["data"]
    return data


@pytest.mark.parametrize("answers", ["n\n", "y\nn\n", ""])
def test_private_keys_are_asked_for_twice(
    cli: Cli, ring: ServedCluster, recovery: str, monkeypatch: pytest.MonkeyPatch, answers: str
) -> None:
    sealed.typed(monkeypatch, answers.encode())
    result = cli("keys", "export", "--private", "--to", f"{recovery}.pub")

    assert result.code != 0 and result.out == ""
    assert not [request for request in ring.requests if "/secrets/" in request.path]


def test_private_keys_are_never_printed_unsealed(cli: Cli, ring: ServedCluster) -> None:
    result = cli("keys", "export", "--private", "--yes")

    assert result.code == 1 and "no private key is printed unsealed" in result.err


def test_recover_makes_lost_keys_again_from_what_stands_in_the_cluster(
    cli: Cli, ring: ServedCluster, recovery: str, old: PrivateKey, new: PrivateKey
) -> None:
    public = forms.public_from(Path(f"{recovery}.pub").read_text())
    before = private_data(ring, new)
    wrapped = forms.wrapped(new, [public], NOW)
    ring.change(SEALING_KEYS, new.kid, lambda raw: raw["spec"].update(recovery=wrapped), "")
    ring.delete(SECRETS, forms.secret_name(new.kid), SYSTEM)

    result = cli("keys", "recover", "--recovery-key", recovery)

    assert result.code == 0 and shows_no_private_key(result, old, new)
    assert result.out == f"Secret {forms.secret_name(new.kid)} made\n"
    assert f"warning: the SealingKey {old.kid} was not sealed to the recovery key" in result.err
    assert private_data(ring, new) == before


def test_another_recovery_key_opens_nothing_and_says_so(cli: Cli, ring: ServedCluster, recovery: str) -> None:
    result = cli("keys", "recover", "--recovery-key", recovery)

    assert result.code == 1 and "it opens none of 2 keys: they were minted before it was configured" in result.err


def test_rotate_asks_for_a_new_key_by_a_wish_on_the_one_that_seals(
    cli: Cli, ring: ServedCluster, new: PrivateKey
) -> None:
    assert cli("keys", "rotate", "--dry-run", "client").code == 0 and not ring.made("PATCH")
    result = cli("keys", "rotate")

    assert result.code == 0 and "only opens from now on: a new key is minted" in result.out
    assert [request.body for request in ring.made("PATCH")] == [{"spec": {"wish": "DecryptOnly"}}]
    assert ring.get(SEALING_KEYS, new.kid, "")["spec"]["wish"] == "DecryptOnly"


def test_a_compromised_key_is_named_so_and_what_to_do_is_said(cli: Cli, ring: ServedCluster, old: PrivateKey) -> None:
    result = cli("keys", "rotate", old.kid, "--compromised")

    assert ring.get(SEALING_KEYS, old.kid, "")["spec"]["wish"] == "Compromised"
    assert "replace what was sealed to this one at its source" in result.out


def test_a_key_is_retired_only_when_nothing_uses_it(
    cli: Cli, ring: ServedCluster, old: PrivateKey, new: PrivateKey
) -> None:
    assert "2 EncryptedSecrets are still sealed to it" in cli("keys", "retire", old.kid).err
    assert "have a new key minted first" in cli("keys", "retire", new.kid).err
    assert f"there is no SealingKey {'0' * 32}" in cli("keys", "retire", "0" * 32).err
    assert not ring.made("PATCH")

    ring.set_status(SEALING_KEYS, old.kid, {"state": "DecryptOnly", "objects": 0}, "")
    assert cli("keys", "retire", old.kid).code == 0
    assert ring.get(SEALING_KEYS, old.kid, "")["spec"]["wish"] == "Retired"


def test_a_damaged_private_key_is_told_by_name_and_not_shown(
    cli: Cli, ring: ServedCluster, recovery: str, old: PrivateKey
) -> None:
    damaged = {**forms.key_secret(old, SYSTEM, NOW), "data": {"private-key": "AAAA"}}
    ring.delete(SECRETS, forms.secret_name(old.kid), SYSTEM)
    ring.add(SECRETS, damaged, SYSTEM)
    result = cli("keys", "export", "--private", "--to", f"{recovery}.pub", "--yes")

    assert result.code == 1
    assert f"Secret {forms.secret_name(old.kid)} in namespace {SYSTEM} holds no key" in result.err
