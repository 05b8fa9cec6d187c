"""A server on a socket that gates may ask."""

from __future__ import annotations

import http.server
import json
import threading


class Backend:
    """Speaks as Prometheus does. `value` is its answer to everything, None: it is in trouble; `special` to what a query holds."""

    def __init__(self) -> None:
        self.value: str | None = "0"
        self.special: dict[str, str] = {}
        self.asked: list[str] = []
        self.told: list[str | None] = []  # each request's Authorization
        backend = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                query = self.rfile.read(int(self.headers["Content-Length"])).decode()
                backend.asked.append(query)
                backend.told.append(self.headers["Authorization"])
                value = next((said for part, said in backend.special.items() if part in query), backend.value)
                series = [] if value is None else [{"metric": {}, "value": [1, value]}]
                body = json.dumps({"status": "success", "data": {"resultType": "vector", "result": series}}).encode()
                self.send_response(200 if series else 503)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever)

    def __enter__(self) -> Backend:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
