"""Every edit of a run as a reader: beside its scorecard, on texts that nothing was fitted on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bezoar.errors import ConfigError
from bezoar.evaluate import Scorecard
from bezoar.evaluate.detection_results import Detection
from bezoar.runs import ExpertsStudyConfig, Run, load_result, parse_config
from bezoar.studies.audit import STAGES, Bench
from bezoar.studies.experts import detect
from bezoar.studies.experts.detect import detect_stage
from tests.studies.tiny import TINY, save_tiny_model

BEFORE = ("explore", "harvest", "locate", "mitigate", "evaluate")
METHODS = ["subtract:direction=mean_difference", "word-ban"]


def config(folder: Path, **more: Any) -> ExpertsStudyConfig:
    """An audit's stages with the detection after them."""
    own = {
        "study": "audit",
        "out": str(folder / "run"),
        "model": {"name": str(folder / "model")},
        "mitigate": TINY["mitigate"] | {"methods": METHODS},
        "detect": {"texts": 20},
    }
    return parse_config(ExpertsStudyConfig, TINY, own, more)


@pytest.fixture(scope="module")
def measured() -> list[str]:
    """Edits that were measured, one begun and killed among them."""
    return []


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, measured: list[str]) -> Path:
    """A folder with a run whose stage was killed at its second edit, and taken up again."""
    folder = tmp_path_factory.mktemp("detect")
    save_tiny_model(folder / "model")
    asked, real = config(folder), detect._measured

    def killed(reader: Any, name: str, *more: Any) -> Any:
        measured.append(name)
        if len(measured) == 2:
            raise KeyboardInterrupt
        return real(reader, name, *more)

    with pytest.MonkeyPatch.context() as patch, Run.open(Path(asked.out), asked) as run:
        bench = Bench(run, asked)
        for name in BEFORE:
            STAGES[name](bench)
        patch.setattr(detect, "_measured", killed)
        with pytest.raises(KeyboardInterrupt):
            detect_stage(bench)
        detect_stage(Bench(run, asked))
    return folder


@pytest.fixture(scope="module")
def found(place: Path) -> Detection:
    return load_result(place / "run" / "detect" / "detect.json", Detection)


def test_every_method_of_the_scorecard_is_read_with_its_own_toxicity(
    place: Path, found: Detection
) -> None:
    card = load_result(place / "run" / "evaluate" / "scorecard.json", Scorecard)
    rows = {row.label: row for row in card.rows if row.kind == "method"}
    assert {edit.label for edit in found.edits} == set(rows)
    for edit in found.edits:
        assert edit.toxicity is not None
        assert edit.toxicity.value == rows[edit.label].change["toxicity"].value
    assert (found.protocol, found.scorer) == (card.measured, card.report_scorer)


def test_a_word_ban_leaves_the_states_and_says_so(found: Detection) -> None:
    ban = next((edit for edit in found.edits if edit.name.startswith("word-ban")), None)
    assert ban is not None
    assert all(ban.score(name).identity for name in ("probe", "frozen", "unembed_in"))
    assert ban.score("unembed_edited") is None


def test_a_killed_stage_measures_only_what_is_missing(
    found: Detection, measured: list[str]
) -> None:
    first, second = (edit.name for edit in found.edits)
    assert measured == [first, second, second]


def test_unpooled_activations_are_refused(place: Path) -> None:
    asked = config(place, harvest=TINY["harvest"] | {"pooling": "none"})
    with (
        Run.open(place / "run", asked, update=True) as run,
        pytest.raises(ConfigError, match="row"),
    ):
        detect_stage(Bench(run, asked))
