"""Hazards of bytes: spliced, torn, padded and otherwise damaged lines, and their ledgers."""

from __future__ import annotations

from examples.generator.hazards.stage import Stage, prompt, tail, torn, write_entry, write_prompt
from examples.generator.tree import encode

NULS = b"\0" * 700


def spliced_lines(stage: Stage) -> None:
    """H2: two complete records on one line, without the newline between them."""
    thread = stage.thread()
    write_prompt(thread)
    write_entry(thread, prompt(thread))
    write_prompt(thread)
    write_prompt(thread)
    stage.close(thread)


def spliced_three(stage: Stage) -> None:
    """H2: three complete records on the last line, which has no newline."""
    thread = stage.thread()
    for _ in range(3):
        write_entry(thread, prompt(thread))
    stage.close(thread)


def spliced_head(stage: Stage) -> None:
    """H2: a truncated head, and right behind it a complete record that ends the line."""
    thread = stage.thread()
    write_prompt(thread)
    thread.file.damaged(torn(thread), reason="not_json")
    write_prompt(thread)
    write_prompt(thread)
    stage.close(thread)


def spliced_middle(stage: Stage) -> None:
    """H2: complete record, truncated head, complete record, all on one line."""
    thread = stage.thread()
    write_entry(thread, prompt(thread))
    thread.file.damaged(torn(thread), reason="not_json")
    write_prompt(thread)
    stage.close(thread)


def spliced_torn_tail(stage: Stage) -> None:
    """H2, H3: the last line is a complete record and the beginning of another."""
    thread = stage.thread()
    write_prompt(thread)
    write_entry(thread, prompt(thread))
    thread.file.pending(torn(thread))
    stage.close(thread)


def torn_last_line(stage: Stage) -> None:
    """H3: the last line is the beginning of a record: pending until more of it comes."""
    thread = stage.thread()
    write_prompt(thread)
    write_prompt(thread)
    thread.file.pending(torn(thread))
    stage.close(thread)


def torn_inside_character(stage: Stage) -> None:
    """H3: the last line ends in the middle of a UTF-8 character."""
    thread = stage.thread()
    write_prompt(thread)
    data = encode(prompt(thread, "tides → tables").record)
    thread.file.pending(data[: data.index("→".encode()) + 1])
    stage.close(thread)


def torn_line(stage: Stage) -> None:
    """H3: an unfinished record that ends in a newline all the same."""
    thread = stage.thread()
    write_prompt(thread)
    thread.file.damaged(torn(thread), reason="not_json")
    thread.file.separator(b"\n")
    write_prompt(thread)
    stage.close(thread)


def no_final_newline(stage: Stage) -> None:
    """H6: the last line has no newline and is a complete record: an entry at once."""
    thread = stage.thread()
    write_prompt(thread)
    write_prompt(thread, end=b"")
    stage.close(thread)


def nul_padding_inside(stage: Stage) -> None:
    """H3: NUL bytes before a complete record, on its line."""
    thread = stage.thread()
    write_prompt(thread)
    thread.file.separator(NULS)
    write_prompt(thread)
    stage.close(thread)


def nul_padding_at_end(stage: Stage) -> None:
    """H3: NUL bytes after the last newline."""
    thread = stage.thread()
    write_prompt(thread)
    thread.file.separator(NULS)
    stage.close(thread)


def nul_padding_only(stage: Stage) -> None:
    """H3: a file of nothing but NUL bytes."""
    thread = stage.thread()
    thread.file.separator(NULS)
    stage.close(thread)


def nul_padding_in_record(stage: Stage) -> None:
    """H3: the head of a record, NUL bytes, and a complete record, all on one line."""
    thread = stage.thread()
    write_prompt(thread)
    thread.file.damaged(torn(thread), reason="not_json")
    thread.file.separator(NULS)
    write_prompt(thread)
    stage.close(thread)


def carriage_returns(stage: Stage) -> None:
    """H18: lines end in CR LF."""
    thread = stage.thread()
    for _ in range(3):
        write_prompt(thread, end=b"\r\n")
    stage.close(thread)


