"""The real stages, run in this process over a folder of transcripts."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from annals.settings import Settings, load_settings
from extractors.extract import extract
from loaders import completeness, warehouse
from loaders.load import load
from loaders.transform import transform
from sync_agent.agent.once import sync_once
from tests.accuracy.billing_cases import BILLING_CASES
from tests.accuracy.cases import CASES, PRICES
from tests.accuracy.records import Transcript
from tests.accuracy.work_cases import WORK_CASES


@dataclass(frozen=True, slots=True)
class Counted:
    """A warehouse that the stages have built, to be asked."""

    settings: Settings

    def take_in(self) -> None:
        """Read the transcripts and build what they touch."""
        for stage in (sync_once, extract, load):
            stage(self.settings)
        transform(self.settings, run_tests=False)
        self.require_complete()

    def require_complete(self) -> None:
        """Both forms of the proof of completeness hold for whatever was taken in."""
        with warehouse.connect(self.settings) as connection:
            proofs = [completeness.check(connection, is_full=full) for full in (False, True)]
            completeness.forget_unproven(connection)
        assert [str(gap) for proof in proofs for gap in proof.gaps] == []

    def rows(self, query: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """Return the rows of a query."""
        with warehouse.connect(self.settings, read_only=True) as connection:
            return connection.execute(query, parameters).fetchall()

    def row(self, query: str, *parameters: Any) -> tuple[Any, ...]:
        """Return the one row of a query."""
        (row,) = self.rows(query, *parameters)
        return row


Count = Callable[..., Counted]


@pytest.fixture(scope="session")
def count(tmp_path_factory: pytest.TempPathFactory) -> Count:
    """Return a function that writes transcripts and takes them in."""

    def counted(transcripts: Iterable[Transcript], **settings: Any) -> Counted:
        home = tmp_path_factory.mktemp("counted")
        for transcript in transcripts:
            transcript.write(home / "projects")
        built = Counted(settings_in(home, **settings))
        built.take_in()
        return built

    return counted


@pytest.fixture(scope="session")
def counted(count: Count, tmp_path_factory: pytest.TempPathFactory) -> Counted:
    """Take in the transcripts of all cases at once, days in Berlin, with prices of our own."""
    prices = Path(tmp_path_factory.mktemp("prices")) / "prices.csv"
    prices.write_text(PRICES)
    cases = (*CASES, *BILLING_CASES, *WORK_CASES)
    transcripts = [transcript for case in cases for transcript in case()]
    return count(transcripts, timezone="Europe/Berlin", prices_csv=prices)


def settings_in(home: Path, **changes: Any) -> Settings:
    """Return settings whose every path lies below ``home``; days are UTC unless told otherwise."""
    paths = {"claude_dir": home / "projects", "sqlite_path": home / "buffer.db"}
    return load_settings(
        **{**paths, "annals_home": home / "annals", "timezone": "UTC", "host_name": "h", **changes}
    )
