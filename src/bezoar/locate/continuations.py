"""What a model writes of its own accord, and which of the tokens it wrote are toxic.

A scorer says which continuations are toxic and which of their words carry it; words and tokens meet
in the characters of the text, never by comparing strings: "he" is in "the" and in every insult.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bezoar.errors import several
from bezoar.models import Decoding, LanguageModel, generate
from bezoar.models.generate import continuation
from bezoar.runs.progress import Progress
from bezoar.runs.results import Result
from bezoar.scoring import Scorer, score_texts, scorer_id
from bezoar.scoring.attribution import Attribution, AttributionMethod, attribute, word_spans

Span = tuple[int, int]


@dataclass(frozen=True, slots=True, repr=False)
class Continuations(Result):
    """One greedy continuation of every prompt, read by a scorer.

    Attributes:
        prompts: token ids of the prompts, as the model read them.
        tokens: token ids of the continuations.
        texts: their texts.
        spans: for each token its characters in the text.
        toxic: whether the scorer calls them toxic.
        attributions: toxicity of the texts; of a toxic one also what each word carries of it.
        max_new_tokens: of a continuation.
        scorer: which one.
        attribution: how the words' shares were found.
        note: why that is not as it was asked for, if it is not.
    """

    prompts: tuple[tuple[int, ...], ...]
    tokens: tuple[tuple[int, ...], ...]
    texts: tuple[str, ...]
    spans: tuple[tuple[Span, ...], ...]
    toxic: tuple[bool, ...]
    attributions: tuple[Attribution, ...]
    max_new_tokens: int
    scorer: str
    attribution: AttributionMethod
    note: str = ""

    def __len__(self) -> int:
        return len(self.texts)

    def word_starts(self, row: int) -> list[int]:
        """The tokens of a continuation with which its words begin."""
        found = (first_token(self.spans[row], *span) for span in word_spans(self.texts[row]))
        return sorted({token for token in found if token is not None})


def continue_and_attribute(
    lm: LanguageModel,
    prompts: Sequence[str],
    scorer: Scorer,
    *,
    max_new_tokens: int = 20,
    attribution: AttributionMethod = "occlusion",
    progress: Progress | None = None,
) -> Continuations:
    """Continue prompts greedily, and ask a scorer what is toxic in what was written.

    Args:
        lm: the model, as it is: what it would do without an edit is looked for.
        prompts: see `bezoar.models.generate`.
        scorer: reads the continuation alone.
        max_new_tokens: of a continuation.
        attribution: see `bezoar.scoring.attribution`.
        progress: where to show it.

    Raises:
        ModelError: if the model has no unembedding, or is an encoder.
        ConfigError: for an unknown attribution.
        ScorerError: if the scorer fails.
    """
    prompts = several(prompts, "prompts")
    written = generate(lm, prompts, Decoding(max_new_tokens=max_new_tokens), progress=progress)
    room = lm.context - max_new_tokens
    read = [row[-room:] or [lm.start_id] for row in lm.encode(prompts)]
    scores = score_texts(scorer, written.text)["toxicity"]
    toxic = scores >= scorer.threshold
    asked = [text for text, bad in zip(written.text, toxic, strict=True) if bad]
    found = attribute(scorer, asked, method=attribution, progress=progress)
    shares = iter(found.texts)
    return Continuations(
        prompts=tuple(map(tuple, read)),
        tokens=written.tokens,
        texts=written.text,
        spans=tuple(
            tuple(token_spans(lm, ids, new)) for ids, new in zip(read, written.tokens, strict=True)
        ),
        toxic=tuple(toxic.tolist()),
        attributions=tuple(
            next(shares) if bad else Attribution(float(score), ())
            for bad, score in zip(toxic, scores, strict=True)
        ),
        max_new_tokens=max_new_tokens,
        scorer=scorer_id(scorer),
        attribution=found.method,
        note=found.note,
    )


def token_spans(lm: LanguageModel, prompt: Sequence[int], new: Sequence[int]) -> Iterator[Span]:
    """Which characters of a continuation each of its tokens wrote.

    The tokens are decoded one more at a time, so that no offsets of the tokenizer are needed. A
    token that writes only some bytes of a character gets that character, as do the others that
    write it; a special token, which is not part of the text, gets none.
    """
    whole = continuation(lm, list(prompt), list(new))
    done = 0
    for count in range(1, len(new) + 1):
        text = continuation(lm, list(prompt), list(new[:count]))
        alike = max(done, _common(text, whole))
        unfinished = len(text) > alike and alike < len(whole)
        yield done, alike + unfinished
        done = alike


def first_token(spans: Sequence[Span], start: int, end: int) -> int | None:
    """The first token that wrote any of these characters."""
    laps = (min(end, last) > max(start, first) for first, last in spans)
    return next((token for token, lap in enumerate(laps) if lap), None)


def _common(a: str, b: str) -> int:
    """Characters that two texts begin with in common."""
    pairs = enumerate(zip(a, b, strict=False))
    return next((i for i, (x, y) in pairs if x != y), min(len(a), len(b)))
