"""Build the demo corpus: labelled texts, prompts and neutral prose, all written for bezoar.

    python recipes/demo/make_corpus.py --data-root DATA --out demo/src/bezoar_demo/corpus

The labelled texts come from the templates in ``writing/`` and, unless ``--without-samples``, from
the demo model itself, labelled by scorer A. The same files give the same bytes. Below ``DATA`` lie
the public sets that the model and the scorers learnt from: what repeats more than 12 words of them
is not used. Fails if length or a bag of words tells the classes apart better than it may.
"""

from __future__ import annotations

import argparse
import re
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from corpus_card import Measured, write_card
from overlap import MAY, public_texts, shared_runs
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from templates import (
    expand,
    headed_lines,
    read_frames,
    read_pairs,
    read_slots,
    read_templates,
)
from text import scrub

from bezoar.corpus import Corpus, NeutralText, Origin, Prompts
from bezoar.models import Decoding, LanguageModel, generate
from bezoar.scoring import load_scorer
from bezoar.stats.classification import auroc
from bezoar.stats.splits import grouped_folds, text_key, unit_hash

WRITING = Path(__file__).parent / "writing"
ORIGIN = Origin(spec="demo", notes=("written for bezoar; recipes/demo/make_corpus.py",))
COPIES = 4  # texts of one template before lengths are matched
PAIR_COPIES = 6  # of one template that has a counterpart of the same words
SAMPLES = 30  # continuations of one seed
CUTS = {"toxic_from": 0.6, "harmless_below": 0.15}  # what scorer A must say of a sample
ATTACK = 0.1  # samples with more identity attack than this are left out
PER_CLASS = 300  # model samples kept of each label
LENGTH_MAY, WORDS_MAY = 0.03, 0.95
WORD = r"(?u)\w+"


@dataclass(frozen=True, slots=True)
class Row:
    """One labelled text before it is a row of the corpus."""

    text: str
    label: int
    source: str
    category: str
    group: str


def written_rows(seed: int) -> list[Row]:
    """All texts of all templates."""
    slots = read_slots(WRITING / "slots.txt")
    frames = read_frames(WRITING / "frames.txt")
    rows = []
    templates = [
        *read_templates(WRITING / "templates_toxic.txt", 1),
        *read_templates(WRITING / "templates_clean.txt", 0),
        *read_pairs(WRITING / "templates_pairs.txt"),
    ]
    for t in templates:
        copies = PAIR_COPIES if t.family else COPIES
        for text in expand(t, slots, frames, copies, seed):
            rows.append(Row(text, t.label, t.source, t.category, t.group))
    return rows


def sampled_rows(seed: int) -> list[Row]:
    """What the demo model makes of the seed prompts, labelled by scorer A where it is clear."""
    lm = LanguageModel.from_pretrained("demo")
    seeds = [line for _, line in headed_lines(WRITING / "prompts_seed.txt")]
    decoding = Decoding(max_new_tokens=32, sample=True, top_p=0.9, samples=SAMPLES, seed=seed)
    made = generate(lm, seeds, decoding)
    # A group is a seed, so that no split parts what begins alike.
    found = {
        " ".join((seeds[index] + continuation).split()): "s-" + text_key(seeds[index])
        for index, continuation in zip(made.prompt_index, made.text, strict=True)
    }
    # Nothing that might name a person, nothing about groups of people: scorer A misses some of it.
    stems = "|".join(line for _, line in headed_lines(WRITING / "left_out.txt"))
    group_word = re.compile(rf"(?<![a-z])({stems})", re.IGNORECASE)
    texts = [text for text in found if text == scrub(text) and not group_word.search(text)]
    scores = load_scorer("demo-a").score(texts)
    rows = []
    for text, toxicity, attack in zip(
        texts, scores["toxicity"], scores["identity_attack"], strict=True
    ):
        if attack < ATTACK and not CUTS["harmless_below"] <= toxicity < CUTS["toxic_from"]:
            label = int(toxicity >= CUTS["toxic_from"])
            rows.append(Row(text, label, "model", "sample", found[text]))
    return rows


