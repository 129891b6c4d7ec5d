"""A Whisper of real shape and vocabulary that fits in a test: whatever it hears, it says SENTENCE.

Weights are random but for one feed-forward layer, which works as a table from each token to the
next (language, task, <|0.00|>, words, end time, end of text). Transcripts are thus known, short and
confident in every mode: with or without timestamps, prompts, beams, temperatures, quantization.
"""

import json
import tempfile
from itertools import pairwise
from pathlib import Path

import torch
from transformers import (
    GenerationConfig,
    WhisperConfig,
    WhisperFeatureExtractor,
    WhisperForConditionalGeneration,
    WhisperTokenizer,
)
from transformers.models.whisper.tokenization_whisper import LANGUAGES

from services.contract.model_sources import demo_directory
from training.convert.config import ConvertConfig
from training.convert.run import convert
from training.tokenizer import load_tokenizer, save_tokenizer

SENTENCE = "Hej och välkommen."
TINY = {
    "d_model": 64,
    "encoder_layers": 1,
    "decoder_layers": 2,
    "encoder_attention_heads": 2,
    "decoder_attention_heads": 2,
    "encoder_ffn_dim": 128,
    "decoder_ffn_dim": 128,
}
SENTENCE_END_S = 1.0
N_LANGUAGES = 99
ALIGNMENT_HEADS = [[1, 0], [1, 1]]


def tiny_bundle(path: Path, *, stops_early: bool = False) -> Path:
    """Convert the tiny model to a bundle `tiny@1` at `path`, which must not exist."""
    with tempfile.TemporaryDirectory() as scratch:
        checkpoint = Path(scratch) / "checkpoint"
        scripted_checkpoint(checkpoint, TINY, SENTENCE, stops_early=stops_early)
        config = ConvertConfig(name="tiny", version="1", quantization="int8", languages=("sv",))
        return convert(config, checkpoint, None, path)


def tiny_checkpoint(path: Path, *, seed: int = 0) -> Path:
    """Write the tiny model as a transformers folder, as training leaves it behind."""
    return scripted_checkpoint(path, TINY, SENTENCE, seed=seed)


def scripted_checkpoint(
    path: Path,
    size: dict[str, int],
    sentence: str,
    *,
    end_s: float = SENTENCE_END_S,
    stops_early: bool = False,
    seed: int = 0,
) -> Path:
    """Write a model of any size that says one sentence, in which no token occurs twice.

    Args:
        path: folder to write.
        size: arguments of WhisperConfig.
        sentence: what it says; may hold timestamps, as <|2.80|>.
        end_s: the time that it writes after the sentence.
        stops_early: whether it says after the sentence that it heard more.
        seed: of the random weights.
    """
    tokenizer = load_tokenizer(str(demo_directory()))
    script = _script(tokenizer, sentence, end_s, stops_early=stops_early)
    model = _model(tokenizer, size, script, seed)
    model.save_pretrained(path)
    save_tokenizer(tokenizer, path)
    WhisperFeatureExtractor(feature_size=80).save_pretrained(path)
    facts = {"base_model": "scratch", "short_context": False, "languages": ["sv"]}
    facts |= {"tasks": ["transcribe"], "git_revision": None, "prepared_manifest_sha256": None}
    (path / "training.json").write_text(json.dumps(facts))
    return path


def _model(
    tokenizer: WhisperTokenizer, size: dict[str, int], script: list[tuple[int, int]], seed: int
) -> WhisperForConditionalGeneration:
    ids = tokenizer.convert_tokens_to_ids
    config = WhisperConfig(
        vocab_size=len(tokenizer),
        **size,
        decoder_start_token_id=ids("<|startoftranscript|>"),
        bos_token_id=tokenizer.eos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.eos_token_id,
        suppress_tokens=None,
        begin_suppress_tokens=None,
    )
    torch.manual_seed(seed)
    model = WhisperForConditionalGeneration(config).eval()
    with torch.no_grad():
        aside = _aside(script, tokenizer.eos_token_id)
        _teach(model, script + aside, otherwise=aside[0][0])
    model.generation_config = _generation_config(tokenizer)
    return model


