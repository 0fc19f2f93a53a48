"""Stage quality: how good each autoencoder is, and which of them is read closely.

Each autoencoder reads the tokens of all labelled texts once: that pass gives its quality on the
training and on the report part, and its latents of every text. Files: ``quality.json`` (a
`QualityTable`), and of each autoencoder ``rows/NAME.json``, ``pooled/NAME-PART.safetensors`` (its
`PooledLatents` of a part) and ``moments/NAME.safetensors`` (`LatentMoments` of training tokens).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np

from bezoar.errors import ConfigError, SiteError, UnsupportedAnatomy, did_you_mean
from bezoar.models import Site
from bezoar.runs import kept, save_result
from bezoar.sae import SparseAutoencoder
from bezoar.sae.k_sparse import k_sparse
from bezoar.sae.pooled import PooledLatents, Pooler
from bezoar.sae.quality import QualityMeter
from bezoar.sae.quality_results import LossRecovered, QualityRow, QualityTable
from bezoar.sae.reading import read_codes
from bezoar.sae.splicing import recovered_loss
from bezoar.sae.token_rows import RecomputedTokens, StoredTokens, TokenRows, subtable
from bezoar.studies.sae.bench import SAEBench
from bezoar.studies.sae.harvest import is_stored

PARTS = ("train", "report")
LOSS_TOKENS = 4_096
"""Held-out tokens, about, on which the loss is measured that reconstructions cost."""


def quality_stage(bench: SAEBench) -> None:
    """Measure every autoencoder, and choose.

    Raises:
        ConfigError: if there is none at the site that is to be read.
        DataError: if a site does not vary, or a part lacks a class.
    """
    asked = bench.config
    key = [asked.features.site, asked.contest.sparse, asked.contest.folds, asked.seed]
    with bench.run.stage("quality", key=[*key, bench.lm.fingerprint], after=["saes"]) as stage:
        if stage.done:
            return
        rows: list[QualityRow] = []
        for name, (site, _) in bench.names.items():
            beside = next((row.loss for row in rows if row.site == str(site)), None)
            make = partial(_measured, bench, stage.folder, name, site, beside)
            rows.append(kept(stage.folder / "rows" / f"{name}.json", QualityRow, make))
        read = bench.read_at
        table = choose(rows, None if read is None else str(read))
        save_result(stage.folder / "quality.json", table)


def choose(rows: Sequence[QualityRow], site: str | None = None) -> QualityTable:
    """The autoencoder whose few latents say most of the label, by training texts alone.

    Among those that are sparse: with more latents on a token than half of the site's dimensions a
    code spells the state out again, and its latents are no easier to read. Faithfulness would
    choose the one with the most latents a token, and report texts would choose by what they are to
    report on.

    Args:
        rows: of all autoencoders.
        site: choose among those of this site; of all if None.

    Raises:
        ConfigError: if there is none at the site.
    """
    among = [row for row in rows if site is None or row.site == str(Site.parse(site))]
    if not among:
        sites = [row.site for row in rows]
        raise ConfigError(
            f"No autoencoder was trained at {site}.", hint=did_you_mean(str(site), sites)
        )
    sparse = [row for row in among if row.trained.l0 <= row.d_model / 2]
    k = max((one.k for row in among for one in row.probing), default=0)
    best = max(sparse or among, key=lambda row: (_told(row, k), row.held_out.explained_variance))
    where = "" if site is None else f" at {site}"
    dense = (
        f"; {len(among) - len(sparse)} not sparse" if sparse and len(sparse) < len(among) else ""
    )
    rule = (
        f"the highest cross-validated AUROC on training texts of a probe of {k} latents, "
        f"of {len(among)} autoencoders{where}{dense}"
    )
    return QualityTable(tuple(rows), best.name, rule)


def _told(row: QualityRow, k: int) -> float:
    found = [one.cv_auroc for one in row.probing if one.k == k]
    return found[0] if found and found[0] is not None else 0.5


def _measured(
    bench: SAEBench, folder: Path, name: str, site: Site, beside: LossRecovered | None
) -> QualityRow:
    sae, tokens = bench.sae(name).to(bench.lm.device), token_rows(bench, site)
    sae.require(bench.lm, site)
    found = {part: _read(bench, sae, tokens, part) for part in PARTS}
    for part, (_, pooled) in found.items():
        pooled.save(folder / "pooled" / f"{name}-{part}.safetensors")
    found["train"][0].latents.save(folder / "moments" / f"{name}.safetensors")
    train, report = (bench.corpora[part] for part in PARTS)
    probing = k_sparse(
        found["train"][1].mean,
        train.labels,
        found["report"][1].mean,
        report.labels,
        ks=bench.config.contest.sparse,
        groups=train.group,
        report_groups=report.group,
        folds=bench.config.contest.folds,
        seed=bench.config.seed,
    )
    return QualityRow(
        name=name,
        architecture=sae.architecture,
        site=str(site),
        seed=sae.info.seed,
        d_sae=sae.d_sae,
        options=dict(sae.info.options),
        held_out=found["report"][0].result(),
        trained=found["train"][0].result(),
        loss=_loss(bench, sae, beside),
        probing=probing,
        d_model=sae.d_model,
    )


def _read(
    bench: SAEBench, sae: SparseAutoencoder, tokens: TokenRows, part: str
) -> tuple[QualityMeter, PooledLatents]:
    texts = np.array(bench.rows_of(part))
    meter, pooler = QualityMeter(sae), Pooler(sae.d_sae, texts)
    read_codes(sae, tokens, [meter, pooler], texts=texts, progress=bench.progress)
    return meter, pooler.result()


def _loss(
    bench: SAEBench, sae: SparseAutoencoder, beside: LossRecovered | None
) -> LossRecovered | None:
    """On report texts, drawn until they have tokens enough; None where it cannot be measured."""
    texts = np.random.default_rng(bench.run.seed("quality")).permutation(bench.rows_of("report"))
    within = np.cumsum(bench.tokens.kept[texts]) <= LOSS_TOKENS
    within[0] = True
    try:
        table = subtable(bench.tokens, texts[within])
        return recovered_loss(bench.lm, sae, table, beside=beside, progress=bench.progress)
    except (SiteError, UnsupportedAnatomy):
        return None


def token_rows(bench: SAEBench, site: Site) -> TokenRows:
    """Rows of all tokens at a site: from the store, or computed again where none was kept."""
    if is_stored(bench):
        return StoredTokens(bench.store, site)
    return RecomputedTokens(bench.lm, bench.tokens, site)


def pooled_of(bench: SAEBench, name: str, part: str) -> PooledLatents:
    """Latents of the texts of a part, as the stage left them.

    Args:
        bench: a study whose stage quality is done.
        name: of the autoencoder.
        part: ``train`` or ``report``.
    """
    path = bench.run.folder("quality") / "pooled" / f"{name}-{part}.safetensors"
    return PooledLatents.load(path)
