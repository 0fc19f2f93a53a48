"""Detection beside generation: what cannot change is said to, and what is taken away is missed."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch

from bezoar.corpus import Corpus
from bezoar.edits import ActivationEdit, At, LogitEdit, NoOp
from bezoar.edits.ops import Add, Project
from bezoar.errors import DataError, ModelError
from bezoar.evaluate.detection import SHIFTED, UNMOVED, DetectionMeter, unmoved
from bezoar.evaluate.detection_results import Detection, EditDetection
from bezoar.models import LanguageModel, Site
from bezoar.stats import Interval
from tests.families import WORDS, tiny_model

BAD = ("fool", "idiot", "stupid", "rotten")
LAST, UNEMBED = Site(-1, "resid_post"), Site(None, "unembed_in")


def corpus(n: int, seed: int) -> Corpus:
    """Random words; a positive text has four insults among them."""
    rng = np.random.default_rng(seed)
    plain = [word for word in WORDS if word not in BAD]
    texts, labels = [], [i % 2 for i in range(n)]
    for label in labels:
        words = list(rng.choice(plain, rng.integers(4, 14)))
        if label:
            words += rng.choice(BAD, 4).tolist()
            rng.shuffle(words)
        texts.append(" " + " ".join(words))
    return Corpus(texts=tuple(texts), labels=np.array(labels), name="words")


@pytest.fixture(scope="module")
def llama():
    return tiny_model("llama")


@pytest.fixture(scope="module")
def meter(llama):
    telling = [ids[0] for ids in llama.encode([f" {word}" for word in BAD])]
    more = [ids[0] for ids in llama.encode([" the", " man", " so", " good", " night"])]
    return DetectionMeter(
        llama, corpus(120, 0), corpus(80, 1), site=LAST, telling=telling, tokens=telling + more
    )


def scores(meter: DetectionMeter, edit):
    return {score.detector: score for score in meter.measure(edit)}


def test_insults_can_be_read_in_the_states(meter):
    base = meter.base()
    assert base["probe"].low > 0.8
    assert set(base) == {"probe", "frozen", "unembed_in", "logits", "says"}


def test_an_edit_that_does_nothing_changes_nothing(meter):
    for name, score in scores(meter, NoOp()).items():
        assert (score.identity, score.why) == (True, UNMOVED), name
        assert score.change == Interval(0.0, 0.0, 0.0)


def test_what_acts_at_the_unembedding_is_an_identity_before_it(llama, meter):
    """The claim that such an edit keeps detection is true by construction."""
    basis = torch.linalg.qr(torch.randn(32, 12, generator=torch.Generator().manual_seed(0)))[0].T
    edit = ActivationEdit.at([UNEMBED], Project(basis.contiguous()))
    found = scores(meter, edit)
    for name in ("probe", "frozen", "unembed_in"):
        assert found[name].identity, name
    assert not found["unembed_edited"].identity
    assert not found["logits"].identity
    folded = scores(meter, edit.fold(llama))
    assert "unembed_edited" not in folded
    for name in ("logits", "says"):
        assert folded[name].auroc.value == pytest.approx(found[name].auroc.value, abs=2e-3)


def test_a_removed_direction_blinds_the_old_probe_more_than_a_new_one(llama, meter):
    vector = torch.from_numpy(meter._probe.raw_coef_).float()
    edit = ActivationEdit.at([LAST], Project((vector / vector.norm())[None]))
    found = scores(meter, edit)
    assert not found["frozen"].identity
    assert found["frozen"].change.high < -0.1
    assert found["frozen"].auroc.value == pytest.approx(0.5, abs=0.15)
    assert found["probe"].auroc.value > found["frozen"].auroc.value + 0.1


def test_a_shift_of_all_states_is_an_identity_for_what_reads_them_there(meter):
    edit = ActivationEdit.at([LAST], Add(torch.linspace(-3, 3, 32)))
    found = scores(meter, edit)
    for name in ("probe", "frozen"):
        assert (found[name].identity, found[name].why) == (True, SHIFTED)
        assert found[name].change.value == pytest.approx(0, abs=2e-3)
    assert not found["unembed_in"].identity  # the final norm lies between


def test_the_last_position_is_every_position_of_a_text_that_is_read(meter):
    vector = torch.from_numpy(meter._probe.raw_coef_).float()
    op = Project((vector / vector.norm())[None])
    edits = [ActivationEdit((At(LAST, op, where),)) for where in ("last", "all")]
    last, every = (scores(meter, edit)["frozen"].auroc.value for edit in edits)
    assert last == every


def test_a_word_ban_is_seen_in_the_logits_alone(llama, meter):
    banned = [ids[0] for ids in llama.encode([f" {word}" for word in BAD])]
    found = scores(
        meter, LogitEdit(tuple((i,) for i in banned), torch.full((len(banned),), -torch.inf))
    )
    for name in ("probe", "frozen", "unembed_in"):
        assert found[name].identity
    assert not found["says"].identity
    assert found["says"].auroc.value == pytest.approx(0.5)


def test_the_batch_a_text_is_in_changes_nothing(llama, monkeypatch):
    telling = [ids[0] for ids in llama.encode([f" {word}" for word in BAD])]
    parts = (corpus(30, 2), corpus(20, 3))
    rows = []
    for budget in (2**26, 1):  # the least: 256 padded tokens
        monkeypatch.setattr("bezoar.evaluate.detection._LOGITS", budget)
        one = DetectionMeter(llama, *parts, site=LAST, telling=telling, tokens=telling)
        rows.append(one._rows)
    for name, values in rows[0].items():
        np.testing.assert_allclose(values, rows[1][name], atol=1e-4, err_msg=name)


def test_edits_of_every_family_are_read_before_and_after_the_unembeddings_own(lm):
    telling = [ids[0] for ids in lm.encode([f" {word}" for word in BAD])]
    meter = DetectionMeter(
        lm, corpus(40, 4), corpus(40, 5), site=LAST, telling=telling, tokens=telling
    )
    found = scores(meter, ActivationEdit.at([UNEMBED], Project(torch.eye(32)[:8])))
    assert found["unembed_in"].identity
    assert not found["unembed_edited"].identity


def test_what_counts_as_unmoved():
    rng = np.random.default_rng(0)
    base = rng.normal(size=(50, 6)).astype(np.float32)
    assert unmoved(base, base) == UNMOVED
    assert unmoved(base, 0.5 * base + rng.normal(size=6).astype(np.float32)) == SHIFTED
    assert unmoved(base, -base) == ""
    # A column is held to its own spread: a small one may not move at will beside a large one.
    large = base * np.array([1e5, 1, 1, 1, 1, 1e-3], dtype=np.float32)
    assert unmoved(large, large) == UNMOVED
    assert unmoved(large, large * np.array([1, 1, 1, 1, 1, -1], dtype=np.float32)) == ""
    assert unmoved(large, large * np.array([1, 1, 0, 1, 1, 1], dtype=np.float32)) == ""
    still = np.full((20, 6), 3.0, dtype=np.float32)  # no spread at all, but for rounding
    assert unmoved(still, still * np.float32(1 + 1e-7)) == UNMOVED
    assert unmoved(base, base * np.array([1, 1, 1, 1, 1, 0.9], dtype=np.float32)) == ""


def test_a_table_marks_identities(meter, llama):
    from rich.console import Console

    found = meter.measure(ActivationEdit.at([UNEMBED], Project(torch.eye(32)[:8])))
    edit = EditDetection("p", "project", False, Interval(-0.1, -0.2, -0.05), found)
    result = Detection("LEE@4", "b", "2.resid_post", "mean", 120, 80, meter.base(), (edit,))
    console = Console(width=160, record=True, file=io.StringIO())
    console.print(result)
    line = next(line for line in console.export_text().splitlines() if "project" in line)
    assert line.count("(=)") == 3
    assert "-0.100*" in line


def test_one_class_and_no_unembedding_are_refused(llama):
    whole = corpus(20, 6)
    one = whole.take(whole.labels == 1)
    with pytest.raises(DataError):
        DetectionMeter(llama, one, whole, site=LAST, telling=[1], tokens=[1])
    from transformers import GPT2Model

    from tests.families import tiny_config, tiny_tokenizer

    tokenizer = tiny_tokenizer()
    bare = LanguageModel(GPT2Model(tiny_config("gpt2", len(tokenizer))), tokenizer)
    with pytest.raises(ModelError, match="no unembedding"):
        DetectionMeter(bare, whole, whole, site=LAST, telling=[1], tokens=[1])
