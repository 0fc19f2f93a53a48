"""What each family can do, seen by trying: the tables of ``docs/families.md``.

``python -m tests.models.capabilities`` writes the page; a test fails where it is stale.
"""

from __future__ import annotations

from collections.abc import Callable

from bezoar.edits import ActivationEdit, Add, At
from bezoar.errors import BezoarError, NotFoldable
from bezoar.models import Decoding, LanguageModel, Site, generate
from tests.docs.pages import ROOT
from tests.edits.kit import unit
from tests.invariants.applies import ITEMS, why_not
from tests.models import zoo

PAGE = ROOT / "docs" / "families.md"

BIASED = (
    "GPT-2",
    "GPT-Neo",
    "GPT-J",
    "GPT-NeoX, Pythia",
    "OPT",
    "OPT-350m",
    "Bloom",
    "Falcon RW",
    "Llama with biases",
    "Phi",
    "BERT",
    "RoBERTa",
    "DistilBERT",
)
"""Families whose last map of the MLP has a bias, and no norm after it."""

_HEAD = """# Model families

No family is known by name: the parts of a model are found by its structure. What follows was
seen on tiny random models of these families, on which the tests of this page's statements run.
Other families are likely to work; where one does not, the error shows what was found, and the
parts can be [named by hand](how-to/model.md#name-parts-by-hand).

<!-- Made by: python -m tests.models.capabilities -->

## What works

*Neurons*: keys and values of single neurons can be read, ranked and edited. *Last subtraction*:
subtracting a vector at the last layer's `mlp_out` becomes plain weights, or why it does not.
*Two mixers*: some layers have attention, others a convolution or a recurrence in its place;
`attn_out` is what either adds to the stream, `z` is only where there are heads.
Residual sites, harvest, probes and activation edits work on every family.
"""

_THEOREMS = """
## What is proven

Each theorem is a test on each family, to a relative 10⁻⁴ in float32. Where one does not apply,
the test asserts what holds instead, or the error that a user meets.

"""


def block(lm: LanguageModel) -> str:
    """How the components are wired."""
    parts = lm.anatomy[0]
    if parts.post_ln:
        return "post-LN"
    kind = "parallel" if parts.parallel else "sequential"
    norms = parts.attn_post_norm is not None and parts.mlp_post_norm is not None
    scaled = parts.mlp_factor != 1
    mixed = len({type(layer.attention) for layer in lm.anatomy.block_parts}) > 1
    more = {"post-norms": norms, "scaled": scaled, "two mixers": mixed}
    return ", ".join([kind, *(name for name, there in more.items() if there)])


def mlp(lm: LanguageModel) -> str:
    """What kind of MLP."""
    parts = lm.anatomy[0]
    if parts.w_out is None:
        return "experts"
    if not parts.gated:
        return "plain"
    return "gated, one map" if parts.gate_features is not None else "gated"


def neurons(lm: LanguageModel) -> str:
    """Whether keys and values are there."""
    return _tried(lambda: (lm.keys(0), lm.values(0)))


def logits(lm: LanguageModel) -> str:
    """Whether there is an unembedding, and what follows it."""
    if not lm.has_unembedding:
        return "–"
    capped = getattr(lm.model.config, "final_logit_softcapping", None) is not None
    scaled = lm.anatomy.logit_scale != 1
    after = "capped" if capped else "scaled" if scaled else ""
    after = "projected" if lm.anatomy.unembed_proj is not None else after
    return f"yes, {after}" if after else "yes"


def text(lm: LanguageModel) -> str:
    """Whether it continues a text."""
    return _tried(lambda: generate(lm, ["you"], Decoding(1)))


def last_subtraction(lm: LanguageModel) -> str:
    """Why subtracting a vector at the last ``mlp_out`` does not fold; "" if it does."""
    site = Site(lm.n_layers - 1, "mlp_out")
    try:
        ActivationEdit((At(site, Add(-unit(lm.d_model))),)).fold(lm)
    except NotFoldable as error:
        for reason in ("norm stands between", "needs a bias", "linear maps"):
            if reason in str(error):
                return reason
        raise
    return ""


_SAID = {
    "": "folds",
    "norm stands between": "hook only: a norm follows",
    "needs a bias": "hook only: no bias",
    "linear maps": "hook only: experts",
}
_COLUMNS: dict[str, Callable[[LanguageModel], str]] = {
    "block": block,
    "MLP": mlp,
    "neurons": neurons,
    "logits": logits,
    "generates": text,
    "last subtraction": lambda lm: _SAID[last_subtraction(lm)],
}


def _tried(action: Callable[[], object]) -> str:
    try:
        action()
    except BezoarError:
        return "–"
    return "yes"


def page() -> str:
    """The whole page."""
    lms = {name: zoo.family_model(name) for name in zoo.FAMILIES}
    rows = [["family", *_COLUMNS]]
    rows += [[name, *(cell(lm) for cell in _COLUMNS.values())] for name, lm in lms.items()]
    reasons = list(dict.fromkeys(r for lm in lms.values() for i in ITEMS if (r := why_not(lm, i))))
    notes = {reason: chr(ord("a") + n) for n, reason in enumerate(reasons)}
    proven = [["family", *ITEMS]]
    proven += [
        [name, *(notes.get(why_not(lm, item), "✓") for item in ITEMS)] for name, lm in lms.items()
    ]
    legend = [f"- **{item}** {said}" for item, said in ITEMS.items()]
    said = [f"{letter}: {reason}." for reason, letter in notes.items()]
    return "\n".join(
        [_HEAD, _table(rows), _THEOREMS, *legend, "", *said, "", _table(proven)]
    ).replace("\n\n\n", "\n\n")


def _table(rows: list[list[str]]) -> str:
    lines = [f"| {' | '.join(row)} |" for row in rows]
    lines.insert(1, "|" + "---|" * len(rows[0]))
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
