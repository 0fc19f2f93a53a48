"""Files that somebody else may have made: read only if they are plain files in their own folder."""

from __future__ import annotations

from pathlib import Path

from bezoar.errors import CorruptArtefact

MAX_JSON = 64 * 2**20
MAX_OPTIONS = 2**18  # bytes of a run's config.yaml, which has three thousand
_PICKLES = frozenset({".pt", ".pth", ".pkl", ".pickle", ".bin", ".joblib", ".ckpt"})


def plain_file(path: Path, *, limit: int | None = None) -> Path:
    """The path, if a file is there that may be read.

    Args:
        path: of a file whose name we chose, in a folder whose content we did not.
        limit: bytes at most.

    Raises:
        CorruptArtefact: if it is missing, no file, a link (which may lead to any file of the
            machine, or to a device that never ends), or too large.
    """
    if path.is_symlink():
        raise CorruptArtefact(
            f"{path} is a link to another place, and links are not followed.",
            hint="Put the file itself there (cp -L), if you trust it.",
        )
    if not path.is_file():
        pickles = [p.name for p in path.parent.glob("*") if p.suffix in _PICKLES]
        extra = f"; {pickles[0]} may run code when loaded and is never read" if pickles else ""
        state = "is no file" if path.exists() else "is missing"
        raise CorruptArtefact(f"{path} {state}{extra}.", hint="Make it again, or restore a copy.")
    size = path.stat().st_size
    if limit is not None and size > limit:
        raise CorruptArtefact(
            f"{path} has {size:,} bytes, and such a file has {limit:,} at most.",
            hint="Do not trust the folder it came in.",
        )
    return path


def inside(root: Path, name: str) -> Path:
    """The file that a manifest names, below ``root``.

    Raises:
        CorruptArtefact: if the name, or a link on the way, leads out of ``root``.
    """
    path = root / name
    parts = Path(name).parts
    if Path(name).is_absolute() or ".." in parts or not parts or "\\" in name or "\0" in name:
        raise CorruptArtefact(
            f"{root} names a file outside of itself: {name!r}.",
            hint="Do not trust the folder it came in.",
        )
    if not path.resolve().is_relative_to(root.resolve()):
        raise CorruptArtefact(
            f"{path} is a link out of the folder, and links are not followed.",
            hint="Put the file itself there (cp -L), if you trust it.",
        )
    return path
