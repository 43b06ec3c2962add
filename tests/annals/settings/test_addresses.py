"""Which places an address means."""

from __future__ import annotations

import string

import pymongo
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pymongo.errors import ConfigurationError, InvalidURI

from annals.settings.addresses import (
    Destination,
    database_destinations,
    mongo_destinations,
    parse_destination,
    web_destination,
)


def _mongo(uri: str) -> list[tuple[str, bool]]:
    return [(str(one), one.is_loopback) for one in mongo_destinations(uri, "db")]


@pytest.mark.parametrize(
    ("uri", "places"),
    [
        (
            "mongodb://u:p@DB.example.org.:1,127.0.0.1/x",
            ["db.example.org:1/db", "*127.0.0.1:27017/db"],
        ),
        ("mongodb://localhost/", ["*localhost:27017/db"]),
        ("mongodb://LOCALHOST./", ["localhost.:27017/db"]),
        ("mongodb://localhost.example.org/", ["localhost.example.org:27017/db"]),
        ("mongodb://[::1]:5/", ["*[::1]:5/db"]),
        ("mongodb://[::ffff:127.0.0.1]/", ["*[::ffff:7f00:1]:27017/db"]),
        ("mongodb://[2001:db8::1]/", ["[2001:db8::1]:27017/db"]),
        ("mongodb://127.1/", ["*127.1:27017/db"]),
        ("mongodb://2130706433/", ["*2130706433:27017/db"]),
        ("mongodb://0.0.0.0/", ["0.0.0.0:27017/db"]),
        ("mongodb://128.0.0.1/", ["128.0.0.1:27017/db"]),
        ("mongodb://%2Ftmp%2Fmongodb.sock/", []),
        ("mongodb+srv://cluster.example.org/", ["cluster.example.org/db"]),
        ("mongodb+srv://localhost/", ["localhost/db"]),
    ],
)
def test_every_host_of_a_mongodb_uri_is_judged(uri: str, places: list[str]) -> None:
    """Loopback (marked *) is what cannot leave this machine; SRV names are never that."""
    found = [f"{'*' if here else ''}{place}" for place, here in _mongo(uri)]
    assert found == places


@pytest.mark.parametrize(
    "uri",
    ["mongodb://127.0.0.1./", "mongodb://h%2Eexample/", "mongodb://a b/", "mongodb://h:port/",
     "mongodb:///x", "http://h/", "mongodb://h:0/", "mongodb://[::1/"],
)  # fmt: skip
def test_hosts_that_cannot_be_told_are_no_hosts(uri: str) -> None:
    """It is a ValueError that does not repeat the address."""
    with pytest.raises(ValueError) as raised:  # noqa: PT011 - its words are asserted below
        mongo_destinations(uri, "db")
    assert uri not in str(raised.value)


PARTS = st.text(string.ascii_lowercase + ".:@/,[]%?#\\ 127", max_size=24)


@given(rest=PARTS)
@example(rest="a@127.0.0.1@b/")
@example(rest="127.0.0.1:27017,b/")
def test_the_driver_connects_where_we_judged(rest: str) -> None:
    """Whatever a URI says: the hosts that the driver would connect to are the ones we judge."""
    uri = f"mongodb://{rest}"
    try:
        client: pymongo.MongoClient[dict[str, object]] = pymongo.MongoClient(uri, connect=False)
    except (ConfigurationError, InvalidURI, ValueError, TypeError):
        return
    seeds = client.topology_description.server_descriptions()
    client.close()
    try:
        judged = mongo_destinations(uri, "")
    except ValueError:
        return  # open_client refuses what the driver takes and we cannot read

    def same(host: str) -> str:
        return str(
            mongo_destinations(f"mongodb://{f'[{host}]' if ':' in host else host}", "")[0].host
        )

    assert {(same(host), port) for host, port in seeds if not host.endswith(".sock")} == {
        (one.host, one.port) for one in judged
    }


@pytest.mark.parametrize(
    ("url", "place", "is_here"),
    [
        ("http://127.0.0.1/hook", "127.0.0.1:80", True),
        ("https://u:p@Hooks.Example.org/secret?x=y", "hooks.example.org:443", False),
        ("https://hooks.example.org/a b?x=\\n$", "hooks.example.org:443", False),
        ("http://127.0.0.1.example.org/", "127.0.0.1.example.org:80", False),
        ("http://[::1]:8181", "[::1]:8181", True),
        ("https://münchen.example/", "xn--mnchen-3ya.example:443", False),
    ],
)
def test_a_web_address_is_its_host_and_port(url: str, place: str, *, is_here: bool) -> None:
    """Path and query, which may be secret, take no part."""
    found = web_destination(url)
    assert (str(found), found.is_loopback) == (place, is_here)


@pytest.mark.parametrize(
    "url",
    ["http://evil.example\\@127.0.0.1/", "http://a@b@127.0.0.1/", "http://127.0.0.1\t.x/", ""],
)
def test_an_address_that_two_programs_read_differently_is_none(url: str) -> None:
    """It is refused, and not repeated."""
    with pytest.raises(ValueError) as raised:  # noqa: PT011 - its words are asserted below
        web_destination(url)
    assert not url or url not in str(raised.value)


def test_a_catalog_in_a_database_names_all_its_hosts() -> None:
    """Those that options name count, too; a file names none."""
    uri = "postgresql+psycopg://u:p@127.0.0.1/lake?host=db.example.org:6432"
    assert [str(one) for one in database_destinations(uri)] == [
        "db.example.org:6432/lake",
        "127.0.0.1:5432/lake",
    ]
    assert database_destinations("sqlite:////data/catalog.db") == ()


@pytest.mark.parametrize(
    "uri",
    [
        "postgresql:///db?service=work",
        "mssql+pyodbc:///?odbc_connect=SERVER%3Dh",
        "mysql://127.0.0.1/db?read_default_file=/etc/work.cnf",
    ],
)
def test_a_host_that_the_address_does_not_name_is_refused(uri: str) -> None:
    """An option that leads to another place cannot be judged."""
    with pytest.raises(ValueError, match="not part of the address"):
        database_destinations(uri)


@pytest.mark.parametrize(
    ("rule", "covers"),
    [
        ("db.example.org", True),
        ("DB.example.org.:27017", True),
        ("db.example.org:27017/logs", True),
        ("db.example.org/logs", True),
        ("db.example.org:27018", False),
        ("db.example.org/other", False),
        ("example.org", False),
    ],
)
def test_a_rule_covers_what_it_names(rule: str, *, covers: bool) -> None:
    """HOST means all of it, HOST:PORT and /NAME only that."""
    place = Destination("db.example.org", 27017, "logs")
    assert place.is_covered_by(parse_destination(rule)) is covers


@pytest.mark.parametrize("text", ["mongodb://u:hunter2@h/", "u:hunter2@h", "h h", "", "h:99999"])
def test_a_place_has_no_password_in_it(text: str) -> None:
    """What is not a HOST[:PORT][/NAME] is refused without being repeated."""
    with pytest.raises(ValueError) as raised:  # noqa: PT011 - its words are asserted below
        parse_destination(text)
    assert "hunter2" not in str(raised.value)
