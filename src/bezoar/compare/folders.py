"""What a run folder must hold to be compared; nothing heavy is imported to say that it does not."""

from __future__ import annotations

from pathlib import Path

from bezoar.errors import RunError, nearest
from bezoar.runs.folder import CONFIG

SCORECARD = Path("evaluate") / "scorecard.json"
PER_PROMPT = Path("evaluate") / "per_prompt.parquet"
PER_TEXT = Path("evaluate") / "per_text.json"
GIVE = "Give the folder that 'bezoar audit --out' wrote."


def check_evaluated(run: str | Path) -> None:
    """Refuse a folder that is no run, or a run that was not evaluated.

    Raises:
        RunError: saying which of them it is, and what to do.
    """
    run = Path(run)
    if not run.exists():
        raise RunError(f"There is no run folder {run}.", hint=_near_runs(run))
    if not (run / CONFIG).is_file():
        inside = _runs_in(run)
        hint = f"It holds the runs {', '.join(inside[:4])}." if inside else ""
        raise RunError(
            f"{run} is no run folder: it has no {CONFIG}.",
            hint=hint or GIVE,
        )
    if not (run / SCORECARD).is_file():
        raise RunError(
            f"The run {run} was not evaluated: it has no {SCORECARD}.",
            hint=f"Bring it that far first: bezoar evaluate --run {run}",
        )


def _near_runs(run: Path) -> str:
    """Where the run that was meant may be."""
    above = run.parent
    if not above.is_dir():
        return f"There is no folder {above} either."
    there = _runs_in(above)
    near = nearest(run.name, [Path(name).name for name in there])
    if near:
        return f"Did you mean {' or '.join(str(above / name) for name in near)}?"
    return f"Runs beside it: {', '.join(there[:4])}." if there else GIVE


def _runs_in(folder: Path) -> list[str]:
    if not folder.is_dir():
        return []
    return sorted(str(inner) for inner in folder.iterdir() if (inner / CONFIG).is_file())
