"""`bezoar detect`."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bezoar.cli import options as opt
from bezoar.cli.load import SetModel, load_model

if TYPE_CHECKING:
    from bezoar.evaluate.detector import Detector
    from bezoar.evaluate.detector_results import DetectorInfo, Verdict


def command(
    file: Annotated[
        str | None,
        typer.Argument(help="File of texts (lines, csv, jsonl, parquet), or - for standard input."),
    ] = None,
    probe: Annotated[
        Path | None,
        typer.Option("--probe", metavar="DIR", help="Folder of a detector, or a run that has one."),
    ] = None,
    text: Annotated[
        list[str] | None, typer.Option("--text", metavar="TEXT", help="May be given again.")
    ] = None,
    column: Annotated[
        str | None, typer.Option("--column", metavar="NAME", help="Column of texts in the file.")
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            "--model", metavar="MODEL", help="Folder, hub id or demo; the detector's own."
        ),
    ] = None,
    top: Annotated[
        int, typer.Option("--top", metavar="N", min=0, help="Tokens shown of each text.")
    ] = 5,
    gate: Annotated[
        bool, typer.Option("--gate", help="Leave with status 10 if a text is flagged.")
    ] = False,
    device: opt.Device = None,
    assignments: SetModel = None,
    threads: opt.Threads = None,
    unmask: opt.Unmask = False,
    json: opt.Json = False,
    quiet: opt.Quiet = False,
    debug: opt.Debug = False,
) -> None:
    """Flag texts by a detector that a study made, with the tokens that drove it.

    With --json each text is a line of its own, with all its tokens; lines come as texts are read.
    """
    from bezoar.errors import ConfigError, GateFailed

    if probe is None:
        raise ConfigError("No detector is named.", hint="Give --probe RUN/detector.")
    texts = _texts(file, text, column)
    opt.use_threads(threads)

    from bezoar.cli.show import progress

    detector = _detector(probe)
    lm = load_model(model or detector.info.model, device=device, assignments=assignments)
    detector.require(lm)
    found = detector.stream(lm, texts, progress=progress(quiet or len(texts) < 2, json))
    flagged = _told(zip(texts, found, strict=True), detector.info, top, as_json=json, unmask=unmask)
    if gate and flagged:
        raise GateFailed(
            f"{flagged} of {len(texts)} texts are flagged.", hint="Without --gate this is status 0."
        )


def _texts(file: str | None, given: list[str] | None, column: str | None) -> list[str]:
    """The texts to read, from wherever they come.

    Raises:
        ConfigError: if there are none, or they come from two places.
        DataError: if a text is empty, or a file cannot be read.
    """
    import sys

    from bezoar.errors import ConfigError, DataError

    if (file is None) == (not given):
        raise ConfigError(
            "No text is given." if file is None else "Texts come from --text and from a file.",
            hint='Give one of them: --text "…", a FILE, or - for standard input.',
        )
    if given:
        for text in given:
            if not text.strip():
                raise DataError("--text is empty.", hint="A detector needs words.")
        return list(given)
    if file == "-":
        texts = [line for line in sys.stdin.read().splitlines() if line.strip()]
        if not texts:
            raise DataError("Standard input holds no text.", hint="Send one text a line.")
        return texts
    from bezoar.corpus import load_prompts

    return list(load_prompts(str(file), text=column).texts)


def _detector(folder: Path) -> Detector:
    from bezoar.errors import StoreError
    from bezoar.evaluate.detector import Detector

    for place in (folder, folder / "detector"):
        if (place / "detector.json").exists():
            return Detector.load(place)
    raise StoreError(
        f"{folder} holds no detector.",
        hint="Name the folder 'detector' of a run of `bezoar study sae`.",
    )


def _told(
    found: Iterable[tuple[str, Verdict]],
    info: DetectorInfo,
    top: int,
    *,
    as_json: bool,
    unmask: bool,
) -> int:
    """Print what was found, text by text; how many were flagged."""
    import json
    import sys
    from dataclasses import replace

    from bezoar.cli.show import show
    from bezoar.masking import mask
    from bezoar.runs.results import to_plain

    flagged = n = 0
    for n, (text, given) in enumerate(found, start=1):
        flagged += given.flagged
        verdict = given if unmask else replace(given, tokens=_masked(given.tokens))
        if as_json:
            line = {"number": n, "text": mask(text, unmask=unmask), **to_plain(verdict)}
            sys.stdout.write(json.dumps(line, sort_keys=True) + "\n")
            sys.stdout.flush()
            continue
        mark = "flagged" if verdict.flagged else "passed "
        cut = " (cut)" if verdict.cut else ""
        show(
            f"{mark}  {verdict.probability:.3f}  {_shown(text)}{cut}", as_json=False, unmask=unmask
        )
        drove = "  ".join(f"{token!r} {added:+.2f}" for token, added in verdict.top(top))
        if drove:
            show(f"                {drove}", as_json=False, unmask=unmask)
    if not as_json:
        show(_said(flagged, n, info), as_json=False, unmask=unmask)
    return flagged


def _masked(tokens: tuple[str, ...]) -> tuple[str, ...]:
    """Tokens of a masked text: a word stays masked where it falls into pieces."""
    from itertools import accumulate, pairwise

    from bezoar.masking import mask

    text = mask("".join(tokens))  # of the same length
    ends = [0, *accumulate(map(len, tokens))]
    return tuple(text[start:end] for start, end in pairwise(ends))


def _shown(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 60 else line[:59] + "…"


def _said(flagged: int, n: int, info: DetectorInfo) -> str:
    alarms = info.false_alarms
    said = (
        f"{flagged} of {n} flagged. Set for {info.asked:.1%} false alarms; expected of texts like "
        f"its own {alarms.value:.1%} [{alarms.low:.1%}, {alarms.high:.1%}]; it found "
        f"{info.reported_hits.value:.1%} of held-out texts of label 1."
    )
    return f"{said}\n{info.licence_note}" if info.licence_note else said
