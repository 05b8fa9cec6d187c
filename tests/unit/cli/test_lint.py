"""`fairlead lint`: what it finds, where it says it is, and that it does so without a cluster.

That it and the API server agree is checked on a real one, by tests/support/crds.py, for every input of the schema tests.
"""

from __future__ import annotations

import copy
import io
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from fairlead.cli.linting import documents as reading
from fairlead.cli.linting.check import Linter
from fairlead.cli.linting.documents import Unreadable, documents
from fairlead.core.meta import JSON
from support.commands import REPOSITORY
from support.crds import app, lint_errors
from unit.cli import objects
from unit.cli.conftest import Cli

QUEUE: JSON = {"max": 9, "metrics": [{"external": {"metric": {"name": "jobs"}, "averageValue": 5}}]}
HEAD = "apiVersion: fairlead.dev/v1alpha1\nkind: App\nmetadata: {name: shop}\n"


def remarks(text: str) -> list[str]:
    """All remarks about a manifest, as `line level path: message`."""
    linter = Linter()
    linter.file("f", text)
    return [f"{r.line} {r.level} {r.path}: {r.message}" for r in linter.report.remarks]


def spec(**fields: Any) -> str:
    return json.dumps(objects.app(**fields))


def container(**fields: Any) -> JSON:
    made = objects.template("shop:1")
    made["spec"]["containers"][0].update(fields)
    return made


def mounted(path: str) -> JSON:
    """A template whose container has a volume at this place."""
    made = container(volumeMounts=[{"name": "x", "mountPath": path}])
    made["spec"]["volumes"] = [{"name": "x", "emptyDir": {}}]
    return made


# ---------------------------------------------------------------- trust.md 4, by number


@pytest.mark.parametrize(
    ("path", "hint"),
    [
        ("spec.replica", "did you mean 'replicas'?"),
        ("spec.maxSurge", "it belongs in spec.rollout.maxSurge"),
        ("spec.containers", "it belongs in spec.template.spec.containers"),
        ("spec.minReadySeconds", "it belongs in spec.rollout.minReadySeconds"),
        ("spec.rollout.maxUnavailible", "did you mean 'maxUnavailable'?"),
        ("spec.rollout.MaxSurge", "did you mean 'maxSurge'?"),
        ("spec.template.spec.containers[0].imagePullpolicy", "did you mean 'imagePullPolicy'?"),
        ("spec.template.spec.nodeselector", "did you mean 'nodeSelector'?"),
        ("spec.disruption.amount", "there is maxUnavailable, minAvailable, unhealthyPodEvictionPolicy"),
        ("metadata.lables", "did you mean 'labels'?"),
        ("sepc", "did you mean 'spec'?"),
    ],
)
def test_trust_1_an_unknown_field_is_named_with_what_may_have_been_meant(path: str, hint: str) -> None:
    made = objects.app(image="shop:1", rollout={}, disruption={"maxUnavailable": 1})
    at: Any = made
    *parents, field = path.replace("[0]", ".0").split(".")
    for parent in parents:
        at = at[int(parent)] if parent.isdigit() else at[parent]
    at[field] = 1
    (found,) = remarks(json.dumps(made))
    assert found == f"1 error {path}: there is no field {field!r} here: {hint}"


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        ({"replicas": -1}, "spec.replicas: must be at least 0, not -1"),
        ({"replicas": 2**31}, "spec.replicas: must be at most 100000, not 2147483648"),
        ({"replicas": "3"}, 'spec.replicas: must be a whole number, not "3": remove the quotes'),
        ({"replicas": 1.5}, "spec.replicas: must be a whole number, not 1.5"),
        ({"replicas": True}, "spec.replicas: must be a whole number, not true"),
        ({"replicas": [3]}, "spec.replicas: must be a whole number, not a list"),
        ({"type": "stateless"}, "spec.type: must be one of Stateless, not \"stateless\": did you mean Stateless?"),
        ({"rollout": []}, "spec.rollout: must be a mapping, not a list"),
        ({"rollout": {"paused": "yes"}}, 'spec.rollout.paused: must be true or false, not "yes"'),
        ({"rollout": {"restartAt": "soon"}}, 'spec.rollout.restartAt: "soon" is no time: write it like 2026-01-31T12:00:00Z'),
        ({"rollout": {"undoTo": 0}}, "spec.rollout.undoTo: must be at least 1, not 0"),
    ],
)  # fmt: skip
def test_trust_2_a_wrong_type_or_a_number_out_of_range_is_told_by_its_path(fields: JSON, found: str) -> None:
    errors = [remark for remark in remarks(spec(**fields)) if " error " in remark]
    assert errors[0] == f"1 error {found}"


