"""The last room: everything an audit found, as one page that a person can read and trust.

``figures`` holds one picture a file, ``sections`` one part of the page a file; ``write_report``
puts them into one self-contained HTML file, and ``write_model_card`` describes an exported
checkpoint. Nothing here computes a finding: it only shows what the earlier rooms saved, every text
of it through `bezoar.masking`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from bezoar.masking import for_display, mask, printable

if TYPE_CHECKING:
    from bezoar.report.model_card import write_model_card
    from bezoar.report.page import write_report

# Who only asks for the name of this room must not load plotly and every other room for it.
_LATER = {"write_model_card": "model_card", "write_report": "page"}


def __getattr__(name: str) -> Any:
    if name in _LATER:
        return getattr(import_module(f"{__name__}.{_LATER[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__all__ = ["for_display", "mask", "printable", "write_model_card", "write_report"]
