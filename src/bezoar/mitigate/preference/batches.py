"""From preference pairs to padded token ids, with the places that the loss looks at."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from jaxtyping import Bool, Int
from torch import Tensor

from bezoar.errors import ConfigError, DataError
from bezoar.models import Batch, LanguageModel
from bezoar.pairs import Pairs
from bezoar.pairs.check import require_no_leak

Mode = Literal["correct", "paper", "code"]
MODES: tuple[Mode, ...] = ("correct", "paper", "code")


@dataclass(frozen=True, slots=True)
class Sides:
    """One pair in tokens.

    Attributes:
        prompt: never empty: a missing prompt is the token that begins a text.
        chosen, rejected: the answers.
    """

    prompt: tuple[int, ...]
    chosen: tuple[int, ...]
    rejected: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class TokenPairs:
    """Tokenised pairs, and what was done to them.

    Attributes:
        sides: the pairs that a gradient can come from.
        rows: which row of the original pairs each was.
        equal: how many were left out because their sides are the same tokens.
        cut_prompts, cut_answers: how many of those kept lost the beginning of their prompt, or
            the end of an answer.
        mode: how the reference's code differs; see `collate`.
        pad_id: what the tokenizer pads with.
        filler: what mode "code" fills the shorter side with: token 0 ("!" in GPT-2), or the first
            that is not special where 0 is the padding itself.
        shared: whether a pair is one row, in which both sides follow one prompt (see `collate`).
    """

    sides: tuple[Sides, ...]
    rows: tuple[int, ...]
    equal: int
    cut_prompts: int
    cut_answers: int
    mode: Mode
    pad_id: int
    filler: int = 0
    shared: bool = False

    def __len__(self) -> int:
        return len(self.sides)

    def key(self) -> str:
        """A hash of all that their log-probabilities depend on besides the model."""
        of_code = f"{self.pad_id} {self.filler}" if self.mode == "code" else ""
        digest = hashlib.sha256(f"{self.mode} {of_code}".encode())
        for pair in self.sides:
            digest.update(repr((pair.prompt, pair.chosen, pair.rejected)).encode())
        return digest.hexdigest()[:32]


def tokenise_pairs(
    lm: LanguageModel,
    pairs: Pairs,
    *,
    max_prompt_tokens: int = 64,
    max_answer_tokens: int = 64,
    mode: Mode = "correct",
) -> TokenPairs:
    """Tokenise prompt and answer as one text, so that the beginning-of-text token comes once.

    A prompt that is too long keeps its end (and its beginning-of-text token); an answer keeps its
    beginning. Nothing is appended: a continuation that stops is not one that ends.

    Args:
        lm: whose tokenizer and context count.
        pairs: at least one.
        max_prompt_tokens, max_answer_tokens: Table 5: 64 and 64. Where both together exceed the
            context, the prompt gives way.
        mode: see `collate`.

    Raises:
        ConfigError: if no room for a prompt is left in the context.
        DataError: if there is no pair, a side is empty or begins with its prompt (see
            `clean_pairs`), or no pair has two different sides.
    """
    if not len(pairs):
        raise DataError("There are no pairs.", hint="Give at least one.")
    require_no_leak(pairs)
    room = min(max_prompt_tokens, lm.context - max_answer_tokens)
    if room < 1 or max_answer_tokens < 1:
        raise ConfigError(
            f"Answers of {max_answer_tokens} tokens and prompts of {max_prompt_tokens} do not fit "
            f"into the context of {lm.context}.",
            hint="Set smaller max_answer_tokens or max_prompt_tokens (at least 1 each).",
        )
    prompts = lm.encode(pairs.prompts)
    answers = [
        _answers(lm, pairs.prompts, prompts, side) for side in (pairs.chosen, pairs.rejected)
    ]
    kept: list[Sides] = []
    rows: list[int] = []
    cut_prompts = cut_answers = 0
    for row, (prompt, chosen, rejected) in enumerate(zip(prompts, *answers, strict=True)):
        for name, ids in (("chosen", chosen), ("rejected", rejected)):
            if not ids:
                raise DataError(
                    f"The {name} side of pair {row} is empty.", hint="Drop it: clean_pairs()."
                )
        sides = Sides(
            _end_of(prompt or [lm.start_id], room, lm.tokenizer),
            tuple(chosen[:max_answer_tokens]),
            tuple(rejected[:max_answer_tokens]),
        )
        if sides.chosen == sides.rejected:
            continue
        kept.append(sides)
        rows.append(row)
        cut_prompts += len(prompt) > room
        cut_answers += max(len(chosen), len(rejected)) > max_answer_tokens
    if not kept:
        raise DataError(
            f"None of the {len(pairs)} pairs has two sides that differ in their first "
            f"{max_answer_tokens} tokens, so there is nothing to learn.",
            hint="Give other pairs, or a larger max_answer_tokens.",
        )
    equal = len(pairs) - len(kept)
    return TokenPairs(
        tuple(kept), tuple(rows), equal, cut_prompts, cut_answers, mode, lm.pad_id, _filler(lm)
    )


def _filler(lm: LanguageModel) -> int:
    if lm.pad_id != 0:
        return 0
    special = {*lm.tokenizer.all_special_ids, 0}
    return next(token for token in range(len(special) + 1) if token not in special)


def _answers(
    lm: LanguageModel, texts: Sequence[str], prompts: Sequence[list[int]], side: Sequence[str]
) -> list[list[int]]:
    """The tokens of each answer after its prompt."""
    whole = lm.encode([prompt + answer for prompt, answer in zip(texts, side, strict=True)])
    alone = lm.tokenizer(list(side), add_special_tokens=False, verbose=False)["input_ids"]
    # Where a token would reach from the prompt into the answer, both sides keep the prompt's own
    # tokens instead: the prompt has to be the same on both, or it would not cancel.
    found = []
    for prompt, ids, own in zip(prompts, whole, alone, strict=True):
        n = len(prompt)
        found.append(list(ids[n:] if ids[:n] == prompt and len(ids) > n else own))
    return found


def _end_of(prompt: Sequence[int], room: int, tokenizer: object) -> tuple[int, ...]:
    if len(prompt) <= room:
        return tuple(prompt)
    begins = prompt[0] == getattr(tokenizer, "bos_token_id", None) and room > 1
    return (prompt[0], *prompt[len(prompt) - room + 1 :]) if begins else tuple(prompt[-room:])


@dataclass(frozen=True, slots=True)
class PairBatch:
    """Some pairs as one padded batch: the chosen sides, then the rejected ones.

    Attributes:
        batch: [row pos]; padded at the right, with mask and position ids.
        places: of each counted token, where in the flattened [row · pos] it is predicted.
        targets: its id.
        rows: its side: pair i of n is i where chosen, n + i where rejected.
        pairs: which pairs these are.
        seen: [pair query key], true where a position may look, if each row holds both sides of a
            pair; None if each holds one, and looks at all that is before.
    """

    batch: Batch
    places: Int[Tensor, " token"]
    targets: Int[Tensor, " token"]
    rows: Int[Tensor, " token"]
    pairs: tuple[int, ...]
    seen: Bool[Tensor, "pair query key"] | None = None

    @property
    def n_rows(self) -> int:
        """How many sides there are."""
        return len(self.batch) * (1 if self.seen is None else 2)


def collate(
    lm: LanguageModel, tokens: TokenPairs, indices: Sequence[int], *, chosen_only: bool = False
) -> PairBatch:
    """Pad the given pairs and find what the loss counts: every answer token, and nothing else.

    Mode "code" counts what the reference counted: prompts too, which cancels in the loss and not
    in the rewards; `TokenPairs.filler`, appended to the shorter side of a pair up to the longer
    one's length, which does not cancel; and never a token of the padding id, real or not.

    If ``tokens.shared``, a row is prompt, chosen, rejected; the rejected side takes the positions
    after the prompt and does not see the chosen one, so that the prompt is read once for both. A
    batch with a row that would exceed the context is made of single sides.

    Args:
        lm: whose padding and device.
        tokens: from `tokenise_pairs`.
        indices: which of them; pair i is row i, and its rejected side row n + i.
        chosen_only: leave the rejected sides out, as fine-tuning does.
    """
    pairs = [tokens.sides[i] for i in indices]
    if tokens.shared and not chosen_only and all(_length(pair) <= lm.context for pair in pairs):
        return _both_in_one(lm, pairs, indices)
    code = tokens.mode == "code"
    ids: list[tuple[int, ...]] = []
    starts: list[int] = []
    for side in ("chosen",) if chosen_only else ("chosen", "rejected"):
        for pair in pairs:
            answer: tuple[int, ...] = getattr(pair, side)
            if code:
                longest = max(len(pair.chosen), len(pair.rejected))
                answer += (tokens.filler,) * (longest - len(answer))
            ids.append(pair.prompt + answer)
            starts.append(1 if code else len(pair.prompt))
    batch = lm.batch(ids)
    width = batch.input_ids.shape[1]
    lengths = np.array([len(row) for row in ids])
    position = np.arange(width)
    counted = (position >= np.array(starts)[:, None]) & (position < lengths[:, None])
    mask = torch.from_numpy(counted).to(batch.input_ids.device)
    if code:
        mask &= batch.input_ids != tokens.pad_id
    rows, columns = mask.nonzero(as_tuple=True)
    return PairBatch(batch, rows * width + columns - 1, batch.input_ids[mask], rows, tuple(indices))


def _length(pair: Sides) -> int:
    return len(pair.prompt) + len(pair.chosen) + len(pair.rejected)


def _both_in_one(lm: LanguageModel, pairs: Sequence[Sides], indices: Sequence[int]) -> PairBatch:
    """A row a pair: both sides branch off one prompt."""
    batch = lm.batch([pair.prompt + pair.chosen + pair.rejected for pair in pairs])
    n, width = batch.input_ids.shape
    positions = np.zeros((n, width), dtype=np.int64)  # of padding too: it is looked at by no one
    branch = np.full((n, width), -1)  # 0 the prompt, 1 chosen, 2 rejected
    places: list[np.ndarray] = []
    for row, pair in enumerate(pairs):
        p, c, r = len(pair.prompt), len(pair.chosen), len(pair.rejected)
        branch[row, : p + c + r] = np.repeat([0, 1, 2], [p, c, r])
        positions[row, : p + c + r] = np.r_[: p + c, p : p + r]
    sides = [*(pair.chosen for pair in pairs), *(pair.rejected for pair in pairs)]
    for i, side in enumerate(sides):
        pair, row = pairs[i % n], i % n
        begins = len(pair.prompt) + (len(pair.chosen) if i >= n else 0)
        # The first token of either side is predicted at the prompt's last.
        before = np.r_[len(pair.prompt) - 1, begins : begins + len(side) - 1]
        places.append(row * width + before)
    device = batch.input_ids.device
    at = torch.from_numpy(branch).to(device)
    real = at >= 0
    same = (at[:, :, None] == at[:, None]) | (at[:, None] == 0)
    seen = torch.ones(width, width, dtype=torch.bool, device=device).tril() & same
    seen &= real[:, None]
    seen |= torch.eye(width, dtype=torch.bool, device=device)  # padding sees itself: no empty row
    return PairBatch(
        replace(batch, position_ids=torch.from_numpy(positions).to(device)),
        torch.from_numpy(np.concatenate(places)).to(device),
        torch.tensor([token for side in sides for token in side], device=device),
        torch.repeat_interleave(torch.tensor([len(side) for side in sides])).to(device),
        tuple(indices),
        seen,
    )
