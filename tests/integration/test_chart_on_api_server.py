"""The chart on a real API server: every object is accepted, rights are what they seem, and nothing is stranded.

No node is there, so no pod runs: that is for tests/e2e/cluster/test_install.py.
"""

import json
import re
import shutil
import urllib.error
import urllib.request
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import yaml

from chart import test_activator, test_rights, test_secrets
from support.crds import PLURALS, nudged, served, undefine
from support.helm import CHART, helm, render
from support.lab import Lab, LabFactory
from support.waiting import eventually

NAMESPACE = "fairlead-system"
USER = f"system:serviceaccount:{NAMESPACE}:fairlead-workloads"
OPENER = f"system:serviceaccount:{NAMESPACE}:fairlead-secrets"
HOLDER = f"system:serviceaccount:{NAMESPACE}:fairlead-activator"
LEASES = "leases.coordination.k8s.io"
DEFINITIONS = tuple(f"{plural}.fairlead.dev" for plural in PLURALS)
MEBIBYTE = 1 << 20
_numbers = count(1)


def names(lab: Lab, kind: str, *where: str) -> set[str]:
    return set(lab.kubectl("get", kind, *where, "-o", "name").split())


def can(lab: Lab, verb: str, resource: str, namespace: str = "", *, name: str = "", user: str = USER) -> bool:
    """Ask the authorizer: `resource` is plural[.group][/subresource], no namespace means in all of them."""
    full, _, subresource = resource.partition("/")
    plural, _, group = full.partition(".")
    attributes = {"verb": verb, "group": group, "resource": plural, "subresource": subresource}
    spec = {"user": user, "resourceAttributes": attributes | {"namespace": namespace, "name": name}}
    review = {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": spec}
    answer = json.loads(lab.kubectl("create", "-f", "-", "-o", "json", stdin=json.dumps(review)))
    return bool(answer["status"]["allowed"])


def listed(lab: Lab, user: str, namespace: str) -> set[tuple[str, str, str]]:
    """What `kubectl auth can-i --list` says: (resource, name of an object or "", verb), URLs that are no resources left out."""
    text = lab.kubectl("auth", "can-i", "--list", "--no-headers", f"--as={user}", "-n", namespace)
    rows = re.findall(r"^(\S+) +\[.*?\] +\[(.*?)\] +\[(.*?)\]$", text, re.MULTILINE)
    assert rows, text
    return {
        (resource, name, verb)
        for resource, names, verbs in rows
        for name in names.split() or [""]
        for verb in verbs.split()
    }


def app(name: str, namespace: str) -> dict[str, Any]:
    template = {"spec": {"containers": [{"name": "web", "image": "example.org/web"}]}}
    meta = {"name": name, "namespace": namespace}
    return {"apiVersion": "fairlead.dev/v1alpha1", "kind": "App", "metadata": meta, "spec": {"template": template}}


def pod(name: str, namespace: str, *owners: dict[str, Any]) -> dict[str, Any]:
    """A pod that every Pod Security Standard admits."""
    meta = {"name": name, "namespace": namespace, "ownerReferences": list(owners)}
    container = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    spec = {
        "containers": [{"name": "web", "image": "example.org/web", "securityContext": container}],
        "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
    }
    return {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec}


def restricted_namespace(lab: Lab, name: str) -> None:
    lab.kubectl("create", "namespace", name)
    lab.kubectl("label", "namespace", name, "pod-security.kubernetes.io/enforce=restricted")


@pytest.fixture(scope="module")
def cluster() -> Iterator[Lab]:
    with Lab("chart", controllers=True) as lab:
        restricted_namespace(lab, NAMESPACE)
        yield lab


@pytest.fixture(scope="module")
def notes(cluster: Lab) -> str:
    """The chart installed with all its identities; what Helm says of it."""
    on = ["--set", "secrets.enabled=true", "--set", "activator.enabled=true"]
    said = helm("install", "fairlead", CHART, "--namespace", NAMESPACE, *on, kubeconfig=cluster.kubeconfig)
    served(cluster, "apps.fairlead.dev", "revisions.fairlead.dev")
    return said.partition("NOTES:")[2]


@pytest.fixture(scope="module")
def installed(cluster: Lab, notes: str) -> Lab:
    return cluster


@pytest.fixture
def team(installed: Lab) -> str:
    name = f"team-{next(_numbers)}"
    installed.kubectl("create", "namespace", name)
    return name


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"namespaces": ["default", "kube-public"], "rbac": {"userRoles": True}, "secrets": {"enabled": True}},
        {
            "workloads": {
                "priorityClassName": "system-cluster-critical",
                "tolerations": [{"operator": "Exists"}],
                "nodeSelector": {"a": "b"},
                "env": [{"name": "A", "value": "b"}],
                "runAsUser": None,
                "podDisruptionBudget": {"maxUnavailable": "50%"},
            },
            "image": {"digest": "sha256:" + "0" * 64, "pullSecrets": ["registry"]},
            "networkPolicy": {"enabled": True, "metricsFrom": [{"namespaceSelector": {}}]},
            "secrets": {"enabled": True, "namespaces": ["default"], "keyRenewPeriod": "12h"},
        },
    ],
    ids=["as it comes", "namespaced with everything", "all options"],
)
def test_the_api_server_knows_every_field(installed: Lab, values: dict[str, Any]) -> None:
    objects = json.dumps({"apiVersion": "v1", "kind": "List", "items": render(values)})
    installed.kubectl(
        "apply", "--dry-run=server", "--server-side", "--force-conflicts", "--validate=strict", "-f", "-", stdin=objects
    )


