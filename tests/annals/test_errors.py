"""The error tree."""

from __future__ import annotations

import re

from annals import errors


def test_the_docstring_shows_the_tree_with_exit_codes() -> None:
    """Every class of the tree is in the module's docstring with its exit code."""
    assert errors.__doc__
    classes = [
        value
        for value in vars(errors).values()
        if isinstance(value, type) and issubclass(value, errors.AnalyticsError)
    ]
    lines = dict(re.findall(r"── (\w+) +(\d+) ", errors.__doc__))
    for error in classes:
        if error is not errors.AnalyticsError:
            assert lines[error.__name__] == str(error.exit_code)


def test_the_json_envelope_carries_hint_and_context() -> None:
    """An error turns into one JSON envelope with text values only."""
    error = errors.LockedError("the lake is in use", hint="Wait.", pid=12)
    assert error.as_dict() == {
        "error": "LockedError",
        "message": "the lake is in use",
        "hint": "Wait.",
        "context": {"pid": "12"},
    }
