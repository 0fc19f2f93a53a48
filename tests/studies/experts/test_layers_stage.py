"""Layers in a study: every model on every set of texts, kept if killed, done once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bezoar.errors import ConfigError, DataError, ModelError
from bezoar.locate.layer_results import LayerExperts, LayersReport
from bezoar.runs import ExpertsStudyConfig, Run, load_result, parse_config
from bezoar.studies.audit import Bench
from bezoar.studies.audit.explore import explore_stage
from bezoar.studies.experts import layers
from bezoar.studies.experts.layers import check_layers, layers_stage
from tests.corpus.test_chinese import sentences
from tests.models import zoo
from tests.studies.tiny import TINY, save_tiny_model

SMALL = {"layers": {"texts": 40, "null_draws": 19, "resamples": 100}}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model, its masked twin, and Chinese texts."""
    folder = tmp_path_factory.mktemp("layers")
    save_tiny_model(folder / "model")
    model, tokenizer = zoo.hf_model("BERT", "AutoModelForMaskedLM")
    model.save_pretrained(folder / "twin")
    tokenizer.save_pretrained(folder / "twin")
    texts, labels = sentences(240)
    parts = ["train"] * 120 + ["dev"] * 40 + ["test"] * 80
    columns = {"TEXT": texts, "label": labels.tolist(), "topic": ["race"] * 240, "split": parts}
    (folder / "zh").mkdir()
    pq.write_table(pa.table(columns), folder / "zh" / "cold.parquet")
    return folder


def asked(place: Path, out: Path, **more: Any) -> ExpertsStudyConfig:
    given = {"out": str(out), "model": {"name": str(place / "model")}, "data": {"root": str(place)}}
    return parse_config(ExpertsStudyConfig, TINY, SMALL, {"data": {"limit": 300}}, given, more)


def run(config: ExpertsStudyConfig) -> LayersReport:
    with Run.open(Path(config.out), config) as opened:
        bench = Bench(opened, config)
        explore_stage(bench)
        layers_stage(bench)
        return load_result(opened.folder("layers") / "layers.json", LayersReport)


def test_every_model_reads_every_set_of_texts(place, tmp_path, monkeypatch) -> None:
    further = {"others": [f"twin={place / 'twin'}"], "corpora": "cold:zh"}
    config = asked(place, tmp_path / "run", layers=further)
    check_layers(config)
    found = run(config)
    seen = [(one.model, one.kind, one.corpus) for one in found.experts]
    model = str(place / "model")
    assert seen == [
        (model, "decoder", "demo"),
        (model, "decoder", "cold"),
        ("twin", "encoder", "demo"),
        ("twin", "encoder", "cold"),
    ]
    assert [bool(one.caveat) for one in found.experts] == [False, True, False, True]
    assert all(one.test_n <= 40 and one.train_n <= 40 for one in found.experts)
    monkeypatch.setattr(layers, "layer_experts", None)  # nothing is measured again
    assert run(config) == found


def test_what_was_measured_before_a_kill_is_kept(place, tmp_path, monkeypatch) -> None:
    config = asked(place, tmp_path / "run", layers={"corpora": ["cold:zh"]})
    real, calls = layers.layer_experts, []

    def once(*args: Any, **options: Any) -> LayerExperts:
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return real(*args, **options)

    monkeypatch.setattr(layers, "layer_experts", once)
    with pytest.raises(KeyboardInterrupt):
        run(config)
    assert len(run(config).experts) == 2
    assert len(calls) == 3  # the first pair once, the second twice


def test_other_weights_in_a_folder_are_read_again(place, tmp_path) -> None:
    twin = tmp_path / "twin"
    save_tiny_model(twin)
    config = asked(place, tmp_path / "run", layers={"others": [str(twin)]})
    first = run(config)
    model, _ = zoo.hf_model("GPT-2")
    model.save_pretrained(twin)
    second = run(config)
    assert len(first.experts[1].layers) != len(second.experts[1].layers)
    assert first.experts[0] == second.experts[0]


@pytest.mark.parametrize(
    ("further", "error", "says"),
    [
        ({"others": ["demo", "demo"]}, ConfigError, "twice"),
        ({"others": ["nowhere/at/all"]}, ModelError, "no folder"),
        ({"corpora": ["demo"]}, ConfigError, "twice"),
        ({"corpora": ["cold:nowhere"]}, DataError, "nowhere"),
        ({"corpora": ["colt:zh"]}, DataError, "Unknown kind"),
    ],
)
def test_what_is_not_there_is_refused_before_any_work(
    place, tmp_path, further, error, says
) -> None:
    with pytest.raises(error, match=says):
        check_layers(asked(place, tmp_path, layers=further))


def test_a_folder_that_is_no_model_and_a_hub_id_that_is_none_are_refused_too(
    place, tmp_path
) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(ModelError, match="empty"):
        check_layers(asked(place, tmp_path, layers={"others": [f"twin={empty}"]}))
    with pytest.raises(ModelError, match="hub id"):
        check_layers(asked(place, tmp_path, layers={"others": ["twin=nobody/has-this-model"]}))
