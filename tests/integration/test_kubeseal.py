"""The real kubeseal seals; `fairlead seal import-kubeseal` opens: two programs that share nothing but the wire format."""

from __future__ import annotations

import base64
import time
from pathlib import Path

import pytest
import yaml
from cryptography.hazmat.primitives.asymmetric import rsa

from fairlead.cli.main import run
from fairlead.core.meta import JSON
from fairlead.secrets import keys as forms
from fairlead.secrets.envelope import Place, Scope, parse
from fairlead.secrets.sealing import unseal
from fairlead.secrets.suites import PrivateKey, default_suite, generate
from substrate import tools
from substrate.progress import Progress
from support.commands import execute
from support.kubeseal import certificate, pem

VALUES = {"password": b"correct horse\n", "empty": b"", "binary": bytes(range(256))}


@pytest.fixture(scope="module")
def kubeseal() -> str:
    tools.ensure(["kubeseal"], Progress(quiet=True))
    return str(tools.TOOLS["kubeseal"].link)


@pytest.fixture(scope="module")
def controller(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The certificate and key that a controller of sealed-secrets makes: RSA-4096, self-signed, without a name."""
    folder = tmp_path_factory.mktemp("controller")
    key = rsa.generate_private_key(65537, 4096)
    (folder / "tls.crt").write_bytes(certificate(key))
    (folder / "tls.key").write_bytes(pem(key))
    return folder


@pytest.fixture(scope="module")
def ours() -> PrivateKey:
    return generate(default_suite())


@pytest.mark.parametrize(
    ("scope", "taken"),
    [("strict", Scope.STRICT), ("namespace-wide", Scope.NAMESPACE), ("cluster-wide", Scope.CLUSTER)],
)
def test_what_kubeseal_sealed_is_taken_over_with_its_scope_type_and_template(
    kubeseal: str,
    controller: Path,
    ours: PrivateKey,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    scope: str,
    taken: Scope,
) -> None:
    sealed = _sealed_by(kubeseal, controller, tmp_path, scope)
    sealed["spec"]["template"]["data"] = {"url": 'db://{{ index . "password" }}'}
    (tmp_path / "sealed.yaml").write_text(yaml.safe_dump(sealed))
    published = {**forms.sealing_key(ours.public, time.time()), "status": {"state": "Active"}}
    (tmp_path / "key.yaml").write_text(yaml.safe_dump(published))

    backup = ["--private-key", str(controller / "tls.key")]
    command = ["seal", "import-kubeseal", str(tmp_path / "sealed.yaml"), *backup, "--key", str(tmp_path / "key.yaml")]
    assert run(command, "fairlead") == 0, capsys.readouterr().err

    made = yaml.safe_load(capsys.readouterr().out)
    spec = made["spec"]
    assert Scope(spec.get("scope", "Strict")) == taken
    assert spec["template"] == {
        "type": "example.org/login",
        "labels": {"team": "blue"},
        "data": {"url": "db://${password}"},
    }
    opened = {
        key: unseal(ours, parse(text), Place(taken, "shop", "db", key)).value for key, text in spec["values"].items()
    }
    assert opened == VALUES


def _sealed_by(kubeseal: str, controller: Path, folder: Path, scope: str) -> JSON:
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "db", "namespace": "shop", "labels": {"team": "blue"}},
        "type": "example.org/login",
        "data": {key: base64.b64encode(value).decode() for key, value in VALUES.items()},
    }
    (folder / "secret.yaml").write_text(yaml.safe_dump(secret))
    command = [kubeseal, "--cert", str(controller / "tls.crt"), "--scope", scope, "--format", "yaml"]
    made: JSON = yaml.safe_load(execute([*command, "--secret-file", str(folder / "secret.yaml")]).stdout)
    return made
