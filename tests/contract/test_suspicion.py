import math

import pytest

from services.contract.suspicion import (
    COMPRESSION_RATIO_LIMIT,
    compression_ratio,
    mean_log_prob,
)


def test_repetition_compresses_well() -> None:
    assert compression_ratio("hej hej " * 20) > COMPRESSION_RATIO_LIMIT
    assert compression_ratio("Klockan är tre.") < 1.2
    assert compression_ratio("") < 1


def test_the_end_token_counts_in_the_mean() -> None:
    tokens = [math.log(0.5), math.log(0.25), math.log(0.125)]
    end = math.log(1.0)
    score = sum([*tokens, end]) / len(tokens)
    assert mean_log_prob(score, len(tokens)) == pytest.approx(sum([*tokens, end]) / 4)
    assert mean_log_prob(0.0, 0) == 0
