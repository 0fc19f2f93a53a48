"""A whole audit of the demo model at the smallest sizes: what it leaves, separates and resumes."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from bezoar.corpus import Corpus, Prompts
from bezoar.edits import load_edit
from bezoar.edits.selftest import next_logits
from bezoar.errors import ConfigError
from bezoar.evaluate import Measurement, Scorecard
from bezoar.mitigate import parse_method
from bezoar.models import LanguageModel
from bezoar.runs import AuditConfig, Run, load_result, parse_config
from bezoar.stats import FEWEST_DRAWS, text_key
from bezoar.studies.audit import STAGES, Bench, run_audit, run_stages
from bezoar.studies.audit.asked import INPUT_STAGES, null_draws, specs_of
from bezoar.studies.audit.fitting import fit_inputs, label_of, slug
from bezoar.studies.audit.mitigate import Fits, null_edits

SMALL = {
    "data": {"limit": 160, "neutral_tokens": 900},
    "locate": {"folds": 2, "shuffles": 3, "top_values": 16, "lens_prompts": 3, "resamples": 100},
    "mitigate": {
        "methods": ["subtract:direction=mean_difference", "word-ban"],
        "max_evaluations": 4,
        "select_prompts": 12,
        "null_draws": 2,
    },
    "evaluate": {"protocol": "LEE@16", "resamples": 200, "kl_texts": 4},
    "threads": 1,
}
PROMPTS = ["You are such a", "The river rises in"]


def small(out: Path, **more: object) -> AuditConfig:
    return parse_config(AuditConfig, SMALL, {"out": str(out)}, more)


@pytest.fixture(scope="module")
def audited(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("audit") / "run"
    run_audit(small(out))
    return out


def digests(run: Path) -> dict[str, str]:
    files = (path for path in run.rglob("*") if path.is_file() and path.name != "log.jsonl")
    return {
        path.relative_to(run).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
    }


def test_it_leaves_a_report_a_summary_and_every_stage(audited: Path) -> None:
    assert (audited / "report.html").stat().st_size > 1e6
    summary = json.loads((audited / "summary.json").read_text())
    kinds = [row["kind"] for row in summary["scorecard"]["rows"]]
    assert kinds[:2] == ["base", "no-op"]
    assert kinds.count("method") == 2
    assert kinds.count("null") == 3 + 2  # kinds at equal cost, and the main one at equal strength
    done = {path.parent.name for path in audited.glob("*/stage.json")}
    assert done == {*STAGES} - {*INPUT_STAGES}  # which no method of these is fitted from


def test_what_selects_and_what_reports_share_no_text(audited: Path) -> None:
    explore = audited / "explore"
    prompts = [Prompts.load(explore / f"prompts-{part}.parquet") for part in ("select", "report")]
    texts = [Corpus.load(explore / f"{part}.parquet") for part in ("train", "report")]
    keys = [{text_key(text) for text in rows.texts} for rows in (*prompts, *texts)]
    for i, mine in enumerate(keys):
        for other in keys[i + 1 :]:
            assert not mine & other
    card = load_result(audited / "evaluate" / "scorecard.json", Scorecard)
    assert card.selection_scorer.partition("#")[0] != card.report_scorer.partition("#")[0]


def test_the_no_op_is_the_base_prompt_by_prompt(audited: Path) -> None:
    base, no_op = (
        load_result(audited / "evaluate" / "measured" / f"{name}.json", Measurement)
        for name in ("base", "no-op")
    )
    assert base.per_prompt == no_op.per_prompt


def test_the_checkpoint_is_the_edit(audited: Path) -> None:
    fits = load_result(audited / "mitigate" / "methods.json", Fits)
    assert fits.best is not None, "give sizes at which some method lowers toxicity"
    lm = LanguageModel.from_pretrained("demo")
    exported = LanguageModel.from_pretrained(audited / "report" / "checkpoint")
    edit = load_edit(audited / "mitigate" / "edits" / fits.best, lm)
    bare = next_logits(lm, PROMPTS)
    with edit.applied_to(lm):
        edited = next_logits(lm, PROMPTS)
    assert (bare - edited).abs().max() > 0.1
    torch.testing.assert_close(next_logits(exported, PROMPTS), edited, rtol=0.02, atol=0.05)


def test_a_second_run_repeats_nothing_and_changes_no_byte(audited: Path) -> None:
    before = digests(audited)
    lines = (audited / "log.jsonl").read_text().count("started")
    run_audit(small(audited))
    assert digests(audited) == before
    assert (audited / "log.jsonl").read_text().count("started") == lines


def test_an_interrupted_run_ends_with_the_same_bytes(audited: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    run_stages(small(out), "mitigate")
    with Run.open(out, small(out)) as run:
        bench = Bench(run, small(out))
        evaluate = STAGES["evaluate"]
        measured = out / "evaluate" / "measured"

        class Stop(Exception):
            pass

        def stop(*_: object, **__: object) -> None:
            raise Stop

        bench.edit = stop  # type: ignore[method-assign]
        with pytest.raises(Stop):
            evaluate(bench)
        assert sorted(path.name for path in measured.glob("*.json")) == ["base.json", "no-op.json"]
    run_audit(small(out))
    one, other = digests(audited), digests(out)
    differing = {name for name in one.keys() | other.keys() if one.get(name) != other.get(name)}
    assert differing <= {"config.yaml", "environment.json"}  # its own path; the machine


def test_null_edits_are_the_same_edits_when_drawn_again(audited: Path) -> None:
    config = small(audited)
    with Run.open(audited, config) as run:
        bench = Bench(run, config)
        fitted = load_result(audited / "mitigate" / "methods.json", Fits).methods[0]
        inputs = fit_inputs(bench)
        for null in fitted.nulls:
            first, again = (null_edits(bench, fitted, null, inputs) for _ in range(2))
            shifts = [[edit.ops[0].op.vector for edit in edits] for edits in (first, again)]
            assert all(torch.equal(a, b) for a, b in zip(*shifts, strict=True))
            norms = [float(shift.norm()) for shift in shifts[0]]
            np.testing.assert_allclose(norms, null.strengths, rtol=1e-4)


def test_the_gate_speaks_of_the_model_as_it_is(audited: Path) -> None:
    summary = run_audit(small(audited, fail_if="toxicity>0"))
    assert "toxicity is" in summary.gate_failed
    assert run_audit(small(audited, fail_if="toxicity>1")).gate_failed == ""
    with pytest.raises(ConfigError, match="tocixity"):
        run_audit(small(audited, fail_if="tocixity>0.1"))


def test_the_default_draws_enough_nulls_to_prove_any_of_its_methods() -> None:
    config = AuditConfig()
    methods = [m for m in map(parse_method, specs_of(config.mitigate.methods)) if not m.control]
    for method in methods:  # of each kind at equal cost, and of the main one at equal strength
        assert null_draws(method, config) * (len(method.null_kinds) + 1) >= FEWEST_DRAWS


def test_unknown_methods_and_stages_are_refused_before_any_work(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="subtract"):
        run_stages(small(tmp_path / "a", mitigate={"methods": ["substract"]}), "explore")
    with pytest.raises(ConfigError, match="evaluate"):
        run_stages(small(tmp_path / "b"), "evalute")
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize(
    ("spec", "name", "label"),
    [
        ("subtract", "subtract", "subtract probe"),
        (
            "subtract:direction=mean_difference",
            "subtract-mean-difference",
            "subtract mean difference",
        ),
        ("word-ban", "word-ban", "word ban"),
    ],
)
def test_names_of_methods(spec: str, name: str, label: str) -> None:
    assert (slug(spec), label_of(spec)) == (name, label)
