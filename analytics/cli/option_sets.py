"""Options of several commands as one dataclass: each is described once, and no command lists it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import MISSING, fields
from inspect import Parameter, Signature
from typing import TYPE_CHECKING, Any, TypeVar, get_type_hints

import typer

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Options = TypeVar("Options", bound="DataclassInstance")


def command_with(
    options: type[Options], run: Callable[[typer.Context, Options], None]
) -> Callable[..., None]:
    """Return a command that takes the fields of ``options`` and calls ``run`` with them.

    A field without a default is an argument, the others are options.
    """
    hints = get_type_hints(options, include_extras=True)

    def command(context: typer.Context, **values: Any) -> None:
        run(context, options(**values))

    parameters = [Parameter("context", Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context)]
    parameters += [
        Parameter(
            field.name,
            Parameter.KEYWORD_ONLY,
            default=Parameter.empty if field.default is MISSING else field.default,
            annotation=hints[field.name],
        )
        for field in fields(options)
    ]
    command.__annotations__ = {"context": typer.Context, **hints}
    command.__signature__ = Signature(parameters)  # type: ignore[attr-defined]
    return command
