"""Measures the WER on dev clips and writes it beside the checkpoint."""

import dataclasses
import json
from pathlib import Path
from typing import Self

import numpy as np

from services.contract.errors import DataError
from training.evaluate.metrics import word_error_rate
from training.evaluate.normalise import normalise
from training.prepare.shards import Clip, PreparedCorpus
from training.train.batches import Speech
from training.train.decoding import transcribe
from training.train.trainee import Trainee


@dataclasses.dataclass(frozen=True)
class DevResult:
    """Error rates of one evaluation, as shares."""

    step: int
    wer: float
    """Normalised: selection looks at words, not at commas."""
    wer_raw: float
    examples: list[tuple[str, str]]
    """A few pairs of reference and hypothesis."""

    @property
    def percent(self) -> tuple[float, float]:
        """Both rates for people."""
        return 100 * self.wer, 100 * self.wer_raw

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read what `write` wrote."""
        return cls(**json.loads(path.read_text(encoding="utf-8")))

    def write(self, path: Path) -> None:
        """Write the result as JSON, in one step."""
        partial = path.with_name(path.name + ".part")
        partial.write_text(
            json.dumps(dataclasses.asdict(self), ensure_ascii=False, indent=1), encoding="utf-8"
        )
        partial.rename(path)


def choose_dev_clips(corpus: PreparedCorpus, n_clips: int, seed: int) -> list[Clip]:
    """Draw the clips of the dev split that every evaluation of a run uses.

    Raises:
        DataError: there is no dev split.
    """
    clips = corpus.clips("dev")
    if not clips:
        raise DataError(
            "the prepared corpus has no dev split; prepare it again with a dev share",
            path=corpus.url,
        )
    order = np.random.default_rng([seed, 5]).permutation(len(clips))[:n_clips]
    return [clips[index] for index in sorted(order)]


def evaluate_dev(
    trainee: Trainee, speech: Speech, clips: list[Clip], batch_size: int, full: bool, step: int
) -> DevResult:
    """Transcribe dev clips and compare."""
    texts = transcribe(trainee, speech, clips, batch_size, full)
    references = [clip.text for clip in clips]
    hypotheses = [texts[clip.id] for clip in clips]
    return DevResult(
        step=step,
        wer=word_error_rate(map(normalise, references), map(normalise, hypotheses)),
        wer_raw=word_error_rate(references, hypotheses),
        examples=list(zip(references[:12], hypotheses[:12], strict=True)),
    )
