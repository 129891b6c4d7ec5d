"""Where a model stopped before the end of a window although it heard more: told alike by the worker
and by evaluation, which both read the rest next.

Whisper was taught to leave out what the end of a window cuts off, and says so by a pair of
timestamps at the end where there would be one.
Source of the rule: openai/whisper transcribe.py, single_timestamp_ending.
"""

from collections.abc import Sequence

from services.contract.schema import Seconds

#: Seconds that one timestamp token stands for.
TIME_PRECISION_S = 0.02
#: In a shorter rest, most of it the padding around speech, there is no word.
_LEAST_REST_S = 0.5
#: After a look that read less another one will not read more.
LEAST_READ_S = 0.5


def unread_from(tokens: Sequence[int], timestamp_begin: int, duration: Seconds) -> Seconds | None:
    """Return from where the rest of a window is to be read; None if there is none worth a look.

    Args:
        tokens: text and timestamp tokens, without prompt and end token.
        timestamp_begin: the token that stands for 0 s.
        duration: seconds of sound in the window.
    """
    if len(tokens) < 2 or min(tokens[-2:]) < timestamp_begin:
        return None
    read_s = (tokens[-2] - timestamp_begin) * TIME_PRECISION_S
    is_worth_it = read_s >= LEAST_READ_S and duration - read_s >= _LEAST_REST_S
    return read_s if is_worth_it else None
