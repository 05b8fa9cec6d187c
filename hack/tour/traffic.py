"""The demo's client: requests to the Service all the while, and how they fare."""

import json
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

from substrate.command import environment, run
from substrate.progress import Failure

_CLIENT = Path(__file__).with_name("client.py")
_STOP = "import os, signal; os.kill(1, signal.SIGTERM)"


class Traffic:
    """A pod that sends requests, and a thread that reads what it says of them each second."""

    def __init__(self, kubeconfig: Path, image: str) -> None:
        self._env = environment(KUBECONFIG=str(kubeconfig))
        self._image = image
        self._said: subprocess.Popen[str] | None = None
        self._begun = False
        self._first = threading.Event()
        self.latest: dict[str, Any] = {}

    def start(self, url: str, rate: int) -> None:
        """Returns when the first second's requests were answered."""
        manifest = run(sys.executable, _CLIENT, "as-pod", f"--image={self._image}", "--", f"--rate={rate}", url)
        self._kubectl("delete", "pod", "traffic", "--now", "--ignore-not-found")
        self._begun = True
        self._kubectl("apply", "-f", "-", text=manifest)
        self._kubectl("wait", "--for=condition=Ready", "pod/traffic", "--timeout=60s")
        self._said = subprocess.Popen(
            ["kubectl", "logs", "--follow", "traffic"],
            env=self._env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip
        threading.Thread(target=self._read, args=(self._said,), daemon=True).start()
        if not self._first.wait(30):
            raise Failure("the client sends no requests; see: kubectl logs traffic")

    def so_far(self) -> str:
        """'1204 requests so far, 0 lost.'"""
        return f"{self.latest['sent']:,} requests so far, {self.latest['lost']} lost."

    def stop(self) -> dict[str, Any]:
        """Let the last ones be answered, and count."""
        self._kubectl("exec", "traffic", "--", "python3", "-c", _STOP)
        self._kubectl("wait", "--for=jsonpath={.status.phase}=Succeeded", "pod/traffic", "--timeout=60s")
        summary: dict[str, Any] = json.loads(self._kubectl("logs", "traffic", "--tail=1"))
        self.drop()
        return summary

    def drop(self) -> None:
        """Without counting: for when something went wrong."""
        if not self._begun:
            return
        self._begun = False
        if self._said is not None:
            self._said.kill()
            self._said.wait()
        self._kubectl("delete", "pod", "traffic", "--now", "--ignore-not-found", "--wait=false")

    def _read(self, said: "subprocess.Popen[str]") -> None:
        assert said.stdout is not None
        for text in said.stdout:
            if totals := totals_of(text):
                self.latest = totals
                if totals["answered"]:
                    self._first.set()

    def _kubectl(self, *arguments: str, text: str | None = None) -> str:
        return run("kubectl", *arguments, text=text, env=self._env, timeout=120)


def totals_of(line: str) -> dict[str, Any] | None:
    """What the client has counted so far; None where a line tells of one request, lost or slow.

    >>> totals_of('{"slow": 1.05, "by": "shop-x", "lane": "fresh"}') is None
    True
    """
    said: dict[str, Any] = json.loads(line)
    return said if "answered" in said else None
