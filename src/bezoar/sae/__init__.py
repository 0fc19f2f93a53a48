"""The room of sparse autoencoders: a site's activations as sums of few directions out of many.

An autoencoder is named in a line (`SAESpec`), trained on the rows of one site with others beside it
(`train_saes`), saved as a folder that SAELens opens and loaded from one that it wrote (`load_sae`).
Each architecture is a file; other packages add theirs through the entry points ``bezoar.saes``.
"""

from bezoar.sae.base import SAEInfo, SparseAutoencoder
from bezoar.sae.batch_topk import BatchTopK
from bezoar.sae.codes import Codes
from bezoar.sae.curves import TrainingCurve
from bezoar.sae.gated import Gated
from bezoar.sae.jumprelu import JumpReLU
from bezoar.sae.matryoshka import Matryoshka
from bezoar.sae.median import geometric_median
from bezoar.sae.planted import planted_dictionary, recovered
from bezoar.sae.registry import architectures, get_architecture, register
from bezoar.sae.relu import ReLU
from bezoar.sae.spec import SAESpec
from bezoar.sae.storage import load_sae, save_sae
from bezoar.sae.topk import TopK
from bezoar.sae.training import Trained, folder_name, train_saes

__all__ = [
    "BatchTopK",
    "Codes",
    "Gated",
    "JumpReLU",
    "Matryoshka",
    "ReLU",
    "SAEInfo",
    "SAESpec",
    "SparseAutoencoder",
    "TopK",
    "Trained",
    "TrainingCurve",
    "architectures",
    "folder_name",
    "geometric_median",
    "get_architecture",
    "load_sae",
    "planted_dictionary",
    "recovered",
    "register",
    "save_sae",
    "train_saes",
]
