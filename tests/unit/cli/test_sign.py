"""`fairlead seal sign`: one's word for what a file says, which a change of the file takes back; the operator takes it as it is."""

from __future__ import annotations

import stat
from pathlib import Path

import msgspec
import pytest
import yaml

from fairlead.secrets import signing
from fairlead.secrets.model import EncryptedSecret, project_encrypted_secret
from fairlead.secrets.signing import Signer, SigningKey
from fairlead.secrets.suites import PrivateKey
from unit.cli import sealed
from unit.cli.conftest import Cli
from unit.cli.sealed import CANARY, NOW, OTHER, encrypted, key_file, key_manifest, objects_of


@pytest.fixture(scope="module")
def key() -> PrivateKey:
    return sealed.new_key()


@pytest.fixture(autouse=True)
def _clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.time", lambda: NOW)


@pytest.fixture
def file(tmp_path: Path, key: PrivateKey) -> Path:
    path = tmp_path / "db.yaml"
    path.write_text("# ours\n" + yaml.safe_dump(encrypted(key, password=CANARY, user=OTHER), width=100_000))
    return path


@pytest.fixture
def me(cli: Cli, tmp_path: Path) -> str:
    """A signing key's file."""
    path = str(tmp_path / "me.key")
    assert cli("keys", "generate", "--signing", path).code == 0
    return path


def signer(me: str) -> Signer:
    return Signer.decode(Path(f"{me}.pub").read_text())


def operator_sees(file: Path) -> EncryptedSecret:
    """As it is stored."""
    (raw,) = objects_of(file.read_text())
    meta = {**raw["metadata"], "uid": "u", "resourceVersion": "1"}
    return project_encrypted_secret(msgspec.json.encode({**raw, "metadata": meta}))


def lack(file: Path, *signers: Signer) -> str:
    record = operator_sees(file)
    found = signing.unsigned(record.spec, record.namespace, record.name, signers)
    return found.reason if found else ""


def test_generate_makes_a_pair_whose_private_half_is_for_its_owner_alone(cli: Cli, tmp_path: Path) -> None:
    result = cli("keys", "generate", "--signing", str(tmp_path / "a.key"))
    private = SigningKey.decode((tmp_path / "a.key").read_text())

    assert stat.S_IMODE((tmp_path / "a.key").stat().st_mode) == 0o600
    assert result.out == private.signer.encode() + "\n" == (tmp_path / "a.key.pub").read_text().splitlines()[1] + "\n"
    assert private.encode() not in result.out + result.err and "secrets.signers" in result.err
    assert "is there already" in cli("keys", "generate", "--signing", str(tmp_path / "a.key")).err
    assert "--recovery FILE or --signing FILE" in cli("keys", "generate").err


def test_what_is_signed_is_what_the_operator_asks_for_and_nothing_else_of_the_file_changes(
    cli: Cli, file: Path, me: str
) -> None:
    before = file.read_text()
    assert lack(file, signer(me)) == "Unsigned"
    result = cli("seal", "sign", str(file), "--signing-key", me)

    assert result.code == 0 and f"1 EncryptedSecret signed by {signer(me).id}" in result.err
    assert lack(file, signer(me)) == ""
    after = file.read_text().splitlines()
    assert [line for line in after if line in before.splitlines()] == before.splitlines()
    assert (
        cli("seal", "sign", str(file), "--signing-key", me).err
        == f"{file}: 0 EncryptedSecrets signed by {signer(me).id}; 1 as it was\n"
    )
    assert file.read_text().splitlines() == after


def test_a_new_value_has_to_be_signed_anew_and_the_program_says_so(
    cli: Cli, file: Path, me: str, key: PrivateKey, tmp_path: Path
) -> None:
    offline = key_file(tmp_path / "key.yaml", key_manifest(key))
    cli("seal", "sign", str(file), "--signing-key", me)
    result = cli("seal", "--into", str(file), "--from-literal", "password=new", "--key", offline)

    assert result.code == 0 and "is signed as it was before: fairlead seal sign" in result.err
    assert lack(file, signer(me)) == "SignatureInvalid"
    assert cli("seal", "sign", str(file), "--signing-key", me).code == 0
    assert lack(file, signer(me)) == ""
    assert len(operator_sees(file).spec.signatures) == 1, "in the place of the one that fits no more"


def test_several_people_sign_one_file(cli: Cli, file: Path, me: str, tmp_path: Path) -> None:
    other = str(tmp_path / "other.key")
    cli("keys", "generate", "--signing", other)
    for private in (other, me):
        assert cli("seal", "sign", str(file), "--signing-key", private).code == 0

    assert len(operator_sees(file).spec.signatures) == 2
    assert lack(file, signer(me)) == lack(file, signer(other)) == ""


def test_verify_says_whether_one_of_these_has_signed(
    cli: Cli, file: Path, me: str, key: PrivateKey, tmp_path: Path
) -> None:
    offline = key_file(tmp_path / "key.yaml", key_manifest(key))
    asked = ("seal", "--verify", str(file), "--key", offline, "--signer", f"{me}.pub")

    result = cli(*asked)
    assert result.code == 1 and "spec.signatures do not do: nobody has signed it" in result.out
    cli("seal", "sign", str(file), "--signing-key", me)
    assert cli(*asked).code == 0
    file.write_text(file.read_text().replace("namespace: shop", "namespace: bank", 1))
    assert "does not fit" in cli(*asked).out


def test_a_file_that_cannot_be_signed_is_told_and_left_alone(cli: Cli, file: Path, me: str, tmp_path: Path) -> None:
    nowhere = tmp_path / "nowhere.yaml"
    nowhere.write_text(file.read_text().replace("  namespace: shop\n", ""))
    assert "names no namespace" in cli("seal", "sign", str(nowhere), "--signing-key", me).err
    (tmp_path / "other.yaml").write_text("kind: ConfigMap\n")
    assert (
        "there is no EncryptedSecret in it"
        in cli("seal", "sign", str(tmp_path / "other.yaml"), "--signing-key", me).err
    )
    assert "a signing key is what" in cli("seal", "sign", str(file), "--signing-key", f"{file}").err
    assert "signatures" not in file.read_text()
