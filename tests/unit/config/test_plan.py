"""Which copies are made, which are collected, and what the condition Config says."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from fairlead.config.model import ConfigMap, ConfigObserved, Content, Copy, Lack, Wanted
from fairlead.config.plan import COLLECT_SECONDS, condition, plan
from fairlead.core.actions import Create, Delete

NOW = 1000.0
COPY = Copy("shop-s-1", "s", Content({"a": "1"}, {"b": "AAAA"}))


def there(name: str, created: float = 0.0) -> ConfigMap:
    return ConfigMap("default", name, f"uid-{name}", 1, created, "shop", "app-uid")


def observed(*copies: ConfigMap, **more: Any) -> ConfigObserved:
    fields: dict[str, Any] = {"wanted": Wanted(copies=(COPY,)), "kept": frozenset(), "strays": False} | more
    return ConfigObserved("default", "shop", "app-uid", False, True, copies=copies, **fields)


def test_a_copy_is_immutable_owned_by_the_app_and_made_once() -> None:
    (made,) = plan(observed(), NOW).actions
    assert isinstance(made, Create) and made.owner_uid == "app-uid"
    body = msgspec.json.decode(made.body)
    assert body["immutable"] is True and body["data"] == {"a": "1"} and body["binaryData"] == {"b": "AAAA"}
    assert body["metadata"]["ownerReferences"][0]["uid"] == "app-uid"
    assert plan(observed(there("shop-s-1")), NOW).actions == ()


def test_copies_of_one_content_for_one_entry_are_one() -> None:
    assert len(plan(observed(wanted=Wanted(copies=(COPY, COPY))), NOW).actions) == 1


def test_what_no_revision_refers_to_goes_after_a_minute() -> None:
    old, young, kept = there("old"), there("young", NOW - COLLECT_SECONDS + 5), there("kept")
    made = plan(observed(old, young, kept, kept=frozenset({"kept"}), wanted=Wanted()), NOW)
    assert made.actions == (Delete("ConfigMap", "default", "old", "uid-old"),)
    assert made.requeue_after == 5.0


def test_nothing_is_collected_while_pods_of_an_unknown_revision_run() -> None:
    assert plan(observed(there("old"), wanted=Wanted(), strays=True), NOW).actions == ()


def test_copies_go_with_their_app_by_themselves() -> None:
    assert plan(msgspec.structs.replace(observed(there("old")), deleting=True), NOW).actions == ()


@pytest.mark.parametrize(
    ("seen", "status", "reason", "words"),
    [
        (observed(), "True", "ConfigPinned", "copies"),
        (observed(wanted=Wanted(lacks=(Lack("ConfigMapMissing", "no s"),))), "False", "ConfigMapMissing", "no s"),
        (
            observed(wanted=Wanted(lacks=(Lack("ConfigClash", "one"), Lack("ConfigTooLarge", "two")))),
            "False",
            "ConfigClash",
            "one (and 1 more)",
        ),
        (observed(refused=("Forbidden", "quota")), "False", "ConfigRefused", "refuses a copy of spec.config: quota"),
        (observed(refused=("NameTaken", "it is")), "False", "NameTaken", "delete it (it is)"),
        (observed(lost=("shop-s-9",)), "False", "ConfigCopyMissing", "ConfigMap shop-s-9 was deleted"),
    ],
)
def test_the_condition_says_what_is_wrong_first(seen: ConfigObserved, status: str, reason: str, words: str) -> None:
    said = condition(seen)
    assert (said.status, said.reason) == (status, reason) and words in said.message
