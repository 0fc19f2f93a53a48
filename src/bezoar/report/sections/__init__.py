"""The parts of the page, one file each, in the order in which they are read."""

from __future__ import annotations

from collections.abc import Callable

from bezoar.report.artefacts import Artefacts
from bezoar.report.blocks import Section
from bezoar.report.sections.audited import audited
from bezoar.report.sections.data import data
from bezoar.report.sections.decides import decides
from bezoar.report.sections.examples import examples
from bezoar.report.sections.helps import helps
from bezoar.report.sections.limits import limits
from bezoar.report.sections.reproduce import reproduce
from bezoar.report.sections.says import says
from bezoar.report.sections.side_effects import side_effects
from bezoar.report.sections.where import where

SECTIONS: tuple[Callable[[Artefacts], Section], ...] = (
    audited,
    data,
    where,
    says,
    decides,
    helps,
    examples,
    side_effects,
    limits,
    reproduce,
)

__all__ = ["SECTIONS"]
