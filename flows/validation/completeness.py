"""The check that gold accounts for every entry of bronze (docs/specs/completeness.md)."""

from __future__ import annotations

from annals.settings import Settings
from flows.validation.checks import FAULTS_SHOWN, Check

COMPLETE = "each entry of bronze is accounted for in silver and gold"
_REMEDY = "run `annals transform --full-refresh`, then `annals publish`"


def check_completeness(settings: Settings) -> Check:
    """Compare every table of silver and gold with bronze, and bronze with the loaded data files."""
    from loaders import audit, completeness, warehouse

    name = "complete"
    if not settings.warehouse_file.exists():
        return Check(name, COMPLETE, skipped="there is no warehouse")
    with warehouse.connect(settings, read_only=True) as connection:
        if audit.revision(connection) is None:
            return Check(name, COMPLETE, skipped="nothing is transformed yet")
        if audit.sessions_pending(connection):
            return Check(name, COMPLETE, skipped="a batch is not transformed yet: run `pipeline`")
        proof = completeness.check(connection, is_full=True)
    faults = [str(gap) for gap in proof.gaps[:FAULTS_SHOWN]]
    if faults:
        faults[0] += f"; {_REMEDY}"
    figures = {"entries": proof.rows_scanned, "tables": proof.tables, "gaps": len(proof.gaps)}
    return Check(name, COMPLETE, figures, tuple(faults))
