"""Errors as one or two lines: what happened, and what to do."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import typer

from bezoar.errors import BezoarError, ConfigError
from bezoar.interrupts import STOPPED


@contextmanager
def shown_errors(*, as_json: bool = False, debug: bool = False) -> Iterator[None]:
    """Turn errors into lines on standard error and an exit status; `debug` lets them through."""
    try:
        yield
    except (typer.Exit, typer.Abort):
        raise
    except KeyboardInterrupt as stop:
        kept = " ".join(getattr(stop, "__notes__", ())) or "What is finished is kept."
        hint = f"{kept} Give the same command again to go on."
        _show("Stopped", "by the keyboard.", hint, as_json)
        raise typer.Exit(STOPPED) from None
    except Exception as error:
        if debug:
            raise
        known = _known(error)
        _show(type(error).__name__, known.message, known.hint, as_json)
        raise typer.Exit(known.exit_code) from None


def asks_for_json(args: Sequence[str]) -> bool:
    """Whether ``--json`` is among the options: what follows ``--`` is none."""
    return "--json" in args[: args.index("--") if "--" in args else None]


def usage_error(error: Any) -> int:
    """Show a wrong option or a missing argument as JSON; its exit status.

    The library that reads the command line finds these before any command begins.
    """
    context = getattr(error, "ctx", None)
    where = "bezoar" if context is None else context.command_path
    known = ConfigError(error.format_message(), hint=f"Try '{where} -h' for help.")
    _show(type(known).__name__, known.message, known.hint, as_json=True)
    return known.exit_code


def _known(error: Exception) -> BezoarError:
    if isinstance(error, BezoarError):
        return error
    from bezoar.runs.faults import explain

    what = str(error).strip().split("\n")[0] or "no message"
    bug = BezoarError(what, hint="This is not expected: --debug shows the traceback to report.")
    return explain(error, Path()) or bug


def _show(kind: str, message: str, hint: str, as_json: bool) -> None:
    from bezoar.masking import for_display

    message, hint = (for_display(part).strip() for part in (message, hint))
    if as_json:
        typer.echo(json.dumps({"error": kind, "message": message, "hint": hint}), err=True)
        return
    typer.secho(f"{kind}: ", nl=False, err=True, fg="red", bold=True)
    typer.echo(message, err=True)
    if hint:
        typer.secho(f"  {hint}", err=True, dim=True)
