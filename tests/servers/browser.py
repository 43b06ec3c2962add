"""A real browser that receives what to do: one page of Chromium over its DevTools protocol."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from websockets.sync.client import ClientConnection, connect

PATIENCE_SECONDS = 120.0
_LOOK_SECONDS = 0.5
_OPTIONS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage")


class Page:
    """A page of the browser."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self._number = 0

    def call(self, method: str, **parameters: Any) -> Any:
        """Call a method of the protocol and return its result."""
        self._number += 1
        told = {"id": self._number, "method": method, "params": parameters}
        self._connection.send(json.dumps(told))
        while True:
            answer = json.loads(self._connection.recv(PATIENCE_SECONDS))
            if answer.get("id") == self._number:
                return answer.get("result")

    def open(self, url: str) -> None:
        """Go to an address."""
        self.call("Page.navigate", url=url)

    def value(self, expression: str) -> Any:
        """Return the value of an expression in the page."""
        return self.call("Runtime.evaluate", expression=expression, returnByValue=True)[
            "result"
        ].get("value")

    def until(self, expression: str) -> Any:
        """Wait until an expression is true, and return its value."""
        end = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < end:
            if found := self.value(expression):
                return found
            time.sleep(_LOOK_SECONDS)
        raise TimeoutError(f"{expression}: {self.text()[:2000]}")

    def type_into(self, selector: str, text: str) -> None:
        """Type a text into a field, in place of what is there."""
        self.until(f"!!document.querySelector({selector!r})")
        self.value(f"document.querySelector({selector!r}).focus()")
        self.value(f"document.querySelector({selector!r}).select()")
        self.call("Input.insertText", text=text)

    def text(self) -> str:
        """Return what people see of the page."""
        return str(self.value("document.body.innerText"))


@contextlib.contextmanager
def browsing(profile: Path) -> Iterator[Page]:
    """Start a browser with a profile of its own, and give the body its page."""
    browser = shutil.which("chromium")
    if browser is None:
        assert not os.environ.get("CI"), "CI must have a browser (.ci/run installs it)"
        pytest.skip("no chromium on this machine")
    command = [browser, *_OPTIONS, "--remote-debugging-port=0", f"--user-data-dir={profile}"]
    with subprocess.Popen([*command, "about:blank"], stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr
            lines = (re.search("listening on ws://([^/]+)/", line) for line in process.stderr)
            host = next(found[1] for found in lines if found)
            with urllib.request.urlopen(f"http://{host}/json", timeout=30) as answer:
                pages = [one for one in json.load(answer) if one["type"] == "page"]
            address = pages[0]["webSocketDebuggerUrl"]
            with connect(address, max_size=None, open_timeout=60) as connection:
                yield Page(connection)
        finally:
            process.kill()
