"""What a model computes on many texts: planned, read, pooled, stored, summed up.

``plan_batches`` sorts texts into batches that waste nothing on padding. ``forecast`` says what a
harvest will take; ``harvest`` reads any number of sites in one pass into an ``ActivationStore``, a
folder of shards that survives interruption and reads in the order of the texts. Where only means
and covariances are wanted, ``class_moments`` stores nothing. A ``RowSource`` gives rows of one site
shuffled, a batch at a time, to what is trained on them.
"""

from bezoar.activations.batching import BatchPlan, plan_batches
from bezoar.activations.forecast import Forecast, forecast
from bezoar.activations.generated import generated_tokens
from bezoar.activations.harvest import harvest, site_widths
from bezoar.activations.manifest import Manifest, StoreDtype
from bezoar.activations.pooling import Pooling, pool
from bezoar.activations.recompute import RecomputedRows
from bezoar.activations.row_choice import RowsChoice, choose_rows
from bezoar.activations.rows import InMemoryRows, RowSource, StoredRows, batches_an_epoch
from bezoar.activations.statistics import StreamingMoments, class_moments
from bezoar.activations.store import ActivationStore
from bezoar.activations.tokens import TokenTable, tokenise

__all__ = [
    "ActivationStore",
    "BatchPlan",
    "Forecast",
    "InMemoryRows",
    "Manifest",
    "Pooling",
    "RecomputedRows",
    "RowSource",
    "RowsChoice",
    "StoreDtype",
    "StoredRows",
    "StreamingMoments",
    "TokenTable",
    "batches_an_epoch",
    "choose_rows",
    "class_moments",
    "forecast",
    "generated_tokens",
    "harvest",
    "plan_batches",
    "pool",
    "site_widths",
    "tokenise",
]
