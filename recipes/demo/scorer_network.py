"""The network of scorer B: word vectors from unlabelled text, then a convolution with labels.

Vectors: positive pointwise mutual information of words within five tokens, nearer ones counting
more, and its singular vectors (Levy, Goldberg & Dagan 2015: context probabilities to the power 3/4,
square roots of the singular values). A bucket of letter n-grams starts as the mean of the words
that have it, and a word's own row as what remains. Then everything is trained by Adam.
"""

from __future__ import annotations

import html
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import scipy.sparse as sp
import torch
from scorer_data import Rows
from sklearn.utils.extmath import randomized_svd
from text import scrub
from torch import Tensor, nn
from torch.nn import functional

from bezoar.scoring.convolution import WIDTH, ConvolutionScorer, Table, letter_grams, tokens
from bezoar.stats.splits import is_reserved, unit_hash

WORDS, BUCKETS, D, FILTERS, LENGTHS = 16_000, 8192, 64, 128, (3, 5)
POSTS = 48_000  # Reddit posts beside all titles
EPOCHS, BATCH, RATE, TABLE_RATE, DROPOUT, FORGET = 2, 128, 2e-3, 1e-3, 0.3, 0.1
LONGEST = 120  # tokens of a training text that are read


def unlabelled(root: Path, half: int) -> list[str]:
    """Half of Reddit's titles and of the first posts, none reserved; the halves share no text."""
    titles = pq.read_table(root / "reddit_top/titles.parquet")["title"].to_pylist()
    posts = pq.read_table(root / "reddit_top/selfposts.parquet").slice(0, POSTS).to_pydict()
    pairs = zip(posts["title"], posts["selftext"], strict=True)
    texts = [title for title in titles if title] + [f"{a}\n{b}" for a, b in pairs]
    plain = (html.unescape(text) for text in texts)
    mine = (text for text in plain if (unit_hash(text, "bezoar-scorers-1") < 0.5) == (half == 0))
    return [scrub(text) for text in mine if not is_reserved(text)]


def word_vectors(texts: list[str], rows: Rows) -> tuple[tuple[str, ...], np.ndarray]:
    """The vocabulary, frequent words first, and a vector each."""
    read = [tokens(text) for text in texts + rows.texts]
    counts = Counter(word for text in read for word in text)
    labelled = Counter(word for text in read[len(texts) :] for word in text)
    usable = (w for w in counts if len(w) <= 20 and counts[w] >= 5)
    vocabulary = sorted(usable, key=lambda w: (-(counts[w] + 10 * labelled[w]), w))[:WORDS]
    index = {word: row for row, word in enumerate(vocabulary)}
    stream = np.array([i for t in read for i in [*(index.get(w, -1) for w in t), *[-1] * 5]])
    n = len(vocabulary)
    near = sp.csr_matrix((n, n), dtype=np.float32)
    for distance in range(1, 6):
        pair = stream[:-distance], stream[distance:]
        keep = (pair[0] >= 0) & (pair[1] >= 0)
        weight = np.full(keep.sum(), 1 / distance, dtype=np.float32)
        near = near + sp.csr_matrix((weight, (pair[0][keep], pair[1][keep])), shape=(n, n))
    near = (near + near.T).tocoo()
    totals = np.asarray(near.sum(axis=1)).ravel()
    context = totals**0.75 / (totals**0.75).sum()
    mutual = np.log(near.data / (totals[near.row] * context[near.col]))
    keep = mutual > 0
    positive = sp.csr_matrix((mutual[keep], (near.row[keep], near.col[keep])), shape=(n, n))
    left, values, _ = randomized_svd(positive.astype(np.float32), D, n_iter=3, random_state=0)
    vectors = left * np.sqrt(values)
    return tuple(vocabulary), (vectors / (vectors.std() * np.sqrt(D))).astype(np.float32)


