"""One bucket of an object store. No other module imports obstore.

Credentials, region and endpoint are those that obstore finds in the environment, as `AWS_ACCESS_KEY_ID` and
`AWS_ENDPOINT_URL`. Nothing of them is recorded.
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

from synth.schemas.errors import InputError, UsageError
from synth.schemas.phrases import first_line

__all__ = ["Store", "Stored"]

# A store that does not answer is given up after some ten seconds; a slow but steady transfer is not. What was put in
# parts may take the store a minute to join, in which it says nothing.
_READING = {"connect_timeout": "3s", "read_timeout": "10s", "timeout": "10m"}
_WRITING = {**_READING, "read_timeout": "2m"}
_RETRIES = {
    "max_retries": 8,
    "retry_timeout": timedelta(seconds=8),
    "backoff": {"init_backoff": timedelta(milliseconds=100), "max_backoff": timedelta(seconds=2), "base": 2},
}

# Per scheme: what holds the objects, and how a user gives credentials.
_BUCKETS = {"s3": "bucket", "gs": "bucket", "az": "container"}
_CREDENTIALS = {
    "s3": "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_SKIP_SIGNATURE=true for a public bucket",
    "gs": "GOOGLE_APPLICATION_CREDENTIALS, or GOOGLE_SKIP_SIGNATURE=true for a public bucket",
    "az": "AZURE_STORAGE_ACCOUNT_NAME, and AZURE_STORAGE_ACCOUNT_KEY or, if it is public, AZURE_SKIP_SIGNATURE=true",
}

_NO_BUCKET = re.compile(r"NoSuchBucket|ContainerNotFound|bucket does not exist", re.IGNORECASE)
# Without credentials in the environment, obstore asks the metadata service of a cloud's machines for them.
_NO_CREDENTIALS = re.compile(
    r"Missing AccessKeyId|Missing SecretAccessKey|Account must be specified"
    r"|/latest/(api/token|meta-data)|metadata\.google\.internal|/metadata/identity|computeMetadata"
)
_DENIED = re.compile(r"status code: 40[13]\b")
_UNREACHABLE = re.compile(r"error sending request|error decoding response body|operation timed out|connection")


@dataclass(frozen=True)
class Stored:
    """An object: its key in the bucket, its bytes, and a tag that changes with its content, if the store has one."""

    key: str
    size: int
    tag: str | None


@dataclass(frozen=True)
class Store:
    """A bucket, named by the scheme of its URLs and its name. Methods raise `InputError` naming the URL."""

    scheme: str
    bucket: str

    @classmethod
    def of(cls, url: str) -> tuple["Store", str]:
        """The bucket of a URL, and the key in it. Raises `UsageError` for a URL that names no bucket."""
        scheme, _, place = url.partition("://")
        bucket, _, key = place.partition("/")
        if not re.fullmatch(r"[\w.$-]+", bucket):
            raise UsageError(f"a URL of an object store has the form {scheme}://{_BUCKETS[scheme].upper()}/NAME")
        return cls(scheme, bucket), key.strip("/")

    def url(self, key: str = "") -> str:
        return f"{self.scheme}://{self.bucket}/{key}".rstrip("/")

    def below(self, folder: str) -> list[Stored]:
        """All objects below a folder, by key."""
        with self._faults(folder):
            import obstore

            listed = [one for part in obstore.list(self._client, folder or None, chunk_size=1000) for one in part]
        return sorted((_stored(one) for one in listed), key=lambda stored: stored.key)

    def find(self, key: str) -> Stored | None:
        """The object with this key, or None."""
        with self._faults(key):
            import obstore

            try:
                return _stored(obstore.head(self._client, key))
            except FileNotFoundError:
                return None

    def read(self, stored: Stored, start: int, end: int) -> memoryview:
        """The bytes from `start` to `end` of an object that has not changed since it was listed."""
        with self._faults(stored.key):
            import obstore
            from obstore.exceptions import PreconditionError

            try:
                options: Any = {"range": (start, end), "if_match": stored.tag}
                return memoryview(obstore.get(self._client, stored.key, options=options).bytes())
            except PreconditionError as error:
                raise InputError(f"{self.url(stored.key)} changed while it was read: repeat the command") from error

    def get(self, key: str) -> bytes:
        """The bytes of a small object."""
        with self._faults(key):
            import obstore

            return bytes(obstore.get(self._client, key).bytes())

    def put(self, key: str, content: Path | bytes, *, create: bool = False) -> bool:
        """Store a file or bytes. If the object is to be created and is there, change nothing and return False."""
        with self._faults(key):
            import obstore
            from obstore.exceptions import AlreadyExistsError

            try:
                obstore.put(self._writer, key, content, mode="create" if create else "overwrite")
            except AlreadyExistsError:
                return False
        return True

    def delete(self, keys: Sequence[str]) -> None:
        """Delete these objects, as far as they exist."""
        with self._faults():
            import obstore

            obstore.delete(self._client, list(keys))

    @cached_property
    def _client(self) -> Any:
        return self._connected(_READING)

    @cached_property
    def _writer(self) -> Any:
        return self._connected(_WRITING)

    def _connected(self, limits: dict[str, str]) -> Any:
        with self._faults():
            from obstore.store import AzureStore, GCSStore, S3Store

            made: Any = {"s3": S3Store, "gs": GCSStore, "az": AzureStore}[self.scheme]
            return made(self.bucket, retry_config=_RETRIES, **limits)

    @contextmanager
    def _faults(self, key: str = "") -> Iterator[None]:
        """Turns errors of obstore into one sentence."""
        url = self.url(key)
        try:
            from obstore.exceptions import BaseError
        except ImportError:
            raise UsageError(f"{url} needs obstore, which is not installed: pip install '.[s3]'") from None
        try:
            yield
        # A `ValueError` is a key that obstore cannot name.
        except (BaseError, FileNotFoundError, ValueError) as error:
            raise InputError(self._explained(url, error)) from error

    def _explained(self, url: str, error: Exception) -> str:
        text = str(error)
        kind = _BUCKETS[self.scheme]
        if _NO_BUCKET.search(text):
            return f"the {kind} {self.url()} does not exist"
        if _NO_CREDENTIALS.search(text):
            return f"there are no credentials for {url}: set {_CREDENTIALS[self.scheme]}"
        if _DENIED.search(text):
            return f"the store denies access to {url}: check {_CREDENTIALS[self.scheme]}"
        if "BadScheme" in text:
            return f"the endpoint for {url} has no encryption: set AWS_ALLOW_HTTP=true to allow that"
        if "incorrectly configured region" in text:
            return f"the {kind} {self.url()} is in another region: set AWS_REGION"
        if _UNREACHABLE.search(text):
            endpoint = re.search(r"https?://[^/\s]+", text)
            fault = "does not answer" if "TimedOut" in text else "cannot be reached"
            return f"the store of {url} {fault}{f' at {endpoint[0]}' if endpoint else ''}: check the network"
        if isinstance(error, FileNotFoundError):
            return f"there is no object {url}"
        return f"the store of {url} cannot be used: {first_line(error)}"


def _stored(listed: Any) -> Stored:
    return Stored(listed["path"], listed["size"], listed["e_tag"])
