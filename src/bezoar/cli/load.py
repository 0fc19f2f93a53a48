"""Loading a model for commands that have no run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from bezoar.models import LanguageModel
    from bezoar.runs.sections import ModelConfig

SetModel = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Of the model: --set model.anatomy.attention=mixer.",
        show_default=False,
    ),
]


def load_model(
    name: str, *, device: str | None = None, assignments: list[str] | None = None
) -> LanguageModel:
    """A model as the options of a run's ``model`` section describe it.

    Raises:
        ConfigError: if an assignment is not about the model.
    """
    from bezoar.cli.options import configure
    from bezoar.errors import ConfigError
    from bezoar.runs.sections import AuditConfig

    for text in assignments or []:
        if not text.strip().startswith("model."):
            raise ConfigError(
                f"--set {text!r} is not about the model.",
                hint="This command takes keys such as model.dtype or model.anatomy.blocks.",
            )
    given = {"model": name, "device": device}
    return loaded(configure(given, assignments=assignments, kind=AuditConfig).model)


def loaded(asked: ModelConfig) -> LanguageModel:
    """The model of a run's ``model`` section."""
    from bezoar.models import AnatomyNames, LanguageModel

    return LanguageModel.from_pretrained(
        asked.name,
        device=asked.device,
        dtype=asked.dtype,
        device_map=asked.device_map,
        anatomy=AnatomyNames(**asked.anatomy.model_dump()),
    )
