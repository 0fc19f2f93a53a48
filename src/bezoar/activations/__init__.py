"""What a model computes on many texts: planned, read, pooled, stored, summed up.

``plan_batches`` sorts texts into batches that waste nothing on padding. ``forecast`` says what a
harvest will take; ``harvest`` reads any number of sites in one pass into an ``ActivationStore``, a
folder of shards that survives interruption and reads in the order of the texts. Where only means
and covariances are wanted, ``class_moments`` stores nothing.
"""

from bezoar.activations.batching import BatchPlan, plan_batches
from bezoar.activations.forecast import Forecast, forecast
from bezoar.activations.harvest import harvest, site_widths
from bezoar.activations.manifest import Manifest, StoreDtype
from bezoar.activations.pooling import Pooling, pool
from bezoar.activations.statistics import StreamingMoments, class_moments
from bezoar.activations.store import ActivationStore
from bezoar.activations.tokens import TokenTable, tokenise

__all__ = [
    "ActivationStore",
    "BatchPlan",
    "Forecast",
    "Manifest",
    "Pooling",
    "StoreDtype",
    "StreamingMoments",
    "TokenTable",
    "class_moments",
    "forecast",
    "harvest",
    "plan_batches",
    "pool",
    "site_widths",
    "tokenise",
]