def test_trust_2_not_a_number_is_no_number_of_replicas() -> None:
    text = HEAD + "spec: {replicas: .nan, template: {spec: {containers: [{name: a, image: 'b:1'}]}}}\n"
    assert any("spec.replicas" in remark for remark in remarks(text))


@pytest.mark.parametrize(
    "values", [{"password": "canary-1"}, {"password": 8675309}, "canary-1", {"password": ["canary-1"]}]
)
def test_trust_64_a_secret_that_somebody_forgot_to_seal_is_refused_and_not_repeated(values: Any) -> None:
    head = {"apiVersion": "fairlead.dev/v1alpha1", "kind": "EncryptedSecret", "metadata": {"name": "db"}}
    for made in ({"values": values}, {"recipients": [{"name": "staging", "values": values}]}):
        found = remarks(json.dumps({**head, "spec": made}))
        assert found and all(" error " in remark for remark in found)
        assert not [remark for remark in found if "canary" in remark or "8675309" in remark]


def test_an_encrypted_secret_and_a_sealing_key_are_linted_by_their_own_definitions() -> None:
    sealed = f"fl1:x:{'0' * 32}:{'A' * 100}"
    secret = {"kind": "EncryptedSecret", "metadata": {"name": "db"}, "spec": {"values": {"password": sealed}}}
    key = {"kind": "SealingKey", "metadata": {"name": "0" * 32}, "spec": {"suite": "x", "publicKey": "A" * 43 + "="}}
    for body in (secret, key):
        made = {"apiVersion": "fairlead.dev/v1alpha1", **body}
        assert remarks(json.dumps(made)) == []
        made["spec"]["valeus"] = 1
        assert "there is no field 'valeus' here" in remarks(json.dumps(made))[0]


@pytest.mark.parametrize(
    ("template", "found"),
    [
        ({"spec": {"containers": []}}, "spec.template.spec.containers: must have at least 1 items, not 0"),
        ({"spec": {}}, "spec.template.spec: 'containers' is missing"),
        ({"spec": {"containers": [{"name": "a", "image": "b:1"}] * 2}}, 'containers[1]: name "a" is there twice'),
        (container(env=[{"name": "A", "value": "1"}] * 2), 'env[1]: name "A" is there twice: item 1 has it too'),
        (container(ports=[{"containerPort": 80}] * 2), 'ports[1]: containerPort 80, protocol "TCP" is there twice'),
        (container(env=[{"name": "A", "value": 1}]), 'env[0].value: must be a string, not 1: put it in quotes: "1"'),
        (
            container(resources={"limits": {"cpu": 0.5}}),
            "must be a whole number or a string, not 0.5: put it in quotes",
        ),
        (container(ports={"containerPort": 80}), "must be a list, not a mapping: begin each item with a dash"),
    ],
)
def test_trust_4_a_template_that_cannot_run_is_an_error(template: JSON, found: str) -> None:
    assert any(found in remark for remark in remarks(spec(template=template))), remarks(spec(template=template))


def test_trust_4_the_same_number_over_tcp_and_udp_is_no_duplicate() -> None:
    ports = [{"containerPort": 53, "protocol": "TCP"}, {"containerPort": 53, "protocol": "UDP"}]
    assert remarks(spec(template=container(ports=ports))) == []


def test_trust_5_an_invalid_image_is_for_the_kubelet_to_judge() -> None:
    assert not any(" error " in remark for remark in remarks(spec(image="no such image:1")))


def test_trust_6_labels_of_fairleads_own_are_not_to_be_taken() -> None:
    template = container() | {"metadata": {"labels": {"fairlead.dev/app": "other"}}}
    (found,) = remarks(spec(template=template))
    assert "must not use the prefix fairlead.dev/" in found


@pytest.mark.parametrize("value", ["150%", "1.5", "-1", "ten", "25 %", "%", "", -1, 1.5, "1"])
@pytest.mark.parametrize("field", ["maxSurge", "maxUnavailable"])
def test_trust_10_rubbish_for_a_number_or_a_percentage_is_refused(field: str, value: Any) -> None:
    errors = [remark for remark in remarks(spec(rollout={field: value})) if " error " in remark]
    assert errors and f"spec.rollout.{field}" in errors[0]


