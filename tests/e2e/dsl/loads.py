"""Pods that use what they are told to: cpu by request, memory from their start, and a count of what they answered."""

import copy
from typing import Any

from e2e.dsl import apps

JSON = dict[str, Any]

MILLISECONDS = 8
"""Of a core, for each request to /hostname, beside what it takes to answer."""

# Whoever asks /hostname has it work, up to two fifths of a core: at its limit it would have none left for its probe, and a pod
# that is not ready has no sample. What comes beyond that is answered at once. /metrics says how often it did; /jobs is a queue's length, which a PUT sets.
# Told to end it does, which the first process of a container has to say: else its namespace stays for the half minute that it has.
SERVER = """
import http.server, os, signal, socket, threading, time
signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
busy, hold = int(os.environ.get("BUSY", "0")) / 1000, bytearray(int(os.environ.get("HOLD", "0")) << 20)
lock, counts, burning = threading.Lock(), {"requests": 0, "jobs": 0}, threading.Lock()
def burn(seconds):
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass
def work(seconds):
    if seconds and burning.acquire(blocking=False):
        burn(seconds)
        time.sleep(1.5 * seconds)
        burning.release()
def always(share):
    while True:
        burn(share / 20)
        time.sleep(max(0, (1 - share) / 20))
if os.environ.get("ALWAYS"):
    threading.Thread(target=always, args=(float(os.environ["ALWAYS"]),), daemon=True).start()
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        if self.path == "/hostname":
            work(busy)
            with lock:
                counts["requests"] += 1
        body = {"/metrics": f"shop_requests_total {counts['requests']}\\n", "/jobs": f'{{"waiting": {counts["jobs"]}}}'}
        self.answer(body.get(self.path, socket.gethostname()))
    def do_PUT(self):
        counts["jobs"] = int(self.path.rpartition("/")[2])
        self.answer("")
    def answer(self, body):
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())
    def log_message(self, *_):
        pass
http.server.ThreadingHTTPServer.request_queue_size = 128
http.server.ThreadingHTTPServer(("", int(os.environ.get("PORT", "8080"))), Handler).serve_forever()
"""


def working(image: str, *, env: dict[str, str] | None = None, **spec: Any) -> JSON:
    """An App `shop` of such pods. image: one with Python in it; they request 200m of cpu and 64 Mi."""
    made = apps.web(**spec)
    apps.container(made).update(
        image=image,
        imagePullPolicy="Never",
        command=["python3", "-c", SERVER],
        args=[],
        env=[{"name": name, "value": value} for name, value in {"BUSY": str(MILLISECONDS), **(env or {})}.items()],
        resources={
            "requests": {"cpu": "200m", "memory": "64Mi"}
        },  # no limit: one pod has to carry all until others come
    )
    return made


def with_sidecar(app: JSON, env: dict[str, str]) -> JSON:
    """The same with a second container of the same program, under settings of its own."""
    made = copy.deepcopy(app)
    beside = copy.deepcopy(apps.container(made))
    beside |= {"name": "sidecar", "ports": [], "env": [{"name": name, "value": value} for name, value in env.items()]}
    beside.pop("readinessProbe")
    made["spec"]["template"]["spec"]["containers"].append(beside)
    return made
