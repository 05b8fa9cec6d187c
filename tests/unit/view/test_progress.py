"""Where a rollout stands, by tables over statuses and a fixed now."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairlead.core.conditions import timestamp
from fairlead.core.hashing import template_hash
from fairlead.core.meta import JSON
from fairlead.view.bars import bar
from fairlead.view.history import history
from fairlead.view.inert import inert, inert_object, one_line
from fairlead.view.model import App, Revision, read, read_revisions
from fairlead.view.progress import Progress, overview, progress
from fairlead.view.verdict import verdict

NOW = 10_000.0
TEMPLATE = {"spec": {"containers": [{"name": "web", "image": "shop:2"}]}}


def app(status: JSON | None = None, *, generation: int = 2, meta: JSON | None = None, **spec: Any) -> App:
    raw = {
        "metadata": {
            "name": "shop",
            "namespace": "team",
            "uid": "u",
            "generation": generation,
            "creationTimestamp": timestamp(NOW - 3600),
            **(meta or {}),
        },
        "spec": {"replicas": 4, "template": TEMPLATE, **spec},
        "status": status or {},
    }
    return read(raw, App)


def counts(replicas: int, updated: int, ready: int, available: int, **more: Any) -> JSON:
    return {
        "observedGeneration": 2,
        "replicas": replicas,
        "updatedReplicas": updated,
        "readyReplicas": ready,
        "availableReplicas": available,
        "revision": 2,
        "activeRevision": "shop-v2",
        "stableRevision": "shop-v1",
        **more,
    }


def said(*types: str, reason: str = "Because", message: str = "") -> JSON:
    """Conditions: `Ready` is True, `!Ready` False."""
    return {
        "conditions": [
            {
                "type": type.lstrip("!"),
                "status": "False" if type.startswith("!") else "True",
                "reason": reason,
                "message": message,
                "lastTransitionTime": timestamp(NOW - 30),
            }
            for type in types
        ]
    }


def revision(number: int, hash: str, **status: int) -> Revision:
    raw = {
        "metadata": {"name": f"shop-{hash}"},
        "spec": {"number": number, "images": [f"shop:{number}"]},
        "status": status,
    }
    return read(raw, Revision)


# ---------------------------------------------------------------- the verdict


@pytest.mark.parametrize(
    ("sentence", "status", "spec", "want"),
    [
        ("nobody has looked yet", {}, {}, "Unseen"),
        ("only a default is written", said("!Ready", reason="Pending"), {}, "Unseen"),
        ("an older spec was looked at", counts(4, 4, 4, 4) | {"observedGeneration": 1} | said("Ready"), {}, "Unseen"),
        ("an older spec was stuck", counts(5, 1, 4, 4) | {"observedGeneration": 1} | said("Stalled"), {}, "Unseen"),
        ("all pods are new and available", counts(4, 4, 4, 4) | said("Ready"), {}, "Done"),
        ("an operator that writes no conditions", counts(4, 4, 4, 4), {}, "Done"),
        ("all is well and the App is paused", counts(4, 4, 4, 4) | said("Ready", "Paused"), {"rollout": {"paused": True}}, "Done"),
        ("scaled to nothing", counts(0, 0, 0, 0) | said("Ready"), {"replicas": 0}, "Done"),
        ("pods are still being replaced", counts(5, 2, 4, 4) | said("!Ready", "Reconciling"), {}, "Moving"),
        ("an old pod is left", counts(5, 4, 5, 5), {}, "Moving"),
        ("ready, but not long enough", counts(4, 4, 4, 3), {}, "Moving"),
        ("the counts lag behind the condition", counts(4, 2, 4, 4) | said("Ready"), {}, "Moving"),
        ("the condition lags behind the counts", counts(4, 4, 4, 4) | said("!Ready", "Reconciling"), {}, "Moving"),
        ("held half way", counts(5, 2, 4, 4) | said("!Ready"), {"rollout": {"paused": True}}, "Paused"),
        ("past the deadline", counts(5, 1, 4, 4) | said("!Ready", "Stalled"), {}, "Failed"),
        ("past the deadline, and held", counts(5, 1, 4, 4) | said("Stalled"), {"rollout": {"paused": True}}, "Failed"),
        (
            "rolled out, and a pod has died since",
            counts(4, 4, 3, 3) | said("Progressing", reason="NewRevisionAvailable"),
            {},
            "Degraded",
        ),
    ],
)  # fmt: skip
def test_the_verdict(sentence: str, status: JSON, spec: JSON, want: str) -> None:
    assert verdict(app(status, **spec)) == want, sentence


def test_an_app_that_is_being_deleted_has_no_other_verdict() -> None:
    gone = app(counts(4, 4, 4, 4) | said("Ready"), meta={"deletionTimestamp": timestamp(NOW)})
    assert verdict(gone) == "Deleting"


# ---------------------------------------------------------------- what is awaited, and since when


@pytest.mark.parametrize(
    ("sentence", "status", "want"),
    [
        ("pods to be created", counts(4, 1, 3, 3), "3 more pods of revision 2 to be created"),
        ("pods to get ready", counts(5, 4, 3, 3), "1 pod to become ready"),
        ("pods to prove themselves", counts(4, 4, 4, 2), "2 pods to stay ready for 7s"),
        ("old pods to go", counts(6, 4, 6, 6), "2 pods of older revisions to go"),
        ("what the operator says", counts(5, 1, 4, 4, rollout={"waitingFor": "the moon"}), "the moon"),
        ("nothing", counts(4, 4, 4, 4), ""),
        ("the operator", {}, "the operator to look at the newest spec"),
    ],
)
def test_what_is_awaited(sentence: str, status: JSON, want: str) -> None:
    assert progress(app(status, rollout={"minReadySeconds": 7}), [], NOW).waiting_for == want, sentence


def test_problems_at_the_end_of_what_is_awaited_are_not_said_twice() -> None:
    waiting = "1 of 4 updated pods to become available: 1 × ImagePullBackOff (shop-v2-0: not found)"
    status = counts(5, 1, 4, 4, rollout={"waitingFor": waiting}, problems=[{"reason": "ImagePullBackOff", "count": 1}])
    assert progress(app(status), [], NOW).waiting_for == "1 of 4 updated pods to become available"


@pytest.mark.parametrize(
    ("sentence", "status", "meta", "since"),
    [
        (
            "the last progress",
            counts(5, 1, 4, 4, rollout={"startedAt": timestamp(NOW - 90), "lastProgressAt": timestamp(NOW - 60)}),
            {},
            NOW - 60,
        ),
        ("the start", counts(5, 1, 4, 4, rollout={"startedAt": timestamp(NOW - 90)}), {}, NOW - 90),
        ("the condition", counts(5, 1, 4, 4) | said("Progressing"), {}, NOW - 30),
        (
            "the last write of the spec",
            {},
            {
                "managedFields": [
                    {"time": timestamp(NOW - 20)},
                    {"time": timestamp(NOW - 25)},
                    {"time": timestamp(NOW - 5), "subresource": "status"},
                ]
            },
            NOW - 20,
        ),
        ("its creation", {}, {}, NOW - 3600),
    ],
)
def test_since_when(sentence: str, status: JSON, meta: JSON, since: float) -> None:
    assert progress(app(status, meta=meta), [], NOW).waiting_since == since, sentence


def test_the_deadline_is_only_told_while_it_runs() -> None:
    rollout = {"lastProgressAt": timestamp(NOW - 60)}
    moving = counts(5, 1, 4, 4, rollout=rollout) | said("Reconciling")
    assert progress(app(moving, rollout={"progressDeadlineSeconds": 100}), [], NOW).gives_up_at == NOW + 40
    assert progress(app(moving, rollout={"paused": True}), [], NOW).gives_up_at is None
    assert progress(app(counts(4, 4, 4, 4, rollout=rollout)), [], NOW).gives_up_at is None


# ---------------------------------------------------------------- a row per revision


def rows(state: Progress) -> list[tuple[int, str, str]]:
    return [(row.number, row.counts, row.state) for row in state.revisions]


def test_the_active_revision_comes_first_then_those_that_still_have_pods() -> None:
    kept = [
        revision(1, "v1", replicas=2, readyReplicas=2),
        revision(2, "v2", replicas=3, readyReplicas=2),
        revision(3, "v0"),
    ]
    state = progress(app(counts(5, 3, 4, 4)), kept, NOW)
    assert rows(state) == [(2, "2/4 ready, 0 available", "rolling in"), (1, "2 left", "leaving")]


@pytest.mark.parametrize(
    ("sentence", "status", "spec", "active", "old"),
    [
        ("stuck", counts(5, 1, 4, 4) | said("Stalled"), {}, "stuck", "still serving"),
        ("paused", counts(5, 1, 4, 4), {"rollout": {"paused": True}}, "paused", "held"),
        ("moving", counts(5, 1, 4, 4), {}, "rolling in", "leaving"),
    ],
)
def test_what_a_row_is_doing(sentence: str, status: JSON, spec: JSON, active: str, old: str) -> None:
    kept = [revision(1, "v1", replicas=4, readyReplicas=4), revision(2, "v2", replicas=1)]
    assert [row.state for row in progress(app(status, **spec), kept, NOW).revisions] == [active, old], sentence


@pytest.mark.parametrize(
    ("weight", "active", "old"), [(0, "preview", "has the traffic"), (100, "has the traffic", "kept")]
)
def test_of_two_revisions_that_stand_beside_each_other_one_has_the_traffic(weight: int, active: str, old: str) -> None:
    kept = [revision(1, "v1", replicas=4, readyReplicas=4), revision(2, "v2", replicas=4, readyReplicas=4)]
    status = counts(8, 4, 8, 8) | {"rollout": {"steps": 4, "step": 1, "weight": weight}}
    state = progress(app(status, rollout={"strategy": "BlueGreen"}), kept, NOW)
    assert [row.state for row in state.revisions] == [active, old]


def test_a_revision_whose_last_pods_are_ending_is_shown_until_they_are_gone() -> None:
    kept = [
        revision(1, "v1", terminatingReplicas=2),
        revision(2, "v2", replicas=4, readyReplicas=4, availableReplicas=4),
    ]
    state = progress(app(counts(4, 4, 4, 4, terminatingReplicas=2)), kept, NOW)
    assert rows(state)[1] == (1, "2 terminating", "leaving")


TOLD_LATER: dict[str, tuple[JSON, JSON, list[tuple[int, str]]]] = {
    "its last pod terminates": (
        {"terminatingReplicas": 2},
        {"replicas": 1, "readyReplicas": 1, "terminatingReplicas": 1},
        [(2, "4/4 ready"), (1, "2 terminating")],
    ),
    "its pods are gone": ({}, {"replicas": 1, "readyReplicas": 1, "terminatingReplicas": 1}, [(2, "4/4 ready")]),
}


@pytest.mark.parametrize("case", TOLD_LATER)
def test_what_a_revision_said_a_moment_ago_is_not_shown_beside_what_its_app_says_now(case: str) -> None:
    of_app, of_old, shown = TOLD_LATER[case]
    kept = [revision(1, "v1", **of_old), revision(2, "v2", replicas=4, readyReplicas=3, availableReplicas=3)]
    asked = app(counts(4, 4, 4, 4, **of_app) | said("Ready"))
    assert [(number, counted) for number, counted, _ in rows(progress(asked, kept, NOW))] == shown
    assert [(one.number, one.ready, one.replicas) for one in history(asked, kept)] == [(1, 0, 0), (2, 4, 4)]


def test_without_revisions_the_apps_own_counts_make_the_row() -> None:
    assert rows(progress(app(counts(5, 2, 4, 4)), [], NOW)) == [(2, "2/4 ready", "rolling in")]


def test_an_app_scaled_to_nothing_has_a_row_that_wants_nothing() -> None:
    state = progress(app(counts(0, 0, 0, 0), replicas=0), [revision(2, "v2")], NOW)
    assert rows(state) == [(2, "0/0 ready", "no pods wanted")]


def test_revisions_that_belong_to_a_namesake_are_left_out() -> None:
    owners = [{"kind": "App", "apiVersion": "x", "name": "shop", "uid": "other", "controller": True}]
    raws = [
        {"metadata": {"name": "a", "labels": {"fairlead.dev/app": "shop"}}, "spec": {"number": 1}},
        {"metadata": {"name": "b", "ownerReferences": owners}, "spec": {"number": 2}},
    ]
    assert [r.name for r in read_revisions(raws, app())] == ["a"]


# ---------------------------------------------------------------- what is wrong, and what else to know


@pytest.mark.parametrize(
    ("sentence", "conditions", "problems", "want"),
    [
        ("a Service that is refused", said("!Exposed", reason="ServiceRefused"), [], ["Exposed"]),
        ("a Service that is being made", said("!Exposed", reason="Creating"), [], []),
        ("one that is being made anew", said("!PreviewExposed", reason="Recreating"), [], []),
        ("an address that is awaited", said("!Exposed", reason="LoadBalancerPending"), [], []),
        ("a budget of someone else", said("!Disruption", reason="NotOwned"), [], ["Disruption"]),
        ("pods that are refused", said("ReplicaFailure", reason="QuotaExceeded"), [], ["ReplicaFailure"]),
        ("the same as a problem", said("ReplicaFailure", reason="QuotaExceeded"), [{"reason": "QuotaExceeded"}], []),
        ("the same condition twice", said("!Accepted", "Stalled", reason="RevisionNotFound"), [], ["Accepted"]),
        ("not available, as with no pods", said("!Available"), [], []),
        ("all is well", said("Ready", "Exposed", "Available"), [], []),
    ],
)
def test_conditions_a_person_must_read(sentence: str, conditions: JSON, problems: list[JSON], want: list[str]) -> None:
    state = progress(app(counts(5, 1, 4, 4, problems=problems) | conditions), [], NOW)
    assert [trouble.type for trouble in state.troubles] == want, sentence


def test_conditions_of_an_older_spec_are_no_news() -> None:
    old = counts(5, 1, 4, 4) | {"observedGeneration": 1} | said("!Exposed", "Stalled")
    assert progress(app(old), [], NOW).troubles == ()


def test_notes_say_when_the_template_is_not_what_runs() -> None:
    undo = {"to": 1, "revision": "shop-v1", "rejected": template_hash(TEMPLATE)}
    held = app(counts(4, 4, 4, 4, undo=undo), rollout={"undoTo": 1})
    spent = app(counts(4, 4, 4, 4, undo=undo | {"rejected": "another"}), rollout={"undoTo": 1})
    assert progress(held, [], NOW).notes == (
        "Taken back: the template in the spec is not what runs, until it is changed.",
    )
    assert progress(spent, [], NOW).notes == ()
    nobody = app(counts(4, 4, 4, 4, undo=undo | {"revision": ""}), rollout={"undoTo": 1})
    assert progress(nobody, [], NOW).notes == (), "nothing was taken back where nobody keeps what was asked for"


def test_notes_ask_for_the_operator_only_after_a_while() -> None:
    fresh = app(meta={"creationTimestamp": timestamp(NOW - 1)})
    assert progress(fresh, [], NOW).notes == ()
    assert progress(app(), [], NOW).notes[0].startswith("Is the operator running?")


def test_the_overview_of_an_app_has_its_first_problem() -> None:
    line = overview(app(counts(5, 1, 4, 4, problems=[{"reason": "CrashLoopBackOff"}], summary="Rolling 1/4")))
    assert (line.summary, line.ready, line.desired, line.problem) == ("Rolling 1/4", 4, 4, "CrashLoopBackOff")


# ---------------------------------------------------------------- properties


@given(st.integers(-5, 2000), st.integers(-5, 2000), st.integers(1, 60))
def test_a_bar_is_always_as_long_as_asked_for_and_full_only_when_all_is_done(done: int, total: int, width: int) -> None:
    made = bar(done, total, width)
    assert len(made.done) + len(made.rest) == width
    assert (made.rest == "" and "╸" not in made.done) == (0 < total <= done)
    assert (made.done == "") == (done <= 0 or total <= 0)


@given(st.text())
def test_inert_text_has_no_control_characters_and_stays_as_it_is(text: str) -> None:
    clean = inert(text)
    assert not any((ord(c) < 32 and c != "\n") or 127 <= ord(c) < 160 for c in clean)
    assert not set(clean) & set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200b\u2028")
    assert inert(clean) == clean
    assert "\n" not in one_line(text)


@given(st.text(alphabet=st.characters(categories=["L", "N", "P", "S", "Zs"])))
def test_ordinary_text_is_left_alone(text: str) -> None:
    assert inert(text) == text


@settings(max_examples=40)
@given(st.recursive(st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x), max_leaves=8))
def test_every_string_in_an_object_is_made_inert(value: Any) -> None:
    def strings(v: Any) -> list[str]:
        if isinstance(v, dict):
            return [s for k, inner in v.items() for s in [k, *strings(inner)]]
        if isinstance(v, list):
            return [s for inner in v for s in strings(inner)]
        return [v] if isinstance(v, str) else []

    assert all(inert(text) == text for text in strings(inert_object(value)))
