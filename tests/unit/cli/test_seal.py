"""`fairlead seal`: what it makes can be opened where it belongs, what is unchanged stays, and no value is seen anywhere."""

from __future__ import annotations

import base64
import json
import os
import pty
import stat
import subprocess
import sys
import traceback
from pathlib import Path

import pytest
import yaml

from fairlead.cli.linting.check import Linter
from fairlead.cli.main import run
from fairlead.cli.sealing import values
from fairlead.cli.sealing.ledger import Ledger
from fairlead.cli.sealing.published import DAY
from fairlead.secrets import sealing
from fairlead.secrets.suites import PrivateKey
from support.commands import REPOSITORY
from unit.cli import sealed
from unit.cli.conftest import Cli
from unit.cli.sealed import CANARY, NOW, OTHER, Quiet, key_file, key_manifest, objects_of, opened, typed
from unit.cli.served import ServedCluster


@pytest.fixture(scope="module")
def key() -> PrivateKey:
    return sealed.new_key()


@pytest.fixture(autouse=True)
def _clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.time", lambda: NOW + DAY)


@pytest.fixture
def quiet(cli: Cli, tmp_path: Path) -> Quiet:
    """Inputs are what tests call input*."""
    return Quiet(cli, tmp_path, lambda path: path.name.startswith("input"))


@pytest.fixture
def offline(tmp_path: Path, key: PrivateKey) -> str:
    return key_file(tmp_path / "key.yaml", key_manifest(key))


@pytest.fixture
def manifest(tmp_path: Path) -> str:
    path = tmp_path / "input.yaml"
    path.write_text(sealed.secret(password=CANARY, user="shop"))
    return str(path)


# ---------------------------------------------------------------- a new one


def test_a_secrets_manifest_becomes_one_that_opens_in_its_place_alone(
    quiet: Quiet, key: PrivateKey, offline: str, manifest: str
) -> None:
    result = quiet("seal", "-f", manifest, "--key", offline)

    assert (result.code, result.err) == (0, "")
    (raw,) = objects_of(result.out)
    assert raw["metadata"] == {"name": "db", "namespace": "shop"}
    assert raw["spec"]["sealedFor"] == {"namespace": "shop", "name": "db"}
    assert opened(key, raw) == {"password": CANARY, "user": "shop"}
    with pytest.raises(sealing.CannotOpen):
        opened(key, raw, user=raw["spec"]["values"]["password"])


def test_what_it_prints_is_what_lint_accepts(quiet: Quiet, offline: str, manifest: str) -> None:
    linter = Linter()
    linter.file("out", quiet("seal", "-f", manifest, "--key", offline, "--recipient", f"staging={offline}").out)

    assert (linter.report.checked, linter.report.remarks) == (1, [])


def test_type_labels_and_annotations_are_kept_and_kubectls_copy_of_the_secret_is_not(
    quiet: Quiet, tmp_path: Path, offline: str
) -> None:
    raw = yaml.safe_load(sealed.secret(password=CANARY))
    raw["type"] = "kubernetes.io/basic-auth"
    raw["metadata"]["labels"] = {"team": "blue"}
    raw["metadata"]["annotations"] = {
        "note": "x",
        "kubectl.kubernetes.io/last-applied-configuration": json.dumps(raw),
    }
    (tmp_path / "input.json").write_text(json.dumps(raw))

    (made,) = objects_of(quiet("seal", "-f", str(tmp_path / "input.json"), "--key", offline, "-o", "json").out)

    assert made["spec"]["template"] == {
        "type": "kubernetes.io/basic-auth",
        "labels": {"team": "blue"},
        "annotations": {"note": "x"},
    }


@pytest.mark.parametrize(
    ("scope", "moved"),
    [
        ("Strict", {"namespace": "shop", "name": "db"}),
        ("Namespace", {"namespace": "shop", "name": "other"}),
        ("Cluster", {"namespace": "elsewhere", "name": "other"}),
    ],
)
def test_a_scope_says_how_far_a_value_may_be_carried(
    quiet: Quiet, key: PrivateKey, offline: str, manifest: str, scope: str, moved: dict[str, str]
) -> None:
    (raw,) = objects_of(quiet("seal", "-f", manifest, "--key", offline, "--scope", scope).out)

    assert opened(key, {**raw, "metadata": moved})["password"] == CANARY


