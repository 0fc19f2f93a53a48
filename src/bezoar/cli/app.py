"""The group of commands: their names and one line each; the rest is imported on call."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import wraps
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup
from typer.main import get_command

from bezoar.cli.errors import asks_for_json, shown_errors, usage_error

# In the order of the flow. The line is the first of the command's docstring (a test compares).
COMMANDS: dict[str, str] = {
    "audit": "Measure, locate, remove, measure again, and write a report.",
    "study": "Repeat a published study: every experiment, table and figure, in one report.",
    "tune": "Search for the edit that lowers toxicity most within a budget.",
    "explore": "Describe the labelled texts: sizes, sources, lengths, duplicates.",
    "harvest": "Read the activations of the labelled texts.",
    "locate": "Find the behaviour: probes by layer and site, value vectors.",
    "lens": "Follow a prediction through the layers with the logit lens.",
    "pairs": "Make preference pairs with the model: continuations of which one is less toxic.",
    "mitigate": "Fit each method's edit to the budget.",
    "evaluate": "Measure every edit beside its nulls, with intervals.",
    "report": "Write report.html and the model card of a run.",
    "apply": "Fold an edit into a model and save an ordinary checkpoint.",
    "try": "Continue a prompt with and without an edit.",
    "detect": "Flag texts by a detector that a study made, with the tokens that drove it.",
    "compare": "Compare two runs metric by metric, paired by prompt.",
    "diff": "Compare a model with its tuned or edited self: weights, neurons, states, heads.",
    "attack": "Attack a remedy: how much of it survives, and is the behaviour gone or only hidden?",
    "list": "List methods, attacks, scorers, protocols, tasks, data or sites.",
    "doctor": "Look for what is known to break a run, or what is damaged or stale in one.",
}

EPILOG = """Exit status: 0 done; 2 options; 3 texts; 4 model; 5 files of a run; 6 scorer; 7 edit;
8 run folder; 9 autoencoder; 10 a gate was met; 130 stopped by the keyboard; 1 anything else."""

SETTINGS: dict[str, Any] = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


_UsageError: Any = typer.BadParameter.__base__  # its own name for it is private to typer


class LazyGroup(TyperGroup):
    """A group that knows its commands' names and imports one when it is called."""

    def main(self, args: Sequence[str] | None = None, *more: Any, **options: Any) -> Any:
        """As always, save that with ``--json`` wrong options are told of in JSON too."""
        given = list(sys.argv[1:] if args is None else args)
        if not asks_for_json(given):
            return super().main(args, *more, **options)
        options["standalone_mode"] = False
        try:
            status = super().main(given, *more, **options)
        except _UsageError as error:
            status = usage_error(error)
        sys.exit(status if isinstance(status, int) else 0)

    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in self.commands and cmd_name in COMMANDS:
            self.commands[cmd_name] = load_command(cmd_name)
        return self.commands.get(cmd_name)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            from bezoar.errors import did_you_mean

            ctx.fail(f"No such command {args[0]!r}. {did_you_mean(args[0], COMMANDS)}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


def load_command(name: str) -> Any:
    """Import a command's file and wrap its function in the handling of errors."""
    command = import_module(f"bezoar.cli.{name}_command").command

    @wraps(command)
    def guarded(**given: Any) -> None:
        with shown_errors(as_json=given.get("json", False), debug=given.get("debug", False)):
            command(**given)

    single = typer.Typer(add_completion=False, rich_markup_mode=None)
    single.command(name, context_settings=SETTINGS)(guarded)
    return get_command(single)


def app() -> Any:
    """The whole command line as one click command."""
    # Plain help: drawing boxes would take longer than everything else together.
    group = typer.Typer(
        cls=LazyGroup,
        name="bezoar",
        add_completion=False,
        rich_markup_mode=None,
        no_args_is_help=True,
        epilog=EPILOG,
        context_settings=SETTINGS,
    )
    group.callback()(_root)
    return get_command(group)


def _version(value: bool) -> bool:
    if value:
        from bezoar import __version__

        typer.echo(f"bezoar {__version__}")
        raise typer.Exit
    return value


def _root(
    version: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help="Print the version and leave."
    ),
) -> None:
    """Find, explain, remove and stress-test toxicity inside open-weight language models."""
