"""Locate: where in the model the behaviour lives.

A probe per layer and site says *where it can be read* (`probe_sweep`); its weights are a
`Direction`. The MLP value vectors nearest to that direction say *what writes it* (`rank_values`,
`value_svd`), and multiplied with the unembedding they say *what it means* (`promoted_tokens`). The
`logit_lens` and the attributions say *when* in the forward pass it turns into a token. Every score
comes with a rival or a null that could have won.
"""

from bezoar.locate.direction import Direction, Subspace
from bezoar.locate.values import ValueEntry, ValueRanking, rank_values

__all__ = ["Direction", "Subspace", "ValueEntry", "ValueRanking", "rank_values"]
