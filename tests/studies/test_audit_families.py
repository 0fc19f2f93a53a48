"""An audit of a model without single neurons, and of one that continues no text."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from bezoar.errors import ModelError
from bezoar.runs import AuditConfig, parse_config
from bezoar.runs.progress import Progress
from bezoar.studies.audit import run_audit
from tests.models import zoo
from tests.studies.test_audit import SMALL

METHODS = ["subtract:direction=mean_difference", "subtract:direction=value"]


def config_for(name: str, folder: Path) -> AuditConfig:
    model, tokenizer = zoo.hf_model(name)
    model.save_pretrained(folder / "model")
    tokenizer.save_pretrained(folder / "model")
    more = {
        "model": {"name": str(folder / "model")},
        "mitigate": SMALL["mitigate"] | {"methods": METHODS},
        "evaluate": SMALL["evaluate"] | {"capability": ["none"]},
    }
    return parse_config(AuditConfig, SMALL | more, {"out": str(folder / "run")}, {})


def test_a_mixture_of_experts_is_audited_without_value_vectors(tmp_path: Path) -> None:
    log = io.StringIO()
    with Progress(console=Console(file=log)) as progress:
        run_audit(config_for("Mixtral", tmp_path), progress=progress)
    assert "subtract:direction=value is left out: Not tried: it acts on" in log.getvalue()
    run = tmp_path / "run"
    assert not (run / "locate" / "values.json").exists()
    assert (run / "locate" / "tokens.json").exists()
    fits = json.loads((run / "mitigate" / "methods.json").read_text())
    assert [method["label"] for method in fits["methods"]] == ["subtract mean difference"]
    why = fits["failed"]["subtract:direction=value"]
    assert "mixture of experts" in why
    assert "FitInputs" not in why  # the reader of an audit calls no library
    assert not fits["methods"][0]["foldable"]
    assert (run / "report.html").stat().st_size > 1e6
    assert json.loads((run / "audit.json").read_text())["d_mlp"] is None


def test_an_encoder_is_refused_before_any_work(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"no unembedding.*language-model head"):
        run_audit(config_for("BERT", tmp_path))
    assert not (tmp_path / "run" / "explore").exists()
