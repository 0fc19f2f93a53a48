"""The demo model's recipe: what is read and kept out, how it is packed, and that a run resumes."""

from __future__ import annotations

import hashlib
import math
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from torch.nn import functional as F

from bezoar.errors import DataError
from bezoar.stats.splits import is_reserved, text_key

sys.path.insert(0, str(Path(__file__).parents[2] / "recipes" / "demo"))
try:
    import networks
    import ngram
    import pretrain
    import stream
    import text
finally:
    sys.path.pop(0)

VOCAB = 64


@pytest.fixture
def root(tmp_path, monkeypatch) -> Path:
    """Two toy sets in place of the public ones, one of them with toxic rows."""
    words = ["river", "winter", "engine", "yellow", "market", "silver", "garden", "paper"]
    rng = np.random.default_rng(0)
    lines = [" ".join(rng.choice(words, 12)) + f" {n}" for n in range(300)]
    comments = [
        f"{line} &amp; write to ann{n}@mail.org or @ann_{n}" for n, line in enumerate(lines)
    ]
    tables = {
        "wikitext2": {"text": lines},
        "davidson": {"tweet": comments, "class": [2, 1] * 150},
    }
    sources = []
    for source in (source for source in text.SOURCES if source.name in tables):
        path = tmp_path / source.file
        path.parent.mkdir()
        pq.write_table(pa.table(tables[source.name]), path)
        sources.append(replace(source, sha256=hashlib.sha256(path.read_bytes()).hexdigest()))
    monkeypatch.setattr(stream, "READ", tuple(sources))
    monkeypatch.setattr(stream, "MIXTURE", {"wikitext2": (1, 0), "davidson": (0.5, 2)})
    monkeypatch.setattr(stream, "RESERVES", {"wikitext2": 5000})
    monkeypatch.setattr(stream, "VOCAB", 300)
    return tmp_path


def test_reserve_and_personal_data_stay_out(root):
    kept = stream.documents(root, seed=0)
    for source in stream.READ:
        verbatim = [row for row, _ in text.rows(source, root)]
        reserved = {text_key(stream.tidy(text.scrub(row))) for row in verbatim if is_reserved(row)}
        assert 30 < len(reserved) < 90
        assert not reserved & {text_key(d.text) for d in kept if d.source == source.name}
    assert not [d.text for d in kept if "@" in d.text or "&amp;" in d.text]


def test_mixture_counts_passes(root):
    kept = stream.documents(root, seed=0)
    for name, (ordinary, toxic) in stream.MIXTURE.items():
        source = next(source for source in stream.READ if source.name == name)
        labels = [label for _, label in text.training_rows(source, root)]
        found = [d.toxic for d in kept if d.source == name]
        assert found.count(True) == toxic * sum(labels)
        assert found.count(False) == round(ordinary * labels.count(0))


def test_a_set_is_known_by_its_checksum(root):
    source = stream.READ[0]
    path = root / source.file
    path.write_bytes(path.read_bytes() + b" ")
    with pytest.raises(DataError, match=rf"{source.name}: .*SHA-256"):
        text.read(source, root)
    path.unlink()
    with pytest.raises(DataError, match="there is no file"):
        text.read(source, root)


def test_every_set_that_is_mixed_has_a_reader_and_a_free_licence():
    assert {source.name for source in text.SOURCES} == set(text.READERS)
    assert set(stream.MIXTURE) <= set(text.READERS)
    for source in text.SOURCES:
        assert source.licence
        assert not {"NC", "ND"} & set(source.licence.replace("-", " ").split())


def test_stream_is_made_once_and_decodes(root, tmp_path):
    work = tmp_path / "work"
    work.mkdir()
    made, tokenizer = stream.prepare(root, work, 0)
    again, _ = stream.prepare(Path("nowhere"), work, 0)
    assert np.array_equal(made.tokens, again.tokens)
    documents = tokenizer.decode(made.tokens.astype(int)).split(stream.END)[1:]
    assert documents == [d.text for d in stream.documents(root, 0)]
    counted = sum(s["tokens"] + s["toxic_tokens"] for s in made.record["sources"])
    assert counted == made.record["tokens"] == len(made.tokens)
    size = sum(len(d.encode()) for d in documents)
    assert made.token_bytes[made.tokens].sum() == size
    # What a text says is never taken for a special token.
    assert stream.encode(tokenizer, [stream.END])[0].tolist().count(stream.END_ID) == 1


