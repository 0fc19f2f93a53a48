"""Which theorems apply to which model, and why the others do not.

The tests assert a theorem where it applies and the error a user meets where it does not; the page
`docs/families.md` is made from the same answers.
"""

from __future__ import annotations

from torch import nn

from bezoar.models import LanguageModel

EXPERTS = "a mixture of experts has no one set of neurons"
HEADLESS = "there is no unembedding"
POST_LN = "there is no final norm"

ITEMS: dict[str, str] = {
    "1": "an edit that does nothing changes no logit",
    "2": "nothing is left behind",
    "3": "sub-updates add up to what the MLP writes",
    "4": "what is added to the stream adds up",
    "5": "logits of a sub-update scale with its coefficient",
    "6": "the raw last residual, normed, is Hugging Face's last state",
    "7": "padding changes nothing",
    "9": "the lens ends at the model's own softmax",
    "10": "states of the lens are counted, and rows sum to one",
    "11": "a lens with a folded norm is the lens",
}


def why_not(lm: LanguageModel, item: str) -> str:
    """Why a theorem does not apply to a model; "" if it does."""
    if item in ("3", "5") and lm.anatomy[0].w_out is None:
        return EXPERTS
    if item in ("5", "9", "10", "11") and not lm.has_unembedding:
        return HEADLESS
    if item in ("6", "11") and isinstance(lm.anatomy.final_norm, nn.Identity):
        return POST_LN
    return ""