@pytest.mark.parametrize("value", [0, 1, "0%", "25%", "100%"])
def test_trust_10_numbers_and_percentages_are_accepted(value: Any) -> None:
    assert not any(" error " in remark for remark in remarks(spec(rollout={"maxSurge": value})))


@pytest.mark.parametrize(("surge", "unavailable"), [(0, 0), ("0%", 0), (0, "0%"), ("0%", "0%")])
def test_trust_11_both_budgets_zero_are_refused_with_the_way_out(surge: Any, unavailable: Any) -> None:
    (found,) = remarks(spec(rollout={"maxSurge": surge, "maxUnavailable": unavailable}))
    assert "cannot both be 0: no pod could ever be replaced; set maxSurge to 1" in found


def test_trust_11_a_default_counts_as_what_was_written() -> None:
    assert remarks(spec(rollout={"maxSurge": 0})) == [], "maxUnavailable is 25% unless said otherwise"


@pytest.mark.parametrize(
    ("name", "expose", "found"),
    [
        ("a" * 64, None, "metadata.name must be at most 63 characters"),
        ("1shop", {"ports": [{"port": 80, "targetPort": 8080}]}, "must start with a letter"),
        ("Shop", None, '"Shop" is no name: lower case letters'),
        (7, None, 'must be a string: put it in quotes: "7"'),
    ],
)
def test_trust_18_a_name_that_does_not_fit_is_told(name: Any, expose: JSON | None, found: str) -> None:
    made = objects.app(image="shop:1") | {"metadata": {"name": name}}
    if expose:
        made["spec"]["expose"] = expose
    assert any(found in remark for remark in remarks(json.dumps(made)))


def test_trust_22_control_characters_in_a_manifest_do_not_reach_the_terminal() -> None:
    made = objects.app(image="shop:1") | {"metadata": {"name": "a\x1b[2Jb", "labels": {"\x1b]0;x\x07k": "v"}}}
    assert "\x1b" not in "".join(remarks(json.dumps(made)))


# ---------------------------------------------------------------- rules across fields


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        ({"expose": {"ports": []}}, "expose.ports must have at least one port"),
        (
            {"expose": {"ports": [{"port": 80, "nodePort": 30000}]}},
            "nodePort needs expose.type NodePort or LoadBalancer",
        ),
        ({"expose": {"ports": [{"port": 80}, {"port": 81}]}}, "is required for every port where there are several"),
        ({"expose": {"ports": [{"port": 80, "targetPort": "grpc"}]}}, "targetPort names a port that no container"),
        ({"disruption": {}}, "disruption needs exactly one of"),
        ({"config": [{"name": "a", "mountPath": "/x"}]}, "an entry of config has exactly one of files"),
        ({"config": [{"name": "a", "env": True, "files": {"a": "1"}}]}, "config[].files needs config[].mountPath"),
        ({"config": [{"name": "a", "env": True, "values": {"1": "1"}}]}, "config[].values has names of variables"),
        ({"disruption": {"minAvailable": 1, "maxUnavailable": 1}}, "disruption needs exactly one of"),
        ({"rollout": {"minReadySeconds": 600}}, "progressDeadlineSeconds must be greater than rollout.minReadySeconds"),
        ({"template": {"spec": {**container()["spec"], "restartPolicy": "Never"}}}, "restartPolicy must be Always"),
        ({"template": container(volumeMounts=[{"name": "x", "mountPath": "/x"}])}, "must be the name of one of"),
        ({"template": container(readinessProbe={"periodSeconds": 1})}, "a probe needs exactly one of"),
    ],
)
def test_the_crds_own_rules_are_asked_offline(fields: JSON, found: str) -> None:
    assert any(found in remark for remark in remarks(spec(**fields))), remarks(spec(**fields))