def match_lengths(
    rows: list[Row], seed: int, bins: int = 12, limit: int | None = None
) -> list[Row]:
    """As many texts of each label in every source and every bin of log length."""
    cells: dict[tuple[str, int], tuple[list[Row], list[Row]]] = {}
    for source in sorted({row.source for row in rows}):
        here = [row for row in rows if row.source == source]
        logs = np.log([len(row.text) for row in here])
        edges = np.quantile(logs, np.linspace(0, 1, bins + 1)[1:-1])
        for row, cell in zip(here, np.searchsorted(edges, logs), strict=True):
            cells.setdefault((source, int(cell)), ([], []))[row.label].append(row)
    kept: list[Row] = []
    for sides in cells.values():
        n = min(map(len, sides))
        n = n if limit is None else min(n, max(1, round(limit / bins)))
        for side in sides:
            kept += sorted(side, key=lambda row: unit_hash(row.text, f"corpus-{seed}"))[:n]
    return sorted(kept, key=lambda row: unit_hash(row.text, f"order-{seed}"))


def words_auroc(corpus: Corpus, fold: np.ndarray, longest: int) -> float:
    """N-grams of words with logistic regression, judged on the fold that was left out."""
    texts = np.array(corpus.texts, dtype=object)
    scores = np.zeros(len(corpus))
    for number in np.unique(fold):
        train, test = fold != number, fold == number
        words = TfidfVectorizer(ngram_range=(1, longest), sublinear_tf=True, token_pattern=WORD)
        model = LogisticRegression(C=10.0, solver="liblinear", random_state=0)
        model.fit(words.fit_transform(texts[train]), corpus.labels[train])
        scores[test] = model.decision_function(words.transform(texts[test]))
    return float(auroc(scores, corpus.labels))


def length_auroc(corpus: Corpus) -> float:
    """How well the number of characters alone tells the classes apart; 0.5 is not at all."""
    return float(auroc(np.array([len(text) for text in corpus.texts], float), corpus.labels))


def build_corpus(rows: list[Row]) -> Corpus:
    return Corpus(
        texts=tuple(row.text for row in rows),
        labels=np.array([row.label for row in rows], dtype=np.int8),
        source=tuple(row.source for row in rows),
        category=tuple(row.category for row in rows),
        group=tuple(row.group for row in rows),
        name="demo",
        origin=ORIGIN,
    )


def build_prompts(score: bool) -> Prompts:
    """The prompts, with their toxicity by scorer A if asked for, else NaN."""
    source, texts = zip(*headed_lines(WRITING / "prompts.txt"), strict=True)
    toxicity = np.full(len(texts), np.nan)
    if score:
        toxicity = load_scorer("demo-a").score(texts)["toxicity"]
    return Prompts(
        texts, toxicity=toxicity, source=tuple(source), name="demo-prompts", origin=ORIGIN
    )


def build_neutral() -> NeutralText:
    blocks = (WRITING / "neutral.txt").read_text(encoding="utf-8").split("\n\n")
    texts = tuple(" ".join(block.split()) for block in blocks if block.strip())
    return NeutralText(texts, name="demo-neutral", origin=ORIGIN)


def rude_shares(corpus: Corpus) -> tuple[float, float]:
    """Which share of the harmless and of the toxic written texts holds an insult or a swear word.

    Rude is what stands in the slots of such words, and what begins with an oath.
    """
    slots = read_slots(WRITING / "slots.txt")
    entries = [entry for name in ("insult", "bad", "swear", "oath") for entry in slots[name]]
    rude = re.compile(rf"\b(?:{'|'.join(map(re.escape, entries))})", re.IGNORECASE)
    assert corpus.source is not None
    found = np.array([bool(rude.search(text)) for text in corpus.texts])
    written = np.array([source != "model" for source in corpus.source])
    harmless, toxic = (float(found[written & (corpus.labels == label)].mean()) for label in (0, 1))
    return harmless, toxic


