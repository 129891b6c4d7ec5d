"""The `convert` section of a training config."""

from typing import Literal

from pydantic import ConfigDict, Field

from services.contract.model_bundle import ALL_TASKS, FOLDER_NAME
from services.contract.window_shape import WindowShape

Quantization = Literal["float32", "float16", "bfloat16", "int8", "int8_float16", "int16"]


class ConvertConfig(WindowShape):
    """How a checkpoint becomes a bundle, and what windows that takes."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    name: str = Field(pattern=FOLDER_NAME)
    """Name of the model, part of its id; the config's own `name` by default."""
    version: str | None = Field(default=None, pattern=FOLDER_NAME)
    """Tells the bundles of one name apart; the time of conversion by default."""
    quantization: Quantization = "float16"
    """Type of the stored weights; a float16 bundle can be loaded with any compute type."""
    languages: tuple[str, ...] | None = None
    """Languages the bundle answers for; those it was trained on by default, () for all."""
    tasks: tuple[Literal["transcribe", "translate"], ...] | None = None
    """Tasks the bundle answers for; those it was trained on by default."""
    demo: bool = False
    """Marks a model that knows only synthetic speech."""
    parity_clips: int = Field(default=20, ge=1)
    """Prepared clips on which the converted model is compared with the checkpoint."""
    quantization_clips: int = Field(default=100, ge=1)
    """Prepared clips on which the stored precision is compared with full precision, in words."""
    parity_split: str = "dev"
    """Split that these clips are taken from."""

    def tasks_or(self, trained: tuple[str, ...]) -> tuple[str, ...]:
        """The tasks set here, else those trained, else all of Whisper's."""
        return self.tasks or trained or ALL_TASKS
