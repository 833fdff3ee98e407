"""An S3 server on this machine (moto's), with one bucket that keeps every version of every object."""

import contextlib
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

BUCKET = "studies"


@dataclass
class ObjectStore:
    """A bucket: what is in it now, and what each object held before."""

    client: Any

    @property
    def uri(self) -> str:
        return f"s3://{BUCKET}"

    def names(self) -> list[str]:
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET)
        return [item["Key"] for page in pages for item in page.get("Contents", [])]

    def read(self, name: str) -> bytes:
        content: bytes = self.client.get_object(Bucket=BUCKET, Key=name)["Body"].read()
        return content

    def history(self, name: str) -> list[bytes]:
        """All contents that an object has had, oldest first."""
        pages = self.client.get_paginator("list_object_versions").paginate(Bucket=BUCKET, Prefix=name)
        versions = [item for page in pages for item in page.get("Versions", []) if item["Key"] == name]
        newest_first = [
            self.client.get_object(Bucket=BUCKET, Key=name, VersionId=item["VersionId"])["Body"].read()
            for item in versions
        ]
        return newest_first[::-1]


@contextlib.contextmanager
def object_store() -> Iterator[ObjectStore]:
    """Start the server, and point this process and all that it starts to it."""
    import boto3

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    where = f"http://127.0.0.1:{port}"
    server = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    settings = {
        "AWS_ENDPOINT_URL": where, "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1", "AWS_EC2_METADATA_DISABLED": "true",
    }  # fmt: skip
    try:
        with pytest.MonkeyPatch.context() as patch:
            for name, value in settings.items():
                patch.setenv(name, value)
            while not _listens(port):
                assert server.poll() is None, "moto's server has ended"
                time.sleep(0.1)
            client = boto3.client("s3")
            client.create_bucket(Bucket=BUCKET)
            client.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
            yield ObjectStore(client)
            client.close()
    finally:
        server.terminate()
        server.wait()


def _listens(port: int) -> bool:
    with socket.socket() as knock:
        knock.settimeout(1)
        return knock.connect_ex(("127.0.0.1", port)) == 0
