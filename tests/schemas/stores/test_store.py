"""A bucket as `synth` uses it, against a server that speaks S3; and the one sentence for each thing that goes wrong."""

import os
import re
import socket
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from synth.schemas.errors import InputError, UsageError
from synth.schemas.stores import store as stores
from synth.schemas.stores.copies import Copy
from synth.schemas.stores.store import Store
from tests.object_store import Bucket, ask


@pytest.fixture
def store(bucket: Bucket) -> Store:
    return Store.of(bucket.url)[0]


def refusal(url: str) -> str:
    """What is said of a URL that cannot be read."""
    with pytest.raises(UsageError) as caught:
        Copy.of(url)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_what_was_put_is_listed_found_and_read(store: Store, tmp_path: Path) -> None:
    (file := tmp_path / "file").write_bytes(b"0123456789")
    for key in ("rows/b ü#?%.txt", "rows/deep/a", "rows-of-others/c"):
        store.put(key, file)
    assert [(found.key, found.size) for found in store.below("rows")] == [("rows/b ü#?%.txt", 10), ("rows/deep/a", 10)]
    found = store.find("rows/deep/a")
    assert found
    assert bytes(store.read(found, 2, 5)) == b"234"
    store.delete(["rows/deep/a", "rows/b ü#?%.txt"])
    assert store.find("rows/deep/a") is None
    assert [found.key for found in store.below("")] == ["rows-of-others/c"]


def test_of_many_that_create_one_key_one_wins(store: Store, tmp_path: Path) -> None:
    def create(number: int) -> bool:
        (file := tmp_path / str(number)).write_text(f"written by {number}")
        return store.put("marker", file, create=True)

    with ThreadPoolExecutor(16) as pool:
        won = [number for number, result in enumerate(pool.map(create, range(64))) if result]
    assert len(won) == 1
    marker = store.find("marker")
    assert marker
    assert bytes(store.read(marker, 0, marker.size)).decode() == f"written by {won[0]}"


def test_large_files_are_created_by_one_as_well(store: Store, tmp_path: Path) -> None:
    # Above the size from which obstore puts a file in parts.
    (file := tmp_path / "file").write_bytes(bytes(12 << 20))
    assert store.put("large", file, create=True)
    assert not store.put("large", file, create=True)


def test_an_object_that_changed_after_it_was_listed_is_not_read(store: Store, tmp_path: Path) -> None:
    (file := tmp_path / "file").write_text("old")
    store.put("key", file)
    listed = store.find("key")
    assert listed
    file.write_text("new")
    store.put("key", file)
    with pytest.raises(
        InputError, match=re.escape(f"{store.url('key')} changed while it was read: repeat the command")
    ):
        store.read(listed, 0, 3)


def test_an_object_that_is_not_there(bucket: Bucket) -> None:
    assert refusal(f"{bucket.url}/rows") == f"there is no object {bucket.url}/rows, and none below it"
    assert refusal(bucket.url) == f"there is no object {bucket.url}, and none below it"


def test_a_bucket_that_is_not_there(bucket: Bucket) -> None:
    assert refusal(f"{bucket.url}-gone/rows") == f"the bucket {bucket.url}-gone does not exist"


def test_a_url_without_a_bucket_or_with_credentials_in_it_is_not_repeated() -> None:
    for url in ("s3://", "s3:///key", "s3://me:my-secret@bucket/key"):
        assert refusal(url) == "a URL of an object store has the form s3://BUCKET/NAME"
    assert refusal("az://") == "a URL of an object store has the form az://CONTAINER/NAME"


def test_a_key_that_no_client_can_name(bucket: Bucket) -> None:
    assert "contained empty path segment" in refusal(f"{bucket.url}/a//b")


def test_no_credentials(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(stores._RETRIES, "max_retries", 1)
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    assert refusal(f"{bucket.url}/rows") == (
        f"there are no credentials for {bucket.url}/rows: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, "
        "or AWS_SKIP_SIGNATURE=true for a public bucket"
    )


def test_credentials_that_the_store_does_not_know(bucket: Bucket) -> None:
    # The server checks credentials from its next request on.
    assert ask(bucket.address, "POST", "/moto-api/reset-auth", "0") == 200
    try:
        assert refusal(f"{bucket.url}/rows").startswith(
            f"the store denies access to {bucket.url}/rows: check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
        )
    finally:
        ask(bucket.address, "POST", "/moto-api/reset-auth", "inf")


@pytest.mark.parametrize("scheme", ["s3", "gs", "az"])
def test_a_store_that_cannot_be_reached(
    bucket: Bucket, scheme: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(stores._RETRIES, "max_retries", 1)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"http://127.0.0.1:{taken.getsockname()[1]}"
    (account := tmp_path / "account.json").write_text(
        f'{{"gcs_base_url": "{address}", "disable_oauth": true, "client_email": "", "private_key": "", '
        '"private_key_id": ""}'
    )
    for name, value in {
        "AWS_ENDPOINT_URL": address,
        "GOOGLE_SERVICE_ACCOUNT": str(account),
        "AZURE_STORAGE_ACCOUNT_NAME": "me",
        "AZURE_STORAGE_ENDPOINT": address,
        "AZURE_SKIP_SIGNATURE": "true",
        "GOOGLE_ALLOW_HTTP": "true",
        "AZURE_ALLOW_HTTP": "true",
    }.items():
        monkeypatch.setenv(name, value)
    assert refusal(f"{scheme}://{bucket.name}/rows") == (
        f"the store of {scheme}://{bucket.name}/rows cannot be reached at {address}: check the network"
    )


def test_a_store_that_accepts_and_says_nothing(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(stores._READING, "read_timeout", "100ms")
    monkeypatch.setitem(stores._RETRIES, "max_retries", 0)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        monkeypatch.setenv("AWS_ENDPOINT_URL", address)
        assert refusal(f"{bucket.url}/rows") == (
            f"the store of {bucket.url}/rows does not answer at {address}: check the network"
        )


def test_an_endpoint_without_encryption_has_to_be_allowed(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ALLOW_HTTP")
    assert refusal(bucket.url) == (
        f"the endpoint for {bucket.url} has no encryption: set AWS_ALLOW_HTTP=true to allow that"
    )


def test_obstore_is_named_where_it_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "obstore", None)
    monkeypatch.setitem(sys.modules, "obstore.exceptions", None)
    assert refusal("s3://any/rows") == "s3://any/rows needs obstore, which is not installed: pip install '.[s3]'"


def test_no_credential_is_printed_with_a_store(store: Store) -> None:
    store.below("")
    assert os.environ["AWS_SECRET_ACCESS_KEY"] not in repr(store)
