"""An option runs again what reads it, what follows from that, and nothing else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bezoar.errors import ConfigError
from bezoar.evaluate import PROTOCOLS, Scorecard
from bezoar.runs import AuditConfig, Run, load_result
from bezoar.studies.audit import Bench, check_config, run_audit, run_stages
from bezoar.studies.audit.mitigate import chosen_by
from tests.studies.tiny import save_tiny_model, tiny


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a finished run and its model."""
    folder = tmp_path_factory.mktemp("keys")
    run_audit(tiny(folder / "run", save_tiny_model(folder / "model")))
    return folder


def begun(run: Path) -> list[str]:
    lines = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    return [line["stage"] for line in lines if line["event"] == "started"]


def again(place: Path, upto: str = "mitigate", **options: dict[str, Any]) -> list[str]:
    """The stages that work when the run is taken up with other options."""
    run = place / "run"
    config = tiny(run, str(place / "model"), options)
    before = len(begun(run))
    Run.open(run, config, update=True).close()
    run_stages(config, upto)
    return begun(run)[before:]


def test_more_prompts_run_again_what_measures_and_the_report(place: Path) -> None:
    aside = (place / "run" / "explore" / "prompts-report.parquet").read_bytes()
    assert again(place, "report", evaluate={"protocol": "LEE@6"}) == ["evaluate", "report"]
    card = load_result(place / "run" / "evaluate" / "scorecard.json", Scorecard)
    assert (card.protocol, card.prompts_n) == ("LEE@6", 6)
    assert (place / "run" / "explore" / "prompts-report.parquet").read_bytes() == aside
    texts = json.loads((place / "run" / "audit.json").read_text())["texts"]
    assert texts["prompts_report"] == 6


def test_another_statistic_runs_again_what_chooses_by_it(place: Path) -> None:
    assert again(place, evaluate={"protocol": "PROFS@4"}) == ["mitigate"]
    assert again(place) == ["mitigate"]


def test_how_much_is_measured_beside_the_toxicity_chooses_nothing(place: Path) -> None:
    more = {"kl_texts": 3, "resamples": 120, "continuations": 2, "scorer_b": "words"}
    assert again(place, evaluate=more) == []


@pytest.fixture
def fits(place: Path):
    """What decides a fit, of options."""

    def of(**options: Any) -> str:
        config = tiny(place / "run", str(place / "model"), options)
        with Run.open(place / "run", AuditConfig(), update=True) as run:
            return repr(chosen_by(Bench(run, config)))

    return of


@pytest.mark.parametrize("protocol", ["LEE-code@4", "DEX@4x2", "APPLE@4", "EIGEN@4x2"])
def test_what_a_protocol_chooses_by_is_all_in_the_key(fits, protocol: str) -> None:
    keys = [fits(evaluate={"protocol": name}) for name in (protocol, "LEE@4")]
    assert keys[0] != keys[1]
    other = protocol.replace("@4", "@40")
    assert fits(evaluate={"protocol": other}) == keys[0]


def test_tokens_of_the_divergence_choose_where_it_is_the_cost(fits) -> None:
    def of(budget: str, tokens: int) -> str:
        return fits(mitigate={"budget": budget}, evaluate={"kl_tokens": tokens})

    assert of("ppl<=5%", 8) == of("ppl<=5%", 9)
    assert of("kl<=0.1", 8) != of("kl<=0.1", 9)


def test_the_part_of_rtp_that_a_protocol_reads_is_explored_anew(place: Path) -> None:
    rows = [
        {"challenging": i % 2 == 0, "prompt": {"text": f"word {i} then {i * i}", "toxicity": 0.2}}
        for i in range(120)
    ]
    (place / "prompts.jsonl").write_text("\n".join(map(json.dumps, rows)))
    for spec, stages in (("rtp:prompts.jsonl", ["explore"]), ("rtp-all:prompts.jsonl", [])):
        data = {"prompts": spec, "root": str(place)}
        again(place, "explore", data=data)
        assert again(place, "explore", data=data, evaluate={"protocol": "LEE@5"}) == []
        assert again(place, "explore", data=data, evaluate={"protocol": "DEX@4x1"}) == stages


def test_too_few_prompts_are_refused_before_any_work(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="LEE@3 reports on fewer than 4 prompts") as caught:
        check_config(tiny(tmp_path, "demo", {"evaluate": {"protocol": "LEE@3"}}))
    assert "LEE@200" in caught.value.hint
    assert all(protocol.prompts_n >= 4 for protocol in PROTOCOLS.values())
