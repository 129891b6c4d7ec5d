"""Remembers beside a bundle what it was made from, so that a finished recipe makes it only once."""

import os
from hashlib import sha256
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from services.contract.errors import ModelBundleError
from services.contract.model_bundle import verify
from training.convert.config import ConvertConfig
from training.evaluate.models import weights_sha256
from training.evaluate.report import EvaluationReport


class ConversionRecord(BaseModel):
    """What a bundle depends on."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    config: ConvertConfig
    weights_sha256: str
    """Of the checkpoint."""
    report_sha256: str | None
    """Of the evaluation that the manifest cites."""

    @classmethod
    def of(
        cls, config: ConvertConfig, checkpoint: Path, report: EvaluationReport | None
    ) -> "ConversionRecord":
        """Describe a conversion that is about to be made, or was made."""
        content = None if report is None else report.model_dump_json().encode()
        return cls(
            config=config,
            weights_sha256=weights_sha256(checkpoint),
            report_sha256=None if content is None else sha256(content).hexdigest(),
        )

    def keep(self, bundle_dir: Path) -> None:
        """Write the record beside the bundle, in one step."""
        path = _path(bundle_dir)
        partial = path.with_name(f"{path.name}.part")
        partial.write_text(self.model_dump_json(indent=1) + "\n", encoding="utf-8")
        os.replace(partial, path)

    def describes(self, bundle_dir: Path) -> bool:
        """Tell whether the bundle there is whole and was made from just this."""
        try:
            kept = ConversionRecord.model_validate_json(_path(bundle_dir).read_bytes())
            verify(bundle_dir)
        except (OSError, ValidationError, ModelBundleError):
            return False
        return kept == self


def forget(bundle_dir: Path) -> None:
    """Remove the record of a bundle that is about to be replaced."""
    _path(bundle_dir).unlink(missing_ok=True)


def _path(bundle_dir: Path) -> Path:
    return bundle_dir.with_name(f"{bundle_dir.name}.json")