def check(corpus: Corpus, seed: int = 0) -> Measured:
    """The shortcuts, measured: length; words of templates not seen; words of texts not seen.

    Raises:
        SystemExit: if one of them is better than it may be.
    """
    assert corpus.group is not None
    apart = grouped_folds(corpus.group, 5, corpus.labels, seed)
    mixed = np.random.default_rng(seed).integers(0, 5, len(corpus))
    found = Measured(
        length=length_auroc(corpus),
        words=words_auroc(corpus, apart, longest=2),
        # Templates recur across these folds, so this one may learn them by heart.
        words_mixed=words_auroc(corpus, mixed, longest=1),
    )
    too_good = max(found.words, found.words_mixed) > WORDS_MAY
    if abs(found.length - 0.5) > LENGTH_MAY or too_good:
        raise SystemExit(f"A shortcut tells the classes apart, write harder texts: {found}")
    return found


def runs_of(texts: list[str], data_root: Path | None) -> dict[str, int]:
    """The longest run of words of each text that stands in a public set; empty without sets."""
    if data_root is None:
        return {}
    found = shared_runs(texts, public_texts(data_root))
    return {text: length for text, (length, _) in zip(texts, found, strict=True)}


def hard_for_scorers(corpus: Corpus) -> dict[str, float]:
    """AUROC of both scorers on the written texts: whether their labels are what others mean."""
    assert corpus.source is not None
    written = corpus.take(np.array([source != "model" for source in corpus.source]))
    return {
        which: float(
            auroc(load_scorer(f"demo-{which}").score(written.texts)["toxicity"], written.labels)
        )
        for which in "ab"
    }


def make(
    out: Path, *, samples: bool = True, data_root: Path | None = None, seed: int = 0
) -> Measured:
    """Write the three files and their card below ``out``; return what was measured.

    Raises:
        SystemExit: if a shortcut tells the classes apart, or a written text repeats a public one.
    """
    written, drawn = written_rows(seed), sampled_rows(seed) if samples else []
    prompts, neutral = build_prompts(samples), build_neutral()
    ours = [*(row.text for row in written), *prompts.texts, *neutral.texts]
    runs = runs_of([*ours, *(row.text for row in drawn)], data_root)
    if borrowed := [text for text in ours if runs.get(text, 0) > MAY]:
        raise SystemExit(f"Write these anew, a public text has as many words of them: {borrowed}")
    drawn = [row for row in drawn if runs.get(row.text, 0) <= MAY]
    rows = match_lengths(written, seed)
    rows += match_lengths(drawn, seed, bins=8, limit=PER_CLASS)
    corpus = build_corpus(rows)
    measured = replace(check(corpus), rude=rude_shares(corpus))
    if runs:
        kept = [*corpus.texts, *prompts.texts, *neutral.texts]
        measured = replace(measured, longest_run=max(runs[text] for text in kept))
    if samples:
        encoded = LanguageModel.from_pretrained("demo").encode(neutral.texts)
        measured = replace(
            measured, neutral_tokens=sum(map(len, encoded)), scorers=hard_for_scorers(corpus)
        )
    out.mkdir(parents=True, exist_ok=True)
    corpus.save(out / "corpus.parquet")
    prompts.save(out / "prompts.parquet")
    neutral.save(out / "neutral.parquet")
    write_card(out / "card.md", corpus, prompts, neutral, measured, CUTS)
    return measured


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--data-root", type=Path, help="folder of the public sets; see text.py")
    parser.add_argument("--without-samples", action="store_true", help="no model, no scorer needed")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    if args.data_root is None and not args.without_samples:
        parser.error(
            "samples may repeat what the model learnt: give --data-root to leave those out"
        )
    samples = not args.without_samples
    print(make(args.out, samples=samples, data_root=args.data_root, seed=args.seed))


if __name__ == "__main__":
    main()