def test_several_clusters_get_the_same_values_each_for_its_key(
    quiet: Quiet, tmp_path: Path, key: PrivateKey, offline: str, manifest: str
) -> None:
    staging = sealed.new_key()
    theirs = key_file(tmp_path / "staging.yaml", key_manifest(staging))

    (raw,) = objects_of(quiet("seal", "-f", manifest, "--key", offline, "--recipient", f"staging={theirs}").out)

    assert opened(key, raw)["password"] == CANARY
    assert opened(staging, raw, **raw["spec"]["recipients"][0]["values"]) == {"password": CANARY, "user": "shop"}


def test_several_secrets_of_one_file_become_as_many(quiet: Quiet, tmp_path: Path, offline: str) -> None:
    (tmp_path / "input.yaml").write_text(sealed.secret("a", x="1") + "---\n" + sealed.secret("b", x="2"))

    made = objects_of(quiet("seal", "-f", str(tmp_path / "input.yaml"), "--key", offline).out)
    listed = json.loads(quiet("seal", "-f", str(tmp_path / "input.yaml"), "--key", offline, "-o", "json").out)

    assert [raw["metadata"]["name"] for raw in made] == ["a", "b"]
    assert listed["kind"] == "List" and len(listed["items"]) == 2


def test_one_value_comes_raw_from_standard_input_and_can_go_out_alone(
    quiet: Quiet, key: PrivateKey, offline: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    typed(monkeypatch, CANARY.encode())
    result = quiet("seal", "--name", "db", "-n", "shop", "--raw", "password", "--key", offline, "-o", "envelope")

    raw = {"metadata": {"name": "db", "namespace": "shop"}, "spec": {"values": {"password": result.out.strip()}}}
    assert opened(key, raw) == {"password": CANARY} and result.err == ""


def test_a_line_feed_at_its_end_is_sealed_and_said(quiet: Quiet, offline: str, monkeypatch: pytest.MonkeyPatch) -> None:
    typed(monkeypatch, f"{CANARY}\n".encode())

    assert "ends with a line feed" in quiet("seal", "--name", "db", "-n", "s", "--raw", "p", "--key", offline).err


def test_files_and_folders_give_values_by_their_names(
    quiet: Quiet, tmp_path: Path, key: PrivateKey, offline: str
) -> None:
    folder = tmp_path / "input"
    folder.mkdir()
    for name in ("input.crt", "input.key"):
        (folder / name).write_text(CANARY + name)
    (tmp_path / "input-ca").write_text(OTHER)
    sources = ["--from-file", str(folder), "--from-file", f"ca={tmp_path / 'input-ca'}"]

    (raw,) = objects_of(quiet("seal", "--name", "db", "-n", "shop", *sources, "--key", offline).out)

    assert opened(key, raw) == {"input.crt": CANARY + "input.crt", "input.key": CANARY + "input.key", "ca": OTHER}


def test_a_literal_works_and_is_warned_of(quiet: Quiet, key: PrivateKey, offline: str) -> None:
    result = quiet("seal", "--name", "db", "-n", "shop", "--from-literal", f"p={CANARY}", "--key", offline)

    assert opened(key, objects_of(result.out)[0]) == {"p": CANARY}
    assert result.err.startswith("warning: --from-literal: the value stays in your shell's history")


def test_on_a_terminal_a_value_is_asked_for_twice_and_not_shown(tmp_path: Path, key: PrivateKey, offline: str) -> None:
    """The whole program on a terminal of its own."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "fairlead", "seal", "--name", "db", "-n", "shop", "--raw", "p", "--key", offline]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY / "operator"), "HOME": str(tmp_path)}
    running = subprocess.Popen(
        command,
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        env=environment,
    )
    os.close(theirs)
    with running, os.fdopen(ours, "wb", buffering=0) as keyboard:
        assert running.stderr is not None
        asked = b""
        for prompt in (b"Value of p: ", b"Once more: "):  # what is typed before it is asked for is dropped
            while not asked.endswith(prompt) and (read := running.stderr.read(1)):
                asked += read
            keyboard.write(f"{CANARY}\n".encode())
        out, err = running.communicate(timeout=60)

    assert running.returncode == 0, err
    assert opened(key, objects_of(out.decode())[0]) == {"p": CANARY}
    assert not sealed.found([out.decode(), (asked + err).decode()])


def test_a_value_that_was_asked_for_is_in_no_history_of_the_shell(tmp_path: Path, offline: str) -> None:
    """A person's shell, from the command to the end of the session."""
    ours, theirs = pty.openpty()
    history = tmp_path / "history"
    shell = subprocess.Popen(
        ["bash", "--norc", "--noprofile", "-i"],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
        env={
            "PATH": os.environ["PATH"],
            "PS1": "ready> ",
            "HISTFILE": str(history),
            "HOME": str(tmp_path),
            "PYTHONPATH": str(REPOSITORY / "operator"),
        },
    )
    os.close(theirs)
    seal = f"{sys.executable} -m fairlead seal --name db -n shop --raw p --key {offline} > db.yaml"
    shown = b""
    with shell, os.fdopen(ours, "r+b", buffering=0) as terminal:
        for prompt, line in (
            (b"ready> ", f"cd {tmp_path}; {seal}"),
            (b"Value of p: ", CANARY),
            (b"Once more: ", CANARY),
            (b"ready> ", "exit"),
        ):
            while not shown.endswith(prompt):
                shown += terminal.read(1)
            terminal.write(line.encode() + b"\n")
        assert shell.wait(timeout=60) == 0

    assert "seal --name db" in history.read_text()
    assert (tmp_path / "db.yaml").read_text().startswith("apiVersion: fairlead.dev/")
    texts = [shown.decode(), *(path.read_text("latin-1") for path in tmp_path.rglob("*") if path.is_file())]
    assert not sealed.found(texts)


def test_without_a_file_the_newest_key_of_the_cluster_seals(
    quiet: Quiet, server: ServedCluster, key: PrivateKey, manifest: str
) -> None:
    old = sealed.new_key()
    sealed.published(server, key_manifest(old, created=NOW - 90 * DAY), key_manifest(key, created=NOW))

    (raw,) = objects_of(quiet("seal", "-f", manifest).out)

    assert opened(key, raw)["password"] == CANARY


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "say what to seal: -f FILE, --raw KEY or --from-file FILE"),
        (("--from-literal", f"a={CANARY}"), "what is the Secret's name? Say it with --name"),
        (("--from-literal", CANARY), "--from-literal: write KEY=VALUE"),
        (("--from-literal", f"{CANARY} x={OTHER}", "--name", "db"), "a key of a Secret has letters, digits"),
        (("--from-literal", "a=b", CANARY), "after its flags comes nothing, or one of: import-kubeseal"),
        (("--from-literal", f"a={CANARY}", "--from-literal", "a=b"), "the key a is given twice"),
        (("--name", "db", "--from-literal", "a=fl1:x:00:AA"), "the value of a is sealed already"),
        (("--name", "db", "--from-literal", "a=b"), "which namespace is it for? Say it with -n"),
        (("--from-file", "nowhere"), "nowhere cannot be read: No such file or directory"),
    ],
)
def test_what_cannot_be_sealed_is_told_without_repeating_it(
    quiet: Quiet, offline: str, arguments: tuple[str, ...], words: str
) -> None:
    result = quiet("seal", *arguments, "--key", offline)

    assert (result.code, result.out) == (1, "")
    assert words in result.err.splitlines()[-1]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            f"kind: Secret\napiVersion: v1\ndata: {{p: {CANARY}}}\n",
            "data[p] is no base64: plain text belongs into stringData",
        ),
        ("kind: Secret\napiVersion: v1\nstringData: {p: 123}\n", "stringData[p] is no string: put it into quotes"),
        (f"kind: Secret\napiVersion: v1\nstringData: {CANARY}\n", "stringData is no mapping of names to values"),
        (f"kind: Secret\napiVersion: v1\nstringData: {{p: *{CANARY}}}\n", ":3: this is no YAML that can be read"),
        (
            f"kind: Secret\napiVersion: v1\nstringData: {{p: a, p: {CANARY}}}\n",
            ":3: a key is there twice in stringData",
        ),
        (f"kind: ConfigMap\napiVersion: v1\ndata: {{p: {CANARY}}}\n", "this is no Secret"),
        (CANARY, "this is no Secret"),
        ("kind: Secret\napiVersion: v1\n", "there is no value in it"),
    ],
)
def test_a_manifest_that_is_none_is_told_by_file_and_line_and_not_repeated(
    quiet: Quiet, tmp_path: Path, offline: str, text: str, words: str
) -> None:
    (tmp_path / "input.yaml").write_text(text)
    result = quiet("seal", "-f", str(tmp_path / "input.yaml"), "--key", offline)

    assert (result.code, result.out) == (1, "")
    assert words in result.err


