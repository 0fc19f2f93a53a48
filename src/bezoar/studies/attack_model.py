"""Attack a model that belongs to no run: from names of texts to an `Attacker`."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np

from bezoar.activations import harvest
from bezoar.attack import AttackInputs, first_of_each, toxicity_and_cost
from bezoar.compare.models import scaled_edit, weight_differences
from bezoar.corpus import Corpus, clean, load_corpus, load_neutral, load_prompts, split_corpus
from bezoar.edits import Edit
from bezoar.errors import EditError, UnsupportedAnatomy
from bezoar.evaluate import get_protocol
from bezoar.locate import Direction, LinearProbe, ValueRanking, rank_values
from bezoar.models import LanguageModel
from bezoar.runs import Progress
from bezoar.scoring import Scorer
from bezoar.stats import text_key
from bezoar.studies.attacking import Attacker, origin_of
from bezoar.studies.audit.explore import split_neutral, without_prompts
from bezoar.studies.audit.prompts import split_prompts

SITE = "-1.resid_post"
SELECT = 200  # prompts that an audit chooses by, and that are not reported on here either
TEXTS = 2_000
TOP = 128
MAX_TOKENS = 128
PROBE_TEXTS = 200


def attacker_for(
    lm: LanguageModel,
    scorer: Scorer,
    *,
    data: str = "demo",
    prompts: str = "demo",
    neutral: str = "demo",
    data_root: str | Path | None = None,
    protocol: str = "LEE",
    count: int = 100,
    neutral_tokens: int = 4_000,
    names: Sequence[str] = ("default",),
    grid: str = "default",
    limit: float = 1.2,
    seed: int = 0,
    kept: Path | None = None,
    keep: Path | None = None,
    progress: Progress | None = None,
) -> Attacker:
    """An attacker with texts as an audit would cut them: half to fit on, half to report on.

    The toxic direction is a probe's, fitted on the training half; what is trained on, steered by
    and put in front of prompts is of the report half.

    Args:
        lm: the base model.
        scorer: of toxicity.
        data, prompts, neutral, data_root: as the options of an audit.
        protocol: how prompts are continued.
        count: prompts, of the half that audits report on.
        neutral_tokens: for perplexity.
        names, grid, limit, seed, kept, keep, progress: see `Attacker`.

    Raises:
        ConfigError, DataError: for names that do not exist, or too little text.
    """
    subset = get_protocol(protocol).subset
    rows = load_prompts(prompts, subset=subset, data_root=data_root)
    read = load_corpus(data, data_root=data_root, limit=TEXTS, seed=seed)
    train, report = _halves(without_prompts(clean(read)[0], rows))
    asked = list(split_prompts(rows, SELECT)[1].texts[:count])
    plain = split_neutral(lm, load_neutral(neutral, data_root=data_root), neutral_tokens)[1]
    direction, values = _located(lm, first_of_each(train, PROBE_TEXTS), seed, progress)
    return Attacker(
        lm=lm,
        inputs=AttackInputs(report, values, direction, origin_of(report), seed),
        measure=toxicity_and_cost(lm, asked, scorer, plain, protocol),
        neutral=plain,
        prompts=len(asked),
        train=train,
        names=names,
        grid=grid,
        site=SITE,
        max_tokens=MAX_TOKENS,
        probe_texts=PROBE_TEXTS,
        limit=limit,
        seed=seed,
        kept=kept,
        keep=keep,
        progress=progress,
    )


def difference(base: LanguageModel, checkpoint: LanguageModel) -> Edit:
    """What was done to the base, as an edit: the difference of the weights.

    Raises:
        ModelError: if the two do not have the same parameters and tokenizer.
        EditError: if no weight differs.
    """
    changed = weight_differences(base, checkpoint)
    if not changed:
        raise EditError(
            f"{checkpoint.name} has the very weights of {base.name}: there is nothing to undo.",
            hint="Give the model it was tuned from as --base.",
        )
    return scaled_edit(changed, 1.0, checkpoint.name)


def _halves(corpus: Corpus) -> tuple[Corpus, Corpus]:
    held_out = split_corpus(corpus).report
    keys = {text_key(text) for text in held_out.texts}
    return corpus.take([i for i, t in enumerate(corpus.texts) if text_key(t) not in keys]), held_out


def _located(
    lm: LanguageModel, corpus: Corpus, seed: int, progress: Progress | None
) -> tuple[Direction, ValueRanking | None]:
    site = lm.site(SITE)
    store = harvest(
        lm,
        corpus.texts,
        [site],
        pooling="mean",
        out=None,
        max_tokens=MAX_TOKENS,
        progress=progress,
    )
    probe = LinearProbe(site=str(site), random_state=seed)
    probe.fit(store.rows(site).astype(np.float64), corpus.labels)
    direction = probe.direction(trained_on=corpus.hash)
    with suppress(UnsupportedAnatomy):  # of a mixture of experts the value vectors are not one set
        return direction, rank_values(lm, direction, TOP)
    return direction, None
