"""What watches over the runs: failed ones, dead ones, and none that brings anything new."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import UUID

from prefect.automations import AutomationCore, EventTrigger, Posture
from prefect.blocks.notifications import CustomWebhookNotificationBlock
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.objects import StateType
from prefect.events.actions import ActionTypes, ChangeFlowRunState, DoNothing, SendNotification
from prefect.events.schemas.events import ResourceSpecification
from prefect.exceptions import ObjectNotFound

from annals.settings import Settings
from annals.settings.destinations import require_allowed
from flows.prefect.freshness import AGENT_ACTIVE, DATA_ARRIVED, RESOURCE
from flows.prefect.outcome import PARTIAL

BLOCK = "annals"
TAG = "annals"
FAILED = "annals: a run failed"
ZOMBIES = "annals: a run is dead"
OVERDUE = "annals: no new data"

_RUNS = {"prefect.resource.id": "prefect.flow-run.*"}
_ENDED = tuple(f"prefect.flow-run.{name}" for name in ("Completed", PARTIAL, "Failed", "Cancelled"))
HEARTBEAT = "prefect.flow-run.heartbeat"
SILENT = "The run gave no sign of life"
"""How the message of a run begins that crashed for its silence."""

_ALIVE = ("prefect.flow-run.Pending", "prefect.flow-run.Running", HEARTBEAT)
"""After each of these a run gives a sign of life: also one that a worker took and never began."""

_KIND = CustomWebhookNotificationBlock
_SUBJECT, _BODY = "{{subject}}", "{{body}}"
_MESSAGES: dict[str, dict[str, Any]] = {
    "webhook": {"text": f"{_SUBJECT}\n{_BODY}", "subject": _SUBJECT, "body": _BODY},
    "slack": {"text": f"*{_SUBJECT}*\n{_BODY}"},
    "teams": {
        "type": "message",
        "attachments": [
            {
                "contentType": "application/vnd.microsoft.card.adaptive",
                "content": {
                    "type": "AdaptiveCard",
                    "version": "1.4",
                    "body": [
                        {"type": "TextBlock", "text": _SUBJECT, "weight": "bolder", "wrap": True},
                        {"type": "TextBlock", "text": _BODY, "wrap": True},
                    ],
                },
            }
        ],
    },
}
"""What is posted, by NOTIFY_WITH. Prefect's own blocks for Slack and Teams accept an address that
they do not know without a word and then send nothing; these go to whatever speaks the same."""

_ESCAPES: dict[str, tuple[tuple[str, str], ...]] = {
    "slack": (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;")),  # <!channel>, <http://...|words>
    "teams": (("\\", "\\\\"), ("[", "\\[")),  # [words](http://...), ![](http://...)
}
"""What is replaced in the words of a run, which quote names of files, for who reads markup."""

_BROKEN = tuple(f"prefect.flow-run.{name}" for name in ("Failed", "Crashed", "TimedOut", PARTIAL))


def apply(client: SyncPrefectClient, settings: Settings) -> Iterator[str]:
    """Make the automations what the settings say, and yield a line about each."""
    block = _block(client, settings)
    kind = settings.notify_with
    for wanted in (_failed(block, kind), _zombies(settings), _overdue(settings, block)):
        found = client.read_automations_by_name(wanted.name)
        for doubled in found[1:]:
            client.delete_automation(doubled.id)
        done = "unchanged"
        if not found:
            client.create_automation(wanted)
            done = "created"
        elif _meaning(found[0]) != _meaning(wanted):
            client.update_automation(found[0].id, wanted)
            done = "updated"
        yield f"automation {done}: {wanted.name} ({'on' if wanted.enabled else 'off'})"


def _meaning(automation: AutomationCore) -> dict[str, Any]:
    """Return what an automation does, without ids and instants.

    One that is the same is left alone: an update makes a new trigger, which knows nothing of what
    the old one waits for, such as the next sign of life of a run.
    """
    kept = automation.model_dump(mode="json", include=set(AutomationCore.model_fields))
    kept["trigger"].pop("id", None)
    kept["tags"] = sorted(kept["tags"])
    for name in ("after", "expect", "for_each"):
        kept["trigger"][name] = sorted(kept["trigger"][name])
    return kept


def _of_ours() -> ResourceSpecification:
    labels = {"prefect.resource.role": "tag", "prefect.resource.id": f"prefect.tag.{TAG}"}
    return ResourceSpecification(labels)


def _failed(block: UUID | None, kind: str) -> AutomationCore:
    """Notify of every run that failed, crashed, took too long or left something undone."""
    return AutomationCore(
        name=FAILED,
        description="Notifies of a run of Annals that failed, crashed, took too long or left"
        " something undone.",
        tags=[TAG],
        trigger=EventTrigger(
            expect=set(_BROKEN),
            match=ResourceSpecification(_RUNS),
            match_related=_of_ours(),
            posture=Posture.Reactive,
            threshold=1,
        ),
        actions=_told(
            block,
            f"Annals: {{{{ flow_run.state.name }}}}: {_words('flow_run.name', kind)}",
            f"{_words('flow_run.state.message', kind)}\n\n{{{{ flow_run | ui_url }}}}",
        ),
    )


def _words(expression: str, kind: str) -> str:
    """Return the template of an expression whose markup means nothing to the reader."""
    replaced = "".join(f" | replace({old!r}, {new!r})" for old, new in _ESCAPES.get(kind, ()))
    return f"{{{{ {expression}{replaced} }}}}"


def _zombies(settings: Settings) -> AutomationCore:
    """Let a run crash that gave no sign of life for too long.

    Its process is gone, or it hangs: then the worker ends it, as it sees that the run is over.
    """
    seconds = settings.zombie_seconds
    return AutomationCore(
        name=ZOMBIES,
        description=f"Crashes a run of Annals that gave no sign of life for {seconds} seconds.",
        tags=[TAG],
        trigger=EventTrigger(
            after=set(_ALIVE),
            expect={HEARTBEAT, *_ENDED, *_BROKEN},
            match=ResourceSpecification(_RUNS),
            match_related=_of_ours(),
            for_each={"prefect.resource.id"},
            posture=Posture.Proactive,
            threshold=1,
            within=timedelta(seconds=seconds),
        ),
        actions=[
            ChangeFlowRunState(
                state=StateType.CRASHED,
                name="Crashed",
                message=f"{SILENT} for {seconds} seconds: its process is"
                " gone, or hangs and is ended by its worker. What its stages had committed is kept;"
                " the next run goes on from there.",
                force=False,
            )
        ],
    )


def _overdue(settings: Settings, block: UUID | None) -> AutomationCore:
    """Notify where an agent is active, and yet nothing new comes."""
    hours = settings.freshness_hours
    return AutomationCore(
        name=OVERDUE,
        description=f"Notifies where an agent was active and {hours:g} hours brought no new data.",
        tags=[TAG],
        enabled=bool(hours),
        trigger=EventTrigger(
            after={AGENT_ACTIVE},
            expect={DATA_ARRIVED},
            match=ResourceSpecification({"prefect.resource.id": RESOURCE["prefect.resource.id"]}),
            for_each={"prefect.resource.id"},
            posture=Posture.Proactive,
            threshold=1,
            within=timedelta(hours=hours or 24),
        ),
        actions=_told(
            block,
            "Annals: no new data",
            f"An agent is active, and for {hours:g} hours no run brought anything new. Look at"
            " `annals status` and `annals doctor`; FRESHNESS_HOURS sets the time.",
        ),
    )


def _told(block: UUID | None, subject: str, body: str) -> list[ActionTypes]:
    if block is None:
        return [DoNothing()]
    return [SendNotification(block_document_id=block, subject=subject, body=body)]


def _block(client: SyncPrefectClient, settings: Settings) -> UUID | None:
    """Save the notification block that the settings choose; None, and no block, for none."""
    if settings.notify_with == "none" or settings.notify_url is None:
        with contextlib.suppress(ObjectNotFound):
            old = client.read_block_document_by_name(BLOCK, _KIND.get_block_type_slug())
            client.delete_block_document(old.id)
        return None
    require_allowed(settings, "notify_url")
    block = _KIND(
        name=BLOCK,
        url="{{url}}",
        secrets={"url": settings.notify_url.get_secret_value()},
        json_data=_MESSAGES[settings.notify_with],
    )
    saved: Any = block.save(BLOCK, overwrite=True)
    return UUID(str(saved))
