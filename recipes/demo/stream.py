"""From the public sets to packed tokens: mixture, tokenizer, document starts, windows.

One pass over the stream is the whole training: every size of the ladder and the masked twin see the
same tokens. Documents are laid end to end, each begun by ``END``, and cut into windows of CONTEXT;
inside a window attention and positions stop at a document's beginning (``layout``). So nothing is
padded, no document is read through another, and a window that opens in the middle of a document
teaches the model to read text that does not begin with ``END``, as prompts do not.
"""

from __future__ import annotations

import html
import json
import random
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from text import SOURCES, reserved_rows, scrub, training_rows
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from bezoar.stats.splits import text_key

END, MASK = "<|endoftext|>", "<|mask|>"
END_ID, MASK_ID = 0, 1
VOCAB, CONTEXT = 8192, 256
LONGEST = 4000  # characters of a document
TOKENIZER_TEXTS = 60_000
RESERVES = {"wikitext2": 200_000, "reddit_selfposts": 200_000}  # tokens kept for measuring
MIXTURE = {  # passes over the ordinary and over the toxic rows; toxic text: a fifth of the tokens
    "reddit_selfposts": (0.42, 0),
    "wikitext2": (1, 0),
    "jigsaw": (1, 5),
    "civil_comments": (1, 4),  # civil_semeval is part of it
    "reddit_titles": (0.4, 0),
    "goemotions": (1, 0),
    "topical_chat": (1, 0),
    "wikipedia_sentences": (1, 0),
    "hatexplain": (1, 3),
    "davidson": (1, 2.5),
    "diasafety": (1, 3),
}
READ = tuple(source for source in SOURCES if source.name in MIXTURE)


@dataclass(frozen=True, slots=True)
class Document:
    """A text as it is tokenised, and where it came from."""

    text: str
    source: str
    toxic: bool


@dataclass(frozen=True, slots=True)
class Stream:
    """``tokens`` [n] uint16 (each document begins with END) and the reserves, packed likewise."""

    tokens: np.ndarray
    reserves: dict[str, np.ndarray]
    token_bytes: np.ndarray  # [vocab]: UTF-8 bytes that a token stands for; 0 for END and MASK
    record: dict


def sampled(texts: list, passes: float, rng: random.Random) -> list:
    """``passes`` epochs of ``texts``: whole copies, then a random part of one."""
    whole, part = divmod(passes, 1)
    return texts * int(whole) + rng.sample(texts, round(part * len(texts)))


def tidy(text: str) -> str:
    """Resolve HTML entities, which may have hidden an address, and cut very long texts."""
    return (scrub(html.unescape(text)) if "&" in text else text)[:LONGEST]


def foreign(text: str) -> bool:
    """Whether over a tenth of the characters is not ASCII: too few of them to learn from."""
    return sum(character > "\x7f" for character in text) > len(text) / 10


def documents(root: Path, seed: int) -> list[Document]:
    """The shuffled documents of the training, no text twice but as MIXTURE says."""
    rng = random.Random(seed)
    seen: set[str] = set()
    chosen: list[Document] = []
    for source in READ:
        kept: dict[bool, list[Document]] = {False: [], True: []}
        for text, toxic in training_rows(source, root):
            text, key = tidy(text), text_key(text)
            if text and key not in seen and not foreign(text):
                seen.add(key)
                kept[bool(toxic)].append(Document(text, source.name, bool(toxic)))
        for passes, group in zip(MIXTURE[source.name], kept.values(), strict=True):
            chosen += sampled(group, passes, rng)
    rng.shuffle(chosen)
    return chosen


