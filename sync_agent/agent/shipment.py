"""``ship once``: everything that the buffer has to MongoDB, and done."""

from __future__ import annotations

from dataclasses import dataclass

import stamina

from annals.errors import ConflictError, DependencyError, LockedError
from annals.locks import Holder, exclusive
from annals.settings import Settings
from annals.telemetry import NO_PROGRESS, Progress
from sync_agent.agent.once import LIVE_ROLE
from sync_agent.shipping.delivery import Delivered
from sync_agent.shipping.shipper import Shipper

ATTEMPTS = 3


@dataclass(frozen=True, slots=True)
class ShipReport:
    """What one shipping did: records that the server has now, in how many batches.

    ``records_claimed`` of them were there before, under another position. What the server refused
    is in the dead letters; what did not match its id was shipped as quarantined bytes. ``left_to``
    names the live agent that the shipping was left to.
    """

    records_shipped: int = 0
    records_claimed: int = 0
    dead_letters_new: int = 0
    batches: int = 0
    bytes_shipped: int = 0
    records_quarantined: int = 0
    warnings: tuple[str, ...] = ()
    left_to: str | None = None


def ship_once(
    settings: Settings, *, role: str = "ship once", progress: Progress = NO_PROGRESS
) -> ShipReport:
    """Ship what the buffer has, and report it.

    Raises SettingsError (exit 3) where MONGO_URI is wrong or the user may not, DependencyError
    (exit 4) where the server does not answer after several attempts, LockedError (exit 7) where
    another command holds the buffer. Whatever was shipped before that stays so.
    """
    path = settings.sqlite_path
    try:
        with exclusive(settings.buffer_lock, role=role, what=f"the buffer {path}"):
            return _ship(Shipper(settings), progress)
    except LockedError as error:
        holder = error.context.get("holder")
        if isinstance(holder, Holder) and holder.role == LIVE_ROLE:
            return ShipReport(left_to=str(holder))
        raise


def _ship(shipper: Shipper, progress: Progress) -> ShipReport:
    total = shipper.status().pending
    records = claimed = refused = batches = raw_bytes = 0
    try:
        while (delivered := _step(shipper)).records:
            records += delivered.records
            claimed += delivered.claimed
            refused += delivered.refused
            raw_bytes += delivered.raw_bytes
            batches += 1
            progress.report("ship", records, max(total, records), unit="records")
        note = shipper.status().note
    finally:
        shipper.close()
    return ShipReport(
        records_shipped=records - refused,
        records_claimed=claimed,
        dead_letters_new=refused,
        batches=batches,
        bytes_shipped=raw_bytes,
        records_quarantined=shipper.verification.records_quarantined,
        warnings=(*shipper.verification.warnings("the buffer"), *_warnings(refused, note)),
    )


def _step(shipper: Shipper) -> Delivered:
    retries = stamina.retry_context(
        on=(DependencyError, ConflictError), attempts=ATTEMPTS, wait_initial=0.2, wait_max=2.0
    )
    for attempt in retries:
        with attempt:
            return shipper.step()
    raise AssertionError("the last attempt returns or raises")


def _warnings(refused: int, note: str | None) -> tuple[str, ...]:
    found = [f"MongoDB refused {refused} records; they are kept as dead letters"] if refused else []
    return (*found, note) if note else tuple(found)
