"""The `evaluate` section of a training config."""

from pathlib import Path
from typing import Literal

from pydantic import ConfigDict, Field

from services.contract.window_shape import WindowShape
from training.convert.config import Quantization

Context = Literal["full", "short"]


class EvaluateConfig(WindowShape):
    """What is measured, and how the model is run for it.

    The trained model is measured in the language and task of `model`, with the weights and windows
    of `convert`; of a bundle the windows are its own: joined clips are cut as it asks.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    splits: tuple[str, ...] = Field(default=("dev", "test"), min_length=1)
    """Splits to evaluate."""
    contexts: tuple[Context, ...] = Field(default=("full", "short"), min_length=1)
    """Padded to 30 s, or only as long as the clip needs; the difference decides short_context."""
    language: str = "sv"
    """Language to decode another model in."""
    task: Literal["transcribe", "translate"] = "transcribe"
    """Task of another model."""
    timestamps: bool | None = None
    """Decode with timestamp tokens; by default as the service does: translations only."""
    beam_size: int = Field(default=5, ge=1)
    """1 is greedy."""
    batch_size: int = Field(default=16, ge=1)
    """Clips that are decoded together."""
    max_new_tokens: int = Field(default=200, ge=1, le=224)
    """A transcript that reaches this many tokens counts as one that does not end."""
    quantization: Quantization = "float16"
    """How a checkpoint is converted before it is evaluated; bundles are taken as they are."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where to run."""
    compute_type: str = "default"
    """CTranslate2's type of computation."""
    threads: int = Field(default=0, ge=0)
    """CPU threads; 0 lets CTranslate2 choose."""
    max_clips: int | None = Field(default=None, ge=1)
    """Take only this many clips per split, spread evenly; None is all."""
    n_worst: int = Field(default=30, ge=0)
    """Worst utterances in the report."""
    long_form_minutes: float = Field(default=5.0, ge=0)
    """Clips joined to this length go through faster-whisper's long-form loop; 0 leaves it out."""
    word_times: Path | None = None
    """True word times, JSONL of {"path", "words": [{"word", "start", "end"}, ...]}, as `synthesize`
    writes them; without it only the starts of clips are known."""

    @property
    def writes_times(self) -> bool:
        """Whether the model is to write timestamp tokens."""
        return self.task == "translate" if self.timestamps is None else self.timestamps
