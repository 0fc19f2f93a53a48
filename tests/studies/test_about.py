"""What a run says of itself, and the chat template as it is really applied."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bezoar.errors import ModelError
from bezoar.evaluate import Scorecard
from bezoar.models import LanguageModel
from bezoar.report import write_model_card, write_report
from bezoar.runs import AuditConfig, load_result, parse_config
from bezoar.studies.audit import run_audit
from bezoar.studies.audit.about import licence_beside, licence_of
from tests.families import tiny_model
from tests.report.test_model_card import parts
from tests.studies.test_audit import SMALL

TEMPLATE = (
    "{% for m in messages %}<{{ m['role'] }}> {{ m['content'] }}\n{% endfor %}"
    "{% if add_generation_prompt %}<answer> {% endif %}"
)
SMALLEST = {
    "data": {"limit": 60, "neutral_tokens": 600},
    "harvest": {"points": ["resid_post"], "max_tokens": 24},
    "locate": {"shuffles": 2, "top_values": 4, "lens_prompts": 2, "folds": 2, "resamples": 100},
    "mitigate": {"methods": ["word-ban"], "select_prompts": 4, "max_evaluations": 1}
    | {"null_draws": 1},
    "evaluate": {"protocol": "LEE@8", "capability": [], "continuations": 1},
}


def saved(folder: Path, template: str | None) -> str:
    lm = tiny_model("gpt2")
    lm.tokenizer.chat_template = template
    lm.model.save_pretrained(folder)
    lm.tokenizer.save_pretrained(folder)
    (folder / "README.md").write_text("---\nlicense: mit\n---\n# a card\n")
    return str(folder)


def config(out: Path, **model: object) -> AuditConfig:
    return parse_config(AuditConfig, SMALL, SMALLEST, {"out": str(out), "model": model})


@pytest.fixture(scope="module")
def chatted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An audit of a chat model against a base that knows no chat."""
    place = tmp_path_factory.mktemp("chat")
    tuned, base = saved(place / "tuned", TEMPLATE), saved(place / "base", None)
    run_audit(config(place / "run", name=tuned, base=base, chat=True))
    return place / "run"


def test_one_applied_example_is_recorded_and_shown(chatted: Path) -> None:
    about = json.loads((chatted / "audit.json").read_text())
    card = load_result(chatted / "evaluate" / "scorecard.json", Scorecard)
    assert card.measured == "LEE@8 on demo-prompts in the chat template"
    plain, wrapped = (about["chat example"][key] for key in ("prompt", "wrapped"))
    assert wrapped == f"<user> {plain}\n<answer> "
    assert "&lt;user&gt; " in (chatted / "report.html").read_text("utf-8")


def test_the_model_read_what_was_recorded(chatted: Path) -> None:
    """The continuation of the wrapped prompt, greedily, is the one that was scored."""
    from bezoar.corpus import Prompts
    from bezoar.evaluate import Measurement, get_protocol
    from bezoar.models import generate

    measured = load_result(chatted / "evaluate" / "measured" / "base.json", Measurement)
    of_base = load_result(chatted / "evaluate" / "measured" / "base-model.json", Measurement)
    texts = Prompts.load(chatted / "explore" / "prompts-report.parquet").texts[:8]
    lm = LanguageModel.from_pretrained(str(chatted.parent / "tuned"))
    protocol = get_protocol("LEE@8")
    for seen, prompts in ((measured, lm.chat(texts)), (of_base, list(texts))):
        own = generate(
            lm, prompts, protocol.decoding, max_prompt_tokens=protocol.prompt_tokens
        ).texts()
        assert [list(row) for row in seen.texts] == own


def test_a_base_without_a_template_is_read_plain_and_that_is_said(chatted: Path) -> None:
    about = json.loads((chatted / "audit.json").read_text())
    assert about["base's prompts"] == "plain: the base has no chat template"
    page = (chatted / "report.html").read_text("utf-8")
    assert "plain: the base has no chat template" in page


def test_a_model_without_a_template_is_refused_before_any_stage(tmp_path: Path) -> None:
    name = saved(tmp_path / "plain", None)
    with pytest.raises(ModelError, match="has no chat template"):
        run_audit(config(tmp_path / "run", name=name, chat=True))
    assert not list((tmp_path / "run").glob("*/stage.json"))


def test_the_day_and_the_licence_are_told_where_known(
    chatted: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    about = json.loads((chatted / "audit.json").read_text())
    assert about["licences"]["model"] == about["licences"]["base"] == "mit"
    assert about["created"].count("-") == 2
    write_report(chatted)
    page = (chatted / "report.html").read_text("utf-8")
    assert about["created"] in page
    assert "<dd>mit</dd>" in page


def test_the_card_of_a_checkpoint_keeps_the_licence_of_the_model(
    chatted: Path, tmp_path: Path
) -> None:
    """From the model's own card through the audit to the card of what is exported."""
    front, body = parts(write_model_card(chatted, tmp_path, label="word ban"))
    assert front["license"] == "mit"
    assert "license_name" not in front
    assert "The base model's licence is mit" in body


@pytest.mark.parametrize(
    ("card", "licence"),
    [
        ("---\nlicense: apache-2.0\n---\ntext", "apache-2.0"),
        ("---\nlicense: [mit, cc0-1.0]\n---\n", "mit, cc0-1.0"),
        ("---\nlicense: other\nlicense_name: own terms\n---\n", "own terms"),
        ("---\nlanguage: en\n---\n", ""),
        ("# No block\n---\nlicense: mit\n---\n", ""),
        ("---\nlicense: mit", ""),
        ("---\n[: broken\n---\n", ""),
        ("---\n- a list\n---\n", ""),
        ("", ""),
    ],
)
def test_a_card_tells_its_licence_or_nothing(tmp_path: Path, card: str, licence: str) -> None:
    path = tmp_path / "README.md"
    path.write_text(card)
    assert licence_of(path) == licence
    (tmp_path / "rows.csv").write_text("text,label\n")
    assert licence_beside(tmp_path / "rows.csv") == licence
    assert licence_of(tmp_path / "none.md") == ""
