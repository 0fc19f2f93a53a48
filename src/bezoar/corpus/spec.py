"""The grammar of what a user names, and the table that it leads to.

demo                      the bundled specimen (``pip install 'bezoar[demo]'``)
jigsaw:PATH  civil:PATH   known sets, a file or the folder that holds it; of Chinese texts
                          cold:PATH and toxicn:PATH
rtp:PATH                  the prompts that the protocol takes, as far as the file marks them; also
                          rtp-challenging:, rtp-toxic:, rtp-nontoxic:, rtp-all:
wikitext:PATH
FILE.csv|tsv|json|jsonl|parquet|txt
FILE#COLUMN               the texts are in this column (of prompts and neutral text too)
hub:ID[:CONFIG][@SPLIT]   also with #COLUMN, and behind a known set:
                          rtp:hub:allenai/real-toxicity-prompts
"""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path

from bezoar.corpus.adapters import ADAPTERS
from bezoar.corpus.reading import SUFFIXES, find_file, read_hub, read_table
from bezoar.corpus.table import Table, quoted
from bezoar.errors import DataError, did_you_mean, nearest


@dataclass(frozen=True, slots=True)
class Found:
    """What a spec led to.

    Attributes:
        table: its columns.
        adapter: the known set that reads them, "" for named columns.
        name: short name for tables.
        recorded: the spec, its path relative to the data root.
        notes: what was guessed on the way.
        text: the column of texts that the spec named.
    """

    table: Table
    adapter: str
    name: str
    recorded: str
    notes: list[str] = field(default_factory=list)
    text: str | None = None


def find(spec: str | Path, data_root: str | Path | None = None) -> Found:
    """Read the table that a spec names.

    Raises:
        DataError: if it names nothing that is there, with the nearest that is.
    """
    spec, data_root = str(spec), None if data_root is None else Path(data_root)
    if not spec.strip():
        raise DataError("No data was named.", hint="Name a file, or demo.")
    spec, text = split_column(spec, data_root)
    prefix, rest = _parse(spec, data_root)
    if text is not None and prefix in ADAPTERS:
        raise DataError(
            f"{prefix} is a known set: its columns are known, and #{quoted(text)} names another.",
            hint=f"Leave #{text} out, or {prefix}:, to read the file by its columns.",
        )
    of_column = "" if text is None else f"#{text}"
    if prefix == "hub" or rest.startswith("hub:"):
        rest = rest.removeprefix("hub:")
        adapter = "" if prefix == "hub" else prefix
        name = rest.partition("@")[0].rpartition("/")[2]
        return Found(read_hub(rest), adapter, adapter or name, spec + of_column, text=text)
    path = find_file(_located(rest, data_root), ADAPTERS[prefix].files if prefix else ())
    recorded = f"{prefix}:" * bool(prefix) + _relative(path, data_root)
    return Found(read_table(path), prefix, prefix or path.stem, recorded + of_column, text=text)


def split_column(spec: str, data_root: Path | None = None) -> tuple[str, str | None]:
    """``file.csv#body`` as the file and its column of texts; None where no column is named.

    A file that is really called so is that file.

    Raises:
        DataError: if nothing follows the ``#``.
    """
    place, mark, column = spec.rpartition("#")
    if not mark or any(
        _located(name, data_root).exists() for name in (spec, spec.partition(":")[2]) if name
    ):
        return spec, None
    if not column:
        raise DataError(f"{spec!r} names no column.", hint=f"Write {place}#COLUMN, or no #.")
    return place, column


def demo_path(function: str) -> Path:
    """Where the demo distribution keeps something.

    Raises:
        DataError: if it is not installed.
    """
    try:
        return Path(getattr(import_module("bezoar_demo"), function)())
    except ImportError as error:
        raise DataError(
            "The demo data is not installed.", hint="Run: pip install 'bezoar[demo]'"
        ) from error


def _parse(spec: str, data_root: Path | None) -> tuple[str, str]:
    """Split a spec into the kind of data ("" for a plain file) and what follows."""
    prefix, colon, rest = spec.partition(":")
    known = (*ADAPTERS, "hub")
    if colon and prefix in known:
        if not rest:
            wanted = "ID" if prefix == "hub" else "PATH"
            raise DataError(f"{spec!r} names no {wanted}.", hint=f"Write {prefix}:{wanted}.")
        return prefix, rest
    there = _located(spec, data_root).exists()
    if there or (Path(spec).suffix and not (colon and nearest(prefix, known))):
        return "", spec
    if colon:
        hint = did_you_mean(prefix, (*known, "demo"))
        raise DataError(f"Unknown kind of data {prefix!r} in {spec!r}.", hint=hint)
    kinds = ", ".join(f"{name}:PATH" for name in ADAPTERS)
    raise DataError(
        f"{spec!r} is neither a file nor a known kind of data.",
        hint=f"Use demo, hub:ID, {kinds}, or a {', '.join(SUFFIXES)} file.",
    )


def _located(path: str, data_root: Path | None) -> Path:
    try:
        given = Path(path).expanduser()
        given.exists()
    except (OSError, RuntimeError, ValueError) as error:  # no such user, too long, a null character
        said = getattr(error, "strerror", None) or str(error)
        raise DataError(f"{quoted(path)} cannot be a path: {said}.", hint="Check it.") from error
    if data_root is not None and not given.is_absolute() and (data_root / given).exists():
        return data_root / given
    return given


def _relative(path: Path, data_root: Path | None) -> str:
    """A path as it may be recorded: below the data root, else only its name."""
    if data_root is None:
        return path.as_posix()
    try:
        return path.resolve().relative_to(data_root.resolve()).as_posix()
    except ValueError:
        return path.name
