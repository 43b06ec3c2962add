"""A canary in every setting: no command, error, log, file or archive ever shows it."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import zstandard

from annals.settings import Settings
from annals.settings.harmless import ADDRESSES, HARMLESS
from tests.conftest import ROOT, Run
from tests.servers.running import Mongo, free_port

SECRETS = sorted(
    name
    for name, field in Settings.model_fields.items()
    if name not in HARMLESS | ADDRESSES and "SecretStr" in str(field.annotation)
)


def canary(name: str, part: str) -> str:
    """Return the canary of a part of a setting."""
    return f"Cnry-{name.replace('_', '-')}-{part}-Zx9"


def address(name: str, host: str) -> str:
    """Return an address with a canary in user, password, path and query."""
    user, password, path, query = (
        canary(name, part) for part in ("user", "password", "path", "query")
    )
    if name == "mongo_uri":
        return (
            f"mongodb://{user}:{password}@{host}/?authSource={query}&serverSelectionTimeoutMS=200"
        )
    return f"http://{user}:{password}@{host}/{path}?token={query}"


def variables(host: str, *left_out: str) -> dict[str, str]:
    """Return a value with canaries for each setting that is not marked as harmless."""
    values = {name: f"{canary(name, 'user')}:{canary(name, 'secret')}" for name in SECRETS}
    values |= {name: address(name, host) for name in ADDRESSES}
    return {name.upper(): value for name, value in values.items() if name not in left_out}


@pytest.fixture
def dead() -> str:
    """Return the address of a server that does not answer."""
    return f"127.0.0.1:{free_port()}"


def shown_by(run: Run, *arguments: str, **changes: str) -> str:
    """Run a command with logs at their loudest, and return all that it wrote."""
    done = run(*arguments, LOG_LEVEL="debug", **changes)
    return f"{arguments}: exit {done.code}\n{done.out}{done.err}"


def written_below(home: Path) -> Iterator[tuple[str, bytes]]:
    """Yield the name and the content of every file, archives unpacked."""
    for path in home.rglob("*"):
        if path.is_file() and not path.is_symlink():
            yield str(path), path.read_bytes()
        if path.name.endswith(".tar.zst"):
            with (
                path.open("rb") as file,
                zstandard.ZstdDecompressor().stream_reader(file) as stream,
                tarfile.open(fileobj=stream, mode="r|") as tar,
            ):
                for info in tar:
                    if content := tar.extractfile(info):
                        yield f"{path}/{info.name}", content.read()


def refuse_canaries(home: Path, *texts: str) -> None:
    """Fail where a canary is in a text or below the home folder."""
    for text in texts:
        assert "Cnry" not in text
    for name, content in written_below(home):
        assert b"Cnry" not in content, name


def test_settings_and_backups_show_no_canary(annals: Run, home: Path, dead: str) -> None:
    """Everything that only reads, and an archive, with a canary in each setting."""
    values = variables(dead, "mongo_uri", "iceberg_catalog_uri", "prefect_api_url")
    values |= {"NOTIFY_WITH": "slack"}
    shown = [
        shown_by(annals, "pipeline", **values),
        shown_by(annals, "backup", "--to", str(home / "kept.tar.zst"), **values),
        shown_by(annals, "config", "show", "--origin", **variables(dead)),
        shown_by(annals, "config", "show", "--json", **variables(dead, "iceberg_catalog_uri")),
        shown_by(annals, "status", **values),
    ]
    assert (home / "kept.tar.zst").exists(), shown
    refuse_canaries(home, *shown)


@pytest.mark.parametrize("command", ["extract", "status", "doctor"])
def test_a_server_that_is_away_shows_no_canary(
    annals: Run, home: Path, dead: str, command: str
) -> None:
    """Errors of the drivers quote addresses; what reaches the terminal does not."""
    values = variables(dead, "iceberg_catalog_uri", "prefect_api_url")
    refuse_canaries(home, shown_by(annals, command, **values))


@pytest.mark.parametrize(
    ("name", "command"),
    [
        ("prefect_api_url", "extract"),
        ("iceberg_catalog_uri", "pipeline"),
        ("s3_endpoint", "pipeline"),
    ],
)
def test_each_address_alone_shows_no_canary(
    annals: Run, home: Path, dead: str, name: str, command: str
) -> None:
    """The error that names an address shows where it leads, and nothing else of it."""
    transcripts = str(ROOT / "examples" / "transcripts")
    values = {name.upper(): address(name, dead), "CLAUDE_DIR": transcripts}
    if name != "prefect_api_url":
        values |= {"ICEBERG_CATALOG_TYPE": "rest"}
        values.setdefault("ICEBERG_CATALOG_URI", address("iceberg_catalog_uri", dead))
    shown = shown_by(annals, command, **values)
    assert "exit 0" not in shown
    refuse_canaries(home, shown)


def test_a_wrong_login_shows_no_canary(annals: Run, home: Path, mongo: Mongo) -> None:
    """A server that answers and refuses the login quotes neither user nor password."""
    host = mongo.uri.split("//")[1].strip("/")
    refuse_canaries(home, shown_by(annals, "extract", MONGO_URI=address("mongo_uri", host)))


@pytest.mark.parametrize("value", ["http://{}:x@[bad", "ftp://{}@h", "{}", "http://h:99999/{}"])
def test_an_invalid_value_is_named_and_not_quoted(
    in_process: Run, home: Path, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    """A wrong address is a fault of its setting: exit 3, with the name and without the value."""
    for name in ("S3_ENDPOINT", "PREFECT_API_URL", "NOTIFY_URL"):
        with monkeypatch.context() as patched:
            patched.setenv(name, value.format(canary("wrong", "value")))
            done = in_process("config", "show")
        if done.code == 3:
            assert name in done.err
        refuse_canaries(home, done.out, done.err)
