"""What makes a transcript suspicious: measured alike by the worker and by evaluation.

Source of the rule and its limits: openai/whisper transcribe.py, decode_with_fallback.
"""

import zlib

#: A text that compresses better repeats itself.
COMPRESSION_RATIO_LIMIT = 2.4
#: A text whose tokens are less likely than this on average is a guess.
LOG_PROB_LIMIT = -1.0


def compression_ratio(text: str) -> float:
    """Return UTF-8 bytes per zlib byte of a text: high where it repeats itself."""
    plain = text.encode()
    return len(plain) / len(zlib.compress(plain))


def mean_log_prob(score: float, n_tokens: int) -> float:
    """Return the mean log probability of a transcript's tokens, the end token among them.

    Args:
        score: as CTranslate2 gives it, a mean over the tokens without the end token.
        n_tokens: how many tokens those are.
    Source: faster_whisper/transcribe.py, generate_with_fallback.
    """
    return score * n_tokens / (n_tokens + 1)