@pytest.mark.parametrize("type", ["kubernetes.io/service-account-token", "bootstrap.kubernetes.io/token"])
def test_a_secret_whose_type_gives_rights_of_its_own_is_not_sealed(quiet: Quiet, offline: str, type: str) -> None:
    result = quiet("seal", "--name", "d", "-n", "s", "--type", type, "--from-literal", f"p={CANARY}", "--key", offline)

    assert result.code == 1 and f"a Secret of type {type} gives rights of its own" in result.err


# ---------------------------------------------------------------- into a file


@pytest.fixture
def file(tmp_path: Path, quiet: Quiet, offline: str, manifest: str) -> Path:
    """An EncryptedSecret in git, with a comment."""
    path = tmp_path / "db.yaml"
    text = quiet("seal", "-f", manifest, "--key", offline).out
    path.write_text("# ours\n" + text.replace("  sealedFor:", "  # for messages\n  sealedFor:"))
    return path


def test_a_new_value_changes_its_own_line_and_no_other(
    quiet: Quiet, key: PrivateKey, offline: str, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = file.read_text().splitlines()
    typed(monkeypatch, OTHER.encode())

    result = quiet("seal", "--into", str(file), "--raw", "password", "--key", offline)

    after = file.read_text().splitlines()
    assert (result.code, result.out) == (0, "")
    assert result.err.splitlines()[-1] == f"{file}: sealed password"
    assert [old.split(":")[0] for old, new in zip(before, after, strict=True) if old != new] == ["    password"]
    assert opened(key, objects_of(file.read_text())[0]) == {"password": OTHER, "user": "shop"}


def test_a_value_that_is_the_same_is_left_alone_by_what_this_machine_remembers(
    quiet: Quiet, offline: str, file: Path, manifest: str
) -> None:
    before, changed = file.read_bytes(), file.stat().st_mtime_ns

    result = quiet("seal", "--into", str(file), "-f", manifest, "--key", offline)

    assert result.err == f"{file}: 2 values unchanged\n"
    assert (file.read_bytes(), file.stat().st_mtime_ns) == (before, changed)


def test_another_machine_asks_the_cluster_whether_it_is_the_same(
    quiet: Quiet, server: ServedCluster, key: PrivateKey, file: Path, manifest: str, tmp_path: Path
) -> None:
    sealed.published(server, key_manifest(key))
    sealed.applied(server, objects_of(file.read_text())[0], password=CANARY, user="another by now")
    forget(tmp_path)

    result = quiet("seal", "--into", str(file), "-f", manifest)

    assert result.err == f"{file}: sealed user; 1 value unchanged\n"


def test_who_may_not_read_secrets_seals_all_anew_on_another_machine(
    quiet: Quiet, server: ServedCluster, key: PrivateKey, file: Path, manifest: str, tmp_path: Path
) -> None:
    sealed.published(server, key_manifest(key))
    sealed.applied(server, objects_of(file.read_text())[0], password=CANARY, user="shop")
    server.forbid("get", "secrets")
    forget(tmp_path)

    assert quiet("seal", "--into", str(file), "-f", manifest).err == f"{file}: sealed password, user\n"


def test_a_file_of_another_cluster_is_not_sealed_to_this_ones_key_by_a_slip(
    quiet: Quiet, server: ServedCluster, file: Path
) -> None:
    sealed.published(server, key_manifest(sealed.new_key()))
    before = file.read_bytes()

    result = quiet("seal", "--into", str(file), "--from-literal", f"password={OTHER}")
    assert result.code == 1 and "password is sealed to a key that this cluster does not have" in result.err
    assert file.read_bytes() == before


def forget(home: Path) -> None:
    for path in (home / ".local" / "state" / "fairlead").iterdir():
        path.unlink()


def test_what_is_remembered_is_no_digest_that_others_could_guess_at(quiet: Quiet, file: Path, tmp_path: Path) -> None:
    folder = tmp_path / ".local" / "state" / "fairlead"
    envelope = objects_of(file.read_text())[0]["spec"]["values"]["password"]

    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}
    assert Ledger(folder).holds(envelope, CANARY.encode()) and not Ledger(folder).holds(envelope, OTHER.encode())
    (folder / "sealed.key").write_bytes(bytes(32))
    assert not Ledger(folder).holds(envelope, CANARY.encode())


