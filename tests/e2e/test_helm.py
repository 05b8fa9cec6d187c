"""An App in somebody's own Helm chart."""

import json
from pathlib import Path

from e2e.dsl import Scene, Then, apps


def a_chart(folder: Path) -> Path:
    chart = folder / "shop"
    (chart / "templates").mkdir(parents=True)
    (chart / "Chart.yaml").write_text("apiVersion: v2\nname: shop\nversion: 1.0.0\n")
    (chart / "values.yaml").write_text("replicas: 2\nversion: '1'\n")
    manifest = apps.version(apps.web(replicas="REPLICAS"), "VERSION")
    text = (
        json.dumps(manifest)
        .replace('"REPLICAS"', "{{ .Values.replicas }}")
        .replace('"VERSION"}', "{{ .Values.version | quote }}}")
    )
    (chart / "templates" / "app.yaml").write_text(text)
    return chart


def test_a_chart_that_holds_an_app_is_installed_upgraded_rolled_back_and_removed(
    scene: Scene, then: Then, tmp_path: Path
) -> None:
    chart = a_chart(tmp_path)
    where = ["--namespace", scene.namespace]
    wait = ["--wait", "--timeout=120s"]
    scene.manifest = apps.web()

    scene.cluster.helm("install", "shop", str(chart), *where, *wait)
    then.ready()
    scene.cluster.helm("upgrade", "shop", str(chart), *where, *wait, "--set-string=version=2", "--set=replicas=3")
    then.ready()
    assert _versions(scene) == ["2", "2", "2"]
    scene.cluster.helm("rollback", "shop", "1", *where, *wait)
    then.ready()
    assert _versions(scene) == ["1", "1"]

    scene.cluster.helm("uninstall", "shop", *where, "--wait", "--timeout=120s")
    then.gone()


def _versions(scene: Scene) -> list[str]:
    return [apps.container({"spec": {"template": pod}})["env"][0]["value"] for pod in scene.pods()]
