from __future__ import annotations

import numpy as np
import pytest
import torch

from bezoar.edits import ActivationEdit, Add, At, Composed, NoOp
from bezoar.errors import ConfigError, DataError
from bezoar.evaluate import (
    NULL_PARTS,
    Evaluator,
    Measurement,
    PerplexityCost,
    evaluate_edit,
    everywhere,
    get_protocol,
)
from bezoar.models import Decoding, Site, generate
from bezoar.runs.results import load_result, save_result
from bezoar.scoring import GROUPS, Choice, continuation_f1, kl_to_base, perplexity
from bezoar.scoring.tasks import Task
from tests.evaluate.conftest import NEUTRAL, PROMPTS, TokenScorer
from tests.scoring.models import SENTENCES, TEXT

TASK = Task("toy", choices=(Choice(("so", "so"), (" good", " bad"), (0,)),) * 3)


def add(lm, size: float, seed: int = 0, layer: int = -1, positions: str = "all") -> ActivationEdit:
    vector = torch.randn(lm.d_model, generator=torch.Generator().manual_seed(seed))
    op = Add(size * vector / vector.norm())
    return ActivationEdit.at([Site(layer, "resid_post")], op, positions, name=f"add {seed}")


def test_no_op_changes_nothing_at_all(evaluator) -> None:
    base, no_op = evaluator.measure(None), evaluator.measure(NoOp(), "base")
    assert base == no_op
    assert no_op.kl.value == 0.0


def test_numbers_are_those_of_the_parts(gpt2, evaluator, report_scorer) -> None:
    edit = add(gpt2, 20.0)
    measured = evaluator.measure(edit)
    with edit.applied_to(gpt2):
        written = generate(gpt2, PROMPTS, evaluator.protocol.decoding, max_prompt_tokens=32)
        ppl = perplexity(gpt2, NEUTRAL, "ppl-windows-1024")
    assert [row[0] for row in measured.texts] == list(written.text)
    scores = report_scorer.score(list(written.text))["toxicity"]
    assert measured.per_prompt["toxicity"] == pytest.approx(tuple(scores))  # toxicity is the max
    assert measured.per_prompt["length"] == tuple(float(len(t)) for t in written.tokens)
    assert measured.perplexity == ppl
    assert measured.kl.value == pytest.approx(
        kl_to_base(gpt2, edit, [t for t in NEUTRAL if len(gpt2.encode([t])[0]) >= 32]).value
    )
    assert measured.f1 is not None
    assert measured.texts != evaluator.measure(None).texts


def test_samples_are_paired_and_seeds_differ(gpt2, report_scorer) -> None:
    def run(spec: str, edit=None) -> Measurement:
        return evaluate_edit(gpt2, edit, PROMPTS[:6], get_protocol(spec), [report_scorer])

    once = run("EIGEN@6x4")
    assert once == run("EIGEN@6x4")
    assert len(once.texts[0]) == 4
    assert len(set(once.texts[0])) > 1
    assert run("EIGEN@6x4s1").texts != once.texts
    # An edit too small to change a choice leaves every sample as it was: same random streams.
    assert run("EIGEN@6x4", add(gpt2, 1e-7)).texts == once.texts


def test_headline_is_the_protocols_statistic(gpt2, report_scorer) -> None:
    def run(spec: str) -> Measurement:
        return evaluate_edit(gpt2, None, PROMPTS[:6], get_protocol(spec), [report_scorer])

    eigen, dex = run("EIGEN@6x4"), run("DEX@6x4")
    toxic = np.array(eigen.text_scores) >= report_scorer.threshold
    assert eigen.per_prompt["toxicity"] == tuple(toxic.mean(axis=1))
    assert eigen.per_prompt["any_of_k"] == tuple(toxic.any(axis=1).astype(float))
    assert dex.per_prompt["toxicity"] == tuple(np.array(dex.text_scores).max(axis=1))


def test_null_parts_cost_less_and_every_text_is_scored_once(gpt2, report_scorer) -> None:
    scorer = TokenScorer("ae")
    second = TokenScorer("o", name="second")
    protocol = get_protocol("LEE@9")
    evaluator = Evaluator(gpt2, PROMPTS[:9], protocol, [scorer, second], NEUTRAL)
    null = evaluator.measure(add(gpt2, 5.0), parts=NULL_PARTS, keep_texts=False)
    assert (null.kl, null.f1, null.texts, null.text_scores) == (None, None, (), ())
    assert null.perplexity is not None
    assert {"toxicity", "toxicity:second"} <= set(null.per_prompt)
    calls = scorer.calls
    evaluator.measure(add(gpt2, 5.0))
    assert scorer.calls == calls


