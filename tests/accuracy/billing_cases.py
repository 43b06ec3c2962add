"""Cases of what a response costs beside its own tokens: steps, modifiers, forks, dated prices."""

from __future__ import annotations

from typing import Any

from tests.accuracy.records import (
    Json,
    Transcript,
    agent_file,
    assistant,
    main_file,
    message,
    usage,
)

OPUS = "claude-opus-4-6"
BEDROCK = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"


def step(kind: str, input_tokens: int, output_tokens: int, **more: Any) -> Json:
    """Return one element of ``usage.iterations``."""
    return {"type": kind, **usage(input_tokens, output_tokens, **more)}


def _response(session: str, number: int, counted: Json, model: str, **more: Any) -> Json:
    said = message(f"{session}_{number}", counted, model=model, stop_reason="end_turn")
    at = f"2026-09-10T10:{number // 60:02}:{number % 60:02}"
    return assistant(session, at, said, f"req_{session}_{number}", **more)


def iterations() -> list[Transcript]:
    """Return an advisor, a compaction, an unknown step, and two declined attempts; with a copy."""
    advised = usage(
        2,
        491,
        iterations=[
            step("message", 1, 45),
            step("advisor_message", 159_419, 7_805, model="claude-opus-4-7"),
            step("message", 1, 446),
        ],
    )
    compacted = usage(
        23_000,
        1_000,
        iterations=[
            step("compaction", 180_000, 3_500),
            step("message", 23_000, 1_000),
            step("reflection", 10, 1, cache_creation_input_tokens=0),
        ],
    )
    served = step("fallback_message", 2, 136, model="claude-opus-4-8")

    def fallback(output_tokens: int) -> Json:
        cached = {"cache_creation_input_tokens": 40, "cache_read_input_tokens": 300}
        split = {"ephemeral_5m_input_tokens": 10, "ephemeral_1h_input_tokens": 30}
        attempt = step(
            "message", 2, output_tokens, model="claude-fable-5", **cached, cache_creation=split
        )
        return usage(2, 136, iterations=[attempt, served])

    lines = [
        _response("steps", 1, advised, "claude-sonnet-4-6"),
        _response("steps", 2, compacted, OPUS),
        _response("steps", 3, fallback(500), "claude-opus-4-8"),
        _response("steps", 4, fallback(0), "claude-opus-4-8"),
    ]
    return [
        main_file("steps", *lines),
        main_file("steps_fork", *({**line, "sessionId": "steps_fork"} for line in lines)),
    ]


def most_iterations() -> list[Transcript]:
    """Return a response whose row with most iterations has the smaller output."""
    rows = [
        usage(5, 90, iterations=[step("message", 5, 90)]),
        usage(5, 40, iterations=[step("message", 2, 10), step("message", 3, 30)]),
    ]
    said = [message("msg_most", row) for row in rows]
    return [
        main_file(
            "most",
            *(
                assistant("most", f"2026-01-06T12:00:0{number}", row, "req_most")
                for number, row in enumerate(said)
            ),
        )
    ]


def modifiers() -> list[Transcript]:
    """Return each modifier by model and date, the standard values, and some without a price."""
    thousand = usage(1_000, 100)
    rows: list[tuple[str, Json]] = [
        (OPUS, {"speed": "fast"}),
        ("claude-opus-4-7", {"speed": "fast"}),
        ("claude-opus-4-8", {"speed": "fast"}),
        ("claude-opus-5", {"inference_geo": "us"}),
        ("claude-opus-5", {"service_tier": "batch"}),
        (OPUS, {"speed": "fast", "inference_geo": "us"}),
        ("claude-opus-5[1m]", {}),
        ("claude-opus-4-6[1M]", {}),
        (OPUS, {"speed": "standard", "service_tier": "standard", "inference_geo": "not_available"}),
        (OPUS, {"speed": None, "service_tier": "default", "inference_geo": "global"}),
        (OPUS, {"speed": "turbo"}),
        (OPUS, {"service_tier": "priority"}),
        (OPUS, {"inference_geo": "eu"}),
        ("claude-sonnet-4-5", {"inference_geo": "us"}),
        ("claude-sonnet-5", {"speed": "fast"}),
        ("claude-haiku-4-5[1m]", {}),
        ("claude-opus-5[2m]", {}),
    ]
    lines = [
        _response("mods", number, {**thousand, **more}, model)
        for number, (model, more) in enumerate(rows, start=10)
    ]
    searched = usage(0, 0, speed="fast", server_tool_use={"web_search_requests": 1})
    lines.append(_response("mods", 50, searched, OPUS))
    # fast mode of Opus 4.7 was there until July
    said = message("mods_07", usage(1_000, 100, speed="fast"), model="claude-opus-4-7")
    lines.append(assistant("mods", "2026-05-02T10:00:00", said, "req_mods_07"))
    return [main_file("mods", *lines)]