def byte_order_mark(stage: Stage) -> None:
    """H18: the file begins with a byte order mark."""
    thread = stage.thread()
    thread.file.separator(b"\xef\xbb\xbf")
    write_prompt(thread)
    write_prompt(thread)
    stage.close(thread)


def blank_lines(stage: Stage) -> None:
    """H18: empty lines, and lines and ends of lines of nothing but white space."""
    thread = stage.thread()
    thread.file.separator(b"\n\n")
    write_prompt(thread, end=b" \t\n")
    thread.file.separator(b" \r\n\n  ")
    write_prompt(thread, end=b"\n\n")
    stage.close(thread)


def invalid_utf8(stage: Stage) -> None:
    """H18: one line holds bytes that are not UTF-8."""
    thread = stage.thread()
    write_prompt(thread)
    data = encode(prompt(thread, "a lantern").record).replace(b"lantern", b"l\xe4nt\xffrn")
    thread.file.damaged(data, reason="invalid_utf8")
    thread.file.separator(b"\n")
    write_prompt(thread)
    stage.close(thread)


def garbage_line(stage: Stage) -> None:
    """H1: what a shorter record, written over a longer one, leaves of it, as a line of its own."""
    thread = stage.thread()
    write_prompt(thread)
    thread.file.damaged(tail(thread), reason="not_json")
    thread.file.separator(b"\n")
    write_prompt(thread)
    stage.close(thread)


def spliced_garbage(stage: Stage) -> None:
    """H1, H2: the end of an overwritten record, and a complete record that ends its line."""
    thread = stage.thread()
    for start in (b'"', b"7", b"]", b""):
        thread.file.damaged(start + tail(thread), reason="not_json")
        write_prompt(thread)
    stage.close(thread)


def trailing_garbage(stage: Stage) -> None:
    """H1: a complete record, and on the same line the end of the longer one it was written over."""
    thread = stage.thread()
    write_entry(thread, prompt(thread))
    thread.file.damaged(b'bor","version":"2.1.228"', reason="not_json")
    thread.file.separator(b"\n")
    write_prompt(thread)
    stage.close(thread)


def not_a_number(stage: Stage) -> None:
    """H18: NaN, which is not JSON although some parsers take it."""
    thread = stage.thread()
    write_prompt(thread)
    data = encode(prompt(thread).record)
    thread.file.damaged(data[:-1] + b',"ratio":NaN}', reason="not_json")
    thread.file.separator(b"\n")
    stage.close(thread)


def no_object(stage: Stage) -> None:
    """Lines that are JSON, but no object: an array, a string, a number, true, null."""
    thread = stage.thread()
    write_prompt(thread)
    for value in (b'[{"type":"user"}]', b'"tide"', b"42", b"true", b"null"):
        thread.file.damaged(value, reason="not_an_object")
        thread.file.separator(b"\n")
    write_prompt(thread)
    stage.close(thread)


def deep_nesting(stage: Stage) -> None:
    """H18: a record of 5,000 levels; no parser of the pipeline gets to its end."""
    thread = stage.thread()
    write_prompt(thread)
    data = encode(prompt(thread).record)
    nested = data[:-1] + b',"input":' + b"[" * 5_000 + b"]" * 5_000 + b"}"
    thread.file.damaged(nested, reason="too_deep")
    thread.file.separator(b"\n")
    write_prompt(thread)
    stage.close(thread)


def empty_file(stage: Stage) -> None:
    """H25: a file of zero bytes."""
    stage.close(stage.thread())


DAMAGE = (
    spliced_lines,
    spliced_three,
    spliced_head,
    spliced_middle,
    spliced_torn_tail,
    torn_last_line,
    torn_inside_character,
    torn_line,
    no_final_newline,
    nul_padding_inside,
    nul_padding_at_end,
    nul_padding_only,
    nul_padding_in_record,
    carriage_returns,
    byte_order_mark,
    blank_lines,
    invalid_utf8,
    garbage_line,
    spliced_garbage,
    trailing_garbage,
    not_a_number,
    no_object,
    deep_nesting,
    empty_file,
)