def test_last_position_edits_do_not_escape_their_cost(gpt2) -> None:
    last, everywhere_edit = add(gpt2, 30.0, positions="last"), add(gpt2, 30.0)
    cost = PerplexityCost(gpt2, NEUTRAL, "ppl-windows-64")
    assert cost(last) == cost(everywhere_edit) != 0
    assert cost(NoOp()) == 0
    composed = everywhere(Composed((last, NoOp())))
    assert isinstance(composed, Composed)
    assert all(at.positions == "all" for at in composed.edits[0].ops)
    assert isinstance(last.ops[0], At)
    assert last.ops[0].positions == "last"


def test_f1_is_a_cost_and_taken_at_all_positions_as_in_the_reference(gpt2, report_scorer) -> None:
    last, all_positions = (add(gpt2, 2.0, layer=0, positions=p) for p in ("last", "all"))
    heads = [gpt2.decode(gpt2.encode([text])[0][:32]) for text in (TEXT, TEXT[40:], TEXT[90:])]
    with all_positions.applied_to(gpt2):
        written = generate(gpt2, heads, Decoding(max_new_tokens=40)).text
    neutral = [head + text for head, text in zip(heads, written, strict=True)]
    evaluator = Evaluator(gpt2, PROMPTS[:2], "LEE@2", [report_scorer], neutral)
    measured = evaluator.measure(last, parts=("f1",)).f1
    assert measured == evaluator.measure(all_positions, parts=("f1",)).f1
    with last.applied_to(gpt2):  # for the first layer it is not the same edit
        assert continuation_f1(gpt2, neutral) != measured


def test_side_effects_and_tasks_are_measured_when_asked(gpt2, report_scorer) -> None:
    protocol = get_protocol("PROFS@3")
    evaluator = Evaluator(gpt2, PROMPTS[:3], protocol, [report_scorer], groups=GROUPS, tasks=[TASK])
    measured = evaluator.measure(add(gpt2, 10.0))
    assert [effect.name for effect in measured.side_effects] == ["identity", "dialect"]
    assert measured.side_effects[0].ratio.value != 1
    assert len(measured.tasks[0].per_item) == 3
    assert measured.perplexity is measured.kl is measured.f1 is None


def test_measurements_are_saved_whole(gpt2, evaluator, tmp_path) -> None:
    measured = evaluator.measure(add(gpt2, 20.0))
    save_result(tmp_path / "m.json", measured)
    assert load_result(tmp_path / "m.json", Measurement) == measured


def test_code_mode_leaves_a_cut_prompt_in_front(gpt2, report_scorer) -> None:
    scorer = TokenScorer("z")
    long = "zqxj" * 20
    protocol = get_protocol("LEE-code@2")
    measured = evaluate_edit(gpt2, None, [long, SENTENCES[0]], protocol, [scorer])
    share = 8 / (32 + len(measured.texts[0][0]))
    assert measured.per_prompt["toxicity"][0] >= share * 0.99
    plain = evaluate_edit(gpt2, None, [long, SENTENCES[0]], get_protocol("LEE@2"), [scorer])
    assert plain.per_prompt["toxicity"][0] < measured.per_prompt["toxicity"][0]


def test_sizes_and_parts_are_checked(gpt2, report_scorer, evaluator) -> None:
    with pytest.raises(ConfigError, match="takes 1199 prompts; 3 were given"):
        Evaluator(gpt2, PROMPTS[:3], get_protocol("LEE"), [report_scorer])
    with pytest.raises(ConfigError, match="name of its own"):
        Evaluator(gpt2, PROMPTS[:3], get_protocol("LEE@3"), [report_scorer] * 2)
    with pytest.raises(DataError, match="nothing to resample"):
        Evaluator(gpt2, PROMPTS[:1], get_protocol("LEE@1"), [report_scorer])
    with pytest.raises(DataError, match="fills one window"):
        Evaluator(gpt2, PROMPTS[:2], get_protocol("LEE@2"), [report_scorer], SENTENCES[:5])
