"""Hazards of files and folders: moved, copied and half-removed transcripts, and what is none."""

from __future__ import annotations

import os
from pathlib import Path

from examples.generator import turns
from examples.generator.chain import Thread
from examples.generator.hazards.stage import Stage, write_prompt


def copied_file(stage: Stage) -> None:
    """H4: the same session, byte for byte, in two project folders: its entries count once."""
    thread = _written(stage)
    stage.close(thread)
    target = _in_other_folder(stage, thread)
    target.write_bytes((stage.world.root / thread.file.path).read_bytes())
    _note_copy(stage, thread)


def stub_left_behind(stage: Stage) -> None:
    """H4: the session went on in another folder; its first lines stayed where it was."""
    thread = _written(stage)
    stub = stage.thread(thread.session)
    for kept in thread.kept[:2]:
        stub.file.record(kept.record)
    stage.close(thread)
    (stage.world.root / thread.file.path).rename(_in_other_folder(stage, thread))
    other = _other_folder(stage, thread)
    stage.truth.files[other] = stage.truth.files.pop(thread.file.path)
    stage.truth.projects.add(other.partition("/")[0])
    stage.close(stub)
    stage.truth.copied_entries += stub.file.entries


def same_key_other_bytes(stage: Stage) -> None:
    """H4: files of the same name in two folders that hold different records: all of them count."""
    thread = _written(stage)
    stage.close(thread)
    session = stage.session()
    session.session_id = thread.session.session_id
    _in_other_folder(stage, thread)
    other = stage.thread(session)
    other.file.path = _other_folder(stage, thread)
    write_prompt(other)
    stage.close(other)


def no_transcripts(stage: Stage) -> None:
    """Things between transcripts that are none: indexes, journals, folders, links, pipes."""
    thread = _written(stage)
    stage.close(thread)
    folder = stage.world.root / stage.project.folder
    (folder / "sessions-index.json").write_text('{"version":1,"entries":[]}', encoding="utf-8")
    (folder / "agent-a0c0ffee.meta.json").write_text("{}", encoding="utf-8")
    (folder / "notes.jsonl.tmp").write_text("{}\n", encoding="utf-8")
    journal = folder / thread.session.session_id / "subagents/workflows/wf_0/journal.jsonl"
    journal.parent.mkdir(parents=True)
    journal.write_text('{"type":"started","key":"a"}\n', encoding="utf-8")
    (folder / "folder.jsonl").mkdir()
    (folder / "dangling.jsonl").symlink_to("gone.jsonl")
    (folder / "loop.jsonl").symlink_to("loop.jsonl")
    (folder / "above").symlink_to("..")
    os.mkfifo(folder / "pipe.jsonl")


def odd_names(stage: Stage) -> None:
    """Files whose names are not UUIDs: spaces, a quote, other letters, one that is not UTF-8."""
    for name in ("my session", "it's", "läden-潮", "-dash", "a.b"):
        thread = stage.thread(name=name)
        write_prompt(thread)
        stage.close(thread)
    thread = stage.thread(name=os.fsdecode(b"latin-\xe4"))
    write_prompt(thread)
    stage.close(thread)


def _written(stage: Stage) -> Thread:
    thread = stage.thread()
    write_prompt(thread)
    turns.step(thread)
    turns.answer(thread)
    return thread


def _other_folder(stage: Stage, thread: Thread) -> str:
    return f"{stage.project.folder}-worktree/{thread.file.key}"


def _in_other_folder(stage: Stage, thread: Thread) -> Path:
    target = stage.world.root / _other_folder(stage, thread)
    target.parent.mkdir(parents=True, exist_ok=True)
    return target


def _note_copy(stage: Stage, thread: Thread) -> None:
    """Enter a second file of the same key and bytes into the truth."""
    other = _other_folder(stage, thread)
    stage.truth.files[other] = stage.truth.files[thread.file.path]
    stage.truth.projects.add(other.partition("/")[0])
    stage.truth.copied_entries += thread.file.entries


PLACES = (copied_file, stub_left_behind, same_key_other_bytes, no_transcripts, odd_names)
