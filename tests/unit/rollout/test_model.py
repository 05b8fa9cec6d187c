"""Apps and Revisions as they come from the API server."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from fairlead.rollout.model import Progress, Undo, progress_of, project_app, undo_of


def app(**more: Any) -> bytes:
    meta: dict[str, Any] = {"name": "shop", "namespace": "default", "uid": "u", "resourceVersion": "7", "generation": 2}
    body = {
        "metadata": meta | more.pop("metadata", {}),
        "spec": {"template": {"spec": {"containers": [{"name": "a"}]}}} | more,
    }
    return msgspec.json.encode(body)


def entry(manager: str, time: str, fields: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"manager": manager, "time": time, "fieldsV1": fields, **more}


def test_who_changed_the_spec_last_is_not_who_annotated_it() -> None:
    managed = [
        entry("git", "2026-01-01T00:00:00Z", {"f:spec": {}}),
        entry("kubectl-annotate", "2026-01-02T00:00:00Z", {"f:metadata": {}}),
        entry("kubectl-scale", "2026-01-03T00:00:00Z", {"f:spec": {}}, subresource="scale"),
    ]
    assert project_app(app(metadata={"managedFields": managed})).manager == "git"


@pytest.mark.parametrize("replicas", ["three", 1.5, None, {}])
def test_a_spec_of_before_the_schema_is_kept_as_unreadable_not_lost(replicas: Any) -> None:
    projected = project_app(app(replicas=replicas))
    assert projected.name == "shop" and "spec cannot be read" in projected.invalid and "replicas" in projected.invalid


@pytest.mark.parametrize(
    "damage", [None, {}, {"rollout": {"sizes": "many"}}, {"undo": {"to": "first"}}, {"rollout": 7}]
)
def test_a_damaged_memory_is_no_memory(damage: Any) -> None:
    assert progress_of(damage or {}) == Progress() and undo_of(damage or {}) == Undo()
