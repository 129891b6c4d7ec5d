"""What a person is told about a corpus."""

from training.prepare.report import Report
from training.prepare.rows import Row


def row(split: str, text: str, speaker: str = "") -> Row:
    return Row(
        id=f"{split}-{text}",
        audio="a.mp3",
        text=text,
        where="list.csv:2",
        speaker=speaker,
        split=split,
    )


def test_sentences_that_training_shares_with_test_are_told() -> None:
    """Prompts read by many: a model that knows them by heart has a fine word error rate."""
    report = Report(max_bad_share=0)
    rows = [row("test", "En katt."), row("dev", "En hund."), row("train", "Något annat.")]
    report.note_shared_sentences([*rows, row("extra", "En katt.")])
    assert report.notes == []
    report.note_shared_sentences([*rows, row("train", "EN KATT"), row("train", "en hund!")])
    [note] = report.notes
    assert note.startswith("2 of 3 clips of train say a sentence of dev or test")


def test_speakers_that_training_shares_with_test_are_told() -> None:
    report = Report(max_bad_share=0)
    apart = [row("test", "En.", "anna"), row("dev", "Två.", "bo"), row("train", "Tre.", "cia")]
    unknown = [row("test", "Fyra."), row("train", "Fem.")]
    report.note_shared_speakers([*apart, *unknown, row("extra", "Sex.", "anna")])
    assert report.notes == []
    shared = [row("train", "Sju.", "anna"), row("train", "Åtta.", "bo")]
    report.note_shared_speakers([*apart, *unknown, *shared])
    [note] = report.notes
    assert note.startswith("2 of 4 clips of train are of speakers in dev or test")


def test_texts_that_nobody_would_want_to_read_are_told() -> None:
    report = Report(max_bad_share=0)
    report.note_odd_texts([row("train", "Hej [på dig] och NATO < EU."), row("train", "NATO")])
    assert report.notes == []
    report.note_odd_texts([row("train", "HEJ <noise> DÅ"), row("dev", "JA."), row("train", "Nej.")])
    tags, capitals = report.notes
    assert tags.startswith("1 of 3 texts hold a tag such as <noise> (list.csv:2)")
    assert capitals.startswith("2 of 3 texts are in capitals")
