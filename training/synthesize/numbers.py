"""Swedish number words: what a person says for a number, a time, a date, a price.

Spelling is one fixed choice per number, since a label must be learnable from its sound:
below a thousand everything is joined (`trehundrafyrtiofem`); from a thousand up the
thousands and the hundreds stand apart (`tvåtusen åttahundra sextiotre`).
"""

_SMALL = (
    "noll ett två tre fyra fem sex sju åtta nio tio elva tolv tretton fjorton femton sexton "
    "sjutton arton nitton"
).split()
_TENS = "noll tio tjugo trettio fyrtio femtio sextio sjuttio åttio nittio".split()
_ORDINALS = (
    "nollte första andra tredje fjärde femte sjätte sjunde åttonde nionde tionde elfte tolfte "
    "trettonde fjortonde femtonde sextonde sjuttonde artonde nittonde"
).split()
MONTHS = (
    "januari februari mars april maj juni juli augusti september oktober november december"
).split()
WEEKDAYS = "måndag tisdag onsdag torsdag fredag lördag söndag".split()


def cardinal(n: int, *, common: bool = False) -> str:
    """Say a whole number.

    Args:
        n: 0 <= n < 1_000_000.
        common: with a common-gender noun (`tjugoen dagar`) instead of `tjugoett`.
    Raises:
        ValueError: n is outside the range.
    """
    if not 0 <= n < 1_000_000:
        raise ValueError(f"no words for {n}: 0 to 999999 only")
    if n < 1000:
        return _below_thousand(n, common)
    thousands, rest = divmod(n, 1000)
    words = [_thousands(thousands)]
    if rest >= 100:
        words.append(_hundreds(rest // 100))
    if rest % 100:
        words.append(_below_hundred(rest % 100, common))
    return " ".join(words)


def _thousands(n: int) -> str:
    return "ettusen" if n == 1 else f"{_below_thousand(n, common=True)}tusen"


def _hundreds(n: int) -> str:
    return f"{_SMALL[n]}hundra"


def _below_thousand(n: int, common: bool) -> str:
    hundreds, rest = divmod(n, 100)
    if n == 100:
        return "hundra"
    if not hundreds:
        return _below_hundred(rest, common)
    return _hundreds(hundreds) + (_below_hundred(rest, common) if rest else "")


def _below_hundred(n: int, common: bool) -> str:
    if n < 20:
        return "en" if common and n == 1 else _SMALL[n]
    tens, ones = divmod(n, 10)
    return _TENS[tens] + (_below_hundred(ones, common) if ones else "")


def ordinal(n: int) -> str:
    """Say a place in a row, 1 <= n < 100: `första`, `tjugoandra`.

    Raises:
        ValueError: n is outside the range.
    """
    if not 1 <= n < 100:
        raise ValueError(f"no ordinal for {n}: 1 to 99 only")
    if n < 20:
        return _ORDINALS[n]
    tens, ones = divmod(n, 10)
    return _TENS[tens] + (_ORDINALS[ones] if ones else "nde")


def decimal(whole: int, tenths: int) -> str:
    """Say a number with one decimal: `tre komma fem`."""
    return f"{cardinal(whole)} komma {cardinal(tenths)}"


def digits(number: str) -> str:
    """Say a phone number or code digit by digit; a space or dash is heard as a pause.

    Args:
        number: digits in groups, such as `070-123 45 67`.
    """
    groups = number.replace("-", " ").split()
    return ", ".join(" ".join(_SMALL[int(digit)] for digit in group) for group in groups)


def year(n: int) -> str:
    """Say a year, 1100 <= n < 2100, in hundreds: `nittonhundraåttiofyra`."""
    hundreds, rest = divmod(n, 100)
    return f"{cardinal(hundreds)}hundra" + (cardinal(rest) if rest else "")


def date(day: int, month: int) -> str:
    """Say a day of the year, month 1 to 12: `den elfte mars`."""
    return f"den {ordinal(day)} {MONTHS[month - 1]}"


def price(kronor: int, ore: int = 0) -> str:
    """Say a price: `tjugonio kronor och femtio öre`."""
    kronor_words = f"{cardinal(kronor, common=True)} {'krona' if kronor == 1 else 'kronor'}"
    return f"{kronor_words} och {cardinal(ore)} öre" if ore else kronor_words


_PAST_HALF = {
    5: "fem över {hour}",
    10: "tio över {hour}",
    15: "kvart över {hour}",
    20: "tjugo över {hour}",
    25: "fem i halv {next}",
    30: "halv {next}",
    35: "fem över halv {next}",
    40: "tjugo i {next}",
    45: "kvart i {next}",
    50: "tio i {next}",
    55: "fem i {next}",
}


def clock(hour: int, minute: int) -> str:
    """Say a time as people do, minute a multiple of five: `kvart över sju`, `tjugo i fem`."""
    this, following = cardinal((hour - 1) % 12 + 1), cardinal(hour % 12 + 1)
    if minute == 0:
        return this
    return _PAST_HALF[minute].format(hour=this, next=following)


def clock_24(hour: int, minute: int) -> str:
    """Say a time as on a timetable: `tretton och trettio`, `åtta noll fem`."""
    if minute == 0:
        return f"{cardinal(hour)} noll noll"
    joint = "och" if minute >= 10 else "noll"
    return f"{cardinal(hour)} {joint} {cardinal(minute)}"
