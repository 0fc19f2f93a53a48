"""A 5-gram's bits per byte on the reserves, over the same tokens: what a neural model has to beat.

    python recipes/demo/ngram.py --work recipes/demo/work

Interpolated modified Kneser-Ney (Chen & Goodman 1999, equations 23-26) on sorted arrays. The
libraries that estimate it are KenLM's C++ programs, to be compiled, and nltk's, which keeps
dictionaries; neither suits 20 million tokens in a recipe.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from stream import CONTEXT, END_ID, RESERVES, bytes_of_tokens, windows
from transformers import PreTrainedTokenizerFast

ORDER = 5


def history(tokens: np.ndarray, back: int) -> np.ndarray:
    """The token ``back`` before each token of its document, END where that would leave it."""
    index = np.arange(len(tokens))
    begin = np.maximum.accumulate(np.where(tokens == END_ID, index, 0))
    begin = np.concatenate([[0], begin[:-1]])  # an END is foretold by the document that it ends
    return tokens[np.maximum(index - back, begin)].astype(np.int64)


def find(table: np.ndarray, keys: np.ndarray) -> np.ndarray:
    """Where each key stands in a sorted table, -1 where it does not."""
    at = np.minimum(np.searchsorted(table, keys), len(table) - 1)
    return np.where(table[at] == keys, at, -1)


@dataclass(frozen=True, slots=True)
class Level:
    """The k-grams of one order: contexts (sorted), grams (sorted), their discounted counts."""

    contexts: np.ndarray  # of the parent context's number · vocabulary + one more token back
    grams: np.ndarray  # context's number · vocabulary + next token
    kept: np.ndarray  # [gram]: count less its discount, over the context's count
    backoff: np.ndarray  # [context]: the share that goes to the shorter context


class KneserNey:
    """p(w | c) = kept(c w) + backoff(c) · p(w | c without its first token)."""

    def __init__(self, tokens: np.ndarray, vocab: int, order: int = ORDER):
        self.vocab, self.levels = vocab, []
        words = tokens.astype(np.int64)
        context = np.zeros(len(words), dtype=np.int64)
        contexts = np.zeros(1, dtype=np.int64)
        grams, first, counts = np.unique(words, return_index=True, return_counts=True)
        for k in range(1, order + 1):
            if k == order:
                self.levels.append(self._level(contexts, grams, counts))
                break
            keys = context * vocab + words  # of this order, at every position
            longer = context * vocab + history(tokens, k)
            next_contexts, context = np.unique(longer, return_inverse=True)
            next_grams, first, next_counts = np.unique(
                context * vocab + words, return_index=True, return_counts=True
            )
            # Below the highest order a gram counts once for each token that it follows.
            spread = np.bincount(np.searchsorted(grams, keys[first]), minlength=len(grams))
            self.levels.append(self._level(contexts, grams, spread))
            contexts, grams, counts = next_contexts, next_grams, next_counts

    def _level(self, contexts: np.ndarray, grams: np.ndarray, counts: np.ndarray) -> Level:
        n1, n2, n3, n4 = (max(int((counts == n).sum()), 1) for n in (1, 2, 3, 4))
        y = n1 / (n1 + 2 * n2)
        steps = np.array([1 - 2 * y * n2 / n1, 2 - 3 * y * n3 / n2, 3 - 4 * y * n4 / n3])
        if not np.all((steps > 0) & (steps <= [1, 2, 3])):  # too few rare grams to estimate them
            steps = np.array([0.5, 1.0, 1.5])
        discount = np.concatenate([[0.0], steps])[np.minimum(counts, 3)]
        owner = grams // self.vocab
        total = np.bincount(owner, weights=counts, minlength=len(contexts))
        backoff = np.bincount(owner, weights=discount, minlength=len(contexts)) / total
        return Level(contexts, grams, (counts - discount) / total[owner], backoff)

    def probabilities(self, tokens: np.ndarray) -> np.ndarray:
        """p of each token given those before it in its document."""
        words = tokens.astype(np.int64)
        p = np.full(len(words), 1 / self.vocab)
        context = np.zeros(len(words), dtype=np.int64)
        for k, level in enumerate(self.levels):
            if k:
                longer = context * self.vocab + history(tokens, k)
                context = np.where(context >= 0, find(level.contexts, longer), -1)
            gram = find(level.grams, context * self.vocab + words)
            kept = np.where(gram >= 0, level.kept[gram], 0.0)
            p = np.where(context >= 0, kept + level.backoff[context] * p, p)
        return p


def bits_per_byte(model: KneserNey, tokens: np.ndarray, token_bytes: np.ndarray) -> float:
    """Over the tokens that the neural models are measured on (``pretrain.bits_per_byte``)."""
    part = tokens[: windows(tokens) * CONTEXT + 1]
    keep = part != END_ID
    keep[0] = False
    bits = -np.log2(model.probabilities(part)[keep]).sum()
    return float(bits / token_bytes[part[keep]].sum())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, default=Path("recipes/demo/work"))
    parser.add_argument("--order", type=int, default=ORDER)
    args = parser.parse_args()
    tokenizer = PreTrainedTokenizerFast.from_pretrained(args.work / "tokenizer")
    token_bytes = bytes_of_tokens(tokenizer)
    with np.load(args.work / "stream.npz") as arrays:
        model = KneserNey(arrays["tokens"], len(tokenizer), args.order)
        bits = {
            name: round(bits_per_byte(model, arrays[f"reserve_{name}"], token_bytes), 4)
            for name in RESERVES
        }
    grams = sum(len(level.grams) for level in model.levels)
    print(json.dumps({"order": args.order, "grams": grams, "bits_per_byte": bits}))


if __name__ == "__main__":
    main()
