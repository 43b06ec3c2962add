"""What is outside custody, and whether there is anything to prove at all."""

from __future__ import annotations

from annals.errors import PartialError
from annals.settings import Settings
from flows.validation.checks import Check

PROMISE = "every place below the transcript folders is in custody"
NOTHING = "nothing to prove: no transcripts were ever read; run `annals pipeline`"
SHOWN = 20


def check_places(settings: Settings) -> Check:
    """Return how many places are not proven, and name them; raises as custody does."""
    from loaders.lake import read_head
    from sync_agent.buffer.buffer_reader import read_holdings
    from sync_agent.reading.ledger import custody

    kept = custody(settings)
    held = read_holdings(settings)
    faults = [f"not proven: {place.path}: {place.why}" for place in kept.outside[:SHOWN]]
    if len(kept.outside) > SHOWN:
        faults.append(f"not proven: {len(kept.outside) - SHOWN} more places; see `annals doctor`")
    if not (held and held.last_seq) and read_head(settings) is None:
        faults.append(NOTHING)
    figures = {
        "files_in_custody": kept.files,
        "places_not_proven": len(kept.outside),
        "foreign_files": len(kept.foreign),
    }
    return Check("places", PROMISE, figures, tuple(faults), exit_code=PartialError.exit_code)
