"""What did each edit change, at what cost, and could a null have done the same?

A `Protocol` says what is generated from what, and its id stands beside every number (`Metric`
refuses to exist without one). An `Evaluator` measures edits on the same prompts with the same
random streams; `build_scorecard` compares the measurements prompt by prompt with the no-op, tests
methods against their nulls, and refuses to report by the scorer or on the prompts that selected.
`tph`, `pareto_front` and `hypervolume` weigh toxicity against cost; a `Front` says what each method
adds to the best of all trades between the two. A `Contest` lets readers of sparse latents, of plain
activations and of the bare text tell the same labels apart; its winner becomes a `Detector`.
"""

from bezoar.evaluate.contest_results import Contest, ContestRow, Difference
from bezoar.evaluate.cost import PerplexityCost, everywhere
from bezoar.evaluate.detection import DetectionMeter
from bezoar.evaluate.detection_results import DETECTORS, Detection, DetectorScore, EditDetection
from bezoar.evaluate.detector import Detector
from bezoar.evaluate.detector_results import DetectorInfo, Verdict, Verdicts
from bezoar.evaluate.front import Front, FrontPoint, front_of
from bezoar.evaluate.measure import (
    NULL_PARTS,
    PARTS,
    Evaluator,
    Measurement,
    evaluate_edit,
)
from bezoar.evaluate.nulls import pooled_null_p, rank_null_p
from bezoar.evaluate.pareto import hypervolume, pareto_front, tph
from bezoar.evaluate.protocols import PROTOCOLS, Protocol, get_protocol
from bezoar.evaluate.results import METRICS, Continuation, MethodRow, Metric, Scorecard
from bezoar.evaluate.scorecard import Candidate, Measured, build_scorecard, measure_candidate
from bezoar.evaluate.separation import check_separation

__all__ = [
    "DETECTORS",
    "METRICS",
    "NULL_PARTS",
    "PARTS",
    "PROTOCOLS",
    "Candidate",
    "Contest",
    "ContestRow",
    "Continuation",
    "Detection",
    "DetectionMeter",
    "Detector",
    "DetectorInfo",
    "DetectorScore",
    "Difference",
    "EditDetection",
    "Evaluator",
    "Front",
    "FrontPoint",
    "Measured",
    "Measurement",
    "MethodRow",
    "Metric",
    "PerplexityCost",
    "Protocol",
    "Scorecard",
    "Verdict",
    "Verdicts",
    "build_scorecard",
    "check_separation",
    "evaluate_edit",
    "everywhere",
    "front_of",
    "get_protocol",
    "hypervolume",
    "measure_candidate",
    "pareto_front",
    "pooled_null_p",
    "rank_null_p",
    "tph",
]
