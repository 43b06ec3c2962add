"""``annals usage``: tokens and money by day, week, session, model and more."""

from __future__ import annotations

import contextlib

import typer

from analytics.cli.effective_settings import Uses, in_force
from analytics.cli.option_sets import command_with
from analytics.cli.options import command_group, example
from analytics.cli.usage_options import BlockOptions, UsageOptions

app = command_group(
    "Tokens and money by day, session, model and more.", sample="annals usage daily --json"
)


def _answer(context: typer.Context, report: str, options: UsageOptions) -> None:
    from analytics.cli.usage_request import answer_usage
    from loaders.warehouse import open_build

    found = in_force(context, uses=Uses.REPORTS)
    with contextlib.closing(open_build(found.settings)) as build:
        answer_usage(build, found, report, options)


def blocks(context: typer.Context, options: BlockOptions) -> None:
    """Print the five-hour blocks."""
    from analytics.cli.block_report import answer_blocks
    from loaders.warehouse import open_build

    found = in_force(context, uses=Uses.REPORTS)
    with contextlib.closing(open_build(found.settings)) as build:
        answer_blocks(build, found, options)


_REPORTS = (
    ("daily", "Show usage by day.", "annals usage daily --since 20260101 --json"),
    ("weekly", "Show usage by week.", "annals usage weekly --last 4 --start-of-week monday"),
    ("monthly", "Show usage by month.", "annals usage monthly --by project"),
    (
        "session",
        "Show usage by the session that is charged.",
        "annals usage session --project my-project --order asc",
    ),
    ("models", "Show usage by model.", "annals usage models --since 20260101"),
    ("projects", "Show usage by project.", "annals usage projects --last 30"),
    ("branches", "Show usage by Git branch.", "annals usage branches --project my-project"),
    ("hosts", "Show usage by machine.", "annals usage hosts --csv"),
    ("tools", "Show usage by tool.", "annals usage tools --sort tokens"),
)
_MORE = {
    "session": "Totals are of all sessions, also where only a page of them is shown.",
    "branches": "The branch is the last one that a session names.",
    "tools": "The tokens of a response are shared equally among its calls; `none` is what called"
    " no tool.",
}


def _register(name: str, summary: str, sample: str) -> None:
    def run(context: typer.Context, options: UsageOptions) -> None:
        _answer(context, name, options)

    keys = "The JSON has the keys of ccusage." if name not in ("branches", "hosts", "tools") else ""
    text = "\n\n".join(filter(None, (summary, " ".join(filter(None, (keys, _MORE.get(name)))))))
    app.command(name, help=text, **example(sample))(command_with(UsageOptions, run))


for _name, _summary, _sample in _REPORTS[:4]:
    _register(_name, _summary, _sample)
app.command(
    "blocks",
    help="Show usage by five-hour block.\n\nA block starts at its first response, floored to the"
    " hour (UTC). The JSON has the keys of ccusage.",
    **example("annals usage blocks --active --token-limit max"),
)(command_with(BlockOptions, blocks))
for _name, _summary, _sample in _REPORTS[4:]:
    _register(_name, _summary, _sample)
