"""The latents of an autoencoder → ``features.html``: a card each, to search, sort and read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bezoar.report.numbers import plural
from bezoar.report.render import standalone, template_file
from bezoar.report.sae.compact import Size, as_script, compact
from bezoar.runs.results import atomic_write
from bezoar.sae.feature_results import FeatureCard, FeatureTable

FEATURES = "features.html"
LIMIT_BYTES = 5_000_000
MOST = 500
_SIZES = (Size(8, 64), Size(6, 48), Size(4, 32), Size(2, 24), Size(1, 16))
_ROOM = 60_000  # bytes of styles, script and the rest of the page

_ABOUT = (
    "A latent is one direction that the autoencoder has learnt to read and to write; its number is "
    "its place in the autoencoder, everywhere. Those shown contribute most to the reconstruction, "
    "or tell the labels apart best.",
    "Top tokens: ranked by mean activation, by that weighted with how special the token is to few "
    "texts (tf-idf), or by BM25; deeper colour is a higher score. What the decoder direction "
    "promotes are the tokens whose logits it raises most when it is written at this place.",
    "Prompts are those on which it is strongest, long ones cut to the part around "
    "the strongest one. Deeper colour is a stronger activation of that token, up to the highest of "
    "the prompt; a pointer on it shows the value. Bars: mean activation over all tokens of a "
    "category or source.",
    "A list of tokens is no meaning: a name that one gives a latent from its card is a guess, and "
    "the same card can look convincing for a random direction.",
)


def write_features_page(
    folder: Path,
    cards: Sequence[FeatureCard],
    table: FeatureTable,
    *,
    title: str,
    subtitle: str,
    unmask: bool = False,
) -> Path:
    """Write one self-contained page of cards.

    Args:
        folder: of the run.
        cards: of the latents, of which the first 500 are drawn.
        table: the numbers of all latents.
        title, subtitle: of the page.
        unmask: let the reader reveal the texts as they are. Otherwise they are not in the page.

    Returns:
        Path of ``features.html``.

    Raises:
        StoreError: if the page would be larger than 5 MB (10 MB with both forms of the texts).
    """
    cards = cards[:MOST]
    data, size = _fitting(cards, table)
    raw = as_script(compact(cards, table, size, unmask=True)) if unmask else None
    html = standalone(
        "features.html.j2",
        styles=["report.css", "features.css"],
        scripts=[template_file("features.js")],
        limit=LIMIT_BYTES * (1 if raw is None else 2),
        too_large="Show fewer latents (features.top).",
        unmask=unmask,
        brand="bezoar study sae",
        title=title,
        subtitle=f"{subtitle} · {plural(len(cards), 'latent')} of {len(table):,}",
        about=_ABOUT,
        data=data,
        raw=raw if raw != data else None,
    )
    atomic_write(folder / FEATURES, html.encode())
    return folder / FEATURES


def _fitting(cards: Sequence[FeatureCard], table: FeatureTable) -> tuple[Any, Size]:
    """The cards as JSON with as many and as long prompts as the page has room for."""
    for size in _SIZES[:-1]:
        data = as_script(compact(cards, table, size))
        if len(data.encode()) <= LIMIT_BYTES - _ROOM:
            return data, size
    return as_script(compact(cards, table, _SIZES[-1])), _SIZES[-1]
