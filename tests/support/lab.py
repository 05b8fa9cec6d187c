"""A real API server for tests: etcd, kube-apiserver and, where asked for, upstream's controllers, scheduler and KWOK.

    with Lab("conformance", controllers=True) as lab:
        lab.kubectl("apply", "-f", "-", stdin=manifest)

The first lab on a machine builds its programs (minutes, once); every later one is up in about three seconds.
"""

import json
import os
import ssl
import sys
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

from substrate.api import Api
from substrate.lab import ADMISSION_OFF, write_keys
from support.commands import REPOSITORY, execute

_COMMAND = REPOSITORY / "hack" / "lab"
_BUILD_TIMEOUT = 3600  # on a fresh machine the programs are built first


class Lab:
    """One lab, gone with the test process at the latest. Attributes are set once it is up."""

    url: str
    token: str
    ca: Path
    kubeconfig: Path
    directory: Path

    def __init__(
        self,
        name: str,
        *,
        controllers: bool | str = False,
        scheduler: bool = False,
        kwok: bool = False,
        nodes: int = 0,
        qps: str = "stock",
        admission_off: str = ADMISSION_OFF,
        apiserver_args: str = "",
        kcm_args: str = "",
        kwok_args: str = "",
    ) -> None:
        """`controllers` is True for upstream's usual set or a list as kube-controller-manager's own flag takes it."""
        self.name = f"{name}-{os.getpid()}"
        self._arguments = [
            f"--nodes={nodes}",
            f"--qps={qps}",
            f"--admission-off={admission_off}",
            f"--apiserver-args={apiserver_args}",
            f"--kcm-args={kcm_args}",
            f"--kwok-args={kwok_args}",
        ]
        if not controllers:
            self._arguments.append("--no-kcm")
        if isinstance(controllers, str):
            self._arguments.append(f"--controllers={controllers}")
        if not scheduler:
            self._arguments.append("--no-scheduler")
        if not kwok:
            self._arguments.append("--no-kwok")

    def up(self) -> Self:
        # The owner: should this process be killed, the next lab anyone makes clears this one away.
        argv = ["up", "--json", f"--owner={os.getpid()}", *self._arguments]
        state = json.loads(self._run(*argv, timeout=_BUILD_TIMEOUT))
        self.url, self.token = state["url"], state["token"]
        self._etcd = f"http://127.0.0.1:{state['ports']['etcd']}"
        self.ca, self.kubeconfig, self.directory = (Path(state[key]) for key in ("ca", "kubeconfig", "directory"))
        return self

    def down(self) -> None:
        self._run("down")

    def __enter__(self) -> Self:
        return self.up()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.down()

    def kill(self, component: str) -> None:
        """End a component without warning: etcd, apiserver, kcm, scheduler or kwok."""
        self._run("kill", component)

    def pause(self, component: str) -> None:
        """Freeze a component: connections stay open and nothing is answered."""
        self._run("pause", component)

    def resume(self, component: str) -> None:
        self._run("resume", component)

    def start(self, component: str) -> None:
        """Start a killed component again on the same port and data; waits until the API server is ready."""
        self._run("start", component)

    def know_kinds(self) -> None:
        """Upstream's garbage collector looks for new kinds each half minute, and deletes nothing for an owner of a kind that it never
        saw; one that begins knows all there are."""
        self.kill("kcm")
        self.start("kcm")

    def new_keys(self) -> None:
        """Other keys and another authority, for an API server that is started next."""
        write_keys(self.directory)

    def compact(self) -> None:
        """Let etcd forget all history but the latest: watches from before are too old then. The API server may be down."""
        body = json.dumps({"key": "Lw=="}).encode()
        with urllib.request.urlopen(f"{self._etcd}/v3/kv/range", body, timeout=10) as answer:
            revision = json.load(answer)["header"]["revision"]
        body = json.dumps({"revision": revision, "physical": True}).encode()
        urllib.request.urlopen(f"{self._etcd}/v3/kv/compaction", body, timeout=30).close()

    def log(self, component: str) -> str:
        return (self.directory / f"{component}.log").read_text(errors="replace")

    def ssl_context(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self.ca))

    def kubectl(self, *arguments: str, stdin: str | None = None, check: bool = True, timeout: float = 60) -> str:
        """kubectl as administrator; stdout, and with check=False stderr after it."""
        done = execute(
            ["kubectl", "--kubeconfig", str(self.kubeconfig), *arguments], stdin=stdin, check=check, timeout=timeout
        )
        return done.stdout if check else done.stdout + done.stderr

    def read(self, path: str) -> dict[str, Any]:
        """The object, or the list, at that path of the API. A tenth of what a kubectl costs the machine, for what is asked
        again and again."""
        api = Api(self.url, self.token, self.ca, timeout=60)
        try:
            status, body = api.request("GET", path)
        finally:
            api.close()
        assert status == 200, f"GET {path}: {status} {body.decode(errors='replace')}"
        found: dict[str, Any] = json.loads(body)
        return found

    def get(self, *arguments: str) -> dict[str, Any]:
        """`get("app", "shop", "-n", "team")`: the object, or the list, as JSON."""
        found: dict[str, Any] = json.loads(self.kubectl("get", *arguments, "-o", "json"))
        return found

    def apply(self, *objects: dict[str, Any], server_side: bool = True) -> None:
        text = json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)})
        self.kubectl("apply", *(["--server-side"] if server_side else []), "-f", "-", stdin=text)

    def service_account_token(self, namespace: str, name: str) -> str:
        """A token of a service account: to try what someone with its roles may do."""
        return self.kubectl("create", "token", name, "-n", namespace).strip()

    def _run(self, verb: str, *arguments: str, timeout: float = 240) -> str:
        return execute([sys.executable, str(_COMMAND), verb, "--name", self.name, *arguments], timeout=timeout).stdout


def whole_lab(name: str, *, nodes: int = 4, **more: Any) -> Lab:
    """A control plane with upstream's controllers, its scheduler, and nodes that KWOK keeps alive; `more` as Lab takes it."""
    return Lab(name, controllers=True, scheduler=True, kwok=True, nodes=nodes, qps="unthrottled", **more)


class LabFactory(Protocol):
    """The fixture that makes labs of other shapes: takes what Lab takes, but for the name."""

    def __call__(self, **options: Any) -> Lab: ...
