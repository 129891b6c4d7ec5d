"""Whisper's multilingual tokenizer, rebuilt from its tiktoken file.

That is whisper/assets/multilingual.tiktoken in the openai-whisper source package.

A model that starts from scratch has no checkpoint to copy a tokenizer from; this is the genuine
one, vocabulary 51865. A build-time step: nothing that serves or trains reads the tiktoken file
again.
"""

import base64
import binascii
import json
from pathlib import Path

from huggingface_hub import hf_hub_download
from tokenizers import AddedToken
from transformers import WhisperTokenizer
from transformers.convert_slow_tokenizer import bytes_to_unicode
from transformers.models.whisper.tokenization_whisper import LANGUAGES

from services.contract.errors import TokenizerError

N_TEXT_TOKENS = 50257
N_LANGUAGES = 99  # 100 since large-v3, which added Cantonese at the end
N_TIMESTAMPS = 1501  # 0.00 to 30.00 s in steps of 0.02 s


def load_tokenizer(source: str) -> WhisperTokenizer:
    """Load a tokenizer from a folder, its tokenizer.json or the hub.

    Raises:
        TokenizerError: nothing there is a Whisper tokenizer.
    """
    try:
        if not Path(source).exists():
            # One question: transformers asks for file after file, which takes minutes offline.
            hf_hub_download(source, "tokenizer_config.json")
        tokenizer: WhisperTokenizer = WhisperTokenizer.from_pretrained(source)
    except (OSError, ValueError, KeyError) as error:
        raise TokenizerError(_nothing_at(source)) from error
    # What cannot be fetched comes back as an empty tokenizer, without an error.
    if tokenizer.convert_tokens_to_ids("<|startofprev|>") == tokenizer.eos_token_id:
        raise TokenizerError(_nothing_at(source))
    return tokenizer


def _nothing_at(source: str) -> str:
    return (
        f"no Whisper tokenizer at {source!r}, or the hub cannot be reached; give a model folder, a "
        "hub id, or build one with `python -m training tokenizer`"
    )


def build_tokenizer(tiktoken_file: Path, out_dir: Path) -> Path:
    """Write tokenizer.json (compact) and tokenizer_config.json for the genuine vocabulary.

    Args:
        tiktoken_file: whisper/assets/multilingual.tiktoken of the openai-whisper source package.
        out_dir: folder to write to; made if missing.
    Returns:
        out_dir.
    Raises:
        TokenizerError: the file is missing or not the multilingual vocabulary.
    """
    ranks = _read_ranks(tiktoken_file)
    symbols = bytes_to_unicode()
    spelled = {token: "".join(symbols[byte] for byte in token) for token in ranks}
    tokenizer = WhisperTokenizer(
        vocab={spelled[token]: rank for token, rank in ranks.items()},
        merges=[(spelled[left], spelled[right]) for left, right in _merges(ranks)],
    )
    special = ["<|endoftext|>", "<|startoftranscript|>"]
    special += [f"<|{code}|>" for code in list(LANGUAGES)[:N_LANGUAGES]]
    special += ["<|translate|>", "<|transcribe|>", "<|startoflm|>", "<|startofprev|>"]
    special += ["<|nospeech|>", "<|notimestamps|>"]
    stamps = [f"<|{index * 0.02:.2f}|>" for index in range(N_TIMESTAMPS)]
    tokenizer.add_tokens([AddedToken(token, special=True, normalized=False) for token in special])
    tokenizer.add_tokens([AddedToken(token, special=False, normalized=False) for token in stamps])
    if len(tokenizer) != N_TEXT_TOKENS + len(special) + N_TIMESTAMPS:
        raise TokenizerError(
            f"{tiktoken_file} gives {len(tokenizer)} tokens, Whisper's vocabulary has 51865"
        )
    save_tokenizer(tokenizer, out_dir)
    return out_dir


def save_tokenizer(tokenizer: WhisperTokenizer, out_dir: Path) -> None:
    """Write a tokenizer's files, tokenizer.json without indentation (1.8 MB instead of 3.9)."""
    out_dir.mkdir(parents=True, exist_ok=True)
    tokenizer.save_pretrained(out_dir)
    path = out_dir / "tokenizer.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(
        json.dumps(content, ensure_ascii=False, separators=(",", ":")), encoding="utf-8"
    )


def _read_ranks(path: Path) -> dict[bytes, int]:
    """Map each text token's bytes to its rank, which is its id."""
    try:
        lines = path.read_text(encoding="ascii").splitlines()
        ranks = {
            base64.b64decode(token): int(rank)
            for token, _, rank in (line.rpartition(" ") for line in lines)
        }
    except (OSError, ValueError, binascii.Error) as error:
        raise TokenizerError(
            f"{path} is not a tiktoken file; take whisper/assets/multilingual.tiktoken from the "
            "openai-whisper source package"
        ) from error
    if len(ranks) != N_TEXT_TOKENS:
        raise TokenizerError(
            f"{path} has {len(ranks)} tokens, the multilingual vocabulary has {N_TEXT_TOKENS}"
        )
    return ranks


def _merges(ranks: dict[bytes, int]) -> list[tuple[bytes, bytes]]:
    """Recover the merge list: each token is the join of what the earlier merges leave of it."""
    longer = sorted((token for token in ranks if len(token) > 1), key=lambda token: ranks[token])
    parts = [_parts(token, ranks, ranks[token]) for token in longer]
    return [(pair[0], pair[1]) for pair in parts if len(pair) == 2]


def _parts(token: bytes, ranks: dict[bytes, int], limit: int) -> tuple[bytes, ...]:
    """Merge a token's bytes with the merges that rank below `limit`."""
    parts = [bytes([byte]) for byte in token]
    while True:
        joined = [
            ranks.get(left + right, limit) for left, right in zip(parts, parts[1:], strict=False)
        ]
        if not joined or min(joined) >= limit:
            return tuple(parts)
        best = joined.index(min(joined))
        parts[best : best + 2] = [parts[best] + parts[best + 1]]
