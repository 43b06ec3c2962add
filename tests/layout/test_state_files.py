"""Files are opened and clocks are read in known places, each with its reason."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from tests.conftest import PACKAGES, ROOT

WRITES = {"write_text", "write_bytes", "touch", "mkstemp", "mkdtemp", "NamedTemporaryFile"}
WRITING_MODES = set("wax+")
OPENERS = {
    "annals/files.py": "the module that opens state files",
    "annals/lake/store.py": "an address, and no file",
    "annals/limits.py": "reads what a user or another program names, without blocking",
    "annals/access.py": "opens what it closes to others, without following links",
    "annals/telemetry/log_file.py": "LOG_FILE is a path of the user's, and may be a link of his",
    "analytics/cli/__main__.py": "the null device",
    "annals/statusline.py": "reads one file in 60 ms, without following links or blocking",
    "annals/process/streams.py": "the null device",
    "annals/prefect_api.py": "the login, made with O_EXCL in a folder of ours",
    "annals/settings/allowed.py": "O_EXCL and no links, below what annals.files needs",
    "annals/settings/files.py": "reads the settings file, without blocking",
    "analytics/cli/app.py": "the null device",
    "analytics/cli/reference.py": "writes the project's own docs",
    "annals/records/opening.py": "opens transcripts without following links",
    "extractors/lake/durable.py": "reads, to make durable",
    "operations/backup/restoring.py": "unpacks with O_EXCL",
    "operations/backup/members.py": "unpacks with O_EXCL below a real folder",
    "operations/backup/taking.py": "writes into a folder with a random name, and opens a folder",
    "operations/dbt_docs.py": "writes into a folder with a random name",
    "operations/repair.py": "unpacks into a folder with a random name, under names of ours",
    "operations/stack/passwords.py": "O_EXCL beside the checkout",
    "loaders/builds.py": "looks for a lock, without following links",
    "loaders/file_probes.py": "reads, to ask for the holder of a lock",
    "loaders/publish.py": "reads, to make durable",
    "sync_agent/agent/installing.py": "O_EXCL in the folder of a service manager",
    "sync_agent/buffer/salvage.py": "opens a folder, to make it durable",
}
MAKERS = {
    "annals/files.py": "make_folder itself",
    "analytics/cli/reference.py": "writes the project's own docs",
    "operations/backup/members.py": "by a descriptor of the folder above, without following links",
    "loaders/publish.py": "a new folder of a build, in one that make_folder made",
}
"""Modules that make folders themselves."""

CLOCKS = {"time", "time_ns", "now"}
COMPARED = {
    "operations/doctor/agent.py": "ages in findings: a wrong clock makes a wrong warning",
    "operations/doctor/machine.py": "the check of the clock itself",
    "flows/prefect/awakening.py": "how long the machine slept, against a steady clock",
    "flows/prefect/freshness.py": "whether to notify: a wrong clock costs a message",
    "flows/prefect/worker.py": "asks the server for runs since then, by the server's events",
    "loaders/build_checks.py": "the order of the sweep: a time of the future counts as due",
    "loaders/data_files.py": "the order of the sweep: a time of the future counts as due",
    "sync_agent/reading/expiry.py": "ages of files, for people",
    "sync_agent/reading/verification.py": "the order of verifying: what is due gets its turn",
    "sync_agent/buffer/pruning.py": "retention, which passes records of the future",
}
WRITTEN = {
    "annals/statusline.py": "which day is today, and what is left of a block",
    "analytics/cli/days.py": "which day is today, in a window that somebody asks for",
    "annals/settings/allowed.py": "when a place was allowed, for people",
    "annals/lake/store.py": "signs a request, which the store compares with its own clock",
    "annals/locks.py": "since when a lock is held, for people",
    "annals/buffer/connection.py": "when a consumer acknowledged, for people",
    "extractors/refused.py": "stands for an instant that is none",
    "sync_agent/reading/rereads.py": "when a file was queued, for people",
    "operations/backup/taking.py": "names a backup and says when it was made",
    "flows/history.py": "when a run began, for people; how long it took is monotonic",
    "annals/files.py": "names what was set aside",
    "loaders/builds.py": "the part of a build's name that is for people",
    "loaders/publish.py": "when a build was made, for people",
    "sync_agent/reading/activity.py": "when an event was, for people",
    "sync_agent/buffer/tables.py": "when the buffer was made, for people",
    "sync_agent/reading/intake.py": "when records were read; order is that of their numbers",
    "sync_agent/buffer/transaction_log.py": "when a transaction was; order is that of its rows",
    "sync_agent/shipping/mongo.py": "heartbeats for people",
    "sync_agent/shipping/outbox.py": "when the server refused or took records, for people",
    "sync_agent/upkeep/quarantine.py": "when a range was judged again, for people",
    "sync_agent/reading/record_rows.py": "when records were read",
    "sync_agent/agent/requests.py": "when a request was made; order is that of its rows",
    "sync_agent/buffer/salvage.py": "names what was set aside",
    "sync_agent/shipping/shipper.py": "when it shipped last, for people",
}


def _calls() -> Iterator[tuple[str, str, ast.Call]]:
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            name = path.relative_to(ROOT).as_posix()
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call):
                    yield name, ast.unparse(node.func), node


def _opens_for_writing(called: str, node: ast.Call) -> bool:
    last = called.rpartition(".")[2]
    if called == "os.open" or last in WRITES:
        return True
    if last != "open" or called.startswith(("tarfile", "os.")):
        return False
    words = [arg.value for arg in node.args if isinstance(arg, ast.Constant)]
    words += [word.value.value for word in node.keywords if isinstance(word.value, ast.Constant)]
    modes = [word for word in words if isinstance(word, str) and len(word) <= 3]
    return any(WRITING_MODES & set(mode) for mode in modes)


def test_state_files_are_opened_in_one_module() -> None:
    """Whatever else makes or opens a file for writing is listed with its reason."""
    found = {name for name, called, node in _calls() if _opens_for_writing(called, node)}
    assert found - set(OPENERS) == set()
    assert {name for name in OPENERS if not (ROOT / name).is_file()} == set()


def test_folders_are_made_in_one_module() -> None:
    """``mkdir`` and ``makedirs`` follow links: whatever calls them is listed with its reason."""
    found = {
        name for name, called, _ in _calls() if called.rpartition(".")[2] in {"mkdir", "makedirs"}
    }
    assert found == MAKERS.keys()


def test_each_reading_of_the_clock_has_a_reason() -> None:
    """A clock is compared with in a few places, and elsewhere only written down."""
    readings = set()
    for name, called, _ in _calls():
        head, _, last = called.rpartition(".")
        if last in CLOCKS and head in {"time", "datetime"}:
            readings.add(name)
        if last in {"utcnow", "today"} and head in {"datetime", "date"}:
            readings.add(name)
    known = set(COMPARED) | set(WRITTEN)
    assert readings - known == set()


def test_nothing_is_sorted_by_time_of_change() -> None:
    """Folders are not put into order by the times that their file system notes."""
    offenders = []
    for path in sorted(Path(ROOT / "loaders").rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        if re.search(r"sort[^\n]*st_mtime", text):
            offenders.append(path.name)
    assert offenders == []
