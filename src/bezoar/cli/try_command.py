"""`bezoar try`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bezoar.cli import options as opt
from bezoar.cli.load import SetModel, load_model


def command(
    prompt: Annotated[str, typer.Argument(help="Text to continue.")],
    edit: Annotated[Path, typer.Option("--edit", help="Folder of a saved edit.")],
    model: Annotated[str, typer.Option("--model", help="Folder, hub id or demo.")] = "demo",
    tokens: Annotated[int, typer.Option("--tokens", min=1, help="To write.")] = 20,
    sample: Annotated[bool, typer.Option("--sample", help="Sample; greedy otherwise.")] = False,
    chat: Annotated[bool, typer.Option("--chat", help="Use the model's chat template.")] = False,
    seed: opt.Seed = None,
    device: opt.Device = None,
    assignments: SetModel = None,
    threads: opt.Threads = None,
    unmask: opt.Unmask = False,
    json: opt.Json = False,
    debug: opt.Debug = False,
) -> None:
    """Continue a prompt with and without an edit.

    Sampling is paired: the same random numbers choose the tokens of both continuations.
    """
    from bezoar.cli.edits import check_edit

    check_edit(edit)
    opt.use_threads(threads)

    from bezoar.cli.show import show
    from bezoar.edits import load_edit
    from bezoar.models import Decoding, generate

    lm = load_model(model, device=device, assignments=assignments)
    loaded = load_edit(edit, lm)
    prompts = lm.chat([prompt]) if chat else [prompt]
    decoding = Decoding(max_new_tokens=tokens, sample=sample, seed=seed or 0)
    before = generate(lm, prompts, decoding).texts()[0][0]
    with loaded.applied_to(lm):
        after = generate(lm, prompts, decoding).texts()[0][0]
    if json:
        show({"prompt": prompts[0], "before": before, "after": after}, as_json=True, unmask=unmask)
    else:
        show(f"before  {before}\nafter   {after}", as_json=False, unmask=unmask)
