"""Five relatives of one conversation, arriving in random orders: the same gold as one full build.

``make sweep`` sets SWEEP_POINTS (200 or more); the suite tries a single order.
"""

from __future__ import annotations

import os
import random
from itertools import permutations
from pathlib import Path

import pytest

from loaders.transform import transform
from tests.accuracy import family
from tests.accuracy.arrivals import Lake, arrive, hashes, lake_of, put_back
from tests.accuracy.conftest import settings_in

ORDERS = max(1, int(os.environ.get("SWEEP_POINTS", "8")) // 25)


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """Return a lake that grew in five steps."""
    steps = (family.head, family.tail, family.agents, family.fork, family.moved)
    return lake_of(settings_in(tmp_path_factory.mktemp("family")), [step() for step in steps])


def test_random_orders_lead_to_the_same_gold(lake: Lake, tmp_path: Path) -> None:
    """Of the 120 orders some, built step by step, each equal one full build."""
    every = sorted(permutations(range(len(lake.steps))))
    for order in random.Random(str(tmp_path)).sample(every, ORDERS):  # noqa: S311 - no secret
        put_back(lake.settings, None)
        for number in order:
            arrive(lake.settings, lake, lake.steps[number])
            transform(lake.settings, run_tests=False)
        assert hashes(lake.settings) == lake.gold, order
