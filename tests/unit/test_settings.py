"""Flags over environment over defaults."""

from __future__ import annotations

import dataclasses

import pytest

from fairlead.settings import SecretSettings, SettingsError, WorkloadSettings, describe, load


def test_flags_win_over_the_environment_and_that_over_defaults() -> None:
    environ = {"FAIRLEAD_WORKERS": "8", "FAIRLEAD_LOG_LEVEL": "debug"}
    settings = load(WorkloadSettings, {"workers": 4, "log_level": None}, environ)
    assert (settings.workers, settings.log_level, settings.log_format) == (4, "debug", "text")


def test_the_pod_says_who_and_where_it_is() -> None:
    settings = load(WorkloadSettings, {}, {"POD_NAME": "fairlead-1", "POD_NAMESPACE": "ops"})
    assert settings.identity == "fairlead-1"
    lease = settings.lease("elsewhere")
    assert lease is not None
    assert lease.namespace == "ops"


def test_outside_a_pod_the_lease_is_in_the_contexts_namespace() -> None:
    lease = load(WorkloadSettings, {}, {}).lease("shop")
    assert lease is not None
    assert lease.namespace == "shop"
    assert load(WorkloadSettings, {}, {}).identity
    assert load(WorkloadSettings, {"leader_election": False}, {}).lease("shop") is None


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("FAIRLEAD_WORKERS", "many", "--workers .FAIRLEAD_WORKERS.: 'many' is no whole number"),
        ("FAIRLEAD_WORKERS", "0", "at least 1"),
        ("FAIRLEAD_LEADER_ELECTION", "perhaps", "no true or false"),
        ("FAIRLEAD_LOG_LEVEL", "loud", "none of debug, info"),
        ("FAIRLEAD_LOG_FORMAT", "xml", "neither text nor json"),
        ("FAIRLEAD_GATE_CREDENTIALS", "https://prom.example", "is neither ORIGIN=FILE nor ORIGIN=HEADER:FILE"),
        (
            "FAIRLEAD_GATE_CREDENTIALS",
            "https://prom.example=/run/token",
            "https://prom.example:443 is nobody whom gates may",
        ),
        ("FAIRLEAD_LEASE_DURATION", "5", "--lease-duration must be above"),
        ("FAIRLEAD_LEASE_DURATION", "soon", "no number of seconds"),
    ],
)
def test_nonsense_is_told_with_the_name_of_the_setting(variable: str, value: str, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        load(WorkloadSettings, {}, {variable: value})


def test_every_setting_is_described() -> None:
    described = list(describe(WorkloadSettings))
    assert {setting.name for setting in described} == {field.name for field in dataclasses.fields(WorkloadSettings)}
    assert all(setting.help.endswith(".") for setting in described)
    assert {setting.flag: setting.variable for setting in described}["--log-level"] == "FAIRLEAD_LOG_LEVEL"


# ---------------------------------------------------------------- secrets


def test_each_process_has_its_own_lease_and_settings() -> None:
    names = {kind: load(kind, {}, {}).lease_name for kind in (WorkloadSettings, SecretSettings)}
    assert names == {WorkloadSettings: "fairlead-workloads", SecretSettings: "fairlead-secrets"}
    flags = {kind: {setting.flag for setting in describe(kind)} for kind in names}
    assert "--gate-allow" not in flags[SecretSettings] and "--cluster-scope" not in flags[WorkloadSettings]


def test_the_private_keys_are_in_the_pods_own_namespace_which_is_watched_too_where_not_all_are() -> None:
    settings = load(SecretSettings, {}, {"POD_NAMESPACE": "ops"})
    assert (settings.key_namespace, settings.watched("else")) == ("ops", ())
    assert load(SecretSettings, {"namespaces": "a,b"}, {"POD_NAMESPACE": "ops"}).watched("else") == ("a", "b", "ops")
    assert load(SecretSettings, {"namespaces": "a"}, {}).watched("here") == ("a", "here")


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("FAIRLEAD_KEY_RENEW_PERIOD", "-1", "--key-renew-period must be 0 or more"),
        ("FAIRLEAD_KEY_RENEW_PERIOD", "30d", "no number of seconds"),
        ("FAIRLEAD_CLUSTER_SCOPE", "perhaps", "no true or false"),
        ("FAIRLEAD_RECOVERY_PUBLIC_KEYS", "AAAA", "--recovery-public-keys: .*SUITE:BASE64.*keys generate --recovery"),
        ("FAIRLEAD_SIGNERS", "x:AAAA", "--signers: .*not of the algorithm ed25519.*keys generate --signing"),
        ("FAIRLEAD_SIGNERS", "ed25519:AAAA", "--signers: the public key has 3 bytes instead of 32"),
        ("FAIRLEAD_RECOVERY_PUBLIC_KEYS", "x:AAAA", "--recovery-public-keys: the public key has 3 bytes instead of 32"),
    ],
)
def test_nonsense_about_keys_is_told_before_anything_starts(variable: str, value: str, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        load(SecretSettings, {}, {variable: value})


@pytest.mark.parametrize(
    "allowed",
    [{"gate_allow": "*.example:443"}, {"gate_prometheus": "https://prom.example/"}],
    ids=["allowed", "its own"],
)
def test_a_credential_is_for_a_server_that_gates_may_ask(allowed: dict[str, str]) -> None:
    given = allowed | {"gate_credentials": "https://prom.example=/run/token"}
    assert load(WorkloadSettings, given, {}).gate_credentials == ("https://prom.example=/run/token",)
