"""What the demo model gives away of the text it was trained on.

    python recipes/demo/memorisation.py --model demo/src/bezoar_demo/model --work WORK

Prefix extraction (Carlini et al. 2023, "Quantifying memorization", definition 3.1): the model is
given the first tokens of a training document and continues greedily; how often are the next tokens
the document's own? Documents that were seen once are told from those seen more often, and reserved
ones, which it cannot have learnt by heart, say what chance and set phrases give. ``overlap.py``
looks at shipped texts.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from scipy.stats import binomtest
from stream import END_ID, prepare
from transformers import PreTrainedModel

PREFIX, LENGTH = 32, 32  # tokens given, tokens asked for
DOCUMENTS = 1000  # of each group
LONG = 16  # tokens that make a fragment worth counting
SEED = 0


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