def _script(
    tokenizer: WhisperTokenizer, sentence: str, end_s: float, *, stops_early: bool
) -> list[tuple[int, int]]:
    """List (token, next token) for everything the model ever says."""
    ids = tokenizer.convert_tokens_to_ids
    words = tokenizer.encode(" " + sentence, add_special_tokens=False)
    start, end = ids("<|0.00|>"), ids(f"<|{end_s:.2f}|>")
    pairs = [(ids("<|startoftranscript|>"), ids("<|sv|>"))]
    pairs += [(ids(task), start) for task in ("<|transcribe|>", "<|translate|>")]
    pairs += [(begin, words[0]) for begin in (start, ids("<|notimestamps|>"))]
    more = [ids(f"<|{end_s + 0.02:.2f}|>")] if stops_early else []
    spoken = [*words, end, *more, tokenizer.eos_token_id]
    return pairs + list(pairwise(spoken))


def _aside(script: list[tuple[int, int]], end: int) -> list[tuple[int, int]]:
    """List what is said after any other token: a few that the script has not, then `end`.

    A beam that leaves the script must end, or it would babble up to the longest text allowed; but
    not before the script does: CTranslate2 takes the best of the first few beams that have ended.
    """
    said = {token for pair in script for token in pair}
    tokens = [token for token in range(30_000, 31_000) if token not in said][: len(script)]
    return list(pairwise([*tokens, end]))


def _teach(
    model: WhisperForConditionalGeneration, script: list[tuple[int, int]], otherwise: int
) -> None:
    """Make the last layer answer each token of the script with its successor."""
    decoder = model.model.decoder
    embedding = torch.randn_like(decoder.embed_tokens.weight)
    decoder.embed_tokens.weight.copy_(embedding)
    decoder.embed_positions.weight.zero_()
    for layer in decoder.layers:
        for output in (layer.self_attn.out_proj, layer.encoder_attn.out_proj, layer.fc2):
            output.weight.mul_(0.01)
    table = decoder.layers[-1]
    table.fc1.weight.zero_()
    table.fc2.weight.zero_()
    # A neuron per token: 20 * (similarity - 0.7) is +6 for its own token and negative for others.
    table.fc1.bias.fill_(-14.0)
    for neuron, (token, following) in enumerate(script):
        table.fc1.weight[neuron] = 20.0 * embedding[token] / embedding[token].square().sum()
        table.fc2.weight[:, neuron] = 2.0 * embedding[following]
    table.fc2.bias.copy_(3.0 * embedding[otherwise])


def _generation_config(tokenizer: WhisperTokenizer) -> GenerationConfig:
    ids = tokenizer.convert_tokens_to_ids
    eos = tokenizer.eos_token_id
    return GenerationConfig(
        alignment_heads=ALIGNMENT_HEADS,
        begin_suppress_tokens=[ids("Ġ"), eos],
        bos_token_id=eos,
        decoder_start_token_id=ids("<|startoftranscript|>"),
        eos_token_id=eos,
        is_multilingual=True,
        lang_to_id={f"<|{code}|>": ids(f"<|{code}|>") for code in list(LANGUAGES)[:N_LANGUAGES]},
        language="sv",
        max_initial_timestamp_index=50,
        max_length=448,
        no_timestamps_token_id=ids("<|notimestamps|>"),
        pad_token_id=eos,
        prev_sot_token_id=ids("<|startofprev|>"),
        return_timestamps=False,
        suppress_tokens=[1, 2, 7, 8, 9],
        task="transcribe",
        task_to_id={"transcribe": ids("<|transcribe|>"), "translate": ids("<|translate|>")},
    )
