"""The last room: everything an audit found, as one page that a person can read and trust.

``masking`` decides what may be shown of hostile text, ``figures`` holds one picture per file,
``page`` turns a run folder into one self-contained HTML file, and ``model_card`` describes an
exported checkpoint. Nothing here computes a finding: it only shows what the earlier rooms saved.
"""

from __future__ import annotations

from bezoar.report.masking import for_display, mask, printable

__all__ = ["for_display", "mask", "printable"]
