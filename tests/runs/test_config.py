"""Configuration: every error names the key, the value and what is near; YAML goes round."""

from __future__ import annotations

from inspect import signature

import pytest
import yaml
from pydantic import BaseModel, ValidationError

from bezoar.corpus import load_corpus
from bezoar.errors import ConfigError
from bezoar.runs import sections as module
from bezoar.runs.config import load_config, merge, parse_config, to_yaml
from bezoar.runs.sections import QUICK, AuditConfig
from bezoar.runs.study_sections import DPOStudyConfig, ExpertsStudyConfig, TuneConfig

SECTIONS = [
    kind
    for kind in vars(module).values()
    if isinstance(kind, type) and issubclass(kind, BaseModel) and kind.__module__ == module.__name__
]


@pytest.mark.parametrize("kind", SECTIONS)
def test_no_section_grows_into_a_god_config(kind):
    kinds = [field.annotation for field in kind.model_fields.values()]
    sections = [k for k in kinds if isinstance(k, type) and issubclass(k, BaseModel)]
    assert len(kinds) - len(sections) <= 15


@pytest.mark.parametrize("layers", [(), (QUICK,)])
def test_resolved_yaml_reads_back_equal_and_holds_every_default(tmp_path, layers):
    config = parse_config(AuditConfig, *layers)
    path = tmp_path / "config.yaml"
    path.write_text(to_yaml(config))
    assert load_config(path, AuditConfig) == config
    assert yaml.safe_load(path.read_text())["data"].keys() == module.DataConfig.model_fields.keys()


def test_every_option_about_the_labelled_texts_reaches_their_reader():
    """All that ``load_corpus`` takes and all that is asked, so that neither can be forgotten."""
    arguments = set(signature(load_corpus).parameters) - {"spec", "limit", "seed"}
    asked = module.DataConfig(root="r", text="t", positive="yes", threshold=0.25, group="g")
    told = asked.reading()
    assert told.keys() == arguments
    sizes = {"limit", "neutral_tokens"}
    fields = module.DataConfig.model_fields.keys() - {"data", "prompts", "neutral", *sizes}
    assert {"data_root" if name == "root" else name for name in fields} == arguments
    for name in fields:
        assert told["data_root" if name == "root" else name] == getattr(asked, name)


def test_later_layers_win_key_by_key():
    config = parse_config(
        AuditConfig, QUICK, {"data": {"limit": 99}}, {"data": {"data": "x.csv"}, "seed": 3}
    )
    assert (config.data.limit, config.data.data, config.seed) == (99, "x.csv", 3)
    assert config.data.neutral_tokens == QUICK["data"]["neutral_tokens"]


@pytest.mark.parametrize("kind", [DPOStudyConfig, ExpertsStudyConfig])
def test_default_methods_are_those_of_the_study(kind):
    own = kind().mitigate.methods
    asked = parse_config(kind, {"mitigate": {"methods": ["default", "word-ban"]}})
    assert asked.mitigate.methods == (*own, "word-ban")
    assert "default" not in own


def test_default_methods_of_others_are_left_to_them():
    for kind in (AuditConfig, TuneConfig):
        asked = parse_config(kind, {"mitigate": {"methods": ["default"]}})
        assert asked.mitigate.methods == ("default",)


def test_merge_leaves_its_arguments_alone():
    below = {"a": {"b": 1}}
    assert merge(below, {"a": {"c": 2}}) == {"a": {"b": 1, "c": 2}}
    assert below == {"a": {"b": 1}}


@pytest.mark.parametrize("none", ["none", ["none"], [], None])
def test_no_capability_can_be_said_in_words(none):
    assert parse_config(AuditConfig, {"evaluate": {"capability": none}}).evaluate.capability == ()


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("pruning", ("pruning",)),
        ("pruning, noise,", ("pruning", "noise")),
        (["noise"], ("noise",)),
    ],
)
def test_names_of_attacks_and_edits_may_stand_in_one_text(said, meant):
    config = parse_config(DPOStudyConfig, {"attack": {"attacks": said, "edits": said}})
    assert config.attack.attacks == config.attack.edits == meant


@pytest.mark.parametrize(
    ("option", "part"),
    [
        ({"draws": 1}, "grid.draws"),
        ({"alphas": [1]}, "factor other than 1"),
        ({"alphas": [float("nan")]}, "grid.alphas"),
        ({"shares": [0.05, 41]}, "above 0, and 1 at most"),
        ({"shares": [0]}, "above 0, and 1 at most"),
    ],
)
def test_a_grid_that_could_not_end_is_refused_before_it_begins(option, part):
    with pytest.raises(ConfigError, match=part):
        parse_config(ExpertsStudyConfig, {"grid": option})


def test_configs_are_frozen():
    with pytest.raises(ValidationError):
        AuditConfig().seed = 1


@pytest.mark.parametrize(
    ("values", "parts"),
    [
        ({"mitigate": {"budgett": "ppl<=5%"}}, ["mitigate.budgett", "'budget'"]),
        ({"modle": {}}, ["'modle'", "'model'"]),
        ({"data": {"limit": "many"}}, ["data.limit", "'many'", "integer", "Labelled texts"]),
        ({"data": {"limit": 3}}, ["data.limit", "3", "20"]),
        ({"harvest": {"pooling": "middle"}}, ["harvest.pooling", "'middle'", "'mean'"]),
        ({"mitigate": {"budget": "ppl"}}, ["'ppl' is not a budget"]),
        ({"fail_if": "toxicity"}, ["'toxicity' is not a gate"]),
        ({"data": 3}, ["'data'", "3"]),
    ],
)
def test_a_wrong_option_is_named_with_what_was_seen(values, parts):
    with pytest.raises(ConfigError) as caught:
        parse_config(AuditConfig, values)
    for part in parts:
        assert part in str(caught.value)


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("- a\n- b\n", "holds a list"),
        ("a: [1\n", "is not YAML"),
        ("!!python/object/apply:os.system ['true']", "is not YAML"),
        ("1: 2\n", "not options"),
    ],
)
def test_files_that_hold_no_options_are_refused(tmp_path, text, part):
    path = tmp_path / "x.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=part):
        load_config(path, AuditConfig)


def test_a_missing_file_and_an_empty_one(tmp_path):
    with pytest.raises(ConfigError, match="No such file"):
        load_config(tmp_path / "none.yaml", AuditConfig)
    (tmp_path / "empty.yaml").write_text("")
    assert load_config(tmp_path / "empty.yaml", AuditConfig) == AuditConfig()
