"""What the demo model gives away of the text it was trained on, and what the shipped texts repeat.

    python recipes/demo/memorisation.py --model demo/src/bezoar_demo/model --work WORK

Two questions. *Extraction* (Carlini et al. 2023, "Quantifying memorization", definition 3.1): the
model is given the first tokens of a training document and continues greedily; how often are the
next tokens the document's own, letter for letter? Documents that were seen once are told from those
seen more often, and reserved ones, which it cannot have learnt by heart, say what chance gives.
*Overlap*: the longest run of words that a shipped text shares with any training document.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Int
from scipy.stats import binomtest
from stream import END_ID, prepare
from transformers import PreTrainedModel

PREFIX, LENGTH = 32, 32  # tokens given, tokens asked for
DOCUMENTS = 1000  # of each group
LONG = 16  # tokens that make a fragment worth counting
WORDS = 12  # a shipped text may share at most so many words in a row
SEED = 0
BATCH = 20_000  # documents compared at a time
FACTOR = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True, slots=True)
class Extracted:
    """How many tokens of each document came back before the first that differs."""

    group: str
    run: np.ndarray  # [documents]

    def share(self, tokens: int) -> tuple[float, float, float]:
        """Of the documents, those that gave ``tokens`` or more; with Wilson's 95 % interval."""
        found = binomtest(int((self.run >= tokens).sum()), len(self.run))
        low, high = found.proportion_ci(method="wilson")
        return float(found.statistic), float(low), float(high)


def split_documents(tokens: np.ndarray) -> list[np.ndarray]:
    """The documents of a packed stream, each with its END in front; the last may be cut."""
    begins = np.flatnonzero(tokens == END_ID)
    return np.split(tokens, begins[1:]) if len(begins) else []


def grouped(tokens: np.ndarray, reserves: Iterable[np.ndarray]) -> dict[str, list[np.ndarray]]:
    """Documents long enough to be continued, by how often the training saw them."""
    counts: dict[bytes, int] = {}
    for document in split_documents(tokens)[:-1]:
        key = document.tobytes()
        counts[key] = counts.get(key, 0) + 1
    groups: dict[str, list[np.ndarray]] = {"seen once": [], "seen 2 to 6 times": [], "reserved": []}
    for key, times in counts.items():
        groups["seen once" if times == 1 else "seen 2 to 6 times"].append(
            np.frombuffer(key, dtype=tokens.dtype)
        )
    for reserve in reserves:
        groups["reserved"] += split_documents(reserve)[:-1]
    return {
        name: [document for document in documents if len(document) >= PREFIX + LENGTH]
        for name, documents in groups.items()
    }


@torch.no_grad()
def matching_run(model: PreTrainedModel, documents: Sequence[np.ndarray]) -> np.ndarray:
    """Tokens of each document that the greedy continuation of its prefix repeats, [documents]."""
    runs = []
    for start in range(0, len(documents), 50):
        block = np.stack([d[: PREFIX + LENGTH] for d in documents[start : start + 50]])
        rows = torch.from_numpy(block.astype(np.int64))
        given = rows[:, :PREFIX]
        made = model.generate(
            input_ids=given,
            attention_mask=torch.ones_like(given),
            do_sample=False,
            min_new_tokens=LENGTH,
            max_new_tokens=LENGTH,
            pad_token_id=END_ID,
        )
        same = made[:, PREFIX:] == rows[:, PREFIX:]
        runs.append(same.cumprod(1).sum(1).numpy())
    return np.concatenate(runs)


def extraction(
    model: PreTrainedModel, tokens: np.ndarray, reserves: Iterable[np.ndarray]
) -> list[Extracted]:
    """Prefix extraction on a random thousand of each group."""
    rng = np.random.default_rng(SEED)
    found = []
    for name, documents in grouped(tokens, reserves).items():
        chosen = rng.permutation(len(documents))[:DOCUMENTS]
        if len(chosen):
            found.append(Extracted(name, matching_run(model, [documents[i] for i in chosen])))
    return found


def words(text: str) -> list[str]:
    """Words in lower case, without punctuation, so that a comma does not hide a copy."""
    return re.findall(r"\w+", text.lower())


def batched(items: Iterable[str], size: int) -> Iterator[list[str]]:
    """Lists of ``size`` items; Python 3.12 has it built in."""
    items = iter(items)
    while part := list(islice(items, size)):
        yield part


def grown(
    at: np.ndarray, hashes: np.ndarray, row: np.ndarray, n: int
) -> tuple[np.ndarray, np.ndarray]:
    """The runs of n - 1 words that start ``at``, longer by a word, where the row has one."""
    inside = at + n <= len(row)
    at = at[inside]
    return at, hashes[inside] * FACTOR + row[at + n - 1]


def longest_shared(
    texts: Sequence[str], documents: Iterable[str], most: int = 40
) -> Int[np.ndarray, " texts"]:
    """The longest run of words that each text shares with any of ``documents``, up to ``most``.

    Texts and documents are laid end to end, parted by words that the other side does not have, and
    runs of n words are compared by a 64-bit polynomial that grows by one word from n to n + 1.
    """
    numbers: dict[str, int] = {}
    rows = [[numbers.setdefault(word, len(numbers) + 2) for word in words(t)] for t in texts]
    ours = np.array([n for row in rows for n in (*row, 1)], dtype=np.uint64)
    owner = np.repeat(np.arange(len(rows)), [len(row) + 1 for row in rows])
    longest = np.zeros(len(texts), dtype=int)
    for part in batched(documents, BATCH):
        theirs = np.array([numbers.get(w, 0) for d in part for w in (*words(d), "")], np.uint64)
        left, right = np.zeros(len(ours), np.uint64), np.zeros(len(theirs), np.uint64)
        at, start = np.arange(len(ours)), np.arange(len(theirs))  # where a shared run still stands
        for n in range(1, most + 1):
            at, left = grown(at, left, ours, n)
            start, right = grown(start, right, theirs, n)
            mutual = np.intersect1d(left, right)
            kept, common = np.isin(left, mutual), np.isin(right, mutual)
            at, left, start, right = at[kept], left[kept], start[common], right[common]
            longest[owner[at]] = np.maximum(longest[owner[at]], n)
    return longest


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--work", type=Path, default=Path("recipes/demo/work"))
    args = parser.parse_args()
    from transformers import AutoModelForCausalLM

    stream, _ = prepare(Path(), args.work, SEED)
    model = AutoModelForCausalLM.from_pretrained(args.model, dtype=torch.float32).eval()
    for found in extraction(model, stream.tokens, stream.reserves.values()):
        shares = {n: tuple(round(x, 5) for x in found.share(n)) for n in (LONG, LENGTH)}
        print(found.group, len(found.run), f"{found.run.mean():.2f}", shares)


if __name__ == "__main__":
    main()