def test_a_recipient_is_added_and_from_then_on_kept_in_step(
    quiet: Quiet, tmp_path: Path, key: PrivateKey, offline: str, file: Path, manifest: str
) -> None:
    staging = sealed.new_key()
    theirs = key_file(tmp_path / "staging.yaml", key_manifest(staging))
    into = ("seal", "--into", str(file), "--key", offline)

    assert quiet(*into, "-f", manifest, "--recipient", f"staging={theirs}").code == 0
    (raw,) = objects_of(file.read_text())
    assert opened(staging, raw, **raw["spec"]["recipients"][0]["values"])["password"] == CANARY

    (tmp_path / "input2").write_text(OTHER)
    alone = quiet(*into, "--from-file", f"password={tmp_path / 'input2'}")
    assert alone.code == 1 and "it is sealed for staging too, where the old value would stay" in alone.err
    assert quiet(*into, "--from-file", f"password={tmp_path / 'input2'}", "--recipient", f"staging={theirs}").code == 0
    (raw,) = objects_of(file.read_text())
    assert opened(staging, raw, **raw["spec"]["recipients"][0]["values"]) == {"password": OTHER, "user": "shop"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--scope", "Cluster"), "its scope is Strict and cannot be changed"),
        (("--name", "other"), "there is no EncryptedSecret other in it"),
        (("-n", "other"), "it is for the namespace shop, and the values are for other"),
    ],
)
def test_what_does_not_fit_the_file_changes_nothing(
    quiet: Quiet, offline: str, file: Path, arguments: tuple[str, ...], words: str
) -> None:
    before = file.read_bytes()
    result = quiet("seal", "--into", str(file), "--from-literal", f"p={CANARY}", *arguments, "--key", offline)

    assert result.code == 1 and words in result.err
    assert file.read_bytes() == before