@pytest.mark.parametrize("process", ["workloads", "secrets"])
def test_its_pods_are_admitted_where_the_restricted_standard_is_enforced(installed: Lab, process: str) -> None:
    selector = ["-n", NAMESPACE, "-l", f"app.kubernetes.io/component={process}"]
    eventually(lambda: len(names(installed, "pods", *selector)) == 2)


def test_the_record_helm_keeps_is_far_below_what_a_secret_may_hold(installed: Lab) -> None:
    found = installed.get("secret", "-n", NAMESPACE, "-l", "owner=helm")["items"]
    assert [len(one["data"]["release"]) for one in found] < [MEBIBYTE // 2]


def test_the_notes_name_commands_that_work(installed: Lab, notes: str) -> None:
    manifest = notes.partition("<<'END'\n")[2].partition("END\n")[0]
    assert "helm test fairlead --namespace fairlead-system" in notes
    assert "rollout status deployment/fairlead-workloads" in notes
    installed.kubectl("apply", "--dry-run=server", "--namespace", "default", "-f", "-", stdin=manifest)
    installed.kubectl("get", "fapp", "--namespace", "default")


class TestRights:
    """By asking the API server, which knows of every binding there is."""

    @pytest.mark.parametrize(
        ("verb", "resource"),
        [
            ("watch", "apps.fairlead.dev"),
            ("patch", "apps.fairlead.dev/status"),
            ("update", "apps.fairlead.dev/finalizers"),
            ("create", "revisions.fairlead.dev"),
            ("patch", "revisions.fairlead.dev/status"),
            ("delete", "pods"),
            ("patch", "pods/resize"),
            ("create", "services"),
            ("patch", "poddisruptionbudgets.policy"),
            ("patch", "httproutes.gateway.networking.k8s.io"),
            ("watch", "endpointslices.discovery.k8s.io"),
            ("watch", "configmaps"),
            ("create", "configmaps"),
            ("create", "events"),
        ],
    )
    def test_the_operator_may_what_it_must(self, installed: Lab, verb: str, resource: str) -> None:
        assert can(installed, verb, resource)

    @pytest.mark.parametrize(
        ("verb", "resource"),
        [
            ("get", "secrets"),
            ("list", "secrets"),
            ("create", "secrets"),
            ("patch", "configmaps"),
            ("update", "configmaps"),
            ("update", "apps.fairlead.dev"),
            ("delete", "apps.fairlead.dev"),
            ("create", "pods/exec"),
            ("create", "pods/eviction"),
            ("update", "pods/resize"),
            ("create", "serviceaccounts/token"),
            ("impersonate", "users"),
            ("bind", "clusterroles.rbac.authorization.k8s.io"),
            ("create", "rolebindings.rbac.authorization.k8s.io"),
            ("list", "nodes"),
            ("delete", "namespaces"),
            ("deletecollection", "pods"),
            ("patch", "customresourcedefinitions.apiextensions.k8s.io"),
        ],
    )
    def test_the_operator_may_not_what_it_need_not(self, installed: Lab, verb: str, resource: str) -> None:
        assert not can(installed, verb, resource, NAMESPACE)
        assert not can(installed, verb, resource)

    @pytest.mark.parametrize(
        ("verb", "resource"),
        [
            ("watch", "encryptedsecrets.fairlead.dev"),
            ("patch", "encryptedsecrets.fairlead.dev/status"),
            ("update", "encryptedsecrets.fairlead.dev/finalizers"),
            ("create", "sealingkeys.fairlead.dev"),
            ("patch", "sealingkeys.fairlead.dev/status"),
            ("watch", "revisions.fairlead.dev"),
            ("list", "secrets"),
            ("create", "secrets"),
            ("patch", "secrets"),
            ("delete", "secrets"),
            ("create", "events"),
        ],
    )
    def test_who_opens_secrets_may_what_it_must(self, installed: Lab, verb: str, resource: str) -> None:
        assert can(installed, verb, resource, user=OPENER)

    @pytest.mark.parametrize(
        ("verb", "resource"),
        [
            ("get", "pods"),
            ("create", "pods"),
            ("create", "pods/exec"),
            ("get", "apps.fairlead.dev"),
            ("patch", "revisions.fairlead.dev"),
            ("patch", "encryptedsecrets.fairlead.dev"),
            ("patch", "sealingkeys.fairlead.dev"),
            ("delete", "sealingkeys.fairlead.dev"),
            ("update", "secrets"),
            ("deletecollection", "secrets"),
            ("get", "configmaps"),
            ("create", "serviceaccounts/token"),
            ("impersonate", "users"),
            ("bind", "clusterroles.rbac.authorization.k8s.io"),
        ],
    )
    def test_who_opens_secrets_may_not_what_it_need_not(self, installed: Lab, verb: str, resource: str) -> None:
        assert not can(installed, verb, resource, NAMESPACE, user=OPENER)
        assert not can(installed, verb, resource, user=OPENER)

    @pytest.mark.parametrize("namespace", ["default", "kube-system", NAMESPACE])
    @pytest.mark.parametrize(
        ("account", "needed"),
        [
            (USER, test_rights.NEEDED | {test_activator.SLICES: test_activator.WRITES}),
            (OPENER, test_secrets.NEEDED | test_secrets.KEYS),
            (HOLDER, test_activator.NEEDED),
        ],
        ids=["workloads", "secrets", "activator"],
    )
    def test_kubectl_auth_can_i_lists_of_each_identity_what_it_needs_and_nothing_else(
        self, installed: Lab, account: str, needed: test_secrets.Rights, namespace: str
    ) -> None:
        """Less what everybody may who has a service account, and the Lease in its own namespace."""
        anybody = listed(installed, "system:serviceaccount:default:nobody", namespace)
        found = listed(installed, account, namespace)
        assert anybody <= found
        wanted = {
            (f"{kind}.{group}".rstrip(".") + (f"/{part}" if part else ""), "", verb)
            for (group, resource), verbs in needed.items()
            for kind, _, part in [resource.partition("/")]
            for verb in verbs
        }
        own = account.rpartition(":")[2]
        lease = {(LEASES, "", "create"), (LEASES, own, "get"), (LEASES, own, "update")}
        leads = (
            namespace == NAMESPACE and account != HOLDER
        )  # the activator takes no lead: each replica does its own work
        assert found - anybody == wanted | (lease if leads else set())

    def test_the_operator_renews_its_own_lease_only(self, installed: Lab) -> None:
        assert can(installed, "update", LEASES, NAMESPACE, name="fairlead-workloads")
        assert not can(installed, "update", LEASES, NAMESPACE, name="another")
        assert not can(installed, "create", LEASES, "kube-system")
        assert can(installed, "update", LEASES, NAMESPACE, name="fairlead-secrets", user=OPENER)
        assert not can(installed, "update", LEASES, NAMESPACE, name="fairlead-workloads", user=OPENER)

    @pytest.mark.parametrize(
        ("role", "may", "may_not"),
        [
            ("view", ["get apps", "watch revisions", "get apps/status", "list encryptedsecrets"], ["create apps", "update apps/scale", "patch apps/status", "create encryptedsecrets"]),
            ("edit", ["create apps", "patch apps", "update apps/scale", "list revisions", "patch encryptedsecrets"], ["delete revisions", "patch apps/status", "patch sealingkeys"]),
            ("admin", ["delete apps", "delete revisions"], ["create revisions", "patch revisions", "patch apps/status"]),
        ],
    )  # fmt: skip
    def test_people_may_by_the_roles_they_have(
        self, installed: Lab, team: str, role: str, may: list[str], may_not: list[str]
    ) -> None:
        installed.kubectl("create", "rolebinding", role, f"--clusterrole={role}", f"--user={role}", "-n", team)

        def allowed(sentence: str) -> bool:
            verb, resource = sentence.split()
            kind, _, subresource = resource.partition("/")
            full = f"{kind}.fairlead.dev" + (f"/{subresource}" if subresource else "")
            return can(installed, verb, full, team, user=role)

        eventually(lambda: all(map(allowed, may)))  # the controller adds them to the built-in roles in a moment
        assert not [sentence for sentence in may_not if allowed(sentence)]


class TestGuard:
    def test_the_operator_creates_pods_where_teams_are(self, installed: Lab, team: str) -> None:
        assert self.refusal(installed, team) == ""

    @pytest.mark.parametrize("namespace", ["kube-system", NAMESPACE])
    def test_the_operator_creates_none_in_kube_system_and_its_own_namespace(
        self, installed: Lab, namespace: str
    ) -> None:
        assert f"Fairlead runs nothing in the namespace {namespace}" in self.refusal(installed, namespace)

    def test_the_operator_does_not_touch_what_runs_there(self, installed: Lab) -> None:
        installed.apply(pod("dns", "kube-system"))
        for command in (
            ["label", "pod/dns", "stolen=true"],
            ["delete", "pod/dns"],
            ["create", "service", "clusterip", "dns", "--tcp=53"],
            ["create", "poddisruptionbudget", "dns", "--selector=a=b", "--min-available=1"],
        ):
            said = installed.kubectl(*command, "-n", "kube-system", f"--as={USER}", check=False)
            assert "Fairlead runs nothing in the namespace kube-system" in said, command

    def test_everybody_else_is_left_alone(self, installed: Lab) -> None:
        installed.apply(pod("admin", "kube-system"))
        installed.kubectl("delete", "pod/admin", "-n", "kube-system", "--grace-period=0", "--force")

    def test_whoever_writes_an_app_there_is_told_at_once(self, installed: Lab) -> None:
        said = installed.kubectl("apply", "-f", "-", stdin=json.dumps(app("web", "kube-system")), check=False)
        assert "Fairlead runs nothing in the namespace kube-system" in said
        assert "a namespace of its own" in said

    def test_trust_65_who_opens_secrets_writes_none_in_kube_system_and_keeps_its_own(self, installed: Lab) -> None:
        command = ["create", "secret", "generic", "probe", f"--as={OPENER}", "--dry-run=server", "-n"]

        def said(namespace: str) -> str:
            return installed.kubectl(*command, namespace, check=False)

        eventually(lambda: "Fairlead writes no Secret in the namespace kube-system" in said("kube-system"))
        assert "created" in said(NAMESPACE) and "created" in said("default")

    @pytest.mark.parametrize("namespace", ["kube-system", NAMESPACE])
    def test_trust_65_whoever_writes_an_encrypted_secret_there_is_told_at_once(
        self, installed: Lab, namespace: str
    ) -> None:
        values = {"password": "fl1:x:" + "0" * 32 + ":" + "A" * 200}
        body = {
            "apiVersion": "fairlead.dev/v1alpha1",
            "kind": "EncryptedSecret",
            "metadata": {"name": "db", "namespace": namespace},
            "spec": {"values": values},
        }
        said = installed.kubectl("create", "--dry-run=server", "-f", "-", stdin=json.dumps(body), check=False)
        assert f"Fairlead writes no Secret in the namespace {namespace}" in said

    def refusal(self, lab: Lab, namespace: str) -> str:
        """In a fresh cluster a policy works after a moment, and a namespace has its default service account."""
        lab.kubectl("wait", "--for=create", "serviceaccount/default", "-n", namespace, "--timeout=30s")
        command = ["create", "--dry-run=server", "-f", "-", f"--as={USER}"]
        text = json.dumps(pod("probe", namespace))

        def said() -> str:
            return lab.kubectl(*command, stdin=text, check=False)

        if namespace not in {"kube-system", NAMESPACE}:
            return "" if "created" in said() else said()
        eventually(lambda: "Fairlead runs nothing" in said())
        return said()


class TestFlowSchema:
    @pytest.mark.parametrize(
        ("path", "schema"),
        [
            ("/api/v1/namespaces/default/pods", "fairlead-workloads"),
            ("/apis/fairlead.dev/v1alpha1/apps", "fairlead-workloads"),
            (f"/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases/fairlead-workloads", "fairlead-leader"),
        ],
    )
    def test_the_operators_requests_are_sorted_into_their_own(self, installed: Lab, path: str, schema: str) -> None:
        uid = installed.get("flowschemas.flowcontrol.apiserver.k8s.io", schema)["metadata"]["uid"]
        eventually(lambda: self.sorted_into(installed, path) == uid)

    def sorted_into(self, lab: Lab, path: str) -> str:
        token = lab.service_account_token(NAMESPACE, "fairlead-workloads")
        request = urllib.request.Request(lab.url + path, headers={"Authorization": f"Bearer {token}"})
        try:
            with urllib.request.urlopen(request, context=lab.ssl_context(), timeout=10) as answer:
                return str(answer.headers["X-Kubernetes-PF-FlowSchema-UID"])
        except urllib.error.HTTPError as error:  # no such lease yet
            with error:
                return str(error.headers["X-Kubernetes-PF-FlowSchema-UID"])


def test_a_second_release_for_named_namespaces_reaches_no_others(installed: Lab, team: str) -> None:
    other = f"system:serviceaccount:{team}:small-fairlead-workloads"
    values = ["--set", "crds.enabled=false", "--set", f"namespaces={{{team}}}"]
    helm("install", "small", CHART, "--namespace", team, *values, kubeconfig=installed.kubeconfig)

    eventually(lambda: can(installed, "create", "pods", team, user=other))  # the authorizer hears of it a moment later
    assert not can(installed, "create", "pods", "default", user=other)
    assert not can(installed, "list", "pods", user=other)

    helm("uninstall", "small", "--namespace", team, kubeconfig=installed.kubeconfig)
    eventually(lambda: not can(installed, "create", "pods", team, user=other))


class TestLifecycle:
    """Upgrade, uninstall, install again, and the end of the definitions, each on a cluster of its own."""

    @pytest.fixture
    def fresh(self, lab_factory: LabFactory) -> Lab:
        return lab_factory(controllers=True)

    def test_an_upgrade_brings_new_definitions(self, fresh: Lab, tmp_path: Path) -> None:
        older = self.older_chart(tmp_path)
        self.install(fresh, older)
        assert "dev.example" in fresh.get("crd", "apps.fairlead.dev")["metadata"]["annotations"]

        helm("upgrade", "fairlead", CHART, "--namespace", NAMESPACE, kubeconfig=fresh.kubeconfig)

        upgraded = fresh.get("crd", "apps.fairlead.dev")
        assert "dev.example" not in upgraded["metadata"]["annotations"]
        assert upgraded["spec"]["names"]["shortNames"] == ["fapp"]

    def test_uninstalling_keeps_apps_and_what_they_run_and_nothing_else_and_installing_takes_them_up(
        self, fresh: Lab
    ) -> None:
        self.install(fresh, CHART)
        self.run_an_app(fresh, "web")
        uid = fresh.get("fapp", "web")["metadata"]["uid"]

        helm("uninstall", "fairlead", "--namespace", NAMESPACE, kubeconfig=fresh.kubeconfig)

        assert names(fresh, "apps.fairlead.dev") == {"app.fairlead.dev/web"}
        assert "pod/web-1" in names(fresh, "pods")
        kinds = (
            "clusterroles,clusterrolebindings,flowschemas,validatingadmissionpolicies,validatingadmissionpolicybindings"
        )
        selector = ["-l", "app.kubernetes.io/instance=fairlead"]
        assert names(fresh, kinds, *selector) == set()
        kinds = "all,roles,rolebindings,serviceaccounts,secrets,leases"
        # Pods and their ReplicaSet go after the Deployment: by the garbage collector.
        eventually(lambda: names(fresh, kinds, "-n", NAMESPACE, *selector) == set())

        self.install(fresh, CHART)

        assert fresh.get("fapp", "web")["metadata"]["uid"] == uid

    def test_deleting_the_definitions_ends_every_app_and_what_it_runs(self, fresh: Lab) -> None:
        self.install(fresh, CHART)
        fresh.know_kinds()
        self.run_an_app(fresh, "web")
        helm("uninstall", "fairlead", "--namespace", NAMESPACE, kubeconfig=fresh.kubeconfig)

        undefine(fresh, "apps.fairlead.dev", "revisions.fairlead.dev")

        eventually(lambda: "pod/web-1" not in names(fresh, "pods"))

    def test_definitions_that_are_not_to_be_kept_go_with_the_release(self, fresh: Lab) -> None:
        self.install(fresh, CHART, "--set", "crds.keep=false")

        helm("uninstall", "fairlead", "--namespace", NAMESPACE, kubeconfig=fresh.kubeconfig)

        eventually(lambda: not nudged(fresh, *DEFINITIONS))

    def install(self, lab: Lab, chart: Path, *options: str) -> None:
        argv = ["--namespace", NAMESPACE, "--create-namespace", *options]
        helm("upgrade", "--install", "fairlead", chart, *argv, kubeconfig=lab.kubeconfig)
        served(lab, *DEFINITIONS)

    def run_an_app(self, lab: Lab, name: str) -> None:
        """An App and a pod of it, as the operator would make it: no finalizers, a controlling owner."""
        lab.kubectl("wait", "--for=create", "serviceaccount/default", "--timeout=30s")
        lab.apply(app(name, "default"))
        uid = lab.get("fapp", name)["metadata"]["uid"]
        owner = {"apiVersion": "fairlead.dev/v1alpha1", "kind": "App", "name": name, "uid": uid, "controller": True}
        lab.apply(pod(f"{name}-1", "default", owner))

    def older_chart(self, folder: Path) -> Path:
        older = folder / "fairlead"
        shutil.copytree(CHART, older)
        path = older / "files" / "crds" / "app.yaml"
        definition = yaml.safe_load(path.read_text())
        definition["metadata"].setdefault("annotations", {})["dev.example"] = "older"
        definition["spec"]["names"]["shortNames"] = ["fap"]
        path.write_text(yaml.safe_dump(definition))
        return older
