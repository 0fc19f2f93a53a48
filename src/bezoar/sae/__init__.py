"""The room of sparse autoencoders: a site's activations as sums of few directions out of many.

An autoencoder is named in a line (`SAESpec`), trained on the rows of one site with others beside it
(`train_saes`), saved as a folder that SAELens opens and loaded from one that it wrote (`load_sae`).
Each architecture is a file; other packages add theirs through the entry points ``bezoar.saes``.

Then it is read. `measure_quality`, `recovered_loss` and `k_sparse` say how good it is,
`pooled_latents` gives its latents of texts, `feature_table` the statistics of all of them, and
`feature_cards` all that is shown of one; the pass over the tokens is shared (`read_codes`). What
latents have to do with labels is a `LatentProfile`, and `steer_latents` changes them in the model.
"""

from bezoar.sae.base import SparseAutoencoder
from bezoar.sae.batch_topk import BatchTopK
from bezoar.sae.cards import feature_cards, load_cards, save_cards
from bezoar.sae.codes import Codes
from bezoar.sae.curves import TrainingCurve
from bezoar.sae.feature_results import FeatureCard, FeaturePrompt, FeatureTable
from bezoar.sae.features import beside_probe, feature_table, interpretability
from bezoar.sae.finished import Trained, folder_name
from bezoar.sae.gated import Gated, GatedOptions
from bezoar.sae.info import SAEInfo
from bezoar.sae.jumprelu import JumpReLU, JumpReLUOptions
from bezoar.sae.k_sparse import k_sparse
from bezoar.sae.matryoshka import Matryoshka, MatryoshkaOptions
from bezoar.sae.median import geometric_median
from bezoar.sae.planted import planted_dictionary, recovered
from bezoar.sae.pooled import PooledLatents, pool_latents, pooled_latents
from bezoar.sae.profile import LatentProfile, profile_latents
from bezoar.sae.quality import explained_variance, measure_quality
from bezoar.sae.quality_results import KSparse, LossRecovered, QualityRow, QualityTable, SAEQuality
from bezoar.sae.reading import LatentMoments, read_codes
from bezoar.sae.registry import architectures, get_architecture, register
from bezoar.sae.relu import ReLU, ReLUOptions
from bezoar.sae.spec import SAESpec
from bezoar.sae.splicing import recovered_loss
from bezoar.sae.steering import steer_latents
from bezoar.sae.storage import load_sae, save_sae
from bezoar.sae.token_rows import RecomputedTokens, StoredTokens, TokenRows
from bezoar.sae.top_prompts import display_scale, top_prompts
from bezoar.sae.top_tokens import top_tokens
from bezoar.sae.topk import TopK, TopKOptions
from bezoar.sae.training import train_saes

__all__ = [
    "BatchTopK",
    "Codes",
    "FeatureCard",
    "FeaturePrompt",
    "FeatureTable",
    "Gated",
    "GatedOptions",
    "JumpReLU",
    "JumpReLUOptions",
    "KSparse",
    "LatentMoments",
    "LatentProfile",
    "LossRecovered",
    "Matryoshka",
    "MatryoshkaOptions",
    "PooledLatents",
    "QualityRow",
    "QualityTable",
    "ReLU",
    "ReLUOptions",
    "RecomputedTokens",
    "SAEInfo",
    "SAEQuality",
    "SAESpec",
    "SparseAutoencoder",
    "StoredTokens",
    "TokenRows",
    "TopK",
    "TopKOptions",
    "Trained",
    "TrainingCurve",
    "architectures",
    "beside_probe",
    "display_scale",
    "explained_variance",
    "feature_cards",
    "feature_table",
    "folder_name",
    "geometric_median",
    "get_architecture",
    "interpretability",
    "k_sparse",
    "load_cards",
    "load_sae",
    "measure_quality",
    "planted_dictionary",
    "pool_latents",
    "pooled_latents",
    "profile_latents",
    "read_codes",
    "recovered",
    "recovered_loss",
    "register",
    "save_cards",
    "save_sae",
    "steer_latents",
    "top_prompts",
    "top_tokens",
    "train_saes",
]
