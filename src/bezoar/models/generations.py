"""What a model wrote, and how it was asked."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from bezoar.errors import ConfigError, CorruptArtefact
from bezoar.runs.results import Result, atomic_write


@dataclass(frozen=True, slots=True)
class Decoding:
    """How tokens are chosen.

    Attributes:
        max_new_tokens: at most so many a continuation.
        sample: draw from the distribution; otherwise the likeliest token.
        top_p: draw from the smallest set of likeliest tokens whose probability reaches this.
        top_k: draw from so many likeliest tokens; 0 for all.
        temperature: logits are divided by it before anything else.
        samples: continuations a prompt.
        seed: of the random streams.
    """

    max_new_tokens: int = 20
    sample: bool = False
    top_p: float = 1.0
    top_k: int = 0
    temperature: float = 1.0
    samples: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        checks = {
            "max_new_tokens": self.max_new_tokens >= 1,
            "samples": self.samples >= 1,
            "top_p": 0 < self.top_p <= 1,
            "top_k": self.top_k >= 0,
            "temperature": self.temperature > 0,
        }
        for name, ok in checks.items():
            if not ok:
                raise ConfigError(f"Decoding cannot have {name}={getattr(self, name)}.")
        if self.samples > 1 and not self.sample:
            raise ConfigError(
                f"{self.samples} greedy continuations of a prompt would be equal.",
                hint="Set sample=True, or samples=1.",
            )


@dataclass(frozen=True, slots=True, repr=False)
class Generations(Result):
    """Continuations, one row each, ordered by prompt and sample.

    Attributes:
        prompts: the prompts as given.
        prompt_index, sample: which prompt, and which of its samples.
        text: the continuation alone, without special tokens.
        tokens: its token ids, without the end-of-text token.
        decoding: how they were made.
        truncated: how many prompts were cut.
        compat: the reference whose behaviour was imitated, if any.
    """

    prompts: tuple[str, ...]
    prompt_index: tuple[int, ...]
    sample: tuple[int, ...]
    text: tuple[str, ...]
    tokens: tuple[tuple[int, ...], ...]
    decoding: Decoding
    truncated: int = 0
    compat: str | None = None

    def __len__(self) -> int:
        return len(self.text)

    def texts(self) -> list[list[str]]:
        """The continuations, nested: `[prompt][sample]`."""
        nested: list[list[str]] = [[] for _ in self.prompts]
        for index, text in zip(self.prompt_index, self.text, strict=True):
            nested[index].append(text)
        return nested

    def save(self, path: str | Path) -> None:
        """Write as parquet, one row a continuation; settings are in the file's metadata."""
        path = Path(path)
        table = pa.table(
            {
                "prompt_index": pa.array(self.prompt_index, pa.int32()),
                "prompt": pa.array([self.prompts[i] for i in self.prompt_index], pa.string()),
                "sample": pa.array(self.sample, pa.int32()),
                "text": pa.array(self.text, pa.string()),
                "tokens": pa.array([list(row) for row in self.tokens], pa.list_(pa.int32())),
            }
        )
        about = {
            "decoding": dataclasses.asdict(self.decoding),
            "truncated": self.truncated,
            "compat": self.compat,
        }
        table = table.replace_schema_metadata({"bezoar": json.dumps(about, sort_keys=True)})
        sink = pa.BufferOutputStream()
        pq.write_table(table, sink)
        atomic_write(path, sink.getvalue().to_pybytes())

    @classmethod
    def load(cls, path: str | Path) -> Generations:
        """Read what ``save`` wrote.

        Raises:
            CorruptArtefact: if the file is no such table.
        """
        path = Path(path)
        try:
            table = pq.read_table(path)
            about = json.loads(table.schema.metadata[b"bezoar"])
            rows = table.to_pydict()
            prompts = dict(zip(rows["prompt_index"], rows["prompt"], strict=True))
            return cls(
                prompts=tuple(prompts[i] for i in range(len(prompts))),
                prompt_index=tuple(rows["prompt_index"]),
                sample=tuple(rows["sample"]),
                text=tuple(rows["text"]),
                tokens=tuple(tuple(row) for row in rows["tokens"]),
                decoding=Decoding(**about["decoding"]),
                truncated=about["truncated"],
                compat=about["compat"],
            )
        except (OSError, KeyError, TypeError, ValueError) as error:
            raise CorruptArtefact(
                f"{path} holds no generations: {str(error).splitlines()[0]}.",
                hint="Remove it and generate again.",
            ) from error
