import pytest

from training.evaluate.normalise import normalise


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("  Hej,  på dig! ", "hej på dig"),
        ("Åtta ÄPPLEN och öl", "åtta äpplen och öl"),
        ("A\u030asa a\u0308r idé", "åsa är idé"),
        ("EU:s 5:e möte", "eus 5e möte"),
        ("Det kostar 12 345,50 kr.", "det kostar 12345 komma 50 kronor"),
        ("1.234.567", "1234567"),
        ("år 2024 300 st", "år 2024 300 st"),
        ("5% & 3:-", "5 procent och 3 kronor"),
        ("[musik] Ja (skratt)", "ja"),
        ("e-post – klart…", "e post klart"),
        ("...", ""),
    ],
)
def test_normalise(text: str, expected: str) -> None:
    assert normalise(text) == expected


def test_normalise_twice_changes_nothing() -> None:
    once = normalise("Kl. 13.30 kom 2 500 gäster (ungefär), EU:s E4 – 50 %!")
    assert normalise(once) == once
