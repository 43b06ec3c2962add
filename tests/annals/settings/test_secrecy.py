"""What is never shown: secrets, and everything secret in an address."""

from __future__ import annotations

import json
import logging
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from annals import secrecy
from annals.errors import SettingsError
from annals.secrecy import hide, register, register_address, shown_address
from annals.settings import Settings, load_settings
from annals.settings.harmless import ADDRESSES, HARMLESS, shown_setting
from annals.text import one_line

CANARY = "Zx9Canary77"
SECRET = "pa55word-Of-Mine"  # noqa: S105 -- a made-up one


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("mongodb://h1,h2:27017/db?authSource=x", "mongodb://h1,h2:27017/***?***"),
        ("mongodb://me:pw@h1", "mongodb://***@h1"),
        ("mongodb://me:se/cr@et@h1,h2/db?authSource=x", "mongodb://***"),
        ("https://hooks.slack.com/services/T0/B0/Zx9", "https://hooks.slack.com/***"),
        ("http://u:p@127.0.0.1:4200/api", "http://***@127.0.0.1:4200/api"),
        ("http://[::1]:4200/api", "http://[::1]:4200/api"),
        ("http://host?token=x", "http://host?***"),
        ("s3://user:key@bucket/path", "s3://***@bucket/***"),
        ("sqlite:////data/catalog.db", "sqlite:////data/catalog.db"),
        ("just-a-token", "***"),
        ("", ""),
    ],
)
def test_an_address_is_shown_as_scheme_and_host(address: str, shown: str) -> None:
    """Whatever else is in an address is left out, and marked."""
    assert shown_address(address) == shown


NOISE = st.text(alphabet="ab1/?#@:&=;,%[]. \\\n", max_size=12)


@given(before=NOISE, after=NOISE, host=st.sampled_from(["host", "h1,h2:1", "[::1]:80"]))
def test_no_shape_of_an_address_shows_what_is_not_its_host(
    before: str, after: str, host: str
) -> None:
    """A canary in user, password, path or query is never shown, however odd the rest is."""
    for place in (f"{before}{CANARY}{after}@{host}", f"{host}/{before}{CANARY}{after}"):
        assert CANARY not in shown_address(f"http://{place}")
        assert CANARY not in shown_address(f"mongodb+srv://{place}")
    assert CANARY not in shown_address(f"http://{host}?{before}{CANARY}{after}")


def test_a_setting_is_a_secret_until_it_is_marked() -> None:
    """A field that nobody marked is hidden, and no field of type SecretStr can be marked."""
    assert shown_setting("a_new_setting", "value") == "***"
    for name, field in Settings.model_fields.items():
        if "SecretStr" in str(field.annotation):
            assert name not in HARMLESS
            assert CANARY not in shown_setting(name, SecretStr(f"https://h/{CANARY}"))


def test_every_marked_setting_exists() -> None:
    """A mark on a setting that is gone would wait for the next one of that name."""
    assert {*HARMLESS, *ADDRESSES} <= set(Settings.model_fields)


@pytest.mark.parametrize("text", ["%s", "at %s!", "<%s>", "a=%s&b", "'%s'"])
def test_a_registered_secret_is_in_no_text(text: str) -> None:
    """Errors quote secrets as they are, percent-encoded and decoded: each form is hidden."""
    register(["p@ss/word 1"])
    for form in ("p@ss/word 1", "p%40ss%2Fword%201"):
        assert form not in hide(text % form)


@given(secret=st.text(alphabet="ab1 %+/\\\"'@:&\n\tü", min_size=8, max_size=12))
def test_no_form_in_which_a_library_quotes_a_secret_is_shown(secret: str) -> None:
    """Percent-encoded, escaped as in JSON or Python, or with its lines joined: hidden."""
    known = set(secrecy._secrets)
    register([secret])
    said = json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]
    encoded = quote(secret), quote_plus(secret), quote(secret, safe="")
    try:
        for form in (secret, repr(secret)[1:-1], one_line(secret), *said, *encoded):
            assert form not in hide(f"POST {form} failed")
    finally:  # made-up secrets are words that other tests need
        secrecy._secrets.intersection_update(known)


def test_variables_of_the_catalog_s_library_are_secrets_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What Iceberg's library takes from the environment by itself is in no text either."""
    names = ("TOKEN", "CREDENTIAL", "OAUTH2_SERVER_URI", "WAREHOUSE")
    values = ("t0ken-AA1", "id:s3cret-BB2", "http://u:pw-CC3x@h/tenant-DD4/token?k=EE5-key", "wh")
    for name, value in zip(names, values, strict=True):
        monkeypatch.setenv(f"PYICEBERG_CATALOG__DEFAULT__{name}", value)
    load_settings()
    said = hide("t0ken-AA1 s3cret-BB2 pw-CC3x url: /tenant-DD4/token?k=EE5-key wh")
    assert said.split() == ["***", "***", "***", "url:", "/***?k=***", "wh"]


def test_errors_and_log_records_are_cleaned(caplog: pytest.LogCaptureFixture) -> None:
    """What a library says is cleaned wherever it ends: message, hint, context, logging."""
    load_settings(
        notify_url=f"https://hooks.example/services/T000/{CANARY}", aws_session_token=SECRET
    )
    said = f"POST https://hooks.example/services/T000/{CANARY} failed: {SECRET}"
    error = SettingsError(said, hint=said, why=ValueError(said))
    shown = f"{error} {error.as_dict()}"
    with caplog.at_level(logging.WARNING):
        try:
            raise ValueError(said)  # noqa: TRY301 -- what a library does
        except ValueError:
            logging.getLogger("a.library").exception("%s", said)
    for text in (shown, caplog.text):
        assert CANARY not in text
        assert SECRET not in text
        assert "hooks.example" in text


@given(text=st.text(alphabet="abc:/?@ #&=.\n'", max_size=60))
def test_a_text_without_addresses_stays(text: str) -> None:
    """Only addresses change; cleaning twice changes nothing more."""
    cleaned = hide(text)
    assert hide(cleaned) == cleaned
    if "://" not in text:
        assert cleaned == text


def test_plain_words_of_an_address_stay_readable() -> None:
    """Names of databases and options are words that other texts need."""
    register_address("mongodb://annals:T1de-Table-9@host/claude_logs?authSource=admin&w=majority")
    assert hide("annals may not write claude_logs of admin") == (
        "annals may not write claude_logs of admin"
    )
    assert hide("T1de-Table-9") == "***"
