"""Each run of dbt has a selection that the manifest knows."""

from __future__ import annotations

from typing import Any

import pytest

from loaders.dbt_outcome import selected_nodes


@pytest.mark.parametrize("command", ["run", "build", "test"])
def test_a_selection_is_never_empty(manifest: Any, command: Any) -> None:
    """Each command that the product runs selects nodes of the project, static ones on demand."""
    everything = selected_nodes(manifest, command, with_static=True)
    assert everything
    assert selected_nodes(manifest, command, with_static=False).items() <= everything.items()
