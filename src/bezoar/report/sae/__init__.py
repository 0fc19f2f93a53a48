"""The pages of a study of sparse autoencoders: the report, and a card for every latent.

``report.html`` begins with who won, latents or dense probes; ``features.html`` beside it can be
searched and sorted without a network.
"""

from bezoar.report.sae.page import write_sae_report

__all__ = ["write_sae_report"]