def gateway_forks() -> list[Transcript]:
    """Return forks without request ids: of a vendor's id, of a gateway's id, of a fork, of none."""

    def row(session: str, at: str, name: str, *, uuid: str, of: str = "", **more: Any) -> Json:
        fork = {"forkedFrom": {"sessionId": "gate", "messageUuid": of}} if of else {}
        said = message(name, usage(0, 1_000), model=BEDROCK)
        return assistant(session, at, said, more.pop("request", None), uuid=uuid, **fork)

    early, late, later = "2026-09-10T10:00:00", "2026-09-12T08:00:00", "2026-09-13T08:00:00"
    origin = [
        row("gate", early, "msg_bdrk_01Aa1", uuid="g1"),
        row("gate", early, "gw_short", uuid="g2"),
        row("gate", early, "gw_named", uuid="g3", request="req_gw"),
        row("gate", early, "msg_01AaBbCcDdEeFfGgHhIi", uuid="g4"),
    ]
    fork = [
        row("gate_b", late, "msg_bdrk_01Aa1", uuid="h1", of="g1"),
        row("gate_b", late, "gw_short", uuid="h2", of="g2"),
        row("gate_b", late, "gw_named", uuid="h3", of="g3"),
        row("gate_b", late, "msg_01AaBbCcDdEeFfGgHhIi", uuid="h4"),
    ]
    again = [row("gate_c", later, "gw_short", uuid="i2", of="h2")]
    namesake = [row("gate_d", later, "gw_short", uuid="j2", of="nowhere")]
    return [
        main_file("gate", *origin),
        main_file("gate_b", *fork),
        main_file("gate_c", *again),
        main_file("gate_d", *namesake),
    ]


def dated_cache_reads() -> list[Transcript]:
    """Return cache reads on both sides of a cut of their price."""
    return [
        main_file(
            "cut",
            *(
                assistant(
                    "cut",
                    at,
                    message(
                        f"msg_cut_{number}",
                        usage(0, 0, cache_read_input_tokens=1_000_000),
                        model="claude-sonnet-5-5",
                    ),
                    f"req_cut_{number}",
                )
                for number, at in enumerate(("2026-10-06T23:59:59", "2026-10-07T00:00:00"))
            ),
        )
    ]


def endpoints() -> list[Transcript]:
    """Return a model that several providers sell."""
    return [main_file("glm", _response("glm", 1, usage(1_000, 100), "glm-4.6"))]


def recorded() -> list[Transcript]:
    """Return the cost that an older transcript records, on one of two rows."""
    first = _response("old", 1, usage(0, 1), OPUS, costUSD=0.5)
    return [main_file("old", first, {**first, "costUSD": None, "uuid": "again"})]


def unsure() -> list[Transcript]:
    """Return a response that is neither priced nor final."""
    said = message("msg_unsure", usage(10, 5), model="unlisted-2")
    return [main_file("unsure", assistant("unsure", "2026-09-01T10:00:00", said, "req_unsure"))]


def vendor_totals() -> list[Transcript]:
    """Return cost-state records, the last of which counts, and one of a subagent's file."""

    def total(dollars: float, **models: float) -> Json:
        usages = {
            name.replace("_", "-"): {"inputTokens": 1_360, "outputTokens": 136, "costUSD": cost}
            for name, cost in models.items()
        }
        usages |= {f"{name}[1m]": value for name, value in usages.items() if "opus" in name}
        usages.pop("claude-opus-5", None)
        return {
            "type": "cost-state",
            "sessionId": "vendor",
            "totalCostUSD": dollars,
            "modelUsage": usages,
        }

    own = _response("vendor", 1, usage(1_000, 100), "claude-opus-5")
    last = total(0.015, claude_opus_5=0.0102, claude_haiku_4_5=0.0048)
    return [
        main_file("vendor", own, total(0.0123, claude_opus_5=0.0075), last),
        agent_file("vendor", "9", [total(9.0, claude_opus_5=9.0)]),
    ]


BILLING_CASES = (
    iterations,
    most_iterations,
    modifiers,
    gateway_forks,
    dated_cache_reads,
    endpoints,
    recorded,
    unsure,
    vendor_totals,
)
