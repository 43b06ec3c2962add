"""Gold does not depend on what arrived first, nor on how often a run died on the way."""

from __future__ import annotations

import contextlib
import shutil
import warnings
from pathlib import Path

import pytest

from annals.settings import Settings
from loaders import warehouse
from loaders.dbt_project import _arguments, _environment, _release
from loaders.transform import transform
from tests.accuracy import family
from tests.accuracy.arrivals import Lake, arrive, every_order, hashes, lake_of, put_back
from tests.accuracy.conftest import settings_in


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """Return a lake that grew in three steps."""
    settings = settings_in(tmp_path_factory.mktemp("family"), timezone="America/New_York")
    relatives = [*family.fork(), *family.moved()]
    return lake_of(settings, [family.head(), [*family.tail(), *family.agents()], relatives])


def test_the_family_is_counted_once(lake: Lake) -> None:
    """Six responses, four calls and one moved copy, no matter who reports them."""
    with warehouse.connect(lake.settings, read_only=True) as connection:
        responses = connection.execute(
            "select message_id, session_id, output_tokens, is_subagent, row_count"
            " from gold.fct_api_responses order by 1"
        ).fetchall()
        calls = connection.execute(
            "select tool_use_id, session_id, has_result from gold.fct_tool_calls order by 1"
        ).fetchall()
    assert responses == [
        ("gateway_1", "main", 22, False, 2),
        ("msg_1", "a-fork", 5, False, 3),
        ("msg_2", "a-fork", 70, False, 5),
        ("msg_3", "main", 5, False, 1),
        ("msg_agent", "main", 12, True, 2),
        ("msg_fork", "a-fork", 32, False, 1),
    ]
    assert calls == [
        ("toolu_1", "a-fork", True),
        ("toolu_2", "a-fork", True),
        ("toolu_3", "main", False),
    ]


def test_every_order_leads_to_the_same_gold(lake: Lake, tmp_path: Path) -> None:
    """A-16: Each of the six orders, built step by step, equals one full build."""
    orders = dict(every_order(lake, tmp_path))
    assert len(orders) == 6
    assert [order for order, gold in orders.items() if gold != lake.gold] == []


@pytest.fixture(scope="module")
def waiting(lake: Lake, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a warehouse in which two steps are built and the third one waits."""
    put_back(lake.settings, None)
    for step in lake.steps[:2]:
        arrive(lake.settings, lake, step)
    transform(lake.settings, run_tests=False)
    arrive(lake.settings, lake, lake.steps[2])
    return Path(shutil.copy(lake.settings.warehouse_file, tmp_path_factory.mktemp("waiting")))


@pytest.mark.parametrize("last", ["int_response_rows", "int_tool_calls", "fct_api_responses"])
def test_a_run_that_died_between_models_is_repaired(lake: Lake, waiting: Path, last: str) -> None:
    """A-16: Whatever the last model that was built, the next run leads to the same gold."""
    put_back(lake.settings, waiting)
    run_until(lake.settings, last)
    assert hashes(lake.settings) != lake.gold
    transform(lake.settings, run_tests=False)
    assert hashes(lake.settings) == lake.gold


def run_until(settings: Settings, last: str) -> None:
    """Run dbt as the transform does, but only up to a model."""
    from dbt.cli.main import dbtRunner

    from loaders.dbt_project import PROJECT_FOLDER

    arguments = _arguments(settings, "run", PROJECT_FOLDER, full_refresh=False)
    with _environment(settings), warnings.catch_warnings(), contextlib.ExitStack() as stack:
        warnings.simplefilter("ignore")
        stack.callback(_release)
        assert dbtRunner().invoke([*arguments, "--select", f"+{last}"]).success