def test_a_file_is_replaced_at_once_and_keeps_its_mode_and_its_link(
    quiet: Quiet, offline: str, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.chmod(0o640)
    link = tmp_path / "link.yaml"
    link.symlink_to(file)
    typed(monkeypatch, OTHER.encode())

    assert quiet("seal", "--into", str(link), "--raw", "password", "--key", offline).code == 0
    assert link.is_symlink() and stat.S_IMODE(file.stat().st_mode) == 0o640
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".db")]


# ---------------------------------------------------------------- trust.md 4, by number


def test_trust_64_plaintext_in_place_of_an_envelope_is_refused_in_fixed_words(
    quiet: Quiet, offline: str, tmp_path: Path
) -> None:
    path = tmp_path / "input-pasted.yaml"
    head = "apiVersion: fairlead.dev/v1alpha1\nkind: EncryptedSecret\nmetadata: {name: db, namespace: shop}\n"
    path.write_text(f"{head}spec:\n  values:\n    password: {CANARY}\n")

    into = quiet("seal", "--into", str(path), "--from-literal", "password=x", "--key", offline)
    checked = quiet("seal", "--verify", str(path), "--key", offline)
    resealed = quiet("reseal", str(path), "--key", offline, "--dry-run")

    for result in (into, checked, resealed):
        words = result.out + result.err
        assert result.code == 1
        assert "password is not sealed" in words.replace("spec.values[password]", "password")
        assert "replace the secret at its source" in words


