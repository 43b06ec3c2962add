"""A running object store and catalog server, and lakes on them."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

from pyarrow import fs

from annals.settings import Settings, load_settings
from tests.servers.building import built
from tests.servers.running import Server, free_port

KEY, SECRET = "annals-tests", "no-secret-of-anybody"
BUCKET = "lake"


def minio(folder: Path) -> Server:
    """Return a MinIO with its objects in ``folder``, not started yet."""
    port = free_port()
    objects = folder / "objects"
    objects.mkdir(parents=True, exist_ok=True)
    address = ("--address", f"127.0.0.1:{port}")
    return Server(
        *(str(built("minio")), "server", "--quiet", *address, str(objects)),
        port=port,
        log=folder / "minio.log",
        environment={"MINIO_ROOT_USER": KEY, "MINIO_ROOT_PASSWORD": SECRET, "HOME": str(folder)},
    )


def rest_catalog(folder: Path, store: int, *, bucket: str = BUCKET) -> Server:
    """Return a catalog server, not started yet; ``store`` is the port of its object store."""
    port, jars = free_port(), built("restcatalog")
    folder.mkdir(parents=True, exist_ok=True)
    properties = {
        "catalog-impl": "org.apache.iceberg.jdbc.JdbcCatalog",
        "uri": f"jdbc:sqlite:{folder / 'catalog.db'}",
        "jdbc.schema-version": "V1",
        "warehouse": f"s3://{bucket}/warehouse",
        "io-impl": "org.apache.iceberg.aws.s3.S3FileIO",
        "s3.endpoint": f"http://127.0.0.1:{store}",
        "s3.path-style-access": "true",
    }
    return Server(
        *("java", "-Xmx256m", "-cp", f"{jars}:{jars}/*", "Main", str(port)),
        *(f"{name}={value}" for name, value in properties.items()),
        port=port,
        log=folder / "catalog.log",
        environment={
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_REGION": "us-east-1",
        },
    )


class FarLake:
    """A catalog server, an object store, and a namespace in them that nobody else uses."""

    def __init__(self, catalog: Server, store: Server) -> None:
        self.catalog = catalog
        self.store = store
        self.namespace = f"n_{uuid.uuid4().hex[:12]}"

    def settings(self, home: Path, **changes: Any) -> Settings:
        """Return settings for this lake, with all that is local below ``home``."""
        given = {
            "annals_home": home / "annals",
            "sqlite_path": home / "buffer.db",
            "iceberg_catalog_type": "rest",
            "iceberg_catalog_uri": f"http://127.0.0.1:{self.catalog.port}",
            "iceberg_namespace": self.namespace,
            "s3_endpoint": f"http://127.0.0.1:{self.store.port}",
            "aws_access_key_id": KEY,
            "aws_secret_access_key": SECRET,
        }
        return load_settings(**(given | changes))

    def objects(self) -> fs.S3FileSystem:
        """Return the object store, for looking into it past the product."""
        return objects(self.store)

    def files(self, ending: str = "") -> dict[str, int]:
        """Return the size of every object of this lake whose name ends so."""
        folder = f"{BUCKET}/warehouse/{self.namespace}"
        found = self.objects().get_file_info(
            fs.FileSelector(folder, recursive=True, allow_not_found=True)
        )
        return {one.path: one.size for one in found if one.is_file and one.path.endswith(ending)}


def objects(store: Server) -> fs.S3FileSystem:
    """Return an object store as Arrow sees it."""
    return fs.S3FileSystem(
        access_key=KEY,
        secret_key=SECRET,
        region="us-east-1",
        endpoint_override=f"http://127.0.0.1:{store.port}",
        allow_bucket_creation=True,
    )
