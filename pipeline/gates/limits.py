"""The limits of all gates, table `[gates]` of a recipe: each area keeps its own beside its gates."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from pipeline.gates.data import DataLimits
from pipeline.gates.evaluation import EvaluationLimits
from pipeline.gates.generation import GenerationLimits
from pipeline.gates.imatrix import ImatrixLimits
from pipeline.gates.inference import InferenceLimits
from pipeline.gates.llm_judge import JudgeLimits
from pipeline.gates.parity import ParityLimits
from pipeline.gates.preflight import PreflightLimits
from pipeline.gates.training import TrainingLimits


class GateLimits(BaseModel):
    """Table `[gates]` of a recipe."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    data: DataLimits = DataLimits()
    preflight: PreflightLimits = PreflightLimits()
    training: TrainingLimits = TrainingLimits()
    generation: GenerationLimits = GenerationLimits()
    imatrix: ImatrixLimits = ImatrixLimits()
    inference: InferenceLimits = InferenceLimits()
    parity: ParityLimits = ParityLimits()
    evaluation: EvaluationLimits = EvaluationLimits()
    judge: JudgeLimits = JudgeLimits()