# ---------------------------------------------------------------- warnings


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        ({"image": "shop"}, "image: shop has no fixed tag: undo cannot bring back what it was"),
        ({"image": "registry:5000/shop:latest"}, "has no fixed tag"),
        ({"expose": {"ports": [{"port": 80}]}}, "no container of this exposed App has a readinessProbe"),
        (
            {"autoscale": {"max": 5, "metrics": [{"resource": {"name": "cpu", "averageUtilization": 60}}]}},
            "container web requests no cpu to take per cent of, so the App keeps its size: set resources.requests.cpu",
        ),
        (
            {
                "autoscale": QUEUE
                | {"schedules": [{"name": "a", "start": "61 8 * * *", "durationSeconds": 60, "min": 2}]}
            },
            "schedule a is not followed: start '61 8 * * *' is no time there is",
        ),
        (
            {
                "autoscale": QUEUE
                | {
                    "schedules": [
                        {"name": "a", "start": "1 8 * * *", "end": "1 9 * * *", "max": 4, "timeZone": "Mars/Base"}
                    ]
                }
            },
            "timeZone 'Mars/Base' is not known here",
        ),
        ({"disruption": {"minAvailable": 3}}, "minAvailable: 3 of 3 allows no eviction at all"),
        ({"disruption": {"minAvailable": "100%"}}, "100% of 3 allows no eviction at all"),
        ({"disruption": {"maxUnavailable": 0}}, "maxUnavailable: 0 of 3 allows no eviction at all"),
        ({"replicas": 1, "rollout": {"maxUnavailable": 1}}, "lets a release take every pod away at once"),
        (
            {"replicas": 4, "rollout": {"strategy": "Canary", "maxSurge": 0, "steps": [{"weight": 10}]}},
            "rollout.steps[0].weight 10 comes to 25 % (1 of 4 pods)",
        ),
        (
            {
                "config": [{"name": "tmp", "mountPath": "/tmp", "secret": "s"}],
                "template": mounted("/tmp/"),
            },
            "config[tmp].mountPath: container web of the template mounts its volume x at /tmp too",
        ),
    ],
)
def test_what_users_regret_is_a_warning(fields: JSON, found: str) -> None:
    (remark,) = remarks(spec(**{"image": "shop:1", **fields}))
    assert " warning " in remark and found in remark


@pytest.mark.parametrize(
    "fields",
    [
        {"image": "registry:5000/shop:2"},
        {"image": "shop@sha256:" + "0" * 64},
        {"disruption": {"minAvailable": 2}},
        {"replicas": 0, "disruption": {"minAvailable": 1}},
        {"replicas": 1},
        {"rollout": {"strategy": "Recreate"}},
        {"autoscale": QUEUE | {"min": 4}, "disruption": {"minAvailable": 3}},
    ],
)
def test_what_is_fine_is_no_warning(fields: JSON) -> None:
    assert remarks(spec(**{"image": "shop:1", **fields})) == []


@pytest.mark.parametrize("path", sorted((REPOSITORY / "examples").glob("*.yaml")), ids=lambda path: path.stem)
def test_every_example_is_without_errors_and_warnings(path: Path) -> None:
    assert remarks(path.read_text()) == []


# ---------------------------------------------------------------- files


def test_a_finding_has_the_line_it_is_on(tmp_path: Path, cli: Cli) -> None:
    path = tmp_path / "shop.yaml"
    body = "spec:\n  # how many\n  replicas: -1\n  template:\n    spec:\n      containers:\n"
    path.write_text("---\n" + HEAD + body + "        - name: web\n          image: 'shop:1'\n          imag: x\n")
    result = cli("lint", "-f", str(path))
    assert result.code == 1
    assert result.lines == [
        f"{path}:7: error: App/shop: spec.replicas: must be at least 0, not -1",
        f"{path}:13: error: App/shop: spec.template.spec.containers[0].imag: "
        "there is no field 'imag' here: did you mean 'image'?",
    ]
    assert result.err == "1 object checked, 2 errors, no warnings\n"


def test_every_document_and_every_item_of_a_list_is_checked(cli: Cli, tmp_path: Path) -> None:
    good, bad = objects.app("one", image="shop:1"), objects.app("two", image="shop:1", replicas=-1)
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "x"}}
    listed = {"apiVersion": "v1", "kind": "List", "items": [objects.app("three", image="shop:1", replicas=-2)]}
    path = tmp_path / "all.yaml"
    path.write_text(yaml.safe_dump_all([good, None, bad, service, listed]))
    result = cli("lint", "-f", str(path), "-o", "json")
    told = json.loads(result.out)
    assert result.code == 1
    assert [finding["object"] for finding in told["findings"]] == ["App/two", "App/three"]
    assert (told["checked"], told["skipped"], told["errors"], told["warnings"]) == (3, 1, 2, 0)


def test_standard_input_and_directories_are_read(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "a.yml").write_text(spec(replicas=-1))
    (tmp_path / "b.json").write_text(json.dumps(objects.app("other", image="shop:1")))
    (tmp_path / "README.md").write_text("{{{")
    assert cli("lint", "-f", str(tmp_path)).err == "2 objects checked, 1 error, no warnings\n"
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(spec(replicas=-1).encode())))
    assert cli("lint", "-f", "-").lines[0].startswith("<stdin>:1: error: App/shop: spec.replicas")


