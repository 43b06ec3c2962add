"""Which requests a service of ours answers, whatever a browser can be made to send."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import MutableMapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annals.guard import (
    SERVICE_NAMES,
    GuardedApplication,
    bound_names,
    parse_names,
    refusal,
)
from tests.conftest import ROOT

OURS = (
    "localhost",
    "LOCALHOST",
    "localhost.",
    "127.0.0.1",
    "127.8.9.1",
    "[::1]",
    "[0:0:0:0:0:0:0:1]",
)
FOREIGN = (
    "evil.example",
    "evil.example:9090",
    "evil.example.",
    "127.0.0.1.evil.example",
    "localhost.evil.example",
    "evil-localhost",
    "user@127.0.0.1",
    "127.0.0.1@evil.example",
    "127.0.0.1:80@evil.example",
    "127.0.0.1.",
    "127.1",
    "0x7f.0.0.1",
    "2130706433",
    "0.0.0.0",  # noqa: S104 -- a name that is asked for
    "[::]",
    "[::ffff:8.8.8.8]",
    "[::1",
    "::1",
    "[::1%lo]",
    "[::1]evil",
    "127.0.0.1:99999",
    "127.0.0.1:",
    "127.0.0.1:x",
    "127.0.0.1, evil.example",
    "127.0.0.1/evil",
    "127.0.0.1\x00.evil.example",
    "localhost evil",
    "ⓛocalhost",
    "",
    ".",
)


@pytest.mark.parametrize("host", [*OURS, *sorted(SERVICE_NAMES)])
@pytest.mark.parametrize("port", ["", ":1", ":65535"])
def test_our_own_names_are_answered(host: str, port: str) -> None:
    """Names of the loopback address and of the stack's services pass, in any case and port."""
    assert refusal([("Host", host + port)]) is None
    assert refusal([("hOST", f" {host}{port} ")]) is None


@pytest.mark.parametrize("host", FOREIGN)
def test_any_other_name_is_refused(host: str) -> None:
    """A name that anybody may lead to this address is refused, and no spelling helps it."""
    assert refusal([("Host", host)])


@pytest.mark.parametrize("hosts", [[], ["127.0.0.1", "evil.example"], ["localhost", "localhost"]])
def test_one_host_is_wanted(hosts: list[str]) -> None:
    """No Host header is as suspicious as two of them."""
    assert refusal([("Host", host) for host in hosts])


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("127.0.0.1:4200", "http://127.0.0.1:4200"),
        ("127.0.0.1:4200", "http://localhost:4200"),
        ("localhost:4200", "http://[::1]:4200"),
        ("localhost", "http://localhost:80"),
        ("annals.example.com", "https://annals.example.com"),
    ],
)
def test_a_page_of_the_service_itself_may_ask(host: str, origin: str) -> None:
    """The same host and port, by whichever of its loopback names, is the service's own page."""
    fields = [("Host", host), ("Origin", origin), ("Sec-Fetch-Site", "cross-site")]
    hosts = {"annals.example.com"}
    if "example" in host:  # the proxy speaks TLS and leaves the port out, as browsers do
        fields[0] = ("Host", f"{host}:443")
    assert refusal(fields, method="POST", hosts=hosts) is None


@pytest.mark.parametrize(
    "origin",
    [
        "null",
        "",
        "https://evil.example",
        "http://evil.example:4200",
        "http://127.0.0.1",
        "http://127.0.0.1:3000",
        "http://localhost:9090",
        "http://127.0.0.1.evil.example:4200",
        "http://user@127.0.0.1:4200",
        "file://",
        "file://127.0.0.1:4200",
        "chrome-extension://127.0.0.1:4200",
        "http://prefect-server:4200",
        "http://127.0.0.1:4200/path",
        "127.0.0.1:4200",
    ],
)
def test_any_other_page_is_refused(origin: str) -> None:
    """A page of another site, port or scheme is refused, even for reading."""
    fields = [("Host", "127.0.0.1:4200"), ("Origin", origin)]
    assert refusal(fields)
    assert refusal(fields, method="POST")


def test_two_origins_are_none() -> None:
    """A second Origin is not hidden behind a good first one."""
    good = ("Origin", "http://127.0.0.1:1")
    assert refusal([("Host", "127.0.0.1:1"), good, ("Origin", "https://evil.example")])


