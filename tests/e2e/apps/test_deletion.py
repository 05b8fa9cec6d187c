"""The end of an App, in each of the ways that can be asked for."""

from e2e.dsl import Given, Scene, Then, When, apps

CHILDREN = "pods,frev,services,poddisruptionbudgets"


def a_whole_app() -> apps.JSON:
    """With one of every kind of child; nobody sends its pods requests, so they need not drain for long."""
    made = apps.web(replicas=2, disruption={"maxUnavailable": 1})
    made["spec"]["expose"]["drainSeconds"] = 1
    return made


def children(scene: Scene) -> set[str]:
    """Those that would be there for ever: names by kind, but for pods that are being ended."""
    found = scene.get(CHILDREN, "-l", "app.kubernetes.io/managed-by=fairlead")["items"]
    return {f"{one['kind']}/{one['metadata']['name']}" for one in found if "deletionTimestamp" not in one["metadata"]}


def test_foreground_the_app_goes_last(given: Given, when: When, then: Then, scene: Scene) -> None:
    given.a_ready_app(a_whole_app())
    assert {name.partition("/")[0] for name in children(scene)} == {"Pod", "Revision", "Service", "PodDisruptionBudget"}

    when.deleted("foreground", "--wait=false")
    then.gone()
    scene.kubectl("wait", "--for=delete", "fapp/shop", "--timeout=60s")

    assert children(scene) == set()


def test_background_the_app_goes_first_and_its_children_follow(
    given: Given, when: When, then: Then, scene: Scene
) -> None:
    given.a_ready_app(a_whole_app())

    when.deleted("background")

    assert "NotFound" in scene.kubectl("get", "fapp", "shop", check=False)
    then.gone()
    scene.kubectl("wait", "--for=delete", CHILDREN, "-l", "app.kubernetes.io/managed-by=fairlead", "--timeout=60s")
    assert children(scene) == set()


def test_orphaned_children_stay_and_are_taken_back_by_the_same_app(
    given: Given, when: When, then: Then, scene: Scene
) -> None:
    given.a_ready_app(a_whole_app())
    before = children(scene)
    pods = {pod["metadata"]["uid"] for pod in scene.pods()}

    when.deleted("orphan")
    orphans = scene.get(CHILDREN, "-l", "app.kubernetes.io/managed-by=fairlead")["items"]
    assert children(scene) == before
    assert not [one for one in orphans if one["metadata"].get("ownerReferences")]

    when.applied(a_whole_app())
    then.ready()

    assert {pod["metadata"]["uid"] for pod in then.pods_ready(2)} == pods, "the same pods, not one of them new"
    uid = scene.app()["metadata"]["uid"]
    taken = scene.get(CHILDREN, "-l", "app.kubernetes.io/managed-by=fairlead")["items"]
    assert {one["metadata"]["ownerReferences"][0]["uid"] for one in taken} == {uid}
    assert children(scene) == before


def test_a_namespace_goes_with_all_that_is_in_it(given: Given, scene: Scene) -> None:
    given.a_ready_app(apps.idle(replicas=2, disruption={"maxUnavailable": 1}))

    scene.cluster.kubectl("delete", "namespace", scene.namespace, "--timeout=180s", timeout=190)

    assert "NotFound" in scene.cluster.kubectl("get", "namespace", scene.namespace, check=False)
