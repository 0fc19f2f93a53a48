"""Parts of a model named by hand, for a structure that is not recognised."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class AnatomyNames:
    """Names given by hand; None means: find it.

    Attributes:
        blocks: of the container of the blocks (``"transformer.h"``), or, where each block is an
            attribute of its own, the pattern of their names (``"encoder.layer_{}"``).
        embed, final_norm, unembed: names in the whole model. ``final_norm=""`` means that there
            is none.
        attention, w_in, w_gate, w_up, w_out: names inside a block (``"mlp.c_fc"``). A gated MLP
            needs ``w_gate``, ``w_up`` and ``w_out``, another one ``w_in`` and ``w_out``.
        attn_out, mlp_out: names inside a block of the modules whose outputs are added to the
            residual stream.
    """

    blocks: str | None = None
    embed: str | None = None
    final_norm: str | None = None
    unembed: str | None = None
    attention: str | None = None
    w_in: str | None = None
    w_gate: str | None = None
    w_up: str | None = None
    w_out: str | None = None
    attn_out: str | None = None
    mlp_out: str | None = None