def test_trust_67_more_than_a_secret_holds_is_refused_before_it_is_applied(
    quiet: Quiet, tmp_path: Path, offline: str
) -> None:
    (tmp_path / "input-large").write_bytes(b"x" * values.MOST_SECRET + b"x")
    (tmp_path / "input-half").write_bytes(b"x" * (values.MOST_SECRET - 4096))
    common = ("seal", "--name", "db", "-n", "shop", "--key", offline)

    large = quiet(*common, "--from-file", str(tmp_path / "input-large"))
    assert large.code == 1 and "has more than 1024 KiB" in large.err
    two = quiet(*common, "--from-file", str(tmp_path / "input-half"), "--from-literal", f"b={'x' * 5000}")
    assert two.code == 1 and "a Secret holds 1024 KiB; split it into several" in two.err
    often = quiet(*common, "--from-file", str(tmp_path / "input-half"), "--recipient", f"a={offline}")
    assert often.code == 1 and "with all its recipients it has" in often.err


def test_trust_68_an_old_cached_key_is_warned_of_and_one_that_may_not_seal_is_refused(
    quiet: Quiet, tmp_path: Path, key: PrivateKey, manifest: str
) -> None:
    old = key_file(tmp_path / "old.yaml", key_manifest(key, created=NOW - 44 * DAY))
    result = quiet("seal", "-f", manifest, "--key", old)
    assert result.code == 0
    assert (
        f"warning: {old}: the key {key.kid} is 45d old" in result.err and f"fairlead keys export > {old}" in result.err
    )

    for state in ("Compromised", "Retired", "DecryptOnly"):
        refused = key_file(tmp_path / f"{state}.yaml", key_manifest(key, state))
        result = quiet("seal", "-f", manifest, "--key", refused)
        assert (result.code, result.out) == (1, "")
        assert f"no key there may seal ({key.kid} is {state})" in result.err

    wished = key_file(tmp_path / "wished.yaml", key_manifest(key, wish="Compromised"))
    assert quiet("seal", "-f", manifest, "--key", wished).code == 1


def test_a_key_under_the_name_of_another_is_not_sealed_to(
    quiet: Quiet, tmp_path: Path, key: PrivateKey, manifest: str
) -> None:
    forged = key_manifest(sealed.new_key())
    forged["metadata"]["name"] = key.kid
    result = quiet("seal", "-f", manifest, "--key", key_file(tmp_path / "forged.yaml", forged))

    assert result.code == 1 and "is the name of another key than the one in it" in result.err


# ---------------------------------------------------------------- no value anywhere


def test_a_bug_shows_no_value_in_its_traceback(
    manifest: str, offline: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: object) -> str:
        raise RuntimeError("a bug")

    monkeypatch.setattr(sealing, "seal", broken)
    with pytest.raises(RuntimeError) as caught:
        run(["seal", "-f", manifest, "--key", offline], "fairlead")

    told = "".join(traceback.format_exception(caught.value))
    assert "a bug" in told and not sealed.found([told, *capsys.readouterr()])


def test_a_secret_in_memory_does_not_show_its_values() -> None:
    plain = values.secret("f", yaml.safe_load(sealed.secret(p=CANARY)))

    assert plain.values == {"p": CANARY.encode()} and not sealed.found([repr(plain), str(plain)])


