import pytest

from services.contract.unread import unread_from

BEGIN = 100
WORD = 1


def at(seconds: float) -> int:
    return BEGIN + round(seconds / 0.02)


@pytest.mark.parametrize(
    ("tokens", "unread"),
    [
        ([at(0), WORD, at(4), at(4)], 4.0),
        ([at(0), WORD, at(4), at(4.5)], 4.0),
        ([at(0), WORD, at(4)], None),
        ([at(0), WORD, at(4), at(4), WORD], None),
        ([at(4)], None),
        ([], None),
    ],
    ids=["a pair", "with a gap", "an end", "text", "one", "nothing"],
)
def test_a_pair_of_timestamps_at_the_end_tells_that_more_was_heard(
    tokens: list[int], unread: float | None
) -> None:
    assert unread_from(tokens, BEGIN, 10.0) == unread


@pytest.mark.parametrize("read_s", [0.0, 0.2, 9.8, 10.0, 30.0])
def test_neither_a_breath_nor_what_made_no_progress_is_worth_a_look(read_s: float) -> None:
    assert unread_from([at(0), WORD, at(read_s), at(read_s)], BEGIN, 10.0) is None
