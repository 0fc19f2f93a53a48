"""`bezoar apply`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bezoar.cli import options as opt
from bezoar.cli.load import SetModel, load_model


def command(
    edit: Annotated[Path, typer.Argument(help="Folder of a saved edit.")],
    model: Annotated[str, typer.Argument(help="Folder, hub id or demo.")],
    out: Annotated[Path, typer.Option("--out", help="Folder of the new checkpoint.")],
    device: opt.Device = None,
    assignments: SetModel = None,
    threads: opt.Threads = None,
    json: opt.Json = False,
    debug: opt.Debug = False,
) -> None:
    """Fold an edit into a model and save an ordinary checkpoint.

    The checkpoint keeps the model's source dtype and needs nothing of bezoar: transformers, vLLM
    and others load it. It is loaded once more and compared before the command ends.
    """
    from bezoar.cli.edits import check_edit

    check_edit(edit)
    opt.use_threads(threads)

    from bezoar.cli.show import show
    from bezoar.edits import export, load_edit

    lm = load_model(model, device=device, assignments=assignments)
    show(export(lm, load_edit(edit, lm), out), as_json=json)