def test_no_value_is_ever_in_a_file_of_its_own(
    quiet: Quiet, offline: str, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All that is written while a value is put into a file is searched, also what is gone again."""
    written: list[bytes] = []
    real = os.fdopen

    class Spy:
        def __init__(self, fd: int, mode: str) -> None:
            self._file = real(fd, mode)

        def __enter__(self) -> Spy:
            return self

        def __exit__(self, *_: object) -> None:
            self._file.close()

        def write(self, data: bytes) -> int:
            written.append(data)
            return self._file.write(data)

        def flush(self) -> None:
            self._file.flush()

        def fileno(self) -> int:
            return self._file.fileno()

    monkeypatch.setattr(os, "fdopen", Spy)
    typed(monkeypatch, OTHER.encode())
    assert quiet("seal", "--into", str(file), "--raw", "password", "--key", offline).code == 0

    assert len(written) == 3 and not sealed.found(data.decode("latin-1") for data in written)
    assert base64.b64encode(OTHER.encode()) not in b"".join(written)


# ---------------------------------------------------------------- verify


def test_verify_in_a_recipients_cluster_asks_for_what_is_sealed_for_it(
    quiet: Quiet, tmp_path: Path, offline: str, manifest: str
) -> None:
    staging = sealed.new_key()
    theirs = key_file(tmp_path / "staging.yaml", key_manifest(staging))
    path = tmp_path / "both.yaml"
    path.write_text(quiet("seal", "-f", manifest, "--key", offline, "--recipient", f"staging={theirs}").out)
    elsewhere = key_file(tmp_path / "elsewhere.yaml", key_manifest(sealed.new_key()))

    assert quiet("seal", "--verify", str(path), "--key", theirs).code == 0
    assert quiet("seal", "--verify", str(path), "--key", offline).code == 0
    nowhere = quiet("seal", "--verify", str(path), "--key", elsewhere)
    assert nowhere.code == 1 and nowhere.out.count("does not have") == 4


def test_verify_says_what_is_right_and_what_only_the_cluster_can_prove(
    quiet: Quiet, server: ServedCluster, key: PrivateKey, file: Path
) -> None:
    sealed.published(server, key_manifest(key))
    result = quiet("seal", "--verify", str(file))

    assert result.code == 0
    assert result.lines[0] == f"{file}: EncryptedSecret/db: password is sealed to {key.kid} (Active)"
    assert (
        "2 values of 1 EncryptedSecret: form and keys are right. That they open in their place only the cluster"
        in result.err
    )


def test_verify_names_keys_that_are_unknown_retired_or_compromised(
    quiet: Quiet, tmp_path: Path, key: PrivateKey, file: Path
) -> None:
    for manifest, code, words in (
        (key_manifest(sealed.new_key()), 1, "is sealed to a key that"),
        (key_manifest(key, "Retired"), 1, "is sealed to a key that is retired"),
        (key_manifest(key, "Compromised"), 0, "(Compromised); replace the secret at its source"),
    ):
        result = quiet("seal", "--verify", str(file), "--key", key_file(tmp_path / "keys.yaml", manifest))
        assert result.code == code and words in result.out


def test_verify_says_when_a_newer_key_seals(quiet: Quiet, tmp_path: Path, key: PrivateKey, file: Path) -> None:
    both = key_file(tmp_path / "keys.yaml", key_manifest(key), key_manifest(sealed.new_key(), created=NOW + 60))

    assert (
        f"a newer key seals by now: fairlead reseal {file}" in quiet("seal", "--verify", str(file), "--key", both).out
    )


def test_verify_finds_damage_and_what_the_schema_forbids(quiet: Quiet, offline: str, file: Path) -> None:
    file.write_text(
        file.read_text().replace("password: fl1:x:", "password: fl1:x:zz").replace("sealedFor:", "sealdFor:")
    )
    result = quiet("seal", "--verify", str(file), "--key", offline, "-o", "json")

    found = json.loads(result.out)
    assert result.code == 1
    assert [row["key"] for row in found["values"] if row["problem"]] == ["password"]
    assert ["did you mean 'sealedFor'?" in finding["message"] for finding in found["findings"]] == [True]
