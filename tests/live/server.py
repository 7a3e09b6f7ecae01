"""The server in a process of its own, and what it answers."""

import http.client
import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlencode, urlsplit

SCRIPT = "from llm_mri_store.cli import main; main()"


@dataclass
class Answer:
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def error(self) -> str:
        """The one sentence of a refusal."""
        assert set(self.json) == {"error"}
        assert "Traceback" not in self.json["error"]
        return self.json["error"]


@dataclass
class Server:
    """A server that runs."""

    process: subprocess.Popen
    address: str
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def token(self) -> str:
        return urlsplit(self.address).path.strip("/")

    @property
    def place(self) -> str:
        """Host and port."""
        return urlsplit(self.address).netloc

    def send(
        self, method: str, path: str, headers: dict[str, str] | None = None, body: bytes = b""
    ) -> Answer:
        """A request for a path as it is; a header that is None is left out, ``Host`` is the server's own."""
        connection = http.client.HTTPConnection(self.place, timeout=60)
        given = {"Host": self.place, **(headers or {})}
        try:
            connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
            for name, value in given.items():
                if value is not None:
                    connection.putheader(name, value)
            if body:
                connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body or None)
            response = connection.getresponse()
            found = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, found, response.read())
        finally:
            connection.close()

    def get(self, place: str = "", **parameters: object) -> Answer:
        """What is below the token."""
        query = f"?{urlencode(parameters)}" if parameters else ""
        return self.send("GET", f"/{self.token}/{place}{query}")

    def stop(self) -> int:
        """Ends it as Ctrl-C does; the exit code."""
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(timeout=30)


@contextmanager
def serving(store: Path, *words: str, script: str = SCRIPT) -> Iterator[Server]:
    """A server of a store's only reduction, ended as Ctrl-C does."""
    process = subprocess.Popen(
        [sys.executable, "-c", script, "serve", "--store", str(store), *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        address = process.stdout.readline().strip()
        assert re.fullmatch(r"http://[\w.:\[\]]+:\d+/[\w-]{32,}/", address), process.communicate(timeout=30)
        yield Server(process, address)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)
