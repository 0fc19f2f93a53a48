"""Stage 1, explore: read the texts, look at them, set the halves aside before anything is fitted.

Files: ``exploration.json``, ``cleaning.json``, ``texts.json``; ``train``, ``report``,
``prompts-select``, ``prompts-report``, ``neutral-select``, ``neutral-report`` as parquet.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from bezoar.corpus import (
    Corpus,
    NeutralText,
    Prompts,
    clean,
    explore,
    load_corpus,
    load_neutral,
    load_prompts,
    split_corpus,
)
from bezoar.corpus.adapters import ADAPTERS
from bezoar.corpus.reading import find_file
from bezoar.corpus.spec import demo_path, find, split_column
from bezoar.errors import DataError
from bezoar.evaluate import get_protocol
from bezoar.models import LanguageModel
from bezoar.runs import DataConfig, save_result
from bezoar.runs.stages import file_hash
from bezoar.stats import hash_halves, near_duplicates, text_key
from bezoar.studies.audit.bench import HALVES_SALT, Bench, Texts
from bezoar.studies.audit.prompts import split_prompts

_DEMO_PATHS = ("corpus_path", "prompts_path", "neutral_path")
_HEADING = re.compile(r"= [^=].*[^=] =")  # of an article; its sections have two signs or more


def explore_stage(bench: Bench) -> None:
    """Read, clean, look at and split the texts."""
    config = bench.config
    key = [config.data, config.mitigate.select_prompts, config.seed, bench.lm.fingerprint]
    key += ["both halves of the prompts whole", *contents(config.data)]
    if config.data.prompts.startswith("rtp:"):  # all else is read alike for every protocol
        key.append(get_protocol(config.evaluate.protocol).subset)
    with bench.run.stage("explore", key=key) as stage:
        if stage.done:
            _check_neutral(bench, bench.neutral("report"))
            return
        corpus, prompts, neutral = _read(bench)
        corpus, cleaning = clean(corpus)
        corpus = without_prompts(corpus, prompts)
        held_out = split_corpus(corpus).report
        keys = {text_key(text) for text in held_out.texts}
        train = corpus.take([i for i, t in enumerate(corpus.texts) if text_key(t) not in keys])
        select, report = split_prompts(prompts, config.mitigate.select_prompts)
        *halves, repeated = split_neutral(bench.lm, neutral, config.data.neutral_tokens)
        saved: dict[str, Corpus | Prompts | NeutralText] = {
            "train": train,
            "report": held_out,
            "prompts-select": select,
            "prompts-report": report,
            "neutral-select": halves[0],
            "neutral-report": halves[1],
        }
        for name, rows in saved.items():
            rows.save(stage.folder / f"{name}.parquet")
        save_result(stage.folder / "cleaning.json", cleaning)
        save_result(stage.folder / "exploration.json", explore(corpus, bench.lm))
        save_result(
            stage.folder / "texts.json",
            Texts(
                **{name.replace("-", "_"): len(rows) for name, rows in saved.items()},
                neutral_tokens=sum(map(len, bench.lm.encode(list(halves[1].texts)))),
                dropped=corpus.origin.left_out,
                near_repeats={"neutral lines of one half in the other, left out": repeated},
                hashes={name: rows.hash for name, rows in saved.items()},
            ),
        )


def _read(bench: Bench) -> tuple[Corpus, Prompts, NeutralText]:
    """The texts as they are given."""
    asked, root = bench.config.data, bench.data_root
    corpus = load_corpus(asked.data, **asked.reading(), limit=asked.limit, seed=bench.config.seed)
    neutral = load_neutral(asked.neutral, data_root=root, reserved_only=asked.reserved_only)
    _check_neutral(bench, neutral)
    subset = get_protocol(bench.config.evaluate.protocol).subset
    prompts = load_prompts(asked.prompts, subset=subset, data_root=root)
    return corpus, prompts, neutral


def _check_neutral(bench: Bench, neutral: NeutralText) -> None:
    """Whether perplexity may be taken on this text by the protocol; an error if not."""
    protocol = get_protocol(bench.config.evaluate.protocol)
    protocol.check_neutral(neutral.tokenised, f"The neutral text {bench.config.data.neutral}")


def contents(data: DataConfig) -> list[str]:
    """Hashes of what the options name, for a name stays while what it stands for changes."""
    root = None if data.root is None else Path(data.root)
    named = zip((data.data, data.prompts, data.neutral), _DEMO_PATHS, strict=True)
    return [content_hash(spec, demo, root) for spec, demo in named]


def content_hash(spec: str, demo: str, root: Path | None) -> str:
    """A hash of the file or rows that a spec stands for; "" if it names none.

    Args:
        spec: as `bezoar.corpus` reads it.
        demo: which of the demo's files ``demo`` stands for.
        root: where relative paths start.
    """
    if spec == "demo":
        path = demo_path(demo)
        return file_hash(path) if path.is_file() else ""
    spec, _ = split_column(spec, root)
    if "hub:" in spec:  # an id may stand for other rows tomorrow
        table = find(spec, root).table
        digest = hashlib.sha256()
        for column in table.columns:
            digest.update(repr((column, table.column(column))).encode("utf-8", "backslashreplace"))
        return digest.hexdigest()
    prefix, _, rest = spec.rpartition(":")
    path = (root or Path()) / rest
    if path.is_dir() and prefix in ADAPTERS:
        path = find_file(path, ADAPTERS[prefix].files)
    return file_hash(path) if path.is_file() else ""


def without_prompts(corpus: Corpus, prompts: Prompts) -> Corpus:
    """The corpus without texts that repeat, or nearly repeat, a prompt.

    Raises:
        DataError: if no text of a label is left.
    """
    found = near_duplicates(list(corpus.texts), list(prompts.texts), 0.7)
    leaked = np.zeros(len(corpus), dtype=bool)
    leaked[list(found.a)] = True
    if not leaked.any():
        return corpus
    note = f"{leaked.sum()} texts that repeat a prompt left out"
    kept = corpus.take(~leaked, note=note, left_out="repeats a prompt")
    hint = "Give prompts that are not the labelled texts themselves."
    corpus.keep_both_labels(kept, f"Leaving out {leaked.sum()} texts that repeat a prompt", hint)
    return kept


def split_neutral(
    lm: LanguageModel, neutral: NeutralText, tokens: int
) -> tuple[NeutralText, NeutralText, int]:
    """Two halves of the neutral text, each of about ``tokens`` tokens, and what repeated.

    Articles are never divided: a model that has read half of one finds the rest easy. Lines of the
    report half that nearly repeat one of the selection half are left out, and counted.

    Raises:
        DataError: if a half has too little text to measure a perplexity on.
    """
    blocks = articles(neutral.texts)
    first = {
        int(block): text for block, text in zip(blocks[::-1], neutral.texts[::-1], strict=True)
    }
    names = [first[block] for block in range(len(first))]
    lengths = np.array([len(ids) for ids in lm.encode(list(neutral.texts))])
    halves: list[NeutralText] = []
    repeated = 0
    for name, chosen in zip(("selection", "report"), hash_halves(names, HALVES_SALT), strict=True):
        rows = np.flatnonzero(np.isin(blocks, chosen))
        if halves:
            texts = [neutral.texts[row] for row in rows]
            found = near_duplicates(texts, list(halves[0].texts), 0.7)
            repeats = [n for n in found.a if texts[n].strip()]  # blank lines are all alike
            repeated, rows = len(repeats), np.delete(rows, repeats)
        before = np.cumsum(lengths[rows]) - lengths[rows]
        kept = rows[before < tokens]
        if lengths[kept].sum() < 64:
            raise DataError(
                f"The {name} half of the neutral text has {int(lengths[kept].sum())} tokens.",
                hint="Give some pages of ordinary prose with --neutral.",
            )
        halves.append(neutral.take(kept, note=f"{name} half"))
    return halves[0], halves[1], repeated


def articles(texts: Sequence[str]) -> np.ndarray:
    """The number of the article that each line belongs to: WikiText's headings begin one.

    Where there is no such heading, every text is a document of its own.
    """
    begins = np.array([_HEADING.fullmatch(text.strip()) is not None for text in texts])
    if not begins.any():
        return np.arange(len(texts))
    return np.unique(np.cumsum(begins), return_inverse=True)[1]
