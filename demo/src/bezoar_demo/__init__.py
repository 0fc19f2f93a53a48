"""Where the bundled specimen lies. A research specimen, not for deployment; see the cards."""

from pathlib import Path

__all__ = [
    "corpus_path",
    "model_path",
    "neutral_path",
    "prompts_path",
    "scorer_path",
    "tasks_path",
]

_HERE = Path(__file__).parent


def model_path() -> Path:
    """The language model: a Hugging Face folder."""
    return _HERE / "model"


def scorer_path(which: str) -> Path:
    """Scorer ``"a"`` (labels and selects) or ``"b"`` (only reports)."""
    if which not in ("a", "b"):
        raise ValueError(f"There is no demo scorer {which!r}: it is 'a' or 'b'.")
    return _HERE / "scorers" / which


def corpus_path() -> Path:
    """The labelled texts."""
    return _HERE / "corpus" / "corpus.parquet"


def prompts_path() -> Path:
    """The prompts."""
    return _HERE / "corpus" / "prompts.parquet"


def neutral_path() -> Path:
    """The neutral text."""
    return _HERE / "corpus" / "neutral.parquet"


def tasks_path() -> Path:
    """The folder of capability tasks: ``last_word``, ``grammar`` and ``choice`` as JSON lines."""
    return _HERE / "tasks"
