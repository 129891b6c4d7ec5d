"""The `publish` section of a training config."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field


class PublishConfig(BaseModel):
    """Where a model goes on the hub, and what goes with it."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    repo_id: str = Field(pattern=r"^[\w.-]+/[\w.-]+$")
    """owner/name; made if it does not exist."""
    private: bool = False
    """Make a new repository private."""
    dry_run: bool = False
    """Stage and check the folder, upload nothing; needs neither token nor network."""
    license: str = "apache-2.0"
    """License of the weights, by the hub's name for it."""
    dataset: str = ""
    """Name of the corpus that the results are on, for the model card."""
    checkpoints: tuple[Path, ...] = ()
    """Training checkpoints to push as well, each to checkpoints/NAME."""
    attempts: int = Field(default=6, ge=1)
    """Tries before giving up when the hub fails or the connection breaks."""
    first_wait_s: float = Field(default=2.0, ge=0)
    """Pause after the first failed try; doubles each time."""
    endpoint: str | None = None
    """Address of another hub than huggingface.co, a mirror inside a company, say."""
