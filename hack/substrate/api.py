"""The few requests the lab makes to its own API server."""

import json
import ssl
from http.client import HTTPException, HTTPSConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit


class Api:
    """One kept connection to an API server. Not for use by several threads."""

    def __init__(self, url: str, token: str, ca: Path, timeout: float = 5) -> None:
        self._host = urlsplit(url).netloc
        self._context = ssl.create_default_context(cafile=str(ca))
        self._headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        self._timeout = timeout
        self._connection: HTTPSConnection | None = None

    def request(self, method: str, path: str, body: Any = None) -> tuple[int, bytes]:
        """Status and body; status 0 where nobody answers."""
        try:
            if self._connection is None:
                self._connection = HTTPSConnection(self._host, timeout=self._timeout, context=self._context)
            self._connection.request(method, path, json.dumps(body) if body is not None else None, self._headers)
            answer = self._connection.getresponse()
            return answer.status, answer.read()
        except (OSError, HTTPException) as error:
            self.close()
            return 0, str(error).encode()

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
