"""An App that goes to zero by a dial that a test turns, with a server that streams and speaks WebSocket; and a client that times what it asks."""

import json
from typing import Any

from e2e.dsl import apps, loads
from e2e.dsl.scene import Scene, Then

JSON = dict[str, Any]

DIAL = "dial"

# /hostname and /healthz answer at once; a POST is answered chunk by chunk as it comes; /ws is a WebSocket that echoes what it gets.
_SERVER = """
import base64, hashlib, http.server, os, signal, socket
signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        if self.path == "/ws":
            return self.upgrade()
        body = socket.gethostname().encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def upgrade(self):
        key = self.headers["Sec-WebSocket-Key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
        self.send_response(101)
        self.send_header("Upgrade", "websocket")
        self.send_header("Connection", "Upgrade")
        self.send_header("Sec-WebSocket-Accept", base64.b64encode(hashlib.sha1(key.encode()).digest()).decode())
        self.end_headers()
        self.close_connection = True
        while data := self.connection.recv(65536):
            self.connection.sendall(data)
    def do_POST(self):
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        while True:
            line = self.rfile.readline()
            size = int(line, 16)
            data = self.rfile.read(size + 2)
            self.wfile.write(line + data)
            self.wfile.flush()
            if not size:
                return
    def log_message(self, *_):
        pass
class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 128
Server(("", 8080), Handler).serve_forever()
"""

# Each prints one line of JSON.
_ASK = """
import json, sys, time, urllib.error, urllib.request
began = time.monotonic()
try:
    with urllib.request.urlopen(sys.argv[1], timeout=90) as answer:
        said = [answer.status, answer.read().decode(), ""]
except urllib.error.HTTPError as error:
    said = [error.code, error.read().decode(), error.headers.get("Retry-After", "")]
print(json.dumps({"status": said[0], "body": said[1], "retry": said[2], "seconds": time.monotonic() - began}))
"""

_WEBSOCKET = """
import base64, json, os, socket, sys
with socket.create_connection((sys.argv[1], 80), timeout=90) as line:
    key = base64.b64encode(os.urandom(16)).decode()
    line.sendall(f"GET /ws HTTP/1.1\\r\\nHost: shop\\r\\nUpgrade: websocket\\r\\nConnection: Upgrade\\r\\nSec-WebSocket-Version: 13\\r\\nSec-WebSocket-Key: {key}\\r\\n\\r\\n".encode())
    data = line.makefile("rb")
    status = data.readline().decode()
    while data.readline().strip():
        pass
    frames = []
    for number in range(5):
        frame = bytes([0x81, 0x85, 0, 0, 0, 0]) + f"say {number}".encode()
        line.sendall(frame)
        frames.append(data.read(len(frame)) == frame)
print(json.dumps({"status": status, "frames": frames}))
"""

_STREAM = """
import json, socket, sys, time
with socket.create_connection((sys.argv[1], 80), timeout=90) as line:
    line.sendall(b"POST /echo HTTP/1.1\\r\\nHost: shop\\r\\nTransfer-Encoding: chunked\\r\\n\\r\\n")
    data, came = line.makefile("rb"), []
    status = ""
    for number in range(5):
        chunk = f"part {number}".encode() * 4000
        line.sendall(b"%x\\r\\n" % len(chunk) + chunk + b"\\r\\n")
        if not status:
            status = data.readline().decode()
            while data.readline().strip():
                pass
        size = int(data.readline(), 16)
        came.append(data.read(size + 2) == chunk + b"\\r\\n")
    line.sendall(b"0\\r\\n\\r\\n")
    came.append(data.read().startswith(b"0\\r\\n"))
print(json.dumps({"status": status, "parts": came}))
"""


def sleeper(scene: Scene, *, after: int = 1, timeout: int = 60, **spec: Any) -> JSON:
    """An App `shop` that is at zero while the dial says 0."""
    metric = {
        "external": {
            "metric": {"name": "dial"},
            "averageValue": 1,
            "from": {"http": {"url": f"http://{DIAL}.{scene.namespace}.svc:9090/jobs", "pointer": "/waiting"}},
        }
    }
    made = apps.web(
        autoscale={
            "min": 0,
            "max": 2,
            "metrics": [metric],
            "idle": {"afterSeconds": after, "timeoutSeconds": timeout},
            "behavior": {"scaleDown": {"stabilizationWindowSeconds": 0}},
        },
        **spec,
    )
    made["spec"]["expose"]["drainSeconds"] = 2
    apps.container(made).update(image=scene.image, imagePullPolicy="Never", command=["python3", "-c", _SERVER], args=[])
    return made


def at_zero(then: Then) -> None:
    """No pod is left, not even one that is being ended, and the condition says what wakes it."""
    said = then.condition("Autoscaling", "True", "Idle", within=180)
    assert "wakes by the first request" in said["message"], said
    then.gone()


class Dial:
    """A pod whose number the App's metric is, and from which requests are sent."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": DIAL, "labels": {"app": DIAL}},
            "spec": {
                "terminationGracePeriodSeconds": 0,
                "containers": [
                    {
                        "name": DIAL,
                        "image": scene.image,
                        "imagePullPolicy": "Never",
                        "command": ["python3", "-c", loads.SERVER],
                        "env": [{"name": "PORT", "value": "9090"}],
                        "readinessProbe": {"httpGet": {"path": "/", "port": 9090}, "periodSeconds": 1},
                    }
                ],
            },
        }
        service = {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": DIAL},
            "spec": {"selector": {"app": DIAL}, "ports": [{"port": 9090}]},
        }
        for each in (pod, service):
            scene.kubectl("apply", "-f", "-", stdin=json.dumps(each))
        scene.kubectl("wait", "--for=condition=Ready", f"pod/{DIAL}", "--timeout=90s")

    def turn(self, number: int) -> None:
        put = f"import urllib.request as r; r.urlopen(r.Request('http://127.0.0.1:9090/jobs/{number}', method='PUT'))"
        self._run(put)

    def ask(self) -> JSON:
        """One request to the App: its status, its body, Retry-After, and how long it took."""
        return self._json(_ASK, self._scene.url)

    def websocket(self) -> JSON:
        """Five frames to and fro, one after the other."""
        return self._json(_WEBSOCKET, self._host)

    def stream(self) -> JSON:
        """A body in five parts, each sent when the one before has come back."""
        return self._json(_STREAM, self._host)

    @property
    def _host(self) -> str:
        return f"{self._scene.name}.{self._scene.namespace}.svc"

    def _json(self, program: str, *arguments: str) -> JSON:
        said: JSON = json.loads(self._run(program, *arguments).strip().splitlines()[-1])
        return said

    def _run(self, program: str, *arguments: str) -> str:
        return self._scene.kubectl("exec", DIAL, "--", "python3", "-c", program, *arguments, timeout=120)
