"""A hub on loopback: repositories, LFS uploads and commits over HTTP, and failures on demand."""

import base64
import hashlib
import json
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

TOKEN = "hf_write"


class HubStandIn:
    """Keeps what was uploaded in memory.

    Attributes:
        files: path to content of the one repository, me/kb, as committed.
        fail: request name (create, batch, put, commit) to the failures still to come: a status
            code, or "drop" for a connection that breaks in the middle of the body.
        puts: how often each object arrived whole.
    """

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.objects: dict[str, bytes] = {}
        self.fail: dict[str, list[int | str]] = {}
        self.puts: Counter[str] = Counter()
        self.created: list[dict[str, Any]] = []
        self.n_commits = 0
        handler = type("Handler", (_Handler,), {"hub": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._thread = threading.Thread(target=self._server.serve_forever)

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> "HubStandIn":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def next_failure(self, name: str) -> int | str | None:
        """Take the next failure planned for a kind of request."""
        planned = self.fail.get(name)
        return planned.pop(0) if planned else None

    def preupload(self, files: list[dict[str, Any]]) -> dict[str, Any]:
        """Say which files go through LFS; as the hub does, by name."""
        binary = (".bin", ".safetensors", ".pt")
        return {
            "files": [
                {
                    "path": file["path"],
                    "uploadMode": "lfs" if file["path"].endswith(binary) else "regular",
                    "shouldIgnore": False,
                    "oid": None,
                }
                for file in files
            ]
        }

    def batch(self, objects: list[dict[str, Any]]) -> dict[str, Any]:
        """Ask for the objects that are not here yet, and no others."""
        for each in objects:
            if each["oid"] not in self.objects:
                each["actions"] = {"upload": {"href": f"{self.url}/objects/{each['oid']}"}}
        return {"objects": objects}

    def commit(self, lines: list[dict[str, Any]]) -> dict[str, Any]:
        """Apply a commit whole."""
        new = {}
        for line in lines:
            value = line["value"]
            if line["key"] == "file":
                new[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                new[value["path"]] = self.objects[value["oid"]]
        self.files |= new
        self.n_commits += 1
        oid = f"{self.n_commits:040d}"
        return {"commitUrl": f"{self.url}/me/kb/commit/{oid}", "commitOid": oid}


class _Handler(BaseHTTPRequestHandler):
    hub: HubStandIn
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self._body()
        if self.headers.get("authorization") != f"Bearer {TOKEN}":
            self._answer(401, {"error": "Invalid username or password."})
        elif self.path == "/api/repos/create":
            self._serve("create", lambda: self._create(json.loads(body)))
        elif self.path == "/api/validate-yaml":
            self._answer(200, {"errors": [], "warnings": []})
        elif "/preupload/" in self.path:
            self._answer(200, self.hub.preupload(json.loads(body)["files"]))
        elif self.path.endswith("/info/lfs/objects/batch"):
            self._serve("batch", lambda: self.hub.batch(json.loads(body)["objects"]))
        elif "/commit/" in self.path:
            lines = [json.loads(line) for line in body.splitlines()]
            self._serve("commit", lambda: self.hub.commit(lines))
        else:
            self._answer(404, {"error": self.path})

    def do_PUT(self) -> None:
        if self.hub.next_failure("put") == "drop":
            self.rfile.read(1000)
            self.close_connection = True
            return
        body = self._body()
        digest = self.path.rpartition("/")[2]
        if hashlib.sha256(body).hexdigest() == digest:
            self.hub.objects[digest] = body
            self.hub.puts[digest] += 1
        self._answer(200, {})

    def _create(self, request: dict[str, Any]) -> dict[str, Any]:
        self.hub.created.append(request)
        return {"url": f"{self.hub.url}/{request['organization']}/{request['name']}"}

    def _serve(self, name: str, answer: Any) -> None:
        failure = self.hub.next_failure(name)
        if isinstance(failure, int):
            self._answer(failure, {"error": f"planned failure {failure}"})
        else:
            self._answer(200, answer())

    def _body(self) -> bytes:
        if self.headers.get("transfer-encoding") == "chunked":
            return b"".join(iter(self._chunk, b""))
        return self.rfile.read(int(self.headers.get("content-length", 0)))

    def _chunk(self) -> bytes:
        size = int(self.rfile.readline(), 16)
        data = self.rfile.read(size)
        self.rfile.readline()
        return data

    def _answer(self, status: int, content: dict[str, Any]) -> None:
        data = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:
        """Keep the test output clean."""
