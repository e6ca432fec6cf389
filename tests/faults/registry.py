"""Every planted fault by name: what is wrong, and which gate must stop it at which stage. One literal list."""

from __future__ import annotations

from tests.faults.fault import Fault
from tests.faults.planted_data import DATA_FAULTS
from tests.faults.planted_evaluation import EVALUATION_FAULTS
from tests.faults.planted_files import FILE_FAULTS
from tests.faults.planted_importance import IMPORTANCE_FAULTS
from tests.faults.planted_speech import SPEECH_FAULTS
from tests.faults.planted_tensors import TENSOR_FAULTS
from tests.faults.planted_text import TEXT_FAULTS
from tests.faults.planted_training import TRAINING_FAULTS

FAULTS: tuple[Fault, ...] = (
    *DATA_FAULTS,
    *TEXT_FAULTS,
    *TRAINING_FAULTS,
    *SPEECH_FAULTS,
    *TENSOR_FAULTS,
    *FILE_FAULTS,
    *IMPORTANCE_FAULTS,
    *EVALUATION_FAULTS,
)
