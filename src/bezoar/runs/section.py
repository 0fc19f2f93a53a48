"""What every group of options is."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

Pooling = Literal["mean", "max", "last", "none"]


class Section(BaseModel):
    """A frozen group of options; an unknown one is refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


def names(value: object) -> object:
    """A name, or names with commas between, as a list."""
    if not isinstance(value, str):
        return value
    return [name for part in value.split(",") if (name := part.strip())]
