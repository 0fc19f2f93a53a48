"""Finding a saved edit before anything heavy is imported to read it."""

from __future__ import annotations

from pathlib import Path

from bezoar.errors import StoreError, nearest

FILE = "edit.json"


def check_edit(folder: Path) -> None:
    """Refuse what cannot be a saved edit, naming those that are near.

    Raises:
        StoreError: if there is no such folder, or no edit in it.
    """
    if (folder / FILE).is_file():
        return
    if folder.is_dir():
        inside = sorted(str(path.parent) for path in folder.glob(f"**/{FILE}"))
        hint = f"It holds the edits {', '.join(inside[:6])}." if inside else ""
        raise StoreError(f"{folder} is no saved edit: it has no {FILE}.", hint=hint or _GIVE)
    beside = sorted(path.parent.name for path in folder.parent.glob(f"*/{FILE}"))
    near = nearest(folder.name, beside) or beside[:6]
    hint = f"There are {', '.join(str(folder.parent / name) for name in near)}." if near else ""
    raise StoreError(f"There is no edit {folder}.", hint=hint or _GIVE)


_GIVE = "Give a folder such as RUN/mitigate/edits/transport."
