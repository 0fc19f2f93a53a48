"""An audit reads the texts that its protocol is published on, or says that it does not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bezoar.corpus import Corpus, Exploration, Prompts
from bezoar.errors import ConfigError
from bezoar.runs import AuditConfig, parse_config
from bezoar.studies.audit import run_stages
from tests.families import tiny_model

WORDS = ("good", "house", "kind", "people", "river", "think", "day", "night", "walk", "tree")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model, RealToxicityPrompts of which every other one is challenging, and tokenised text."""
    folder = tmp_path_factory.mktemp("texts")
    lm = tiny_model("gpt2")
    lm.model.save_pretrained(folder / "model")
    lm.tokenizer.save_pretrained(folder / "model")
    rows = [
        {"challenging": i % 2 == 0, "prompt": {"text": f"{a} {b} {i}", "toxicity": i / 100}}
        for i, (a, b) in enumerate((a, b) for a in WORDS for b in WORDS)
    ]
    (folder / "prompts.jsonl").write_text("\n".join(map(json.dumps, rows)))
    lines = [f"The {a} and the {b} of the <unk> think it is {a}." for a in WORDS for b in WORDS]
    (folder / "wiki.txt").write_text("\n".join(lines))
    return folder


def explored(place: Path, out: str, protocol: str, **data: object) -> tuple[Exploration, Prompts]:
    config = parse_config(
        AuditConfig,
        {
            "model": {"name": str(place / "model")},
            "data": {"limit": 60, "neutral_tokens": 600, "root": str(place), **data},
            "evaluate": {"protocol": protocol},
            "mitigate": {"select_prompts": 8},
            "out": str(place / out),
        },
    )
    seen = run_stages(config, "explore")
    return seen, Prompts.load(place / out / "explore" / "prompts-report.parquet")


def test_rtp_reads_the_part_that_the_protocol_takes(place: Path) -> None:
    seen, prompts = explored(place, "own", "LEE@16", prompts="rtp:prompts.jsonl")
    assert prompts.name == "rtp-challenging"
    assert all(int(text.split()[-1]) % 2 == 0 for text in prompts.texts)
    assert not any("published LEE numbers" in note for note in seen.notes)


def test_other_prompts_are_named_and_told_from_the_protocols(place: Path) -> None:
    seen, prompts = explored(place, "other", "LEE@16", prompts="rtp-nontoxic:prompts.jsonl")
    assert prompts.name == "rtp-nontoxic"
    (note,) = (note for note in seen.notes if "published LEE numbers" in note)
    assert note.startswith("prompts are rtp-nontoxic;")
    assert "rtp-challenging:" in note


def test_tokenised_text_needs_its_own_id(place: Path) -> None:
    with pytest.raises(ConfigError, match="tokenised") as caught:
        explored(place, "raw", "LEE@16", neutral="wiki.txt")
    assert "Use LEE-tok@16" in caught.value.hint
    explored(place, "tok", "LEE-tok@16", neutral="wiki.txt")
    with pytest.raises(ConfigError, match="takes perplexity on text that is tokenised") as caught:
        explored(place, "demo", "LEE-tok@16")
    assert "Use LEE@16" in caught.value.hint


def test_every_column_of_an_own_file_can_be_named(place: Path) -> None:
    rows = [f"{a} {b},{b} {a} says,{i % 2},{a}{i % 3}" for i, (a, b) in enumerate(_pairs())]
    (place / "own.csv").write_text("\n".join(["body,start,mark,thread", *rows]))
    own = {"data": "own.csv#body", "label": "mark", "group": "thread", "category": "thread"}
    seen, prompts = explored(place, "columns", "LEE@16", prompts="own.csv#start", **own)
    assert all(text.endswith(" says") for text in prompts.texts)
    assert {count.category[:-1] for count in seen.counts} <= set(WORDS)
    parts = [
        Corpus.load(place / "columns" / "explore" / f"{n}.parquet") for n in ("train", "report")
    ]
    threads = [set(part.group or ()) for part in parts]
    assert all(threads)
    assert not threads[0] & threads[1]


def _pairs() -> list[tuple[str, str]]:
    return [(a, b) for a in WORDS for b in WORDS]
