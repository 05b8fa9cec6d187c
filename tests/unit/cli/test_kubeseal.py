"""SealedSecrets, written here by sealed-secrets' wire format, become EncryptedSecrets. tests/integration has the real kubeseal."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from cryptography.hazmat.primitives.asymmetric import rsa

from fairlead.core.meta import JSON
from fairlead.secrets.suites import PrivateKey
from support.kubeseal import ANNOTATION, hybrid, pem
from support.kubeseal import sealed_secret as of_values
from unit.cli import sealed
from unit.cli.conftest import Cli
from unit.cli.sealed import CANARY, OTHER, Quiet, key_file, key_manifest, objects_of, opened


@pytest.fixture(scope="module")
def controller() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


@pytest.fixture(scope="module")
def key() -> PrivateKey:
    return sealed.new_key()


@pytest.fixture
def flags(tmp_path: Path, controller: rsa.RSAPrivateKey, key: PrivateKey) -> tuple[str, ...]:
    stranger = rsa.generate_private_key(65537, 1024)
    (tmp_path / "backup.pem").write_bytes(pem(stranger) + b"-----BEGIN CERTIFICATE-----\nx\n" + pem(controller))
    return "--private-key", str(tmp_path / "backup.pem"), "--key", key_file(tmp_path / "key.yaml", key_manifest(key))


@pytest.fixture
def quiet(cli: Cli, tmp_path: Path) -> Quiet:
    return Quiet(cli, tmp_path, lambda _: False)


def sealed_secret(
    key: rsa.RSAPrivateKey, label: bytes = b"shop/db", *, template: JSON | None = None, **annotations: str
) -> JSON:
    return of_values(key, {"password": CANARY, "user": "shop"}, label, template=template, **annotations)


def stored(path: Path, *objects: JSON) -> str:
    path.write_text(yaml.safe_dump_all(objects))
    return str(path)


@pytest.mark.parametrize(
    ("label", "annotations", "scope"),
    [
        (b"shop/db", {}, None),
        (b"shop", {"namespace_wide": "true"}, "Namespace"),
        (b"", {"cluster_wide": "true"}, "Cluster"),
        (b"", {"cluster_wide": "true", "namespace_wide": "true"}, "Cluster"),
    ],
)
def test_values_and_scope_are_the_same_afterwards(
    quiet: Quiet,
    tmp_path: Path,
    controller: rsa.RSAPrivateKey,
    key: PrivateKey,
    flags: tuple[str, ...],
    label: bytes,
    annotations: dict[str, str],
    scope: str | None,
) -> None:
    file = stored(tmp_path / "sealed.yaml", sealed_secret(controller, label, **annotations))
    result = quiet("seal", "import-kubeseal", file, *flags)

    (raw,) = objects_of(result.out)
    assert (result.code, result.err, raw["spec"].get("scope")) == (0, "", scope)
    assert opened(key, raw) == {"password": CANARY, "user": "shop"}


def test_a_scope_in_the_template_widens_nothing(
    quiet: Quiet, tmp_path: Path, controller: rsa.RSAPrivateKey, flags: tuple[str, ...]
) -> None:
    """CVE-2026-22728."""
    forged = {"metadata": {"annotations": {f"{ANNOTATION}cluster-wide": "true", "note": "kept"}}}
    file = stored(tmp_path / "sealed.yaml", sealed_secret(controller, template=forged))

    (raw,) = objects_of(quiet("seal", "import-kubeseal", file, *flags).out)
    assert "scope" not in raw["spec"] and raw["spec"]["template"] == {"annotations": {"note": "kept"}}


def test_type_labels_and_simple_templates_are_taken_over(
    quiet: Quiet, tmp_path: Path, controller: rsa.RSAPrivateKey, flags: tuple[str, ...]
) -> None:
    template = {
        "type": "kubernetes.io/basic-auth",
        "metadata": {"labels": {"team": "blue"}, "name": "db"},
        "data": {"url": 'pg://{{ .user }}:{{ index . "password" }}@db/${X}'},
    }
    file = stored(tmp_path / "sealed.yaml", sealed_secret(controller, template=template))

    (raw,) = objects_of(quiet("seal", "import-kubeseal", file, *flags, "--adopt").out)
    assert raw["spec"]["template"] == {
        "type": "kubernetes.io/basic-auth",
        "labels": {"team": "blue"},
        "data": {"url": "pg://${user}:${password}@db/$${X}"},
    }
    assert raw["spec"]["adopt"] is True


@pytest.mark.parametrize(
    "text",
    [
        "{{ .user | upper }}",
        "{{ if .user }}x{{ end }}",
        "{{- .user }}",
        "{{ .missing }}",
        "${{ .user }}",
        '{{ printf "x" }}',
    ],
)
def test_other_templates_are_refused_by_name(
    quiet: Quiet, tmp_path: Path, controller: rsa.RSAPrivateKey, flags: tuple[str, ...], text: str
) -> None:
    file = stored(tmp_path / "sealed.yaml", sealed_secret(controller, template={"data": {"conf": text}}))
    result = quiet("seal", "import-kubeseal", file, *flags)

    assert (result.code, result.out) == (1, "")
    assert f"{file}: SealedSecret db: UnsupportedTemplate: spec.template.data[conf]" in result.err


def test_a_template_in_place_of_a_value_is_refused_for_no_encrypted_secret_can_say_it(
    quiet: Quiet, tmp_path: Path, controller: rsa.RSAPrivateKey, flags: tuple[str, ...]
) -> None:
    """sealed-secrets (v0.27.1, Unseal) writes the template's text over the value; the API server refuses such an EncryptedSecret."""
    template = {"data": {"user": "cn={{ .user }}"}}
    result = quiet(
        "seal", "import-kubeseal", stored(tmp_path / "s.yaml", sealed_secret(controller, template=template)), *flags
    )

    assert (result.code, result.out) == (1, "") and "spec.template.data[user] takes the place" in result.err