class Network(nn.Module):
    """`ConvolutionScorer` with gradients; rows of a word that is not in the vocabulary are zero."""

    def __init__(self, vocabulary: tuple[str, ...], vectors: np.ndarray, n_attributes: int) -> None:
        super().__init__()
        self.rows = {word: row + 1 for row, word in enumerate(vocabulary)}
        grams = [self.grams_of(word) for word in vocabulary]
        sums, seen = np.zeros((BUCKETS, D)), np.full(BUCKETS, 2.0)
        for vector, found in zip(vectors, grams, strict=True):
            np.add.at(sums, found, vector)
            np.add.at(seen, found, 1)
        means = (sums / seen[:, None]).astype(np.float32)
        own = vectors - np.stack([means[g].mean(0) if g else np.zeros(D) for g in grams])
        padded = np.concatenate([np.zeros((1, D)), own]).astype(np.float32)
        self.words = nn.Embedding.from_pretrained(torch.tensor(padded), False, padding_idx=0)
        self.grams = nn.EmbeddingBag.from_pretrained(torch.tensor(means), False, mode="mean")
        self.conv = nn.Conv1d(D, FILTERS, WIDTH, padding=1)
        self.out = nn.Linear(FILTERS, n_attributes)

    @staticmethod
    def grams_of(word: str) -> list[int]:
        return letter_grams(word, *LENGTHS, BUCKETS)

    def forward(self, texts: list[list[str]], forget: np.random.Generator) -> Tensor:
        """Logits of a batch; a tenth of its words has to do with letters alone."""
        index: dict[str, int] = {}
        ids = [torch.tensor([index.setdefault(w, len(index)) for w in text]) for text in texts]
        grams = [self.grams_of(word) for word in index]
        rows = np.array([self.rows.get(word, 0) for word in index])
        rows[forget.random(len(rows)) < FORGET] = 0
        starts = torch.tensor(np.cumsum([0, *(len(g) for g in grams[:-1])]))
        flat = torch.tensor([g for found in grams for g in found], dtype=torch.long)
        vectors = self.words(torch.tensor(rows)) + self.grams(flat, starts)
        vectors = torch.cat([vectors, torch.zeros(1, D)])
        padded = nn.utils.rnn.pad_sequence(ids, batch_first=True, padding_value=len(index))
        x = functional.dropout(vectors[padded], DROPOUT, self.training)
        seen = self.conv(x.transpose(1, 2))
        seen = seen.masked_fill((padded == len(index))[:, None], -1e4)
        h = functional.relu(seen.amax(dim=2))
        return self.out(functional.dropout(h, DROPOUT, self.training))


def fit(rows: Rows, attributes: tuple[str, ...], vectors, **names: str) -> ConvolutionScorer:
    """Train on the rows, an unknown label costing nothing, and round the tables to 8 bits."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    network = Network(*vectors, len(attributes))
    read = [tokens(text)[:LONGEST] or ["."] for text in rows.texts]
    labels = torch.tensor(np.stack([rows.column(a) for a in attributes], axis=1))
    tables = [*network.words.parameters(), *network.grams.parameters()]
    layers = [*network.conv.parameters(), *network.out.parameters()]
    groups = [{"params": tables, "lr": TABLE_RATE}, {"params": layers, "lr": RATE}]
    optimiser = torch.optim.Adam(groups, betas=(0.9, 0.98))
    steps = EPOCHS * (len(read) // BATCH)
    falling = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: max(0, 1 - step / steps))
    for epoch in range(EPOCHS):
        # Texts of about one length share a batch, so that little is padding.
        order = np.argsort([len(text) + 3 * rng.random() for text in read])
        cut = [order[i : i + BATCH] for i in range(0, len(order) - BATCH + 1, BATCH)]
        total = 0.0
        for batch in rng.permutation(len(cut)):
            chosen = cut[batch]
            truth = labels[chosen]
            known = truth.isfinite()
            logits = network([read[i] for i in chosen], rng)
            loss = functional.binary_cross_entropy_with_logits(logits[known], truth[known].float())
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            falling.step()
            total += float(loss.detach())
        print(f"epoch {epoch + 1}: loss {total / len(cut):.4f}", flush=True)
    return shipped(network.eval(), vectors[0], attributes, **names)


def shipped(network: Network, vocabulary: tuple[str, ...], attributes: tuple[str, ...], **names):
    """The network as the scorer that numpy reads."""
    state = {name: tensor.numpy() for name, tensor in network.state_dict().items()}
    # Conv1d's weight is [filter, width, tap]; the kernel's taps lie one below the other.
    kernel = np.concatenate([state["conv.weight"][:, :, tap].T for tap in range(WIDTH)])
    return ConvolutionScorer(
        vocabulary=vocabulary,
        words=Table.of(state["words.weight"][1:]),
        grams=Table.of(state["grams.weight"]),
        kernel=np.ascontiguousarray(kernel),
        kernel_bias=state["conv.bias"],
        output=state["out.weight"],
        bias=state["out.bias"],
        attributes=attributes,
        lengths=LENGTHS,
        **names,
    )
