"""What pairs are made from: sentences to continue, and a probe to steer by."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from bezoar.activations import harvest
from bezoar.corpus import Corpus
from bezoar.corpus.table import counted
from bezoar.errors import DataError, several
from bezoar.locate import LinearProbe, MeanDifferenceProbe, Probe
from bezoar.models import LanguageModel, Site
from bezoar.runs.progress import Progress
from bezoar.stats.duplicates import near_duplicates, shared_runs
from bezoar.stats.splits import text_key, unit_hash

_END = re.compile(r"(?<=[.!?])\s+")
_READ_TOKENS = 128  # of each labelled text


def sentence_prompts(
    texts: Sequence[str], count: int | None = None, *, words: int = 12, seed: int = 0
) -> tuple[str, ...]:
    """The beginnings of sentences of ordinary prose, each once, drawn whatever their order.

    Take text that nothing is reported on: what is learnt from these prompts must not be asked
    about them.

    Args:
        texts: lines or documents; headings such as WikiText's ``= Title =`` are passed over.
        count: at most so many; all if None.
        words: so many of each sentence; shorter sentences are passed over.
        seed: of the draw.

    Raises:
        DataError: if no sentence is long enough.
    """
    found: dict[str, str] = {}
    for text in several(texts, "texts"):
        if text.lstrip().startswith("="):
            continue
        for sentence in _END.split(text.strip()):
            begun = sentence.split()[:words]
            if len(begun) == words:
                found.setdefault(text_key(" ".join(begun)), " ".join(begun))
    if not found:
        raise DataError(
            f"No sentence of {counted(len(texts), 'text')} has {counted(words, 'word')}.",
            hint=f"Give prose{_fewer(words)}.",
        )
    drawn = sorted(found, key=lambda key: unit_hash(key, f"sentences-{seed}"))
    return tuple(found[key] for key in drawn[:count])


def _fewer(words: int) -> str:
    fewer = words * 3 // 4
    if not fewer:
        return ""
    return f", or ask for fewer: words={fewer} (--words {fewer}; of a run, pairs.words={fewer})"


def unseen_prompts(
    prompts: Sequence[str], seen: Mapping[str, Sequence[str]]
) -> tuple[tuple[str, ...], dict[str, int]]:
    """The prompts that repeat nothing that is reported on or chosen by, and how many did.

    Args:
        prompts: candidates.
        seen: texts by what they are for. A prompt falls to the first whose text it nearly repeats
            (Jaccard similarity of word pairs ≥ 0.7) or shares eight successive words with.

    Returns:
        The prompts that are left, in order, and the number that fell to each.
    """
    left, counts = list(prompts), {}
    for name, texts in seen.items():
        texts = several(texts, "texts")
        hit = {*near_duplicates(left, texts, 0.7).a, *shared_runs(left, texts)}
        counts[name] = len(hit)
        left = [prompt for row, prompt in enumerate(left) if row not in hit]
    return tuple(left), counts


def fit_steering(
    lm: LanguageModel,
    corpus: Corpus,
    *,
    layer: int | None = None,
    progress: Progress | None = None,
) -> Probe:
    """The difference of class means at a layer's ``resid_post``, for `steered_pairs`.

    Args:
        lm: the model.
        corpus: labelled texts of a training part.
        layer: the middle one if None, since what follows must still be able to say it.
        progress: where to show it.
    """
    layer = (lm.n_layers - 1) // 2 if layer is None else layer
    return _fitted(lm, corpus, MeanDifferenceProbe, layer, progress)


def fit_attribute(
    lm: LanguageModel,
    corpus: Corpus,
    *,
    layer: int | None = None,
    progress: Progress | None = None,
) -> Probe:
    """A logistic probe at a layer's ``resid_post``, for `pplm_pairs`; the last one if None."""
    return _fitted(lm, corpus, LinearProbe, -1 if layer is None else layer, progress)


def _fitted(
    lm: LanguageModel,
    corpus: Corpus,
    kind: type[MeanDifferenceProbe | LinearProbe],
    layer: int,
    progress: Progress | None,
) -> Probe:
    corpus.need_both_labels()
    site = lm.site(Site(layer, "resid_post"))
    read = harvest(
        lm,
        corpus.texts,
        [site],
        pooling="mean",
        out=None,
        max_tokens=_READ_TOKENS,
        progress=progress,
    )
    probe = kind(site=str(site), pooling="mean")
    return probe.fit(read.rows(site), corpus.labels, corpus.group)
