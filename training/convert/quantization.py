"""Proof that storing the weights in fewer bits costs next to nothing in words."""

from pathlib import Path

from services.contract.errors import ModelBundleError
from services.contract.model_bundle import read
from training.convert.config import ConvertConfig, Quantization
from training.evaluate.config import EvaluateConfig
from training.evaluate.decode import Decoder
from training.evaluate.metrics import word_error_rate
from training.evaluate.normalise import normalise
from training.evaluate.selection import select_clips
from training.prepare.shards import Clip, PreparedCorpus

# Most that the normalised word error rate may rise, as a share.
_LIMITS: dict[Quantization, float] = {
    "float32": 0.0,
    "float16": 0.001,
    "bfloat16": 0.003,
    "int16": 0.003,
    "int8": 0.005,
    "int8_float16": 0.005,
}


def check_quantization(
    config: ConvertConfig,
    language: str,
    float32_dir: Path,
    bundle_dir: Path,
    corpus: PreparedCorpus,
) -> None:
    """Compare the word error rates of full and stored precision on prepared clips.

    On a handful of clips one word weighs more than the limit, so one word is always allowed.

    Raises:
        ModelBundleError: quantization makes the model worse by more than the limit.
    """
    clips = select_clips(corpus, config.parity_split, config.quantization_clips)
    before = _word_error_rate(language, float32_dir, corpus, clips)
    after = _word_error_rate(language, bundle_dir, corpus, clips)
    n_words = sum(len(normalise(clip.text).split()) for clip in clips)
    limit = max(_LIMITS[config.quantization], 1.5 / max(1, n_words))
    if after > before + limit:
        raise ModelBundleError(
            f"quantization: {config.quantization} raises the WER from {before:.2%} to {after:.2%} "
            f"on {len(clips)} clips; the limit is {limit:.2%}: choose float16"
        )


def _word_error_rate(
    language: str, model_dir: Path, corpus: PreparedCorpus, clips: list[Clip]
) -> float:
    options = EvaluateConfig(language=language, beam_size=1, device="cpu")
    decoded = Decoder(read(model_dir), options).decode(
        corpus, clips, "full", f"checking {model_dir.name} weights"
    )
    hypotheses = (normalise(each.text) for each in decoded.decoded)
    return word_error_rate((normalise(clip.text) for clip in clips), hypotheses)
