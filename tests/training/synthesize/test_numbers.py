import pytest

from training.synthesize import numbers


@pytest.mark.parametrize(
    ("n", "words"),
    [
        (0, "noll"),
        (1, "ett"),
        (17, "sjutton"),
        (21, "tjugoett"),
        (70, "sjuttio"),
        (100, "hundra"),
        (101, "etthundraett"),
        (345, "trehundrafyrtiofem"),
        (1000, "ettusen"),
        (1100, "ettusen etthundra"),
        (2863, "tvåtusen åttahundra sextiotre"),
        (9007, "niotusen sju"),
        (21_000, "tjugoentusen"),
        (345_678, "trehundrafyrtiofemtusen sexhundra sjuttioåtta"),
    ],
)
def test_cardinal(n: int, words: str) -> None:
    assert numbers.cardinal(n) == words


def test_cardinal_agrees_with_a_common_noun() -> None:
    assert numbers.cardinal(1, common=True) == "en"
    assert numbers.cardinal(121, common=True) == "etthundratjugoen"
    assert numbers.cardinal(111, common=True) == "etthundraelva"


def test_every_number_has_words_of_its_own() -> None:
    assert len({numbers.cardinal(n) for n in range(10_000)}) == 10_000
    assert len({numbers.ordinal(n) for n in range(1, 100)}) == 99


@pytest.mark.parametrize("n", [-1, 1_000_000])
def test_cardinal_out_of_range(n: int) -> None:
    with pytest.raises(ValueError, match="0 to 999999"):
        numbers.cardinal(n)


@pytest.mark.parametrize("n", [0, 100])
def test_ordinal_out_of_range(n: int) -> None:
    with pytest.raises(ValueError, match="1 to 99"):
        numbers.ordinal(n)


@pytest.mark.parametrize(
    ("hour", "minute", "words"),
    [
        (7, 0, "sju"),
        (7, 15, "kvart över sju"),
        (4, 40, "tjugo i fem"),
        (12, 30, "halv ett"),
        (12, 35, "fem över halv ett"),
        (6, 25, "fem i halv sju"),
        (11, 55, "fem i tolv"),
    ],
)
def test_clock_as_spoken(hour: int, minute: int, words: str) -> None:
    assert numbers.clock(hour, minute) == words


@pytest.mark.parametrize(
    ("hour", "minute", "words"),
    [(13, 30, "tretton och trettio"), (8, 5, "åtta noll fem"), (0, 0, "noll noll noll")],
)
def test_clock_as_on_a_timetable(hour: int, minute: int, words: str) -> None:
    assert numbers.clock_24(hour, minute) == words


def test_dates_and_years() -> None:
    assert numbers.date(11, 3) == "den elfte mars"
    assert numbers.date(31, 12) == "den trettioförsta december"
    assert numbers.date(20, 1) == "den tjugonde januari"
    assert numbers.year(1984) == "nittonhundraåttiofyra"
    assert numbers.year(2000) == "tjugohundra"


def test_phone_number_is_said_digit_by_digit() -> None:
    assert numbers.digits("070-123 45") == "noll sju noll, ett två tre, fyra fem"


def test_prices_and_decimals() -> None:
    assert numbers.price(1) == "en krona"
    assert numbers.price(29, 50) == "tjugonio kronor och femtio öre"
    assert numbers.decimal(3, 5) == "tre komma fem"
