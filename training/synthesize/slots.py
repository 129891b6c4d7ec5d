"""What may stand in a `{slot}` of a sentence pattern: one small drawing function per name."""

import random
from collections.abc import Callable, Sequence

from training.synthesize import numbers, words
from training.synthesize.words import Noun

Slot = Callable[[random.Random], str]


def _any_of(phrases: Sequence[str]) -> Slot:
    return lambda rng: rng.choice(phrases)


def _form(nouns: Sequence[Noun], form: str) -> Slot:
    return lambda rng: str(getattr(rng.choice(nouns), form))


def _with_article(nouns: Sequence[Noun]) -> Slot:
    return lambda rng: " ".join(rng.choice(nouns)[:2])


def _counted(nouns: Sequence[Noun]) -> Slot:
    def draw(rng: random.Random) -> str:
        noun = rng.choice(nouns)
        return f"{_count(rng, noun)} {noun.plural}"

    return draw


def _count(rng: random.Random, noun: Noun) -> str:
    return numbers.cardinal(
        rng.choice((rng.randint(2, 20), rng.randint(2, 120))), common=noun.article == "en"
    )


def _described(nouns: Sequence[Noun]) -> Slot:
    def draw(rng: random.Random) -> str:
        noun, adjective = rng.choice(nouns), rng.choice(words.ADJECTIVES)
        return f"{noun.article} {adjective[noun.article == 'ett']} {noun.singular}"

    return draw


def _whole(low: int, high: int) -> Slot:
    return lambda rng: numbers.cardinal(rng.randint(low, high))


