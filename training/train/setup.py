"""Builds everything a run needs from config and data alone."""

import dataclasses

import numpy as np
import torch
from accelerate import PartialState
from transformers import GenerationConfig, WhisperTokenizer, set_seed

from services.contract.errors import ConfigError, DataError
from training.prepare.shards import Clip, PreparedCorpus
from training.tokenizer import load_tokenizer
from training.train.alignment_heads import default_heads
from training.train.batches import BatchDataset, Speech
from training.train.build import (
    build_trainee,
    check_tokenizer,
    load_base,
    random_whisper,
    scratch_generation_config,
)
from training.train.config import ModelConfig, TrainConfig
from training.train.labels import MAX_TOKENS, LabelWriter, SpecialTokens
from training.train.plan import Batch, Phase, Planner
from training.train.schedule import decay_steps
from training.train.spoken_times import read_spoken_times
from training.train.trainee import Trainee
from training.train.vocabulary import Vocabulary


@dataclasses.dataclass(frozen=True)
class Setup:
    """Everything a run needs, built from config and data alone."""

    trainee: Trainee
    speech: Speech
    tokenizer: WhisperTokenizer
    generation: GenerationConfig
    dataset: BatchDataset


def prepare_setup(
    model: ModelConfig, config: TrainConfig, corpus: PreparedCorpus, seed: int
) -> Setup:
    """Build tokenizer, vocabulary, model and plan.

    Raises:
        ConfigError: no base model there, options that do not go together, or shares of domains
            that leave no clip.
        TokenizerError: the tokenizer is not the model's.
        DataError: no clips, or a text that the decoder has no room for.
    """
    set_seed(seed)
    _be_deterministic()
    tokenizer = load_tokenizer(model.tokenizer or str(model.base))
    special = SpecialTokens.of(tokenizer, model.language, model.task)
    writer = LabelWriter(tokenizer, special, config.labels)
    clips = [clip for split in config.splits for clip in corpus.clips(split)]
    if not clips:
        raise DataError(
            f"no clips in {', '.join(config.splits)}; check train.splits", path=corpus.url
        )
    if model.scratch is not None:
        vocabulary = choose_vocabulary(
            model, config, tokenizer, writer, [clip.text for clip in clips]
        )
        whisper = random_whisper(model.scratch, vocabulary, special)
        heads = default_heads(model.scratch.decoder_layers, model.scratch.attention_heads)
        generation = scratch_generation_config(special, tokenizer, model.language, heads)
    else:
        whisper, generation = load_base(model)
        check_tokenizer(whisper, tokenizer)
        vocabulary = Vocabulary.full(whisper.config.vocab_size)
    clips = _chosen(clips, config.domain_shares, seed)
    _check_lengths(writer, [(clip.id, clip.text) for clip in clips])
    times = {} if config.word_times is None else read_spoken_times(config.word_times, clips)
    n_mels = whisper.config.num_mel_bins
    speech = Speech(corpus, clips, writer, vocabulary, model.ctc_alphabet, n_mels, times)
    dataset = BatchDataset(speech, _plan(config, speech, seed), config, seed)
    trainee = build_trainee(model, config.labels, whisper, vocabulary, special)
    return Setup(trainee, speech, tokenizer, generation, dataset)


def choose_vocabulary(
    model: ModelConfig,
    config: TrainConfig,
    tokenizer: WhisperTokenizer,
    writer: LabelWriter,
    texts: list[str],
) -> Vocabulary:
    """Return all tokens, or those that the texts can use."""
    if not model.compact_vocabulary:
        return Vocabulary.full(len(tokenizer))
    if config.labels.segmentation == "dropout":
        raise ConfigError(
            "model.compact_vocabulary needs train.labels.segmentation `short` or `full`"
        )
    pairs = [writer.text_ids(text) for text in texts]
    labels = (id_ for label, _ in pairs for id_ in label)
    prompts = (id_ for _, prompt in pairs for id_ in prompt)
    return Vocabulary.compact(len(tokenizer), labels, prompts, writer.special.end)


def _be_deterministic() -> None:
    """Let sums over threads come in one order, or a resumed run would differ in the last bit.

    Operations without such a form, CTC on a GPU for one, warn once and go on.
    """
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]


def _chosen(clips: list[Clip], shares: dict[str, float], seed: int) -> list[Clip]:
    """Draw the clips of domains that are not trained on as a whole."""
    draws = np.random.default_rng([seed, 7]).random(len(clips))
    chosen = [
        clip for clip, draw in zip(clips, draws, strict=True) if draw < shares.get(clip.domain, 1.0)
    ]
    if not chosen:
        raise ConfigError(f"train.domain_shares leaves none of {len(clips)} clips; raise a share")
    return chosen


def _plan(config: TrainConfig, speech: Speech, seed: int) -> list[Batch]:
    planner = Planner(
        [clip.duration_s for clip in speech.clips],
        seed,
        config.batch_size,
        config.joined_batch_size,
    )
    per_step = config.gradient_accumulation_steps * world_size()
    n_final = config.final_mix_steps
    n_final = min(config.max_steps, decay_steps(config) if n_final is None else n_final)
    phases = [
        Phase((config.max_steps - n_final) * per_step, config.mix),
        Phase(n_final * per_step, config.final_mix or config.mix),
    ]
    return planner.plan(phases)


def runs_on_cpu(config: TrainConfig) -> bool:
    """Tell whether nothing faster is wanted or there."""
    return config.device == "cpu" or not torch.accelerator.is_available()


def join_processes(config: TrainConfig) -> PartialState:
    """Meet the other processes of torchrun, before anything asks how many there are.

    Unless it is told that they compute on the CPU, accelerate takes each of them for the only one.
    """
    return PartialState(cpu=runs_on_cpu(config))


def world_size() -> int:
    """Return how many processes train together."""
    return int(PartialState().num_processes)


def is_first_process() -> bool:
    """Tell whether this process writes the files of the run."""
    return bool(PartialState().is_main_process)


def _check_lengths(writer: LabelWriter, texts: list[tuple[str, str]]) -> None:
    """Refuse texts that the decoder has no room for: cutting them would teach to stop early."""
    room = MAX_TOKENS - 6
    for clip_id, text in texts:
        if len(text) > room // 4 and writer.n_tokens(text) > room:
            raise DataError(
                f"the text of clip {clip_id} has more than {room} tokens; set prepare.tokenizer so "
                "that prepare drops it"
            )
