"""An App in somebody's own Helm chart."""

import json
from pathlib import Path

import pytest

from e2e.dsl import Scene, Then, apps
from e2e.dsl.cluster import hack
from e2e.dsl.scene import condition
from support.commands import CommandFailed, execute

WAIT = ["--wait", "--timeout=120s"]


@pytest.fixture
def chart(scene: Scene, tmp_path: Path) -> Path:
    """A chart of one App, with its replicas, image and version as values."""
    chart = tmp_path / "shop"
    (chart / "templates").mkdir(parents=True)
    (chart / "Chart.yaml").write_text("apiVersion: v2\nname: shop\nversion: 1.0.0\n")
    (chart / "values.yaml").write_text(f"replicas: 2\nversion: '1'\nimage: {apps.AGNHOST}\n")
    scene.manifest = apps.web()
    manifest = apps.image(apps.version(apps.web(replicas="REPLICAS"), "VERSION"), "IMAGE")
    text = json.dumps(manifest).replace('"REPLICAS"', "{{ .Values.replicas }}")
    text = text.replace('"VERSION"', "{{ .Values.version | quote }}").replace('"IMAGE"', "{{ .Values.image | quote }}")
    (chart / "templates" / "app.yaml").write_text(text)
    return chart


def test_a_chart_that_holds_an_app_is_installed_upgraded_rolled_back_and_removed(
    scene: Scene, then: Then, chart: Path
) -> None:
    where = ["--namespace", scene.namespace]

    scene.cluster.helm("install", "shop", str(chart), *where, *WAIT)
    then.ready()
    scene.cluster.helm("upgrade", "shop", str(chart), *where, *WAIT, "--set-string=version=2", "--set=replicas=3")
    then.ready()
    assert _versions(scene) == ["2", "2", "2"]
    scene.cluster.helm("rollback", "shop", "1", *where, *WAIT)
    then.ready()
    assert _versions(scene) == ["1", "1"]

    scene.cluster.helm("uninstall", "shop", *where, *WAIT)
    then.gone()


def test_helm_4_waits_for_the_app_itself(scene: Scene, then: Then, chart: Path) -> None:
    """It reads conditions as Flux and Argo CD do; Helm 3 looks at built-in kinds only."""
    helm = [hack("tool", "helm4").strip(), "--kube-context", scene.cluster.context, "--namespace", scene.namespace]

    execute([*helm, "install", "shop", str(chart), *WAIT], timeout=150)
    assert condition(scene.app(), "Ready")["status"] == "True", "when Helm comes back, all is well"

    with pytest.raises(CommandFailed, match="shop"):
        execute([*helm, "upgrade", "shop", str(chart), f"--set=image={apps.NOWHERE}", "--wait", "--timeout=10s"])
    then.problem("ErrImagePull", "ImagePullBackOff")


def _versions(scene: Scene) -> list[str]:
    return [apps.container({"spec": {"template": pod}})["env"][0]["value"] for pod in scene.pods()]