def test_the_keys_may_come_as_the_secrets_that_kubectl_prints_and_old_objects_hold_a_whole_secret(
    quiet: Quiet, tmp_path: Path, controller: rsa.RSAPrivateKey, key: PrivateKey, flags: tuple[str, ...]
) -> None:
    tls = {"kind": "Secret", "data": {"tls.key": base64.b64encode(pem(controller)).decode(), "tls.crt": ""}}
    listed = stored(tmp_path / "keys.yaml", {"apiVersion": "v1", "kind": "List", "items": [tls]})
    whole = json.dumps({"data": {"p": base64.b64encode(CANARY.encode()).decode()}}).encode()
    raw = sealed_secret(controller)
    raw["spec"] = {"data": hybrid(controller, whole, b"shop/db")}

    result = quiet("seal", "import-kubeseal", stored(tmp_path / "s.yaml", raw), "--private-key", listed, *flags[2:])
    assert opened(key, objects_of(result.out)[0]) == {"p": CANARY}


def flipped(text: str) -> str:
    blob = bytearray(base64.b64decode(text))
    blob[-1] ^= 1
    return base64.b64encode(blob).decode()


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (flipped, "CannotOpen: password is opened by none of these 2 keys"),
        (lambda _: CANARY, "Malformed: password is damaged"),
        (lambda text: text[:340], "Malformed: password is damaged: it ends too early"),
    ],
)
def test_what_cannot_be_opened_is_named_by_its_key_alone(
    quiet: Quiet,
    tmp_path: Path,
    controller: rsa.RSAPrivateKey,
    flags: tuple[str, ...],
    damage: Callable[[str], str],
    words: str,
) -> None:
    raw = sealed_secret(controller)
    raw["spec"]["encryptedData"]["password"] = damage(raw["spec"]["encryptedData"]["password"])
    path = tmp_path / "sealed.yaml"
    stored(path, raw)
    quiet_here = Quiet(quiet._cli, tmp_path, lambda found: found == path)

    result = quiet_here("seal", "import-kubeseal", str(path), *flags)
    assert (result.code, result.out) == (1, "") and words in result.err


def test_a_renamed_sealed_secret_is_not_opened(
    quiet: Quiet, tmp_path: Path, controller: rsa.RSAPrivateKey, flags: tuple[str, ...]
) -> None:
    raw = sealed_secret(controller)
    raw["metadata"]["name"] = "renamed"

    assert "CannotOpen" in quiet("seal", "import-kubeseal", stored(tmp_path / "s.yaml", raw), *flags).err


def test_each_file_gets_one_in_the_folder_and_none_where_one_of_them_fails(
    quiet: Quiet, tmp_path: Path, controller: rsa.RSAPrivateKey, flags: tuple[str, ...]
) -> None:
    good = stored(tmp_path / "good.yaml", sealed_secret(controller))
    bad = stored(tmp_path / "bad.yaml", sealed_secret(controller, b"other"))
    folder = tmp_path / "out"
    common = ("seal", "import-kubeseal", *flags, "--output-dir", str(folder))

    assert quiet(*common, good, bad).code == 1 and not folder.exists()
    assert quiet(*common, good).code == 0 and [path.name for path in folder.iterdir()] == ["good.yaml"]
    assert quiet(*common, good).code == 1
    assert OTHER not in (folder / "good.yaml").read_text()
