"""The room of sparse autoencoders: a site's activations as sums of few directions out of many.

An autoencoder is named in a line (`SAESpec`), trained on the rows of one site with others beside it
(`train_saes`), saved as a folder that SAELens opens and loaded from one that it wrote (`load_sae`).
Each architecture is a file; other packages add theirs through the entry points ``bezoar.saes``.
"""

from bezoar.sae.base import Codes, SAEInfo, SparseAutoencoder
from bezoar.sae.registry import architectures, get_architecture, register
from bezoar.sae.spec import SAESpec
from bezoar.sae.storage import load_sae, save_sae
from bezoar.sae.topk import TopK

__all__ = [
    "Codes",
    "SAEInfo",
    "SAESpec",
    "SparseAutoencoder",
    "TopK",
    "architectures",
    "get_architecture",
    "load_sae",
    "register",
    "save_sae",
]
