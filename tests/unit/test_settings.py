"""Flags over environment over defaults."""

from __future__ import annotations

import dataclasses

import pytest

from fairlead.settings import SettingsError, WorkloadSettings, describe, load


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
