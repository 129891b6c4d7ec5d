"""What windows a model takes: said when it is converted, kept in its manifest, followed by the
worker and by evaluation.
"""

from pydantic import BaseModel, ConfigDict, Field

from services.contract.encoder_context import WINDOW_S


class WindowShape(BaseModel):
    """What a model is given at once; by default what Whisper was trained on."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    window_s: float = Field(default=WINDOW_S, ge=2, le=WINDOW_S)
    """The longest window that the model gets at once, in seconds. Less than 30 for a model that
    was trained on short recordings and loses the thread in longer ones."""
    packs_speech: bool = True
    """Whether a window is filled with speech from both sides of a pause. A model that knows single
    sentences only hears each stretch of speech for itself: false."""
