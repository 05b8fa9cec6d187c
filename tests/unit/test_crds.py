"""The definitions as they ship, without a cluster: in step with their sources, small enough, structural, explained."""

import doctest
import json
import re
from collections.abc import Iterator
from functools import cache
from typing import Any, get_type_hints

import msgspec
import pytest
import yaml

import gen_crds
import gen_docs
from fairlead.autoscale.model import Autoscale
from fairlead.core import meta
from fairlead.disruption.model import Disruption
from fairlead.expose.model import Expose
from fairlead.kube import resources
from fairlead.placement.model import Placement
from fairlead.rollout.model import Progress, Rejected, Rollout, Spec, Undo
from fairlead.rollout.problems import Problem
from fairlead.secrets.model import FORBIDDEN_TYPES, KeySpec, Recipient, Recovery, SealedFor
from fairlead.secrets.model import Spec as SecretSpec
from fairlead.secrets.model import Template as SecretTemplate
from gen import template
from support.commands import REPOSITORY

JSON = dict[str, Any]
KINDS = ("App", "Revision", "Gate", "EncryptedSecret", "SealingKey")
SHORT = {"App": "fapp", "Revision": "frev", "Gate": "fgate", "EncryptedSecret": "fsecret", "SealingKey": "fkey"}
BLOCKS: dict[str, type[msgspec.Struct]] = {
    "rollout": Rollout,
    "expose": Expose,
    "disruption": Disruption,
    "placement": Placement,
    "autoscale": Autoscale,
}


@cache
def crd(kind: str) -> JSON:
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    loaded: JSON = yaml.load((REPOSITORY / "crds" / f"{kind.lower()}.yaml").read_text(), loader)
    return loaded


def version(kind: str) -> JSON:
    found: JSON = crd(kind)["spec"]["versions"][0]
    return found


def schema_of(kind: str) -> JSON:
    found: JSON = version(kind)["schema"]["openAPIV3Schema"]
    return found


def nodes(schema: JSON, path: str = "") -> Iterator[tuple[str, JSON]]:
    """Every node of a schema by its path: a.b, list[], map{}."""
    yield path, schema
    for name, child in schema.get("properties", {}).items():
        yield from nodes(child, f"{path}.{name}".lstrip("."))
    for key, suffix in (("items", "[]"), ("additionalProperties", "{}")):
        if isinstance(schema.get(key), dict):
            yield from nodes(schema[key], path + suffix)


# ---------------------------------------------------------------- generated files


@pytest.mark.parametrize("name", gen_crds.NAMES)
def test_a_definition_is_what_its_sources_make(name: str) -> None:
    assert (REPOSITORY / "crds" / f"{name}.yaml").read_text() == gen_crds.render(name), "run hack/gen_crds.py"


@pytest.mark.parametrize("kind", KINDS)
def test_a_reference_page_is_what_its_definition_makes(kind: str) -> None:
    page = REPOSITORY / "docs" / "reference" / f"{kind.lower()}.md"

    assert page.read_text() == gen_docs.page(crd(kind)), "run hack/gen_docs.py"


def test_only_a_pods_template_is_left_to_the_pages_of_kubernetes() -> None:
    pages = {kind: gen_docs.page(crd(kind)) for kind in ("App", "EncryptedSecret")}

    assert "PodTemplateSpec" in pages["App"]
    assert "PodTemplateSpec" not in pages["EncryptedSecret"]
    assert "| `type` | string |" in pages["EncryptedSecret"]


def test_the_sources_name_the_version_of_kubernetes_they_were_taken_from() -> None:
    committed = json.loads((REPOSITORY / "hack" / "gen" / "podtemplate.openapi.json").read_text())

    assert re.fullmatch(r"v1\.\d+\.\d+.*", committed["kubernetes"])
    assert committed["definitions"] == template.reachable(committed["definitions"])


# ---------------------------------------------------------------- what an API server and kubectl ask of them


@pytest.mark.parametrize("kind", KINDS)
def test_a_definition_fits_the_annotation_that_client_side_apply_keeps_it_in(kind: str) -> None:
    assert (
        len(json.dumps(crd(kind), separators=(",", ":")).encode()) < 240 * 1024
    )  # of 256, with what else stands there


@pytest.mark.parametrize("kind", KINDS)
def test_a_definition_is_structural(kind: str) -> None:
    for path, node in nodes(schema_of(kind)):
        assert "type" in node or node.get("x-kubernetes-int-or-string"), path
        assert not {"$ref", "allOf", "oneOf", "x-kubernetes-patch-strategy", "x-kubernetes-unions"} & set(node), path
        assert not ("properties" in node and "additionalProperties" in node), path
        if node.get("x-kubernetes-list-type") == "map":
            item = node["items"]
            for key in node["x-kubernetes-list-map-keys"]:
                assert key in item.get("required", ()) or "default" in item["properties"][key], f"{path}: {key}"


def test_only_a_revisions_template_takes_what_no_schema_knows() -> None:
    unknown = [
        (kind, path)
        for kind in KINDS
        for path, node in nodes(schema_of(kind))
        if node.get("x-kubernetes-preserve-unknown-fields")
    ]

    assert unknown == [("Revision", "spec.template")]


@pytest.mark.parametrize("kind", KINDS)
def test_every_field_is_explained_in_a_sentence(kind: str) -> None:
    for path, node in nodes(schema_of(kind)):
        ours = not path.startswith("spec.template.spec")
        told_by_its_list = path.endswith(("[]", "{}")) and not (ours and "properties" in node)
        if not path or path.startswith("metadata") or told_by_its_list:
            continue
        assert node.get("description", "").strip(), path
        assert not ours or node["description"].rstrip().endswith("."), f"{path}: {node['description']}"