@pytest.mark.parametrize(
    ("site", "mode", "dest", "method", "passes"),
    [
        ("none", "navigate", "document", "GET", True),
        ("same-origin", "no-cors", "image", "GET", True),
        ("cross-site", "navigate", "document", "GET", True),
        ("cross-site", "navigate", "document", "POST", False),
        ("cross-site", "navigate", "iframe", "GET", False),
        ("cross-site", "navigate", "object", "GET", False),
        ("cross-site", "no-cors", "image", "GET", False),
        ("cross-site", "no-cors", "empty", "POST", False),
        ("same-site", "no-cors", "script", "GET", False),
    ],
)
def test_a_link_may_lead_here_and_nothing_may_embed_us(
    site: str,
    mode: str,
    dest: str,
    method: str,
    passes: bool,
) -> None:
    """A person may follow a link; images, scripts, frames and forms of other sites get nothing."""
    fields = [("Host", "localhost:1"), ("Sec-Fetch-Site", site)]
    fields += [("Sec-Fetch-Mode", mode), ("Sec-Fetch-Dest", dest)]
    assert (refusal(fields, method=method) is None) is passes


labels = st.text("abcdefghijklmnopqrstuvwxyz0123456789-", min_size=1, max_size=8)


@given(
    st.sampled_from(["localhost", "127.0.0.1", "[::1]", "sync-agent"]),
    st.text(min_size=0, max_size=8),
    st.text(min_size=0, max_size=8),
)
def test_nothing_around_a_good_name_makes_another_one_good(
    name: str, left: str, right: str
) -> None:
    """Only the name alone, a dot at its end, a port and blanks are the name."""
    passes = refusal([("Host", f"{left}{name}{right}")]) is None
    around = re.fullmatch(r"\s*", left), re.fullmatch(r"\.?(:[0-9]{1,5})?\s*", right)
    digits = left.strip() + right.strip()
    assert not passes or all(around) or re.fullmatch(r"[0-9:.]+", digits)


@given(st.lists(labels, min_size=2, max_size=5), st.integers(0, 99_999))
def test_no_public_name_is_ours(parts: list[str], port: int) -> None:
    """Whatever name with a dot in it somebody owns, a page under it gets no answer."""
    host = ".".join([*parts, "example"])
    assert refusal([("Host", f"{host}:{port}")])
    assert refusal([("Host", "127.0.0.1:80"), ("Origin", f"http://{host}:80")])


@given(st.lists(st.tuples(st.text(max_size=6), st.text(max_size=20)), max_size=6))
def test_no_headers_are_an_error(headers: list[tuple[str, str]]) -> None:
    """Whatever is sent, the answer is a reason or none, and never an exception."""
    assert refusal(headers) is None or refusal(headers)


def test_names_can_be_allowed_and_are_checked() -> None:
    """ALLOWED_HOSTS lets a proxy's name in, in any case; what is not a name is refused by name."""
    hosts = bound_names("::", "Annals.Example.com, 10.0.0.5")
    assert refusal([("Host", "annals.example.COM:80")], hosts=hosts) is None
    assert refusal([("Host", "10.0.0.5")], hosts=hosts) is None
    assert refusal([("Host", "example.com")], hosts=hosts)
    assert refusal([("Host", "10.1.1.1:9090")], hosts=bound_names("10.1.1.1", "")) is None
    assert parse_names("") == frozenset()
    for wrong in ("*", "a.b:80", "http://a.b", "a b"):
        with pytest.raises(ValueError, match="is not a host name"):
            parse_names(wrong)


def test_the_services_of_the_stack_are_those_of_compose() -> None:
    """A service that is added to docker-compose.yml is one of the names, or asked by nobody."""
    import yaml

    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    serving = {name for name, one in services.items() if "ports" in one or name in SERVICE_NAMES}
    assert serving <= SERVICE_NAMES


Message = MutableMapping[str, Any]


def _ask(scope: dict[str, Any]) -> list[Message]:
    """Return what a guarded application sends; the one inside says `inside`."""
    sent: list[Message] = []

    async def inside(scope: Message, _receive: Any, send: Any) -> None:
        await send({"type": f"inside.{scope['type']}"})

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    async def send(message: Message) -> None:
        sent.append(message)

    asyncio.run(GuardedApplication(inside)(scope, receive, send))
    return sent


def test_an_application_gets_only_what_passes() -> None:
    """HTTP and WebSocket requests of other sites end before the application; its life goes on."""
    ours, foreign = [(b"host", b"localhost:1")], [(b"host", b"evil.example")]
    for kind in ("http", "websocket"):
        assert _ask({"type": kind, "method": "GET", "headers": ours}) == [
            {"type": f"inside.{kind}"}
        ]
    assert _ask({"type": "lifespan"}) == [{"type": "inside.lifespan"}]
    begun, body = _ask({"type": "http", "method": "POST", "headers": foreign})
    assert begun["status"] == 403
    assert "evil.example" in json.loads(body["body"])["error"]
    crossed = [*ours, (b"origin", b"https://evil.example")]
    (closed,) = _ask({"type": "websocket", "headers": crossed})
    assert closed["type"] == "websocket.close"
