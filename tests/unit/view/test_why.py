"""The sentences of `why`, and the choice of what to read for them."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from fairlead.autoscale.model import Autoscale
from fairlead.core.conditions import timestamp
from fairlead.core.podstate import Pod
from fairlead.view.advice import CATALOGUE
from fairlead.view.history import NoSuchRevision, diff, history, undo_target
from fairlead.view.model import App, Condition, Event, Revision, read
from fairlead.view.why import Evidence, Explanation, explain, samples

NOW = 10_000.0
COUNTS = ("replicas", "updatedReplicas", "readyReplicas", "availableReplicas")


def app(
    *,
    generation: int = 1,
    meta: dict[str, Any] | None = None,
    desired: int = 3,
    policy: str = "Rollback",
    **status: Any,
) -> App:
    base = {"observedGeneration": 1, "revision": 2, "activeRevision": "shop-v2", "stableRevision": "shop-v1"}
    counts = {"replicas": 4, "updatedReplicas": 1, "readyReplicas": 3, "availableReplicas": 3}
    raw = {
        "metadata": {"name": "shop", "uid": "u", "generation": generation, **(meta or {})},
        "spec": {"replicas": desired, "rollout": {"onFailure": policy}},
        "status": {**base, **counts, **status},
    }
    return read(raw, App)


def revision(number: int, hash: str, **status: Any) -> Revision:
    spec = {"number": number, "images": [f"shop:{number}"], "templateHash": hash}
    return read({"metadata": {"name": f"shop-{hash}"}, "spec": spec, "status": status}, Revision)


REVISIONS = (revision(2, "v2", replicas=1), revision(1, "v1", replicas=3, readyReplicas=3))


def pod(name: str, **fields: Any) -> Pod:
    made = Pod("d", name, name, 1, NOW - 60, phase="Running", revision="v2", owner_uid="u")
    return msgspec.structs.replace(made, **fields)


STALLED = [{"type": "Stalled", "status": "True", "reason": "ProgressDeadlineExceeded", "message": "no progress"}]


@pytest.mark.parametrize(
    ("sentence", "told", "want"),
    [
        ("moving", app(), "shop is rolling: revision 2 is coming in, 0 of its 3 pods are ready."),
        ("stuck", app(conditions=STALLED), "shop is stuck: revision 2 does not get further, 0 of its 3 pods are ready."),
        (
            "done",
            app(**dict.fromkeys(COUNTS, 3)),
            "shop is done: revision 2 runs with 3 of 3 pods ready. Nothing is awaited.",
        ),
        ("unseen", app(generation=2), "shop has been changed and the operator has not looked at it yet."),
        ("going", app(meta={"deletionTimestamp": timestamp(NOW), "finalizers": ["x/y"]}), "shop is being deleted."),
    ],
)  # fmt: skip
def test_the_headline(sentence: str, told: App, want: str) -> None:
    assert explain(told, Evidence(revisions=REVISIONS), NOW).headline == want, sentence


def test_a_release_that_was_taken_back_is_not_told_as_one_that_is_stuck() -> None:
    why = "revision 2 was taken back: no progress for 600 s"
    said = [{"type": type, "status": "True", "reason": type, "message": why} for type in ("RolledBack", "Stalled")]
    rejected = {"number": 2, "reason": "ProgressDeadlineExceeded", "message": "no progress for 600 s"}
    told = app(conditions=said, revision=1, activeRevision="shop-v1", rejected=rejected, **dict.fromkeys(COUNTS, 3))
    found = explain(told, Evidence(revisions=REVISIONS), NOW)
    assert found.headline == "shop: the release of revision 2 was taken back, revision 1 runs with 3 of 3 pods ready."
    assert [cause.words for cause in found.causes] == [why]
    assert not [step for step in found.steps if "undo" in step.command], "it would go back to what failed"
    assert not [sentence for sentence in found.sentences if "kept" in sentence]


@pytest.mark.parametrize(
    ("policy", "end"), [("Rollback", "the release takes itself back"), ("Pause", "the release counts as failed")]
)
def test_what_the_deadline_brings_depends_on_on_failure(policy: str, end: str) -> None:
    started = {"startedAt": timestamp(NOW), "lastProgressAt": timestamp(NOW)}
    moving = [{"type": "Reconciling", "status": "True", "reason": "Progressing"}]
    rolling = app(rollout=started, conditions=moving, policy=policy)
    assert any(end in sentence for sentence in explain(rolling, Evidence(REVISIONS), NOW).sentences)


def test_whoever_is_on_call_learns_whether_anyone_suffers() -> None:
    assert "Meanwhile 3 of revision 1 are ready and kept." in explain(app(), Evidence(REVISIONS), NOW).sentences
    bad = explain(app(readyReplicas=0, availableReplicas=0), Evidence((revision(2, "v2", replicas=1),)), NOW)
    assert "No pod is ready: nothing serves at the moment." in bad.sentences


def test_finalizers_that_hold_a_deletion_are_named() -> None:
    going = app(meta={"deletionTimestamp": timestamp(NOW), "finalizers": ["x/y"]})
    assert "It goes when these finalizers are gone: x/y." in explain(going, Evidence(), NOW).sentences


def test_what_the_pods_show_is_told_before_the_operator_has_written_it_down() -> None:
    evidence = Evidence(REVISIONS, pods=(pod("a", problem="ImagePullBackOff", message="not found", container="web"),))
    (cause,) = explain(app(), evidence, NOW).causes
    assert (cause.reason, cause.count, cause.words) == ("ImagePullBackOff", 1, "not found")


def test_what_the_operator_has_written_down_is_not_told_twice() -> None:
    problems = [{"reason": "ImagePullBackOff", "count": 2, "samplePod": "gone", "message": "not found"}]
    evidence = Evidence(REVISIONS, pods=(pod("a", problem="ImagePullBackOff"),))
    (cause,) = explain(app(problems=problems), evidence, NOW).causes
    assert cause.sample is not None
    assert (cause.count, cause.sample.pod) == (2, "a"), "another pod stands in for a sample that is gone"


def test_a_reason_nobody_foresaw_is_told_in_the_clusters_words() -> None:
    evidence = Evidence(REVISIONS, pods=(pod("a", problem="Flummoxed", message="by a gremlin"),))
    (cause,) = explain(app(), evidence, NOW).causes
    assert (cause.meaning, cause.words) == ("", "by a gremlin")
    assert cause.todo == ("The message is all that is known: kubectl describe shows the pod's events.",)


def test_a_paused_app_is_told_how_to_go_on() -> None:
    raw = {"metadata": {"name": "shop", "generation": 1}, "spec": {"rollout": {"paused": True}}}
    paused = read(raw | {"status": {"observedGeneration": 1, "replicas": 2, "updatedReplicas": 1}}, App)
    told = explain(paused, Evidence(), NOW, command="kubectl fairlead", scope=" -n x")
    assert [step.command for step in told.steps] == ["kubectl fairlead resume shop -n x"]


def test_with_nothing_to_go_back_to_no_undo_is_recommended() -> None:
    told = explain(app(conditions=STALLED), Evidence((revision(2, "v2"),)), NOW)
    assert not any("undo" in step.command for step in told.steps)


def test_a_volume_that_cannot_be_mounted_is_told_by_the_pods_events() -> None:
    waiting = pod("a", phase="Pending", node="n1")
    event = Event(
        type="Warning", reason="FailedMount", message='MountVolume.SetUp failed for volume "tls" : secret "tls" not found',
        involved_object={"kind": "Pod", "name": "a"},
    )  # fmt: skip
    known = app(
        problems=[{"reason": "ContainerCreating", "count": 1, "samplePod": "a", "message": "a volume, or an image"}]
    )
    for told in (app(), known):
        (cause,) = explain(told, Evidence(REVISIONS, (waiting,), (event,)), NOW).causes
        assert cause.reason == "SecretMissing" and 'secret "tls" not found' in cause.words


def test_samples_are_one_of_each_reason_and_never_many() -> None:
    found = [pod(f"{reason}-{n}", problem=reason) for reason in ("A", "B", "C", "D") for n in range(50)]
    chosen = samples(app(problems=[{"reason": "D", "samplePod": "D-7"}]), [*found, pod("ok", ready=True)])
    assert [p.name for p in chosen] == ["D-7", "A-0", "B-0"]


def test_every_reason_in_the_catalogue_says_what_it_means_and_what_to_do() -> None:
    for reason, told in CATALOGUE.items():
        assert told.meaning and told.todo, reason
        assert all(todo.endswith(".") for todo in told.todo), reason


# ---------------------------------------------------------------- history


def test_an_undo_does_not_bring_back_a_release_that_took_itself_back() -> None:
    kept = [revision(1, "v1"), revision(3, "v3", phase="Failed"), revision(4, "v4")]
    after = app(activeRevision="shop-v4", stableRevision="shop-v4")
    assert undo_target(after, kept, None).number == 1
    with pytest.raises(NoSuchRevision, match="taken back itself; to run it all the same: --to 3"):
        undo_target(after, kept[1:], None)


def test_an_undo_after_an_undo_does_not_bring_the_bad_release_back() -> None:
    kept = [revision(n, f"v{n}") for n in (1, 3, 4)]
    after = app(
        activeRevision="shop-v4", stableRevision="shop-v4", undo={"to": 2, "revision": "shop-v2", "rejected": "v3"}
    )
    assert undo_target(after, kept, None).number == 1
    with pytest.raises(
        NoSuchRevision, match="the only other revision was undone or taken back itself; to run it all the same: --to 3"
    ):
        undo_target(after, kept[1:], None)


def test_pods_on_a_node_that_does_not_answer_are_not_blamed_on_their_probe() -> None:
    rolled = [{"type": "Progressing", "status": "True", "reason": "NewRevisionAvailable"}]
    degraded = app(**dict.fromkeys(COUNTS, 3) | {"readyReplicas": 0, "availableReplicas": 0}, conditions=rolled)
    found = (pod("a", node="n1", ready_since=NOW - 10), pod("b", node="n1", ready_since=NOW - 20))
    told = explain(degraded, Evidence(REVISIONS, found, lost_nodes=frozenset({"n1"})), NOW)
    assert told.headline == "shop has been rolled out and pods have failed since: 0 of 3 pods ready."
    assert [(cause.reason, cause.count, cause.since) for cause in told.causes] == [("NodeNotReady", 2, NOW - 20)]
    assert not any("undo" in step.command for step in told.steps), "another release would not help"
    assert told.tone == "bad"


@pytest.mark.parametrize(
    ("sentence", "status", "want"),
    [
        ("two bad releases after a good one", {"activeRevision": "shop-v3", "stableRevision": "shop-v1"}, 1),
        ("a good one after others", {"activeRevision": "shop-v3", "stableRevision": "shop-v3"}, 2),
        ("nothing was ever stable", {"activeRevision": "shop-v3", "stableRevision": ""}, 2),
        ("the stable one is not kept", {"activeRevision": "shop-v3", "stableRevision": "shop-v0"}, 2),
    ],
)
def test_where_an_undo_goes(sentence: str, status: dict[str, Any], want: int) -> None:
    kept = [revision(n, f"v{n}") for n in (1, 2, 3)]
    assert undo_target(app(**status), kept, None).number == want, sentence


def test_an_undo_to_what_is_active_is_refused() -> None:
    with pytest.raises(NoSuchRevision, match="revision 2 is the one that is active already"):
        undo_target(app(), REVISIONS, 2)


def test_history_tells_what_became_of_each_revision() -> None:
    kept = [
        revision(1, "v1"),
        revision(2, "v2"),
        revision(3, "v3"),
        revision(4, "v4", phase="Failed"),
        revision(5, "v5"),
    ]
    told = history(app(undo={"to": 2, "revision": "shop-v2", "rejected": "v3"}), kept)
    assert [entry.state for entry in told] == ["stable", "active", "undone", "failed", "kept"]


def test_a_diff_is_not_about_the_order_of_keys() -> None:
    one = read({"metadata": {"name": "a"}, "spec": {"template": {"a": 1, "b": [1, 2]}}}, Revision)
    two = read({"metadata": {"name": "b"}, "spec": {"template": {"b": [1, 2], "a": 1}}}, Revision)
    assert diff(one, two) == []


def test_a_diff_names_the_keys_of_configuration_that_changed_and_who_changed_them() -> None:
    pin = {"name": "s", "env": True, "copy": "shop-s-1", "source": "settings", "by": "kubectl-edit"}
    one = read({"metadata": {"name": "a"}, "spec": {"config": [pin | {"keys": {"A": "x7", "B": "k2"}}]}}, Revision)
    changed = pin | {"copy": "shop-s-2", "by": "argocd", "keys": {"A": "x7", "B": "z9"}}
    two = read({"metadata": {"name": "b"}, "spec": {"config": [changed]}}, Revision)
    lines = [line.replace(" ", "") for line in diff(one, two)[2:] if line[0] in "+-"]
    assert lines == ["-by:kubectl-edit", "+by:argocd", "-B:k2", "+B:z9"]


def test_a_diff_names_the_versions_of_a_secret_and_nothing_of_what_they_hold() -> None:
    pin = {"name": "db", "env": True, "source": "shop-db", "secret": "shop-db-tslp7k2525"}
    one = read({"metadata": {"name": "a"}, "spec": {"config": [pin]}}, Revision)
    two = read({"metadata": {"name": "b"}, "spec": {"config": [pin | {"secret": "shop-db-sntrzmbcdd"}]}}, Revision)
    lines = [line.replace(" ", "") for line in diff(one, two)[2:] if line[0] in "+-"]
    assert lines == ["-secret:shop-db-tslp7k2525", "+secret:shop-db-sntrzmbcdd"]


def test_a_missing_config_map_is_named_with_the_way_out_and_what_runs() -> None:
    words = "spec.config[s].configMap: there is no ConfigMap settings in namespace shop; create it"
    said = [
        {"type": "Ready", "status": "False", "reason": "ConfigMapMissing", "message": words},
        {"type": "Config", "status": "False", "reason": "ConfigMapMissing", "message": words},
        {"type": "Reconciling", "status": "True", "reason": "ConfigMapMissing", "message": words},
    ]
    told = explain(app(conditions=said, replicas=3, updatedReplicas=3), Evidence(REVISIONS), NOW)
    assert told.headline == "shop waits, and its next release has not begun: 3 of 3 pods ready."
    assert told.sentences[0].startswith(f"It waits for {words}")
    (cause,) = told.causes
    assert cause.reason == "ConfigMapMissing" and "spec.config" in cause.meaning and cause.todo


# ---------------------------------------------------------------- autoscaling


def sized(reason: str, message: str, status: str = "True", **fields: Any) -> App:
    condition = {"type": "Autoscaling", "status": status, "reason": reason, "message": message}
    counts = dict.fromkeys(COUNTS, 9)
    told = app(conditions=[condition], **{"autoscale": {"replicas": 9, "asked": 3}, **counts, **fields})
    return msgspec.structs.replace(told, spec=msgspec.structs.replace(told.spec, autoscale=Autoscale(max=12)))


def test_a_size_that_autoscaling_came_to_is_the_one_that_is_wanted_and_its_sentence_is_told() -> None:
    told = explain(sized("Followed", "cpu 83 % of 60 % over 6 ready pods → 9"), Evidence(REVISIONS), NOW)

    assert told.headline == "shop is done: revision 2 runs with 9 of 9 pods ready. Nothing is awaited."
    assert "Autoscaling: cpu 83 % of 60 % over 6 ready pods → 9." in told.sentences
    assert told.causes == ()


def test_a_hold_is_told_and_is_no_trouble() -> None:
    told = explain(sized("Held", "held at 9 by kubectl", "False"), Evidence(REVISIONS), NOW)

    assert "Autoscaling: held at 9 by kubectl." in told.sentences
    assert told.causes == ()


def test_a_metric_that_cannot_be_told_is_a_cause_with_advice() -> None:
    told = explain(sized("MetricsUnavailable", "stays at 9: cpu: no answer", "False"), Evidence(REVISIONS), NOW)

    (cause,) = told.causes
    assert (cause.reason, cause.words) == ("MetricsUnavailable", "stays at 9: cpu: no answer")
    assert any("metrics-server" in todo for todo in cause.todo)
    assert not [sentence for sentence in told.sentences if "Autoscaling" in sentence]


def test_what_containers_should_request_is_told_beside_the_size() -> None:
    resources = {"message": "web should request cpu 298m, and requests 500m", "containers": []}
    told = explain(
        sized("Followed", "cpu 61 % of 60 %", autoscale={"replicas": 9, "asked": 3, "resources": resources}),
        Evidence(REVISIONS),
        NOW,
    )

    assert "Resources: web should request cpu 298m, and requests 500m." in told.sentences


def applied(status: str, reason: str, message: str) -> Explanation:
    """Of an App whose pods are to request what is recommended."""
    app = sized("Followed", "cpu 250m of 250m", autoscale={"resources": {"message": "web should request cpu 298m"}})
    told = Condition("RequestsApplied", status, reason, message)
    conditions = [*app.status.conditions, told]
    return explain(
        msgspec.structs.replace(app, status=msgspec.structs.replace(app.status, conditions=conditions)),
        Evidence(REVISIONS),
        NOW,
    )


@pytest.mark.parametrize(("status", "reason"), [("True", "Applied"), ("False", "Following")])
def test_what_containers_request_is_told_in_place_of_what_they_should(status: str, reason: str) -> None:
    told = applied(status, reason, "web requests cpu 298m; 3 of 4 pods have it")
    assert "Resources: web requests cpu 298m; 3 of 4 pods have it." in told.sentences
    assert told.causes == ()


def test_pods_that_cannot_be_resized_are_a_cause_with_advice() -> None:
    told = applied("False", "ResizeRefused", "cannot patch pods/resize")
    (cause,) = told.causes
    assert (cause.reason, cause.words) == ("ResizeRefused", "cannot patch pods/resize")
    assert any("fairlead restart" in todo for todo in cause.todo)
