"""The label policy, case by case."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.prepare.config import LabelConfig
from training.prepare.labels import apply_policy, describe, sentence_key


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("hej på dig", "Hej på dig"),
        ("  två   ord\t\n", "Två ord"),
        ("ångström a\u030a e\u0301", "Ångström å é"),
        ("”Nej”, sa han – kanske…", '"Nej", sa han - kanske...'),
        ("”Hela meningen.”", "Hela meningen."),
        ("»varför inte?»", "Varför inte?"),
        ('"nej" och "ja"', '"Nej" och "ja"'),
        ("’s och ‘t", "'S och 't"),
        ("(en parentes)", "(En parentes)"),
        ("mjuk\u00adstreck och noll\u200bbredd", "Mjukstreck och nollbredd"),
        ("IKEA är störst", "IKEA är störst"),
        ("élan vital", "Élan vital"),
        ("   ", ""),
        ("...", "..."),
    ],
)
def test_policy(text: str, label: str) -> None:
    assert apply_policy(text, LabelConfig()) == label


@given(st.text("aåÅ1 \t\n.,!?\"'”’«»–…(\u00ad\u030a\u200bßŉ", max_size=12), st.booleans())
def test_policy_applied_twice_changes_nothing(text: str, final_period: bool) -> None:
    config = LabelConfig(final_period=final_period)
    once = apply_policy(text, config)
    assert apply_policy(once, config) == once
    assert once == once.strip() and "  " not in once and "”" not in once


def test_options_switch_parts_off() -> None:
    plain = LabelConfig(capital=False, straight_quotes=False)
    assert apply_policy("”hej”", plain) == "”hej”"
    assert apply_policy("hej", LabelConfig(final_period=True)) == "Hej."
    assert apply_policy("hej!", LabelConfig(final_period=True)) == "Hej!"


def test_description_names_version_and_options() -> None:
    assert describe(LabelConfig()).startswith("labels/1 capital=true final_period=false")


def test_sentence_key_sees_letters_only() -> None:
    assert sentence_key("Hej, på DIG!") == sentence_key("hej på dig")
    assert sentence_key("får") != sentence_key("far")