def test_the_same_object_twice_is_found_across_files(cli: Cli, tmp_path: Path) -> None:
    for name in ("a.yaml", "b.yaml"):
        (tmp_path / name).write_text(spec(image="shop:1"))
    result = cli("lint", str(tmp_path / "a.yaml"), str(tmp_path / "b.yaml"))
    assert result.code == 1
    assert f"there is another App shop in {tmp_path / 'a.yaml'}" in result.out


def test_strict_counts_warnings_as_errors(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(spec(image="shop"))
    assert cli("lint", "-f", str(path)).code == 0
    assert cli("lint", "-f", str(path), "--strict").code == 1


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "cannot be read: No such file or directory"),
        (b"\xff\xfe", "is no UTF-8 text: byte 0 cannot be read"),
    ],
)
def test_a_file_that_cannot_be_read_is_one_line(cli: Cli, tmp_path: Path, content: bytes | None, words: str) -> None:
    path = tmp_path / "a.yaml"
    if content is not None:
        path.write_bytes(content)
    result = cli("lint", "-f", str(path))
    assert result.code == 1 and words in result.err and len(result.err.splitlines()) == 1


def test_lint_without_files_says_what_it_needs(cli: Cli) -> None:
    assert cli("lint").err == "error: give a file with -f, or -f - for standard input; see: fairlead lint --help\n"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("kind: App\n", "1 error : 'apiVersion' missing: an App begins with apiVersion: fairlead.dev/v1alpha1, kind: App"),
        ("apiVersion: fairlead.dev/v1alpha1\nkind: Ap\n", "there is no kind Ap in fairlead.dev/v1alpha1: did you mean App?"),
        ("apiVersion: fairlead.dev/v1\nkind: App\n", "there is no version fairlead.dev/v1 of this API: use fairlead.dev/v1alpha1"),
        ("just text\n", "this is no object"),
        ("a: b: c\n", "1 error : this is no YAML"),
        ("a: {{ .Values.x }}\n", "it looks like a template: lint what `helm template` makes of it"),
        ("a: &x [*x]\n", "1 error : this refers to itself by an alias"),
        (HEAD + "kind: App\nspec: {}\n", "4 error kind: this key is there twice"),
        (HEAD, "'spec' is missing"),
        (HEAD + "spec:\n", "spec"),
        (HEAD.replace("{name: shop}", "[]") + "spec: {}\n", "3 error metadata: must be a mapping"),
    ],
)  # fmt: skip
def test_what_is_no_app_is_told_for_what_it_is(text: str, found: str) -> None:
    assert any(found in remark for remark in remarks(text)), remarks(text)


def test_a_bomb_of_aliases_is_defused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "MOST_NODES", 10_000)
    levels = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    levels += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 9)]
    assert remarks("\n".join(levels))[0].endswith("the aliases in this document unfold to too much")


def test_anchors_and_merge_keys_are_followed() -> None:
    text = (
        HEAD
        + "spec:\n  template:\n    spec:\n      containers:\n      - &c {name: a, image: 'x:1'}\n      - {<<: *c, name: b}\n"
    )
    assert remarks(text) == []


# ---------------------------------------------------------------- YAML as the API server's reader takes it


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2026-01-31T12:00:00Z", "2026-01-31T12:00:00Z"),
        ("12:30:45", "12:30:45"),
        ("0644", 420),
        ("0o17", 15),
        ("0x1F", 31),
        ("1e3", 1000.0),
        ("-1", -1),
        ("yes", True),
        ("off", False),
        ("~", None),
        ("", None),
        ("1_000", "1_000"),
        ("'1'", "1"),
        ("08", 8.0),
    ],
)
def test_plain_words_are_read_as_kubectl_reads_them(text: str, value: Any) -> None:
    (document,) = documents(f"a: {text}\n")
    assert document.value == {"a": value} and type(document.value["a"]) is type(value)


def test_text_with_control_characters_is_no_yaml() -> None:
    with pytest.raises(Unreadable):
        list(documents("a: \x07\n"))


def test_reading_leaves_the_manifest_as_it_was() -> None:
    made = objects.app(image="shop:1")
    before = copy.deepcopy(made)
    linter = Linter()
    linter.file("f", json.dumps(made))
    assert made == before


def test_the_ports_of_an_app_without_a_route_are_not_held_against_one() -> None:
    """They were, each with the errors of all before it: memory doubled with every port."""
    ports = [{"name": f"p{number}", "port": number} for number in range(1, 26)]
    assert lint_errors(app(expose={"ports": ports})) == []
