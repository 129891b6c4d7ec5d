"""The `model` and `train` sections of a training config."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Segmentation = Literal["full", "dropout", "short"]
Share = Annotated[float, Field(ge=0, le=1)]


class Section(BaseModel):
    """A config section: frozen, unknown keys refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class ScratchConfig(Section):
    """Size of a model that starts from random weights."""

    d_model: int = Field(default=256, ge=2)
    encoder_layers: int = Field(default=4, ge=1)
    decoder_layers: int = Field(default=2, ge=1)
    attention_heads: int = Field(default=4, ge=1)
    n_mels: Literal[80, 128] = 80

    @model_validator(mode="after")
    def _heads_share_the_width(self) -> Self:
        if self.d_model % self.attention_heads or self.d_model % 2:
            raise ValueError("`d_model` must be even and a multiple of `attention_heads`")
        return self


class LoraConfig(Section):
    """Low-rank adapters instead of full weights; merged when the model is saved."""

    rank: int = Field(default=32, ge=1)
    alpha: int = Field(default=64, ge=1)
    dropout: float = Field(default=0.0, ge=0, lt=1)
    target_modules: tuple[str, ...] = ("q_proj", "v_proj")


class ModelConfig(Section):
    """Where the weights and the tokenizer come from."""

    base: str | None = None
    """Hub id or folder of the checkpoint to start from; null to start from random weights, with
    `scratch`."""
    revision: str | None = None
    scratch: ScratchConfig | None = None
    tokenizer: str | None = None
    """Folder or hub id of the tokenizer; the base model's own by default."""
    language: str = "sv"
    task: Literal["transcribe", "translate"] = "transcribe"
    dropout: float = Field(default=0.0, ge=0, lt=1)
    attention: Literal["sdpa", "eager"] = "sdpa"
    """Eager attention takes a quarter less CPU time at contexts of a few seconds; sdpa is right
    everywhere else."""
    freeze_encoder: bool = False
    lora: LoraConfig | None = None
    ctc_weight: float = Field(default=0.0, ge=0, le=1)
    """Weight of a CTC loss over characters on the encoder, dropped at export; about 0.3 makes
    learning from random weights much faster."""
    ctc_alphabet: str = " abcdefghijklmnopqrstuvwxyzåäöéü"
    guide_weight: float = Field(default=0.0, ge=0)
    """Weight of a loss that draws the first `guide_heads` heads of each decoder layer to the place
    where a token should be spoken; a model from random weights learns to listen much earlier."""
    guide_heads: int = Field(default=2, ge=1)
    compact_vocabulary: bool = False
    """Train only the rows of tokens that the training labels can use; all others share one row,
    copied at export."""

    @model_validator(mode="after")
    def _one_start(self) -> Self:
        if (self.base is None) == (self.scratch is None):
            raise ValueError("give either `base` or `scratch`")
        if self.base is None and self.tokenizer is None:
            raise ValueError("a model from `scratch` needs `tokenizer`")
        if self.guide_weight > 0 and self.attention != "eager":
            raise ValueError("`guide_weight` needs `attention: eager`, which keeps the weights")
        if self.base is not None and self.compact_vocabulary:
            raise ValueError(
                "`compact_vocabulary` would forget what the base model knows; use it with `scratch`"
            )
        return self


class MixConfig(Section):
    """What kinds of windows a phase of training sees."""

    joined_share: Share = 0.0
    """Share of batches whose windows join several clips."""
    joined_min_s: float = Field(default=4.0, gt=0, le=30)
    joined_max_s: float = Field(default=29.0, gt=0, le=30)
    """Lengths of joined windows are drawn evenly between these."""
    full_context_share: Share = 0.0
    """Share of batches padded to 30 s; the others end shortly after their longest window."""
    served_context_share: Share = 0.0
    """Share of the short batches padded to a length that the worker serves, which costs more."""
    long_form_share: Share = 0.0
    """Share of batches whose windows are 30 s from the middle of a long recording: the text before
    them is the prompt, and they end in the middle of a sentence, as a decoder of long files meets
    them."""


