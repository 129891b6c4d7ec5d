"""What a person is told about a corpus."""

from training.prepare.report import Report
from training.prepare.rows import Row


def row(split: str, text: str) -> Row:
    return Row(id=f"{split}-{text}", audio="a.mp3", text=text, where="list.csv:2", split=split)


def test_sentences_that_training_shares_with_test_are_told() -> None:
    """Prompts read by many: a model that knows them by heart has a fine word error rate."""
    report = Report(max_bad_share=0)
    rows = [row("test", "En katt."), row("dev", "En hund."), row("train", "Något annat.")]
    report.note_shared_sentences([*rows, row("extra", "En katt.")])
    assert report.notes == []
    report.note_shared_sentences([*rows, row("train", "EN KATT"), row("train", "en hund!")])
    [note] = report.notes
    assert note.startswith("2 of 3 clips of train say a sentence of dev or test")
