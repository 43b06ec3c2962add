"""Whole trees: the benchmark's, of any size, and the bundled sample."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

from examples.generator import lineage, turns
from examples.generator.chain import Project, Session, Thread, World
from examples.generator.dice import SEED, Dice, Quantiles
from examples.generator.eras import ERAS, GATEWAY_MODELS, UNPRICED_MODEL
from examples.generator.library import Library
from examples.generator.truth import Truth

_LINES_PER_FILE = 156
_FIRST_DAY = datetime(2025, 9, 1, 6, tzinfo=UTC)
_DAYS = 425
_WEIGHT: Quantiles = ((0.0, 5), (0.5, 55), (0.85, 160), (0.98, 420), (1.0, 900))
"""How much longer a session is than the mean one, in percent; the mean of these is 100."""
_POOL_CHARACTERS = 2_000_000


def write_bench(
    root: Path,
    *,
    lines: int = 100_000,
    files: int | None = None,
    seed: int = SEED,
    keep_spans: bool = False,
) -> Truth:
    """Write about ``lines`` lines in about ``files`` files below ``root``; return their truth.

    All eras, projects, gateways, forks and subagents are mixed as in real folders. ``files`` counts
    main files and defaults to the measured 156 lines a file; where it is given there are exactly so
    many, of about equal length, and at least one turn (4 to 12 lines) in each. The tree depends on
    the arguments and on nothing else.
    """
    dice = Dice(seed, "bench", lines, files)
    characters = min(_POOL_CHARACTERS, max(100_000, lines * 60))
    world = World(root, Library(dice.child("library"), characters), Truth(), keep_spans)
    sessions = files or max(1, lines // _LINES_PER_FILE)
    written = number = 0
    while number < files if files else written < lines:
        share = number / sessions
        left = max(1, lines - written)
        mean = max(1, left // max(1, sessions - number))
        budget = mean if files else 1 + mean * dice.quantile(_WEIGHT) // 100
        session = _drawn_session(world, dice.child(number), min(share, 0.999))
        written += _write_session(session, min(budget, left))
        number += 1
    return world.truth


def _drawn_session(world: World, dice: Dice, share: float) -> Session:
    era = ERAS[int(share * len(ERAS))]
    minutes = int(share * _DAYS) * 24 * 60 + dice.below(16 * 60)
    project = PROJECTS[dice.below(len(PROJECTS))]
    session = Session(world, dice, era, project, _FIRST_DAY + timedelta(minutes=minutes))
    if dice.chance(0.05):
        session.is_gateway, session.model = True, dice.weighted(GATEWAY_MODELS)
    elif dice.chance(0.02):
        session.model = UNPRICED_MODEL
    return session


def _write_session(session: Session, budget: int) -> int:
    thread = turns.main_thread(session)
    others = 0
    while thread.file.entries + others < budget:
        if budget - thread.file.entries - others < 2 * _SHORT_TURN:
            turns.turn(thread, steps=0)
        else:
            turns.turn(thread)
        if thread.file.entries + others < budget - 2 * _SHORT_TURN:
            others += _branch_off(thread)
    session.world.close(thread.file)
    return thread.file.entries + others


_SHORT_TURN = 8


def _branch_off(thread: Thread) -> int:
    """Write a subagent or, seldom, a copy of the conversation; return the lines of other files."""
    dice = thread.session.dice
    if dice.chance(0.25):
        agent = turns.subagent(thread, steps=dice.between(1, 9), copies=dice.chance(0.6))
        return agent.file.entries if agent.file is not thread.file else 0
    if dice.chance(0.01) and thread.session.era.has("attachments"):
        return lineage.compaction_agent(thread).file.entries
    if dice.chance(0.02):
        copy = lineage.fork(thread, keep=len(thread.kept), remint=dice.chance(0.3))
        turns.turn(copy, steps=1)
        thread.session.world.close(copy.file)
        return copy.file.entries
    return 0


PROJECTS = (
    Project("/home/ada/src/tide-tables", "main"),
    Project("/home/ada/src/harbor.api", "feature/berths"),
    Project("/home/ada/src/orchard", "main"),
    Project("/home/ada/work/observatory", "HEAD"),
    Project("/Users/river/code/bakery-site", "main"),
    Project("/Users/river/code/bakery-site/.worktrees/summer", "summer"),
    Project("D:\\code\\museum-guide", "main"),
    Project("d:\\code\\museum-guide", "main"),
    Project("/srv/läden/käse", ""),
)
"""Neutral working folders, among them a worktree, both spellings of a drive, and letters like ä."""


def write_expected(path: Path, truth: Truth) -> None:
    """Write ``truth`` as indented JSON, ending in a newline."""
    text = json.dumps(truth.as_dict(), indent=1)
    path.write_text(text + "\n", encoding="utf-8")
