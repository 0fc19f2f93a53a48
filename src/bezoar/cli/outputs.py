"""Whether a file can be written where it is asked for, known before the work and not after it."""

from __future__ import annotations

from pathlib import Path


def check_new_file(path: Path) -> None:
    """Refuse a file that is there or cannot be made; the folders above it are made.

    Raises:
        RunError: with the system's reason, and what to name instead.
    """
    from bezoar.errors import RunError
    from bezoar.runs.faults import explain, make_folder
    from bezoar.runs.results import draft_of

    draft = draft_of(path)
    try:
        if path.is_dir():
            raise RunError(
                f"Cannot write to {path}: it is a folder.", hint="Name a file in it with --out."
            )
        if path.exists() or path.is_symlink():
            raise RunError(
                f"{path} exists.", hint="Nothing is overwritten: name a new file with --out."
            )
        make_folder(path.parent)
        draft.touch()
        draft.unlink()
    except (OSError, ValueError) as error:  # ValueError: a null character in the path
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise explain(error, path) or RunError(
            f"Cannot write to {path} ({reason}).", hint="Name another file with --out."
        ) from error
