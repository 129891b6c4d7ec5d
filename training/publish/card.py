"""The model card: what the model is, how good it was measured to be, how to use it."""

import re

from huggingface_hub import EvalResult, ModelCardData

from services.contract.model_bundle import BundleManifest, Evaluation
from training.evaluate.report import EvaluationReport
from training.publish.config import PublishConfig

_HUB_ID = re.compile(r"^[\w-][\w.-]*/[\w-][\w.-]*$")

_BODY = """
# {repo_id}

{description}

## Results

{results}

Raw rates count case and punctuation; normalised rates ({normalisation}) count words only. Both are
over {extent}, decoded through CTranslate2 with {quantization} weights. A result belongs
to the test set with the given SHA-256 and to no other.

## Use

With faster-whisper:

```python
from faster_whisper import WhisperModel

model = WhisperModel("{repo_id}")
segments, info = model.transcribe("recording.mp3", language="{language}")
print("".join(segment.text for segment in segments))
```

With transformers:

```python
from transformers import pipeline

transcribe = pipeline("automatic-speech-recognition", model="{repo_id}")
print(transcribe("recording.wav", generate_kwargs={{"language": "{language}"}})["text"])
```

With whisper-sv: `STT_MODEL={repo_id}`, or `whisper-sv deploy {repo_id}` into a running stack.

## Training

{training}
"""


def model_card(
    config: PublishConfig, manifest: BundleManifest, report: EvaluationReport | None
) -> str:
    """Return README.md with its metadata block.

    Args:
        config: repository and license.
        manifest: of the staged bundle.
        report: its evaluation; without it the manifest's results are shown.
    """
    body = _BODY.format(
        repo_id=config.repo_id,
        description=_description(manifest),
        results=_results(manifest),
        extent=_extent(manifest, report),
        normalisation=report.normalisation if report else "see the manifest's training code",
        quantization=manifest.quantization,
        language=(*manifest.languages, "sv")[0],
        training=_training(manifest),
    )
    return f"---\n{_metadata(config, manifest).to_yaml()}\n---\n{body}"


def _metadata(config: PublishConfig, manifest: BundleManifest) -> ModelCardData:
    results = [
        result
        for evaluation in manifest.evaluations
        for result in _eval_results(config, manifest, evaluation)
    ]
    return ModelCardData(
        language=list(manifest.languages) or None,
        license=config.license,
        library_name="transformers",
        pipeline_tag="automatic-speech-recognition",
        tags=["whisper", "ctranslate2", "faster-whisper"],
        base_model=manifest.base_model if _HUB_ID.match(manifest.base_model) else None,
        # The hub rejects a model-index without results.
        model_name=config.repo_id.rpartition("/")[2] if results else None,
        eval_results=results or None,
    )


def _eval_results(
    config: PublishConfig, manifest: BundleManifest, evaluation: Evaluation
) -> list[EvalResult]:
    dataset = config.dataset or evaluation.test_set_name
    metrics = (
        ("wer", "WER", evaluation.wer),
        ("wer", "WER (normalised)", evaluation.wer_normalised),
        ("cer", "CER", evaluation.cer),
        ("cer", "CER (normalised)", evaluation.cer_normalised),
    )
    return [
        EvalResult(
            task_type="automatic-speech-recognition",
            dataset_type=re.sub(r"\W+", "-", dataset.lower()).strip("-"),
            dataset_name=dataset,
            dataset_config=(*manifest.languages, None)[0],
            dataset_split=evaluation.test_set_name,
            metric_type=kind,
            metric_name=name,
            metric_value=round(100 * value, 2),
        )
        for kind, name, value in metrics
    ]


def _description(manifest: BundleManifest) -> str:
    languages = ", ".join(manifest.languages) or "all of Whisper's languages"
    lines = [
        f"A Whisper model for {languages}, trained from {manifest.base_model}. The repository "
        "holds the weights twice: for transformers and for CTranslate2."
    ]
    if manifest.demo:
        lines.append("**It knows only synthetic speech** and is meant for tests and first runs.")
    if manifest.short_context:
        lines.append(
            "It was trained with short contexts: windows need no padding to 30 s, which whisper-sv "
            "uses to serve it several times faster."
        )
    return "\n\n".join(lines)


def _results(manifest: BundleManifest) -> str:
    if not manifest.evaluations:
        return "No evaluation was published with this model."
    lines = [
        "| test set | clips | hours | WER raw | WER norm. | CER raw | CER norm. | SHA-256 |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for e in manifest.evaluations:
        rates = (e.wer, e.wer_normalised, e.cer, e.cer_normalised)
        shown = " | ".join(f"{100 * rate:.2f} %" for rate in rates)
        lines.append(
            f"| {e.test_set_name} | {e.n_clips} | {e.hours:.2f} | {shown} "
            f"| `{e.test_set_sha256[:12]}` |"
        )
    return "\n".join(lines)


def _extent(manifest: BundleManifest, report: EvaluationReport | None) -> str:
    """Say which clips were decoded; without a report only their number is known."""
    if report is None:
        return "the clips that the table counts"
    limit = report.config.max_clips
    if limit is None or all(e.n_clips < limit for e in manifest.evaluations):
        return "the whole test set"
    return f"at most {limit} clips drawn from each test set"


def _training(manifest: BundleManifest) -> str:
    facts = {
        "bundle": f"{manifest.name}@{manifest.version}",
        "base model": manifest.base_model,
        "prepared corpus (SHA-256 of its manifest)": manifest.data_manifest_sha256,
        "code revision": manifest.git_revision,
        "converted": f"{manifest.made_at:%Y-%m-%d}",
    }
    return "\n".join(f"- {name}: {value}" for name, value in facts.items() if value)