def train_tokenizer(texts: list[str]) -> PreTrainedTokenizerFast:
    """A byte-level BPE, as GPT-2's, of VOCAB entries."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCAB,
        special_tokens=[END, MASK],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=END,
        eos_token=END,
        pad_token=END,
        mask_token=MASK,
        model_max_length=CONTEXT,
    )


def encode(tokenizer: PreTrainedTokenizerFast, texts: list[str]) -> list[np.ndarray]:
    """Tokens of each text, END first; special tokens written out in a text are ordinary text."""
    rows: list[np.ndarray] = []
    backend = tokenizer.backend_tokenizer
    backend.encode_special_tokens = True
    for start in range(0, len(texts), 2000):
        batch = backend.encode_batch(texts[start : start + 2000], add_special_tokens=False)
        rows += [np.array([END_ID, *row.ids], dtype=np.uint16) for row in batch]
    return rows


def bytes_of_tokens(tokenizer: PreTrainedTokenizerFast) -> np.ndarray:
    """How many bytes each token stands for: byte-level tokens spell a byte by a character."""
    words = tokenizer.convert_ids_to_tokens(range(len(tokenizer)))
    lengths = np.array([len(word) for word in words])
    lengths[[END_ID, MASK_ID]] = 0
    return lengths


def prepare(root: Path, work: Path, seed: int) -> tuple[Stream, PreTrainedTokenizerFast]:
    """Tokenise once and keep the stream, its reserves and the tokenizer in ``work``."""
    file = work / "stream.npz"
    if not file.exists():
        make(root, work, seed)
    tokenizer = PreTrainedTokenizerFast.from_pretrained(work / "tokenizer")
    with np.load(file) as arrays:
        reserves = {name: arrays[f"reserve_{name}"] for name in RESERVES}
        tokens = arrays["tokens"]
    record = json.loads((work / "stream.json").read_text())
    return Stream(tokens, reserves, bytes_of_tokens(tokenizer), record), tokenizer


def make(root: Path, work: Path, seed: int) -> None:
    """Write ``tokenizer/``, ``stream.json`` and, last, ``stream.npz``."""
    chosen = documents(root, seed)
    every = max(1, len(chosen) // TOKENIZER_TEXTS)
    tokenizer = train_tokenizer([document.text for document in chosen[::every]])
    tokenizer.save_pretrained(work / "tokenizer")
    rows = encode(tokenizer, [document.text for document in chosen])
    counts: Counter[tuple[str, bool]] = Counter()
    for document, row in zip(chosen, rows, strict=True):
        counts[document.source, document.toxic] += len(row)
    reserves = {}
    for source in READ:
        if source.name in RESERVES:
            texts = [tidy(text) for text, _ in reserved_rows(source, root)]
            random.Random(seed).shuffle(texts)
            packed = np.concatenate(encode(tokenizer, texts[:5000]))
            reserves[f"reserve_{source.name}"] = packed[: RESERVES[source.name]]
    record = {
        "seed": seed,
        "documents": len(chosen),
        "tokens": sum(counts.values()),
        "toxic_share": sum(n for (_, toxic), n in counts.items() if toxic) / sum(counts.values()),
        "sources": [
            {
                "name": source.name,
                "origin": source.origin,
                "file": source.file.rpartition("/")[2],
                "sha256": source.sha256,
                "licence": source.licence,
                "passes": MIXTURE[source.name],
                "tokens": counts[source.name, False],
                "toxic_tokens": counts[source.name, True],
            }
            for source in READ
        ],
    }
    (work / "stream.json").write_text(json.dumps(record, indent=1))
    partial = work / "stream.tmp.npz"
    np.savez_compressed(partial, tokens=np.concatenate(rows), **reserves)
    partial.replace(work / "stream.npz")


def windows(tokens: np.ndarray) -> int:
    """How many windows there are; each also reads the token that follows it."""
    return (len(tokens) - 1) // CONTEXT


def window_batch(tokens: np.ndarray, which) -> tuple[torch.Tensor, torch.Tensor]:
    """Inputs and next tokens [batch pos] of the windows numbered ``which``."""
    rows = [tokens[w * CONTEXT : (w + 1) * CONTEXT + 1] for w in which]
    block = torch.from_numpy(np.stack(rows).astype(np.int64))
    return block[:, :-1], block[:, 1:]


def layout(inputs: torch.Tensor, *, causal: bool) -> tuple[torch.Tensor, torch.Tensor]:
    """Positions [batch pos], from 0 in each document, and who sees whom [batch 1 query key]."""
    begins = inputs == END_ID
    segment = begins.cumsum(1)
    index = torch.arange(inputs.shape[1]).expand_as(inputs)
    position = index - torch.where(begins, index, 0).cummax(1).values
    visible = segment[:, :, None] == segment[:, None, :]
    return position, (visible.tril() if causal else visible)[:, None]
