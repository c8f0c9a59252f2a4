"""An object store on loopback, and buckets in it."""

import http.client
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from synth.schemas.stores.store import Store

# obstore asks the address of a cloud's machines for credentials if there are none: here it finds nobody.
NOBODY = "http://127.0.0.1:9"
# In a process of its own, because vLLM does not start where Flask was imported. It ends with its standard input.
SERVER = """
import logging, sys
from moto.server import ThreadedMotoServer
logging.getLogger("werkzeug").setLevel(logging.ERROR)
server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
print(server.get_host_and_port()[1], flush=True)
sys.stdin.read()
server.stop()
"""


@dataclass(frozen=True)
class Bucket:
    """A bucket of the server at `address`; it exists when `make` was called."""

    address: str
    name: str

    @property
    def url(self) -> str:
        return f"s3://{self.name}"

    @property
    def environment(self) -> dict[str, str]:
        """What leads obstore to the server."""
        return {
            "AWS_ENDPOINT_URL": self.address,
            "AWS_ALLOW_HTTP": "true",
            "AWS_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "reader",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_METADATA_ENDPOINT": NOBODY,
        }

    def make(self) -> None:
        assert ask(self.address, "PUT", f"/{self.name}") == 200

    def upload(self, place: Path, key: str) -> str:
        """Store a file, or all files below a folder, under a key; its URL."""
        store, _ = Store.of(self.url)
        files = [place] if place.is_file() else [file for file in sorted(place.rglob("*")) if file.is_file()]
        for file in files:
            store.put("/".join([key, *file.relative_to(place).parts]), file)
        return f"{self.url}/{key}"

    def objects(self, key: str = "") -> dict[str, bytes]:
        """What lies below a key, by the rest of the key."""
        store, _ = Store.of(self.url)
        return {found.key.removeprefix(f"{key}/"): store.get(found.key) for found in store.below(key)}


@contextmanager
def object_store() -> Iterator[str]:
    """The address of a server that speaks S3 and has no buckets yet."""
    with subprocess.Popen(
        [sys.executable, "-c", SERVER], stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True
    ) as server:
        assert server.stdin
        assert server.stdout
        try:
            yield f"http://127.0.0.1:{int(server.stdout.readline())}"
        finally:
            server.kill()


def ask(address: str, method: str, path: str, body: str = "") -> int:
    """The status of an answer."""
    connection = http.client.HTTPConnection(address.removeprefix("http://"))
    try:
        connection.request(method, path, body)
        answer = connection.getresponse()
        answer.read()
        return answer.status
    finally:
        connection.close()