@pytest.mark.parametrize("kind", KINDS)
def test_a_default_is_named_where_kubectl_explain_shows_it(kind: str) -> None:
    for path, node in nodes(schema_of(kind)):
        default = node.get("default", {})
        if isinstance(default, dict | list) or path.startswith("spec.template"):
            continue
        assert f"Default: {json.dumps(default) if isinstance(default, bool) else default}." in node["description"], path


@pytest.mark.parametrize("kind", KINDS)
def test_every_rule_says_in_words_what_is_wrong(kind: str) -> None:
    rules = [(path, rule) for path, node in nodes(schema_of(kind)) for rule in node.get("x-kubernetes-validations", ())]

    assert rules
    for path, rule in rules:
        assert len(rule["message"]) > 30, path
        assert "\n" not in rule["message"], path


@pytest.mark.parametrize("kind", KINDS)
def test_columns_and_selectors_speak_of_fields_there_are(kind: str) -> None:
    known = {path.replace("[]", "") for path, _ in nodes(schema_of(kind))} | {"metadata.creationTimestamp"}
    entries = [*version(kind)["additionalPrinterColumns"], *version(kind).get("selectableFields", ())]
    scale = version(kind).get("subresources", {}).get("scale", {})

    paths = [*(entry["jsonPath"] for entry in entries), *scale.values()]

    assert [path for path in paths if path.lstrip(".").replace("[*]", "").replace("[0]", "") not in known] == []


# ---------------------------------------------------------------- agreement with the operator


@pytest.mark.parametrize("kind", KINDS)
def test_the_operator_and_the_definition_agree_on_names(kind: str) -> None:
    names, resource = crd(kind)["spec"]["names"], resources.BY_KIND[kind]

    assert (names["kind"], names["plural"]) == (resource.kind, resource.plural)
    assert crd(kind)["spec"]["group"] == meta.GROUP
    assert version(kind)["name"] == meta.VERSION
    assert names["categories"] == ["fairlead"]
    assert names["shortNames"] == [SHORT[kind]]
    assert crd(kind)["spec"]["scope"] == ("Namespaced" if resource.namespaced else "Cluster")


def test_the_operator_reads_every_field_of_the_spec_and_no_other() -> None:
    """A field that people can set and nobody reads would be a lie; one that is read but not in the schema is dropped."""
    spec = schema_of("App")["properties"]["spec"]["properties"]

    assert set(fields(Spec)) == set(spec)
    for block, struct in BLOCKS.items():
        assert set(fields(struct)) == set(spec[block]["properties"]), block


def test_the_secrets_room_reads_every_field_of_its_kinds_and_no_other() -> None:
    spec = schema_of("EncryptedSecret")["properties"]["spec"]["properties"]
    key = schema_of("SealingKey")["properties"]["spec"]["properties"]

    for struct, properties in [
        (SecretSpec, spec),
        (SecretTemplate, spec["template"]["properties"]),
        (SealedFor, spec["sealedFor"]["properties"]),
        (Recipient, spec["recipients"]["items"]["properties"]),
        (KeySpec, key),
        (Recovery, key["recovery"]["items"]["properties"]),
    ]:
        assert set(fields(struct)) == set(properties), struct
    for name in ("scope", "deletionPolicy", "adopt"):
        assert fields(SecretSpec)[name] == spec[name]["default"]
    forbidden = spec["template"]["properties"]["type"]["x-kubernetes-validations"][1]["rule"]
    assert set(re.findall(r"'([^']+)'", forbidden)) == set(FORBIDDEN_TYPES)


def test_the_operators_own_defaults_are_those_of_the_definition() -> None:
    """The API server fills them in; the operator's own count for Apps stored before there was such a field."""
    spec = schema_of("App")["properties"]["spec"]["properties"]

    for struct, properties in [
        (Spec, spec),
        *((struct, spec[block]["properties"]) for block, struct in BLOCKS.items()),
    ]:
        for name, default in fields(struct).items():
            stored = properties[name].get("default", {})
            if isinstance(stored, dict) or (stored, default) == ("None", ""):
                continue
            meant = msgspec.convert(stored, get_type_hints(struct)[name]) if isinstance(stored, list) else stored
            assert default == meant, name


def test_what_the_operator_remembers_in_the_status_is_not_dropped() -> None:
    status = schema_of("App")["properties"]["status"]["properties"]

    told = {"waitingFor", "available", "steps", "weight", "share"}
    assert set(fields(Progress)) | told == set(status["rollout"]["properties"])
    assert set(fields(Rejected)) == set(status["rejected"]["properties"])
    assert set(fields(Undo)) == set(status["undo"]["properties"])
    problem = Problem("Unschedulable", "no node", 1, "shop-a-b", "web", "shop-a", 1.0)
    assert set(problem.as_json()) == set(status["problems"]["items"]["properties"])


def fields(struct: type[msgspec.Struct]) -> dict[str, Any]:
    """The fields a struct reads by their JSON names, with their defaults."""
    return {field.encode_name: field.default for field in msgspec.structs.fields(struct)}


@pytest.mark.parametrize("module", [template, gen_crds, gen_docs])
def test_the_generators_examples_hold(module: Any) -> None:
    found = doctest.testmod(module)

    assert found.attempted
    assert not found.failed
