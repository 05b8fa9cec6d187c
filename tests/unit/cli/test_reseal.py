"""`fairlead reseal`: to the newest key, in place, with the same values; what it cannot open it leaves as it is."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from fairlead.kube.resources import ENCRYPTED_SECRETS
from fairlead.secrets import keys as forms
from fairlead.secrets.suites import PrivateKey
from unit.cli import sealed
from unit.cli.conftest import Cli
from unit.cli.objects import condition
from unit.cli.sealed import CANARY, NOW, OTHER, Quiet, encrypted, key_file, key_manifest, objects_of, opened
from unit.cli.served import ServedCluster


@pytest.fixture(scope="module")
def old() -> PrivateKey:
    return sealed.new_key()


@pytest.fixture(scope="module")
def new() -> PrivateKey:
    return sealed.new_key()


@pytest.fixture
def quiet(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Quiet:
    monkeypatch.setattr("time.time", lambda: NOW)
    return Quiet(cli, tmp_path, lambda _: False)


@pytest.fixture
def newest(tmp_path: Path, new: PrivateKey) -> str:
    return key_file(tmp_path / "newest.yaml", key_manifest(new))


@pytest.fixture
def file(tmp_path: Path, old: PrivateKey) -> Path:
    path = tmp_path / "db.yaml"
    text = yaml.safe_dump(encrypted(old, password=CANARY, user=OTHER), width=100_000)
    path.write_text("# ours\n" + text.replace("    user:", "    # who\n    user:") + "---\nkind: ConfigMap\n")
    return path


@pytest.fixture
def backup(tmp_path: Path, old: PrivateKey) -> tuple[str, ...]:
    """The old private key, sealed to a recovery key: flags of it."""
    recovery = sealed.new_key()
    (tmp_path / "recovery.key").write_text(f"# keep offline\n{forms.key_text(recovery)}\n")
    manifest = key_manifest(old, recovery=forms.wrapped(old, [recovery.public], NOW))
    stored = key_file(tmp_path / "backup.yaml", manifest)
    return "--backup", stored, "--recovery-key", str(tmp_path / "recovery.key")


def test_offline_a_backup_of_the_keys_opens_and_the_newest_seals(
    quiet: Quiet, new: PrivateKey, newest: str, file: Path, backup: tuple[str, ...]
) -> None:
    before = file.read_text().splitlines()
    result = quiet("reseal", str(file), "--key", newest, *backup)

    after = file.read_text().splitlines()
    assert (result.code, result.err) == (0, f"{file}: 2 values sealed to {new.kid}\n")
    changed = [line.split(":")[0].strip() for line, other in zip(before, after, strict=True) if line != other]
    assert changed == ["password", "user"]
    assert opened(new, objects_of(file.read_text())[0]) == {"password": CANARY, "user": OTHER}


def test_in_a_cluster_the_secret_that_was_made_of_it_is_read(
    quiet: Quiet, server: ServedCluster, old: PrivateKey, new: PrivateKey, file: Path
) -> None:
    sealed.published(server, key_manifest(old, created=NOW - 60), key_manifest(new))
    sealed.applied(server, objects_of(file.read_text())[0], password=CANARY, user=OTHER)

    assert quiet("reseal", str(file)).code == 0
    assert opened(new, objects_of(file.read_text())[0]) == {"password": CANARY, "user": OTHER}
    assert quiet("reseal", str(file)).err == f"{file}: nothing to do\n"


def test_a_file_that_is_not_what_is_applied_is_left_as_it_is(
    quiet: Quiet, server: ServedCluster, old: PrivateKey, new: PrivateKey, file: Path
) -> None:
    sealed.published(server, key_manifest(old, created=NOW - 60), key_manifest(new))
    sealed.applied(server, encrypted(old, password="another", user="other"), password="another", user="other")
    before = file.read_bytes()

    result = quiet("reseal", str(file))
    assert result.code == 1 and "the values of password, user are not known here: apply the file as it is" in result.err
    assert file.read_bytes() == before


def test_the_secret_of_a_spec_that_did_not_open_is_that_of_an_older_one_and_not_taken(
    quiet: Quiet, server: ServedCluster, old: PrivateKey, new: PrivateKey, file: Path
) -> None:
    sealed.published(server, key_manifest(old, created=NOW - 60), key_manifest(new))
    sealed.applied(server, objects_of(file.read_text())[0], password="older", user="older")
    stuck = {"observedGeneration": 1, "version": "db-v1", "conditions": [condition("Ready", "False", "CannotOpen")]}
    server.set_status(ENCRYPTED_SECRETS, "db", stuck, "shop")

    assert quiet("reseal", str(file)).code == 1


def test_what_is_sealed_for_another_cluster_is_left_to_it(
    quiet: Quiet, server: ServedCluster, old: PrivateKey, new: PrivateKey, file: Path
) -> None:
    """In a recipient's cluster the Secret holds the values too; sealed to its key the other cluster would lose them."""
    sealed.published(server, key_manifest(new))
    sealed.applied(server, objects_of(file.read_text())[0], password=CANARY, user=OTHER)
    before = file.read_bytes()

    assert quiet("reseal", str(file)).code == 1
    assert file.read_bytes() == before


def test_dry_run_writes_nothing(
    quiet: Quiet, newest: str, file: Path, backup: tuple[str, ...], new: PrivateKey
) -> None:
    before = file.read_bytes()

    assert "2 values would be sealed to" in quiet("reseal", str(file), "--key", newest, *backup, "--dry-run").err
    assert file.read_bytes() == before


def test_what_was_resealed_here_is_known_to_be_the_same(
    quiet: Quiet, newest: str, file: Path, backup: tuple[str, ...], tmp_path: Path
) -> None:
    assert quiet("reseal", str(file), "--key", newest, *backup).code == 0
    plain = ("--from-literal", f"password={CANARY}")

    assert quiet("seal", "--into", str(file), *plain, "--key", newest).err.endswith(": 1 value unchanged\n")


def test_a_recipients_values_go_to_its_newest_key(
    quiet: Quiet, tmp_path: Path, old: PrivateKey, newest: str, backup: tuple[str, ...]
) -> None:
    staging, stagings_old = sealed.new_key(), sealed.new_key()
    raw = encrypted(old, password=CANARY)
    theirs = encrypted(stagings_old, password=CANARY)["spec"]["values"]
    raw["spec"]["recipients"] = [{"name": "staging", "values": theirs}]
    (tmp_path / "db.json").write_text(yaml.safe_dump(raw, width=100_000))
    recipient = f"staging={key_file(tmp_path / 'staging.yaml', key_manifest(staging))}"

    assert quiet("reseal", str(tmp_path / "db.json"), "--key", newest, *backup, "--recipient", recipient).code == 0
    (made,) = objects_of((tmp_path / "db.json").read_text())
    assert opened(staging, made, **made["spec"]["recipients"][0]["values"]) == {"password": CANARY}


def test_values_that_were_swapped_in_the_file_are_not_sealed_into_their_new_places(
    quiet: Quiet, newest: str, file: Path, backup: tuple[str, ...]
) -> None:
    values = objects_of(file.read_text())[0]["spec"]["values"]
    text = file.read_text().replace(values["user"], "HOLE").replace(values["password"], values["user"])
    file.write_text(text.replace("HOLE", values["password"]))

    result = quiet("reseal", str(file), "--key", newest, *backup)
    assert result.code == 1 and "the values of password, user are not known here" in result.err