class AugmentConfig(Section):
    """Changes to the sound, each on a share of the samples."""

    speed_share: Share = 0.0
    """Resampled by 0.9 to 1.1, which moves tempo and pitch."""
    gain_share: Share = 0.0
    """Between -12 and +6 dB."""
    noise_share: Share = 0.0
    """White or brown noise at 10 to 40 dB below the speech."""
    lead_share: Share = 0.0
    """Up to 0.6 s of near silence before the speech."""
    spec_share: Share = 0.0
    """SpecAugment: up to two masks in time and two in frequency, placed on the real length."""


class LabelConfig(Section):
    """How labels are written."""

    segmentation: Segmentation = "full"
    segmentation_dropout: float = Field(default=0.1, ge=0, lt=1)
    timestamps_share: Share = 0.0
    prompt_share: Share = 0.0
    """Share of samples with `<|startofprev|>` before them: text of another clip, or words of the
    clip as hotwords."""
    no_speech_share: Share = 0.0
    """Share of samples replaced by noise or silence, with `<|nospeech|>` as the target."""
    label_smoothing: float = Field(default=0.0, ge=0, lt=1)
    timestamp_smoothing: int = Field(default=0, ge=0, le=10)
    """Spread the target of a timestamp over this many steps of 0.02 s on both sides."""


class TrainConfig(Section):
    """The training run."""

    splits: tuple[str, ...] = Field(default=("train",), min_length=1)
    domain_shares: dict[str, Share] = {}
    """Share of a domain's clips to train on, all of them by default; drawn with the seed."""
    max_steps: int = Field(default=2000, ge=1)
    warmup_steps: int = Field(default=200, ge=0)
    decay_steps: int | None = Field(default=None, ge=0)
    """The learning rate stays constant until this many steps before the end, then falls to 0
    linearly; null: it falls from the end of the warm-up."""
    learning_rate: float = Field(default=1.25e-5, gt=0)
    weight_decay: float = Field(default=0.01, ge=0)
    adam_beta2: float = Field(default=0.98, ge=0, lt=1)
    max_grad_norm: float = 1.0
    batch_size: int = Field(default=16, ge=1)
    """Windows per process and step, for windows of single clips."""
    joined_batch_size: int = Field(default=8, ge=1)
    """Windows per process and step, for joined or 30 s windows."""
    gradient_accumulation_steps: int = Field(default=1, ge=1)
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    activation_checkpointing: bool = False
    mix: MixConfig = MixConfig(full_context_share=1.0)
    final_mix: MixConfig | None = None
    """The mix at the end; the same mix by default."""
    final_mix_steps: int | None = Field(default=None, ge=0)
    """Steps of the final mix; while the learning rate decays by default."""
    augment: AugmentConfig = AugmentConfig()
    labels: LabelConfig = LabelConfig()
    save_every_steps: int = Field(default=500, ge=1)
    evaluate_every_steps: int = Field(default=500, ge=1)
    log_every_steps: int = Field(default=20, ge=1)
    dev_clips: int = Field(default=500, ge=1)
    """Clips of the dev split that are decoded at each evaluation, drawn with the seed."""
    average_last: int = Field(default=1, ge=1)
    """Average the weights of this many last regular checkpoints, if that is better on dev than the
    best."""
    remote: str | None = None
    """fsspec URL for copies of the checkpoints; a run on a fresh machine continues from there."""
    word_times: Path | None = None
    """True word times, as `synthesize` writes them: timestamps and the guided attention follow
    them, and a model from random weights chooses its alignment heads by them."""
    keep_last: int = Field(default=2, ge=1)
    data_workers: int | None = Field(default=None, ge=0)
    """Processes that make batches ahead, per training process, never more than there are cores; by
    default none beside a CPU, which has enough to do, and 8 beside a GPU."""
    device: Literal["auto", "cpu"] = "auto"

    @property
    def n_kept(self) -> int:
        """How many regular checkpoints stay."""
        return max(self.keep_last, self.average_last)

    def saves_at(self, step: int) -> bool:
        """Whether a checkpoint of this step is a regular one, not only where a run was stopped."""
        return step % self.save_every_steps == 0 or step >= self.max_steps
