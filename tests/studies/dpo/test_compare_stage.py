"""The trained model beside its base: on prompts that are reported on, kept if killed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bezoar.compare.models import PARTS, Drifts, Qualitative, Skipped, WeightDrift, load_compared
from bezoar.compare.models.parts import Parts
from bezoar.mitigate import dpo
from bezoar.runs import DPOStudyConfig, Run, load_result, parse_config
from bezoar.studies.dpo import STAGES, DPOBench
from bezoar.studies.dpo.compare import NAME, _drifts, compare_inputs
from tests.mitigate.preferences import recipe
from tests.studies.tiny import TINY, save_tiny_model

STUDY: dict[str, Any] = {
    "mitigate": {
        "methods": ["subtract:direction=value", "dpo", "dpo:trainable=biases"],
        "null_draws": 1,
    },
    "pairs": {"steered": 60, "margin": 0.0},
    "locate": {"top_values": 6},
    "compare": {
        "prompts": 4,
        "lens_prompts": 4,
        "neurons": 4,
        "layers": 2,
        "examples": 2,
        "draws": 3,
        "t_values": [1],
    },
}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with a study up to its comparison, and its model."""
    folder = tmp_path_factory.mktemp("study")
    save_tiny_model(folder / "model")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dpo, "get_recipe", lambda name, **changes: recipe(**changes))
        for stage in ("explore", "harvest", "locate", "pairs", "mitigate", "compare"):
            done(folder, stage)
        yield folder


def asked(folder: Path, *more: dict[str, Any]) -> DPOStudyConfig:
    paths = {"out": str(folder / "run"), "model": {"name": str(folder / "model")}}
    return parse_config(DPOStudyConfig, TINY, STUDY, paths, *more)


def done(folder: Path, stage: str, *more: dict[str, Any]) -> None:
    with Run.open(folder / "run", asked(folder, *more), update=bool(more)) as run:
        STAGES[stage](DPOBench(run, asked(folder, *more)))


@pytest.fixture
def bench(place: Path) -> Iterator[DPOBench]:
    with Run.open(place / "run", asked(place)) as run:
        yield DPOBench(run, asked(place))


def test_every_part_is_of_the_first_training_as_it_ended(bench: DPOBench) -> None:
    folder = bench.run.folder("compare")
    assert load_result(folder / "skipped.json", Skipped).reasons == {}
    found = load_compared(folder)
    assert {getattr(part, "edited_name", NAME) for part in found.values()} == {
        NAME,
        f"{NAME} reversed",
    }
    trained = bench.trained("dpo")
    drift = found["drift"]
    assert isinstance(drift, WeightDrift)
    assert drift.relative == pytest.approx(trained.log.relative, rel=1e-4)
    assert len({s.site for s in found["shifts"].shifts}) == 2  # type: ignore[attr-defined]


def test_the_drifts_are_of_every_training(bench: DPOBench) -> None:
    found = load_result(bench.run.folder("compare") / "drifts.json", Drifts)
    assert [row.name for row in found.rows] == ["dpo", "dpo, biases"]
    assert found.rows[0].relative == load_compared(bench.run.folder("compare"))["drift"].relative  # type: ignore[attr-defined]
    assert set(found.rows[1].components) == {"bias", "norm"}


def test_a_variant_that_could_not_be_trained_has_no_drift(place: Path, tmp_path: Path) -> None:
    """As biases of a model that has none: the mitigate stage says so, and nothing tries again."""
    methods = ["dpo", "dpo:trainable=biases", "dpo:trainable=values"]  # the last never trained
    with Run.open(place / "run", asked(place)) as run:
        config = asked(place, {"mitigate": {"methods": methods}})
        found = _drifts(DPOBench(run, config), tmp_path)
        assert [row.name for row in found.rows] == ["dpo", "dpo, biases"]
        assert not list(run.folder("mitigate").rglob("*values*/log.json"))


def test_examples_are_prompts_that_are_chosen_by_and_the_rest_is_reported_on(
    bench: DPOBench,
) -> None:
    inputs = compare_inputs(bench)
    assert list(inputs.prompts) == bench.prompts("report")[:4]
    assert not set(inputs.prompts) & set(inputs.examples)
    found = load_result(bench.run.folder("compare") / "qualitative.json", Qualitative)
    assert len(found.examples) == 2
    for example in found.examples:
        assert example.prompt in bench.prompts("select")
        names = [row.model for row in example.models]
        assert names == [bench.lm.name, "subtract value", NAME]
    curve = load_compared(bench.run.folder("compare"))["interpolation"]
    said = f"toxicity (mean max attribute, LEE, {bench.scorer_b.name})"
    assert curve.measure == said  # type: ignore[attr-defined]


def test_it_is_done_once_and_a_killed_one_goes_on(place: Path, monkeypatch) -> None:
    made: list[str] = []
    for name in ("drift", "values", "heads", "qualitative"):
        make = getattr(Parts, name)

        def noted(self, name=name, make=make):
            made.append(name)
            return make(self)

        monkeypatch.setattr(Parts, name, noted)

    def killed(self: Parts) -> None:
        raise KeyboardInterrupt

    done(place, "compare")
    assert made == []
    smaller = {"compare": {"draws": 2}}
    with monkeypatch.context() as patch:
        patch.setattr(Parts, "contributions", killed)
        with pytest.raises(KeyboardInterrupt):
            done(place, "compare", smaller)
    assert made == ["drift", "values"]
    done(place, "compare", smaller)
    assert made == ["drift", "values", "heads", "qualitative"]
    assert len(load_compared(place / "run" / "compare")) == len(PARTS)
