"""Parts of a model named by hand, for a structure that is not recognised."""

from __future__ import annotations

from dataclasses import dataclass


def by_hand(part: str, example: str) -> str:
    """What to do about a part that was not recognised."""
    return (
        f"Name it by hand: anatomy=AnatomyNames({part}={example!r}) in Python, "
        f"--set model.anatomy.{part}={example} on the command line."
    )


@dataclass(frozen=True, slots=True)
class AnatomyNames:
    """Names given by hand; None means: find it.

    Attributes:
        blocks: of the container of the blocks (``"transformer.h"``), or, where each block is an
            attribute of its own, the pattern of their names (``"encoder.layer_{}"``).
        embed, final_norm, unembed: names in the whole model. ``final_norm=""`` means that there
            is none.
        attention: name inside a block of what mixes positions, of whichever kind.
        w_in, w_gate, w_up, w_out: names inside a block (``"mlp.c_fc"``). A gated MLP needs
            ``w_gate``, ``w_up`` and ``w_out``, another one ``w_in`` and ``w_out``.
        attn_out, mlp_out: names inside a block of the modules whose outputs are added to the
            residual stream.

    Where blocks differ, a name inside a block may be several: ``"self_attn|linear_attn"`` is the
    first of them that the block has. In a block that has none the part is searched for.
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

    def inside_blocks(self) -> dict[str, str]:
        """What was named inside a block, by part."""
        parts = ("attention", "w_in", "w_gate", "w_up", "w_out", "attn_out", "mlp_out")
        return {part: name for part in parts if (name := getattr(self, part)) is not None}
