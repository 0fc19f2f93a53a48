"""From a scorer's name, as given on a command line, to the scorer."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import parse_qsl

from bezoar.errors import ScorerError
from bezoar.scoring.convolution import FORMAT as CONVOLUTION
from bezoar.scoring.convolution import ConvolutionScorer
from bezoar.scoring.external import FileScorer
from bezoar.scoring.folder import format_of
from bezoar.scoring.huggingface import HuggingFaceScorer
from bezoar.scoring.linear import LinearScorer
from bezoar.scoring.scorer import Scorer, unknown_scorer
from bezoar.scoring.words import WordListScorer

SCORERS: dict[str, str] = {
    "demo-a": "letter n-grams + logistic regression: labels and selects (needs bezoar-demo)",
    "demo-b": "word vectors + convolution, other data: reports only (needs bezoar-demo)",
    "words": "a short built-in word list; words:PATH for one's own, a word a line",
    "file:PATH": "scores made elsewhere, by text; file:PATH?text=COLUMN&toxicity=COLUMN",
    "hf:MODEL": "a Hugging Face sequence classifier; hf:MODEL#LABEL names the toxic label",
    "PATH": "a scorer's folder",
}
"""What `load_scorer` understands, for lists and help."""


def load_scorer(spec: str | Path) -> Scorer:
    """Load a scorer.

    Args:
        spec: see `SCORERS`.

    Raises:
        ScorerError: if there is no such scorer or it cannot be loaded.
        DataError: if a table of scores cannot be read.
    """
    text = str(spec)
    kind, colon, rest = text.partition(":")
    if text == "words":
        return WordListScorer()
    if text in ("demo-a", "demo-b"):
        return _demo(text)
    if colon and kind == "words":
        return WordListScorer.from_file(rest)
    if colon and kind == "file":
        return _file(rest)
    if colon and kind == "hf":
        model, _, label = rest.partition("#")
        return HuggingFaceScorer(model, label=label or None)
    path = Path(text)
    if (path / "config.json").is_file():
        return HuggingFaceScorer(path)
    if path.is_dir():
        return _folder(path)
    if path.is_file():
        return FileScorer(path)
    raise unknown_scorer(text, ("demo-a", "demo-b", "words"))


def _folder(path: Path) -> Scorer:
    if format_of(path) == CONVOLUTION:
        return ConvolutionScorer.load(path)
    return LinearScorer.load(path)


def _file(rest: str) -> FileScorer:
    path, _, query = rest.partition("?")
    columns = dict(parse_qsl(query))
    text = columns.pop("text", "text")
    return FileScorer(path, text=text, columns=columns or None)


def _demo(name: str) -> Scorer:
    try:
        import bezoar_demo
    except ImportError as error:
        raise ScorerError(
            f"The scorer {name!r} is part of the demo assets, which are not installed.",
            hint="pip install 'bezoar[demo]'",
        ) from error
    return _folder(bezoar_demo.scorer_path(name.removeprefix("demo-")))
