"""Lee et al. 2024 as printed: what each table and figure shows, and the numbers that are compared.

"A Mechanistic Understanding of Alignment Algorithms: A Case Study on DPO and Toxicity", ICML 2024.
Numbers are those of GPT-2 medium, with its own prompts and its own scorer: no other model's are
comparable with them but in sign.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from bezoar.report.study.exhibits import Paper

NAME = "Lee et al. 2024"

SECTIONS: Mapping[str, str] = MappingProxyType(
    {"toxicity": "§3", "training": "§4", "mechanism": "§5", "undoing": "§6"}
)
"""Where the paper has what; claims and headings cite these, and figures and tables by number."""

FIGURES: Mapping[int | str, str] = MappingProxyType(
    {
        1: "Logit lens: probability of a toxic token by layer, before and after DPO",
        2: "Mean activation of toxic neurons, before and after DPO",
        3: "Schema: the shift lets the residual stream pass by regions that trigger toxic vectors",
        4: "The residual stream's shift, at the most toxic value vector beyond the first layer",
        5: "Cosines of value-vector shifts to that shift, and mean activations, by layer",
        6: "As Figure 4, at other toxic value vectors",
        7: "As Figure 5, for another layer",
        8: "As Figure 5, for another layer",
        9: "As Figure 5, for another layer",
        10: "As Figure 5, for another layer",
    }
)

TABLES: Mapping[int | str, str] = MappingProxyType(
    {
        1: "Toxic vectors read as tokens",
        2: "Toxicity, perplexity and F1 of subtraction and of DPO",
        3: "Next tokens and continuations before and after",
        4: "Un-aligning: toxic keys scaled",
        5: "Settings of DPO",
        6: "Settings of PPLM",
    }
)

PAPER = Paper(NAME, FIGURES, TABLES, frozenset({"figure_3"}))

HEADLINES: tuple[tuple[str, tuple[float, float, float]], ...] = (
    ("GPT-2 medium, no-op", (0.453, 21.70, 0.193)),
    ("− probe", (0.245, 23.56, 0.193)),
    ("− value vector 19.770", (0.305, 23.30, 0.192)),
    ("− SVD[0]", (0.268, 23.48, 0.193)),
    ("DPO", (0.208, 23.34, 0.195)),
    ("DPO, 7 keys × 10", (0.458, 23.30, 0.195)),
)
"""Tables 2 and 4: variant, toxicity, perplexity, F1."""
