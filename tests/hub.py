"""A hub on loopback: the part of the Hugging Face hub that a push and `datasets.load_dataset` use, in memory."""

import base64
import hashlib
import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import yaml

WRITER, READER = "hf_writer", "hf_reader"


@dataclass
class Commit:
    oid: str
    files: dict[str, bytes]
    summary: str = ""


@dataclass
class Repository:
    private: bool
    branches: dict[str, list[Commit]] = field(default_factory=dict)

    def commit(self, revision: str) -> Commit | None:
        known = {commit.oid: commit for commits in self.branches.values() for commit in commits}
        return self.branches[revision][-1] if revision in self.branches else known.get(revision)

    def add(self, branch: str, files: dict[str, bytes], summary: str) -> Commit:
        commits = self.branches.setdefault(branch, [])
        seed = json.dumps([branch, len(commits), summary, sorted(files)])
        commits.append(Commit(hashlib.sha1(seed.encode()).hexdigest(), files, summary))
        return commits[-1]


class Hub(ThreadingHTTPServer):
    """`uploaded` has the size of each large file that was sent.

    Requests for a path with a part in `failing` get that status, and those with a part in `held` no answer at all.
    `meanwhile` is called before each commit.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.repositories: dict[str, Repository] = {}
        self.objects: dict[str, bytes] = {}
        self.uploaded: list[int] = []
        self.failing: dict[str, int] = {}
        self.held: set[str] = set()
        self.meanwhile: Callable[[], None] = lambda: None
        self.released = threading.Event()
        self.asked: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def files(self, name: str, branch: str = "main") -> dict[str, bytes]:
        return self.repositories[name].branches[branch][-1].files

    def commits(self, name: str, branch: str = "main") -> list[str]:
        return [commit.summary for commit in self.repositories[name].branches[branch]]

    def edit(self, name: str, path: str, content: bytes) -> None:
        """What somebody does in a browser."""
        self.repositories[name].add("main", {**self.files(name), path: content}, f"Edit {path}")

    def environment(self, folder: Path, token: str = WRITER) -> dict[str, str]:
        """What a client needs to talk to this hub and to no other, with caches of its own."""
        return {
            "HF_ENDPOINT": self.url,
            "HF_TOKEN": token,
            "HF_HOME": str(folder / "hf"),
            "HF_HUB_DISABLE_XET": "1",
            "NO_PROXY": "127.0.0.1",
        }

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that was killed leaves a broken connection."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Hub

    ROUTES = (
        ("POST", r"/api/repos/create", "create"),
        ("POST", r"/api/validate-yaml", "validate"),
        ("POST", r"/api/datasets/([^/]+/[^/]+)/branch/([^/]+)", "branch"),
        ("POST", r"/api/datasets/([^/]+/[^/]+)/preupload/([^/]+)", "preupload"),
        ("POST", r"/api/datasets/([^/]+/[^/]+)/commit/([^/]+)", "commit"),
        ("POST", r"/api/datasets/([^/]+/[^/]+)/paths-info/([^/]+)", "paths"),
        ("GET", r"/api/datasets/([^/]+/[^/]+)/tree/([^/]+)(?:/(.*))?", "tree"),
        ("GET", r"/api/datasets/([^/]+/[^/]+)(?:/revision/([^/]+))?", "information"),
        ("POST", r"/datasets/([^/]+/[^/]+)\.git/info/lfs/objects/batch", "batch"),
        ("PUT", r"/upload/(\w+)", "upload"),
        ("GET", r"/datasets/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", "resolve"),
        ("HEAD", r"/datasets/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", "resolve"),
    )

    def do_GET(self) -> None:
        self.body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path = urlsplit(self.path).path
        self.server.asked.append(f"{self.command} {path}")
        if any(part in path for part in self.server.held):
            self.server.released.wait()
            self.close_connection = True
            return
        for part, status in self.server.failing.items():
            if part in path:
                self.send(status, {"error": f"no {part} today"})
                return
        for method, pattern, name in self.ROUTES:
            if method == self.command and (found := re.fullmatch(pattern, path)):
                getattr(self, name)(*(part and unquote(part) for part in found.groups()))
                return
        self.send(404, {"error": f"the hub of the tests knows no {self.command} {path}"})

    def do_POST(self) -> None:
        self.do_GET()

    def do_PUT(self) -> None:
        self.do_GET()

    def do_HEAD(self) -> None:
        self.do_GET()

    def create(self) -> None:
        asked = json.loads(self.body)
        name = f"{asked['organization']}/{asked['name']}"
        if not self.may_write():
            return
        if name in self.server.repositories:
            self.send(409, {"error": "You already created this dataset repo"})
            return
        repository = self.server.repositories[name] = Repository(asked.get("visibility") == "private")
        repository.add("main", {".gitattributes": b"*.parquet filter=lfs\n"}, "initial commit")
        self.send(200, {"url": f"{self.server.url}/datasets/{name}"})

    def validate(self) -> None:
        front = re.match(r"---\n(.*?\n)---\n", json.loads(self.body)["content"], re.DOTALL)
        if front is None:
            self.send(200, {"warnings": [{"message": "empty or missing yaml metadata"}]})
        elif not isinstance(yaml.safe_load(front[1]), dict):
            self.send(400, {"errors": [{"message": "metadata is not a mapping"}]})
        else:
            self.send(200, {})

    def branch(self, name: str, branch: str) -> None:
        if self.may_write():
            repository = self.server.repositories[name]
            repository.branches[branch] = list(repository.branches["main"])
            self.send(201, {})

    def information(self, name: str, revision: str | None) -> None:
        if not (commit := self.found(name, revision or "main")):
            return
        facts = {"id": name, "sha": commit.oid, "private": self.server.repositories[name].private, "tags": []}
        self.send(200, {**facts, "siblings": [{"rfilename": path} for path in commit.files]})

    def preupload(self, name: str, revision: str) -> None:
        if self.may_write() and (commit := self.found(name, revision)):
            files = [one["path"] for one in json.loads(self.body)["files"]]
            modes = [
                {"path": path, "uploadMode": _mode(path, commit), "shouldIgnore": False, "oid": _oid(path, commit)}
                for path in files
            ]
            self.send(200, {"files": modes})

    def batch(self, name: str) -> None:  # noqa: ARG002
        objects = []
        for one in json.loads(self.body)["objects"]:
            needed = one["oid"] not in self.server.objects
            upload = {"actions": {"upload": {"href": f"{self.server.url}/upload/{one['oid']}"}}} if needed else {}
            objects.append({"oid": one["oid"], "size": one["size"], **upload})
        self.send(200, {"transfer": "basic", "objects": objects})

    def upload(self, oid: str) -> None:
        assert hashlib.sha256(self.body).hexdigest() == oid
        self.server.objects[oid] = self.body
        self.server.uploaded.append(len(self.body))
        self.send(200, {})

    def commit(self, name: str, branch: str) -> None:
        self.server.meanwhile()
        if not (self.may_write() and (parent := self.found(name, branch))):
            return
        header, *operations = [json.loads(line) for line in self.body.splitlines()]
        if header["value"].get("parentCommit", parent.oid) != parent.oid:
            self.send(412, {"error": "A commit has happened since"})
            return
        files = dict(parent.files)
        for operation in operations:
            value = operation["value"]
            match operation["key"]:
                case "file":
                    files[value["path"]] = base64.b64decode(value["content"])
                case "lfsFile":
                    files[value["path"]] = self.server.objects[value["oid"]]
                case "deletedFile":
                    del files[value["path"]]
        made = self.server.repositories[name].add(branch, files, header["value"]["summary"])
        self.send(200, {"commitUrl": f"{self.server.url}/datasets/{name}/commit/{made.oid}", "commitOid": made.oid})

    def tree(self, name: str, revision: str, folder: str | None) -> None:
        if commit := self.found(name, revision):
            recursive = parse_qs(urlsplit(self.path).query).get("recursive") == ["True"]
            below = f"{folder}/" if folder else ""
            inside = [path for path in commit.files if path.startswith(below)]
            folders = {below + path.removeprefix(below).split("/")[0] for path in inside if "/" in path[len(below) :]}
            files = [path for path in inside if recursive or "/" not in path[len(below) :]]
            self.send(200, [*map(_folder, sorted(folders)), *(_file(path, commit) for path in files)])

    def paths(self, name: str, revision: str) -> None:
        if commit := self.found(name, revision):
            asked = parse_qs(self.body.decode())["paths"] if self.body[:1] != b"{" else json.loads(self.body)["paths"]
            found: list[dict[str, Any]] = [_file(path, commit) for path in asked if path in commit.files]
            found += [_folder(path) for path in asked if any(one.startswith(f"{path}/") for one in commit.files)]
            self.send(200, found)

    def resolve(self, name: str, revision: str, path: str) -> None:
        if not (commit := self.found(name, revision)):
            return
        if path not in commit.files:
            self.send(404, {"error": "Entry not found"}, {"X-Error-Code": "EntryNotFound"})
            return
        content, status = commit.files[path], 200
        headers = {"ETag": f'"{_oid(path, commit)}"', "X-Repo-Commit": commit.oid, "Accept-Ranges": "bytes"}
        if self.command == "GET" and (part := re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range") or "")):
            first, last = int(part[1]), min(int(part[2] or len(content)), len(content) - 1)
            headers["Content-Range"] = f"bytes {first}-{last}/{len(content)}"
            content, status = content[first : last + 1], 206
        self.send_bytes(status, content, headers)

    def found(self, name: str, revision: str) -> Commit | None:
        repository = self.server.repositories.get(name)
        if repository is None or (repository.private and not self.is_known()):
            self.send(404, {"error": "Repository not found"}, {"X-Error-Code": "RepoNotFound"})
        elif not (commit := repository.commit(revision)):
            self.send(404, {"error": f"Invalid rev id: {revision}"}, {"X-Error-Code": "RevisionNotFound"})
        elif (self.headers.get("Authorization") or "") and not self.is_known():
            self.refuse_token()
        else:
            return commit
        return None

    def is_known(self) -> bool:
        return self.headers.get("Authorization") in (f"Bearer {WRITER}", f"Bearer {READER}")

    def may_write(self) -> bool:
        if not self.is_known():
            self.refuse_token()
            return False
        if self.headers["Authorization"] != f"Bearer {WRITER}":
            self.send(403, {"error": "You don't have the rights to write here"})
            return False
        return True

    def refuse_token(self) -> None:
        said = "Invalid credentials in Authorization header"
        self.send(401, {"error": said}, {"X-Error-Message": said})

    def send(self, status: int, answer: Any, headers: dict[str, str] | None = None) -> None:
        self.send_bytes(status, json.dumps(answer).encode(), {"Content-Type": "application/json", **(headers or {})})

    def send_bytes(self, status: int, content: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


def _mode(path: str, commit: Commit) -> str:
    """How a file is sent, as the repository's .gitattributes say."""
    large = commit.files[".gitattributes"].decode().split()
    return "lfs" if f"*{Path(path).suffix}" in large else "regular"


def _oid(path: str, commit: Commit) -> str | None:
    content = commit.files.get(path)
    if content is None:
        return None
    if _mode(path, commit) == "lfs":
        return hashlib.sha256(content).hexdigest()
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def _file(path: str, commit: Commit) -> dict[str, Any]:
    size, oid = len(commit.files[path]), _oid(path, commit)
    large = {"lfs": {"oid": oid, "size": size, "pointerSize": 130}} if _mode(path, commit) == "lfs" else {}
    return {"type": "file", "path": path, "size": size, "oid": oid, **large}


def _folder(path: str) -> dict[str, Any]:
    return {"type": "directory", "path": path, "size": 0, "oid": hashlib.sha1(path.encode()).hexdigest()}


@contextmanager
def hub() -> Iterator[Hub]:
    server = Hub()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.released.set()
        server.shutdown()
        server.server_close()
        thread.join()