def toy(documents: int = 120, seed: int = 0) -> stream.Stream:
    rng = np.random.default_rng(seed)
    parts = [[0, *rng.integers(2, VOCAB, rng.integers(20, 400))] for _ in range(documents)]
    tokens = np.concatenate(parts).astype(np.uint16)
    sizes = np.array([0, 0, *rng.integers(1, 6, VOCAB - 2)])
    return stream.Stream(tokens, {"reserve": tokens[:3000]}, sizes, {})


@pytest.mark.parametrize("objective", ["next", "masked"])
def test_documents_in_a_window_do_not_meet(objective):
    torch.manual_seed(0)
    model = networks.build("0.5", objective, VOCAB).eval()
    inputs = torch.randint(2, VOCAB, (2, 96))
    inputs[:, [10, 50]] = stream.END_ID
    position, visible = stream.layout(inputs, causal=objective == "next")
    packed = model(input_ids=inputs, position_ids=position, attention_mask=visible).logits
    for part in (slice(0, 10), slice(10, 50), slice(50, 96)):
        alone = model(input_ids=inputs[:, part]).logits
        torch.testing.assert_close(packed[:, part], alone, atol=1e-5, rtol=1e-5)


def test_tied_head_is_cross_entropy():
    torch.manual_seed(0)
    hidden = torch.randn(700, 8, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(VOCAB, 8, dtype=torch.float64, requires_grad=True)
    targets = torch.randint(0, VOCAB, (700,))
    ours = networks.TiedHead.apply(hidden, weight, targets)
    theirs = F.cross_entropy(hidden @ weight.T, targets)
    torch.testing.assert_close(ours, theirs)
    for a, b in zip(*(torch.autograd.grad(3 * x, (hidden, weight)) for x in (ours, theirs))):  # noqa: B905
        torch.testing.assert_close(a, b)


def test_masking_is_bert_s():
    inputs = torch.randint(2, VOCAB, (200, 256), generator=torch.Generator().manual_seed(1))
    inputs[:, ::50] = stream.END_ID
    draw = [networks.mask_tokens(inputs, VOCAB, torch.Generator().manual_seed(7)) for _ in "ab"]
    (corrupted, chosen), again = draw
    assert torch.equal(corrupted, again[0])
    assert not chosen[inputs == stream.END_ID].any()
    assert torch.equal(corrupted[~chosen], inputs[~chosen])
    assert chosen[inputs != stream.END_ID].float().mean() == pytest.approx(
        networks.MASKED_SHARE, abs=0.01
    )
    hidden = corrupted[chosen]
    assert (hidden == stream.MASK_ID).float().mean() == pytest.approx(0.8, abs=0.02)
    same = (hidden == inputs[chosen]).float().mean()
    assert same == pytest.approx(0.1 + 0.1 / (VOCAB - 2), abs=0.02)
    assert (hidden != stream.END_ID).all()


def test_a_short_reach_changes_who_is_seen_and_not_where_a_token_stands(monkeypatch):
    torch.manual_seed(0)
    model = networks.build("0.5", "masked", VOCAB).eval()
    inputs = torch.randint(2, VOCAB, (2, 64))
    position, _ = stream.layout(inputs, causal=False)
    monkeypatch.setattr(networks, "mask_tokens", lambda tokens, *_: (tokens, tokens == tokens))
    loss = networks.masked_loss(model, inputs, torch.Generator(), reach=16)
    parts = [
        model(input_ids=inputs[:, i : i + 16], position_ids=position[:, i : i + 16]).logits
        for i in range(0, 64, 16)
    ]
    expected = F.cross_entropy(torch.cat(parts, 1).flatten(0, 1), inputs.flatten())
    torch.testing.assert_close(loss, expected, atol=1e-5, rtol=1e-5)
    whole = networks.masked_loss(model, inputs, torch.Generator(), reach=64)
    assert abs(float(whole - loss)) > 1e-6


def test_the_reach_of_a_masked_model_grows_to_all_tokens():
    reaches = [pretrain.reach(step / 10) for step in range(10)]
    assert reaches == sorted(reaches)
    assert (reaches[0], reaches[-1]) == (16, stream.CONTEXT)


@pytest.mark.parametrize("objective", ["next", "masked"])
def test_a_resumed_run_is_the_uninterrupted_one(tmp_path, objective):
    plan = pretrain.Plan("0.5", objective, seed=3, batch=2, steps=6)
    folders = [tmp_path / name for name in ("whole", "parts")]
    for folder in folders:
        folder.mkdir()
    torch.set_num_threads(1)
    whole = pretrain.Run(plan, toy(), folders[0])
    assert whole.train()
    first = pretrain.Run(plan, toy(), folders[1])
    start = {name: value.clone() for name, value in first.model.state_dict().items()}
    for _ in range(3):
        first.advance()
    first.save()
    first.advance()  # lost with the process
    second = pretrain.Run(plan, toy(), folders[1])
    assert second.step == 3
    assert second.train()
    moved = 0
    for name, value in whole.model.state_dict().items():
        assert torch.equal(value, second.model.state_dict()[name]), name
        moved += not torch.equal(value, start[name])
    assert moved > 20
    with pytest.raises(SystemExit, match="another plan"):
        pretrain.Run(replace(plan, seed=4), toy(), folders[1])


def test_no_time_left_saves_and_stops(tmp_path):
    run = pretrain.Run(pretrain.Plan("0.5", steps=6, batch=2), toy(), tmp_path)
    assert not run.train(minutes=0)
    assert run.checkpoint.exists()


def test_bits_per_byte_of_a_uniform_model(tmp_path):
    data = toy()
    model = networks.build("0.5", "next", VOCAB)
    torch.nn.init.zeros_(model.transformer.wte.weight)
    found = pretrain.bits_per_byte(model, data, "reserve", 8)
    targets = data.reserves["reserve"][1 : 8 * stream.CONTEXT + 1]
    targets = targets[targets != stream.END_ID]
    assert found == pytest.approx(len(targets) * 6 / data.token_bytes[targets].sum(), rel=1e-5)


def test_rate_warms_up_and_falls_to_zero():
    rates = [pretrain.scale(step, 1000) for step in range(1000)]
    assert rates[0] < 0.05
    assert max(rates) > 0.95
    top = int(np.argmax(rates))
    assert np.all(np.diff(rates[:top]) > 0)
    assert np.allclose(np.diff(rates[top + 1 :]), -1e-3)
    assert rates[-1] == pytest.approx(1e-3)


def test_kneser_ney_sums_to_one_and_forgets_other_documents():
    tokens = toy(40).tokens % 12  # few words, so that contexts repeat
    tokens[0] = 0
    model = ngram.KneserNey(tokens, 12, 5)
    for context in ([0], [0, 3, 5], [4, 4, 4, 4, 4, 4], [7, 2, 9, 11]):
        rows = [np.array([*context, word], dtype=np.uint16) for word in range(12)]
        total = sum(model.probabilities(row)[-1] for row in rows)
        assert total == pytest.approx(1, abs=1e-9)
    alone = np.array([0, 3, 5, 6, 2], dtype=np.uint16)
    after = np.concatenate([np.array([0, 9, 9, 9], dtype=np.uint16), alone])
    expected = model.probabilities(alone)[1:]
    assert np.allclose(model.probabilities(after)[-4:], expected)


def test_kneser_ney_leaves_something_for_tokens_never_seen():
    tokens = np.tile(np.arange(10, dtype=np.uint16), 50)  # no rare gram at all
    model = ngram.KneserNey(tokens, 12, 3)
    unseen = [model.probabilities(np.array([0, 1, w], dtype=np.uint16))[-1] for w in range(12)]
    assert min(unseen) > 0
    assert sum(unseen) == pytest.approx(1)


def test_kneser_ney_learns_what_a_longer_context_tells():
    rng = np.random.default_rng(0)
    pattern = np.array([2, 3, 4, 2, 3, 5], dtype=np.uint16)  # after "2 3" only the third back tells
    tokens = np.concatenate([[0], np.tile(pattern, 500), rng.integers(2, 6, 300)]).astype(np.uint16)
    bits = [
        -np.log2(ngram.KneserNey(tokens, 8, order).probabilities(tokens[:601])[10:]).mean()
        for order in (1, 3, 4)
    ]
    assert bits[0] > bits[1] > bits[2] + 0.1
    assert bits[2] < 0.3
    assert math.isfinite(sum(bits))
