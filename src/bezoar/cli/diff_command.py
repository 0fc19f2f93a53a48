"""`bezoar diff`."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bezoar.cli import options as opt
from bezoar.cli.load import SetModel, load_model

if TYPE_CHECKING:
    from bezoar.edits import Edit
    from bezoar.models import LanguageModel
    from bezoar.runs import Result
    from bezoar.studies.diff import Diff

WEIGHTS = ("config.json", "adapter_config.json")
BARE = ("lens_reversed", "drop_shared")
"""Parts that the sentence is enough of."""


def command(
    base: Annotated[str, typer.Argument(help="Folder, hub id or demo.")],
    edited: Annotated[str, typer.Argument(help="The same, tuned; or a saved edit's folder.")],
    data: opt.Data = None,
    text: opt.Text = None,
    label: opt.Label = None,
    prompts: opt.Prompts = None,
    data_root: opt.DataRoot = None,
    reserved_only: opt.Reserved = False,
    count: Annotated[int, typer.Option("--count", min=4, help="Prompts read, at most.")] = 200,
    scorer_b: Annotated[
        str | None,
        typer.Option(
            "--scorer-b",
            metavar="SCORER",
            help="Score what models between and beyond the two write; not done without.",
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", metavar="DIR", help="Keep results and figures there.", show_default=False
        ),
    ] = None,
    seed: opt.Seed = None,
    device: opt.Device = None,
    assignments: SetModel = None,
    threads: opt.Threads = None,
    unmask: opt.Unmask = False,
    json: opt.Json = False,
    quiet: opt.Quiet = False,
    debug: opt.Debug = False,
) -> None:
    """Compare a model with its tuned or edited self: weights, neurons, states, heads.

    The direction of the behaviour is fitted to the labelled texts, in the base. What the model or
    the edit does not allow is left out, and said.
    """
    from bezoar.cli.stages import check_texts
    from bezoar.runs.sections import AuditConfig

    saved = _is_edit(edited)
    named = {"data": data, "text": text, "label": label, "prompts": prompts}
    config = opt.configure(
        named | {"data_root": data_root, "reserved_only": reserved_only}, kind=AuditConfig
    )
    check_texts(config)
    opt.use_threads(threads)

    from tempfile import TemporaryDirectory

    from bezoar.cli.show import progress, show
    from bezoar.compare.models import load_compared
    from bezoar.scoring import CachedScorer, load_scorer
    from bezoar.studies.diff import run_diff, save_figures

    scorer = None if scorer_b is None else CachedScorer(load_scorer(scorer_b))
    load = partial(load_model, device=device, assignments=assignments)
    lm = load(base)
    other = _edit(edited, lm) if saved else load(edited)
    with progress(quiet, json) as bars, TemporaryDirectory() as scratch:
        folder = Path(scratch) if out is None else out
        made = run_diff(
            *(lm, other, config.data, folder),
            prompts=count,
            scorer=scorer,
            seed=seed or 0,
            progress=bars,
        )
        parts = load_compared(folder)
        if out is not None:
            save_figures(out, unmask=unmask)
    if json:
        show(_plain(made, parts), as_json=True, unmask=unmask)
        return
    for told in _told(made, parts):
        show(told, as_json=False, unmask=unmask)
    if out is not None:
        show(f"Results in {out}, pictures in {out / 'figures'}.", as_json=False)


def _is_edit(edited: str) -> bool:
    """Whether a folder holds a saved edit; a name that is no folder is a model's.

    Raises:
        StoreError: for a folder that holds neither.
    """
    from bezoar.cli.edits import FILE, check_edit

    folder = Path(edited)
    if not folder.is_dir() or any((folder / name).is_file() for name in WEIGHTS):
        return (folder / FILE).is_file()
    check_edit(folder)
    return True


def _edit(folder: str, lm: LanguageModel) -> Edit:
    from bezoar.edits import load_edit

    return load_edit(folder, lm)


def _plain(made: Diff, parts: dict[str, Result]) -> dict[str, Any]:
    from bezoar.runs.results import to_plain

    plain: dict[str, Any] = to_plain(made)
    return plain | {"parts": {name: to_plain(part) for name, part in parts.items()}}


def _told(made: Diff, parts: dict[str, Result]) -> list[object]:
    """A sentence and a table a part."""
    about = made.about
    told: list[object] = [
        f"{about.base} → {about.edited}: {about.prompts_n} prompts; the direction is fitted to "
        f"{about.texts_n} texts."
    ]
    for name, part in parts.items():
        sentence = made.verdicts.get(name, "")
        told += ["", f"{name.replace('_', ', ')}: {sentence}" if sentence else name]
        told += [] if name in BARE else [part]
    told += [f"{name}: left out. {reason}" for name, reason in made.skipped.items()]
    return told