def _number(rng: random.Random) -> str:
    """Any number of 0 to 9999, each count of figures as likely as the next."""
    high = rng.choice((9, 99, 999, 9999))
    return numbers.cardinal(rng.randint(high // 10, high))


def _digits(*shapes: str) -> Slot:
    """A code where each `#` of a shape is a random figure."""
    return lambda rng: numbers.digits(
        "".join(str(rng.randrange(10)) if mark == "#" else mark for mark in rng.choice(shapes))
    )


def _phone(rng: random.Random) -> str:
    shape = rng.choice(("07{} ### ## ##", "08 ### ## ##", "0{}# ### ##", "031 ## ## ##"))
    number = shape.format(rng.randrange(1, 9))
    return numbers.digits("".join(str(rng.randrange(10)) if c == "#" else c for c in number))


def _price(rng: random.Random) -> str:
    kronor = rng.choice((rng.randint(1, 99), rng.randint(100, 999), rng.randint(1000, 9999)))
    return numbers.price(kronor, rng.choice((0, 0, 0, 50, 90, 95)) if kronor < 1000 else 0)


def _percent(rng: random.Random) -> str:
    if rng.random() < 0.3:
        return f"{numbers.decimal(rng.randint(0, 60), rng.randint(1, 9))} procent"
    return f"{numbers.cardinal(rng.randint(1, 100))} procent"


def _clock(rng: random.Random) -> str:
    return numbers.clock(rng.randint(1, 12), rng.randrange(0, 60, 5))


def _clock_24(rng: random.Random) -> str:
    return numbers.clock_24(rng.randint(0, 23), rng.randint(0, 59))


def _time(rng: random.Random) -> str:
    return (_clock if rng.random() < 0.7 else _clock_24)(rng)


def _date(rng: random.Random) -> str:
    month = rng.randint(1, 12)
    return numbers.date(
        rng.randint(1, (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)[month - 1]), month
    )


def _year(rng: random.Random) -> str:
    return numbers.year(
        rng.choice((rng.randint(1900, 1999), rng.randint(2000, 2035), rng.randint(1500, 1899)))
    )


def _person(rng: random.Random) -> str:
    return rng.choice(
        (
            rng.choice(words.NAMES),
            rng.choice(words.FAMILY),
            "jag",
            "hon",
            "han",
            "vi",
            "de",
            "du",
            rng.choice(words.PEOPLE).definite,
        )
    )


def _degrees(rng: random.Random) -> str:
    n = rng.randint(1, 30)
    return f"{numbers.cardinal(n, common=True)} {'grad' if n == 1 else 'grader'}"


def _full_name(rng: random.Random) -> str:
    return f"{rng.choice(words.NAMES)} {rng.choice(words.SURNAMES)}"


def _amount(rng: random.Random) -> str:
    number = "en halv" if rng.random() < 0.2 else numbers.cardinal(rng.randint(2, 40))
    return f"{number} {rng.choice(words.MEASURES)}"


_NOUN_TOPICS = {
    "food": words.FOOD,
    "thing": words.THINGS,
    "animal": words.ANIMALS,
    "place": words.PLACES,
    "job": words.PEOPLE,
    "span": words.DURATIONS,
}

SLOTS: dict[str, Slot] = {
    "number": _number,
    "digit": _whole(0, 9),
    "small": _whole(2, 12),
    "tens": _whole(10, 99),
    "hundreds": _whole(100, 999),
    "thousands": _whole(1000, 9999),
    "age": _whole(2, 99),
    "ordinal": lambda rng: numbers.ordinal(rng.randint(1, 31)),
    "decimal": lambda rng: numbers.decimal(rng.randint(0, 99), rng.randint(1, 9)),
    "code": _digits("####", "###", "######", "## ##", "### ###"),
    "digit_row": _digits("##", "###", "####", "#####", "#######"),
    "phone": _phone,
    "price": _price,
    "percent": _percent,
    "clock": _clock,
    "clock_24": _clock_24,
    "time": _time,
    "date": _date,
    "year": _year,
    "weekday": _any_of(numbers.WEEKDAYS),
    "month": _any_of(numbers.MONTHS),
    "on_day": _any_of(words.RELATIVE_DAYS),
    "degrees": _degrees,
    "amount": _amount,
    "person": _person,
    "family": _any_of(words.FAMILY),
    "name": _any_of(words.NAMES),
    "surname": _any_of(words.SURNAMES),
    "full_name": _full_name,
    "town": _any_of(words.TOWNS),
    "country": _any_of(words.COUNTRIES),
    "region": _any_of(words.REGIONS),
    "wind": _any_of(words.WINDS),
    "weather": _any_of(words.WEATHER),
    "weather_like": _any_of(words.WEATHER_ADJECTIVES),
    "season": _any_of(words.SEASONS),
    "drink": _any_of(words.DRINKS),
    "staple": _any_of(words.STAPLES),
    "color": _any_of(words.COLORS),
    "mood": _any_of(words.MOODS),
    "does": _any_of(words.VERBS_PRESENT),
    "do": _any_of(words.VERBS_INFINITIVE),
    "did": _any_of(words.VERBS_PAST),
    "when": _any_of(words.WHEN),
    "when_past": _any_of(words.WHEN_PAST),
    "where": _any_of(words.WHERE),
    "vehicle": _any_of(words.VEHICLES),
    "body": _any_of(words.BODY),
    "illness": _any_of(words.ILLNESSES),
    "office": _any_of(words.OFFICE),
    "subject": _any_of(words.SUBJECTS),
    "greeting": _any_of(words.GREETINGS),
    "answer": _any_of(words.SHORT_ANSWERS),
    "neuter_adjective": lambda rng: rng.choice(words.ADJECTIVES)[1],
    "plural_adjective": lambda rng: rng.choice(words.ADJECTIVES)[2],
}
for _topic, _topic_nouns in _NOUN_TOPICS.items():
    SLOTS |= {
        f"a_{_topic}": _with_article(_topic_nouns),
        f"a_fine_{_topic}": _described(_topic_nouns),
        f"the_{_topic}": _form(_topic_nouns, "definite"),
        f"some_{_topic}": _form(_topic_nouns, "plural"),
        f"many_{_topic}": _counted(_topic_nouns),
        f"one_{_topic}": _form(_topic_nouns, "singular"),
    }
