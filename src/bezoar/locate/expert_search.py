"""Score every unit of a model as an expert, in one pass, with the controls (see `experts`)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from bezoar.activations import ActivationStore, Pooling, StoreDtype, harvest
from bezoar.activations.tokens import tokenise
from bezoar.corpus import Corpus
from bezoar.errors import ConfigError
from bezoar.locate.expert_evidence import collect, draw, group_of
from bezoar.locate.expert_results import ExpertsReport
from bezoar.locate.experts import PAPER, NeuronExperts, expert_sites
from bezoar.locate.neurons import score_neurons
from bezoar.models import LanguageModel, Site
from bezoar.runs.progress import Progress


def find_experts(
    lm: LanguageModel,
    corpus: Corpus,
    points: Sequence[str] = (PAPER, "mlp_post"),
    *,
    other: Corpus | None = None,
    pooling: Pooling = "max",
    max_tokens: int = 128,
    shuffles: int = 199,
    kept: int = 20,
    halves: int = 10,
    top: int = 500,
    seed: int = 0,
    out: Path | str | None = None,
    budget_tokens: int = 4096,
    dtype: StoreDtype = "float16",
    progress: Progress | None = None,
) -> tuple[NeuronExperts, ExpertsReport]:
    """Score every unit of a model, with the controls.

    Args:
        lm: the model.
        corpus: labelled texts.
        points: of every layer; "paper" for the outputs of the MLP's linear maps.
        other: a second corpus, for whether it names the same units.
        pooling: of tokens to one number a text; "max" is the paper's.
        max_tokens: texts are cut there.
        shuffles: shuffled labellings behind the bands, of which
        kept: so many are kept unit by unit, for nulls of methods.
        halves: how often texts are divided at random to see whether halves agree.
        top: how many units are the best ones, where two sets of texts are compared.
        seed: of every draw.
        out: folder for the pooled activations, for a run that may be killed: it goes on where it
            was. If None they lie in a folder that is removed.
        budget_tokens: padded tokens a batch.
        dtype: of pooled activations on disk; 16 bits are counted instead of sorted.
        progress: where to show it.

    Raises:
        DataError: if a corpus has one class only, or a text no token.
        ConfigError: if there is no pooling to one row a text, or a number is below its least.
        UnsupportedAnatomy, SiteError: if the model has no such sites.
    """
    _check(pooling, {"shuffles": shuffles, "top": top}, {"kept": kept, "halves": halves})
    corpus.need_both_labels()
    sites = expert_sites(lm, points)

    def read(texts: Corpus, folder: Path) -> ActivationStore:
        table = tokenise(lm, texts.texts, max_tokens, progress)
        return harvest(
            lm,
            table,
            sites,
            pooling=pooling,
            out=folder,
            budget_tokens=budget_tokens,
            dtype=dtype,
            progress=progress,
        )

    with TemporaryDirectory(prefix="bezoar-experts-") as temporary:
        folder = Path(temporary if out is None else out)
        second = None
        if other is not None:
            other.need_both_labels()
            store = read(other, folder / "other")
            alone = draw(other.labels, store.lengths, shuffles=1, kept=0, halves=halves, seed=seed)
            second = collect(store, sites, alone, progress)
        store = read(corpus, folder / "texts")
        drawn = draw(
            corpus.labels, store.lengths, shuffles=shuffles, kept=kept, halves=halves, seed=seed
        )
        found = collect(store, sites, drawn, progress)
        scores = score_neurons(store, corpus.labels, sites, shuffles=0, progress=progress)
    experts = NeuronExperts(
        scores=scores,
        matched={site: e.matched.auroc for site, e in found.items() if e.matched is not None},
        shuffled={site: e.shuffled for site, e in found.items()},
        max_tokens=store.manifest.max_tokens,
        trained_on=corpus.hash,
    )
    report = ExpertsReport(
        model=lm.name,
        corpus=corpus.name,
        other="" if other is None else other.name,
        pooling=pooling,
        max_tokens=experts.max_tokens,
        shuffles=shuffles,
        lengths=drawn.lengths,
        groups=tuple(
            group_of(name, {site: found[site] for site in some}, drawn, second, top)
            for name, some in _groups(lm, points).items()
        ),
    )
    return experts, report


def _groups(lm: LanguageModel, points: Sequence[str]) -> dict[str, list[Site]]:
    """The sites of each point, those of the paper together and first."""
    names = sorted(dict.fromkeys(points), key=lambda name: name != PAPER)
    return {name: expert_sites(lm, [name]) for name in names}


def _check(pooling: str, positive: dict[str, int], not_negative: dict[str, int]) -> None:
    if pooling == "none":
        raise ConfigError(
            "Units are scored by one number a text, and pooling='none' gives one a token.",
            hint="Use pooling='max' (the paper's), 'mean' or 'last'.",
        )
    for least, counts in ((1, positive), (0, not_negative)):
        for name, count in counts.items():
            if count < least:
                raise ConfigError(f"{name}={count} is too few.", hint=f"Give {least} at least.")
