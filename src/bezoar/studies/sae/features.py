"""Stage features: what the latents of the chosen autoencoder are, and cards of some of them.

Everything here is from training texts: whoever reads it may choose latents by it, and still report
on texts that had no say. Files: ``features.json`` (a `FeatureTable` of all latents) and
``cards.jsonl`` (a `FeatureCard` a line, those that contribute most and those that say most of the
label in turns).
"""

from __future__ import annotations

import numpy as np

from bezoar.locate import LinearProbe
from bezoar.runs import load_result, save_result
from bezoar.sae.cards import feature_cards, save_cards
from bezoar.sae.features import beside_probe, feature_table, worth_a_card
from bezoar.sae.quality_results import QualityTable
from bezoar.sae.reading import LatentMoments, RowMeans
from bezoar.studies.sae.bench import SAEBench
from bezoar.studies.sae.quality import pooled_of, token_rows


def features_stage(bench: SAEBench) -> None:
    """Describe all latents of the chosen autoencoder, and draw cards of the foremost.

    Raises:
        DataError: if none of its latents varies.
    """
    asked, config = bench.config.features, bench.config
    key = [asked, config.contest.folds, config.seed, bench.lm.fingerprint]
    with bench.run.stage("features", key=key, after=["quality"]) as stage:
        if stage.done:
            return
        folder = bench.run.folder("quality")
        quality = load_result(folder / "quality.json", QualityTable)
        row, corpus = quality.row(quality.chosen), bench.corpora["train"]
        sae = bench.sae(row.name).to(bench.lm.device)
        pooled = pooled_of(bench, row.name, "train")
        table = feature_table(
            sae,
            LatentMoments.load(folder / "moments" / f"{row.name}.safetensors"),
            pooled.mean,
            corpus.labels,
            name=row.name,
            explained_variance=row.trained.explained_variance,
            alpha=asked.alpha,
            mu=asked.mu,
            sigma=asked.sigma,
        )
        site = bench.names[row.name][0]
        tokens = token_rows(bench, site)
        means = RowMeans(len(tokens.lengths), tokens.d)
        cards = feature_cards(
            sae,
            tokens,
            bench.lm,
            corpus,
            pooled,
            worth_a_card(table, asked.top),
            texts=np.array(bench.rows_of("train")),
            ranking=asked.ranking,
            n_tokens=asked.tokens,
            n_prompts=asked.prompts,
            n_promoted=asked.promoted,
            also=[means],
            progress=bench.progress,
        )
        save_cards(stage.folder / "cards.jsonl", cards)
        probe = LinearProbe(folds=config.contest.folds, random_state=config.seed)
        probe.fit(means.means[bench.rows_of("train")], corpus.labels, corpus.group)
        direction = probe.direction(site, pooling="mean")
        table = beside_probe(table, sae, pooled.mean, direction, probe.held_out_)
        save_result(stage.folder / "features.json", table)
