"""What happened to every row: counts, examples and a summary that a person reads."""

import dataclasses
import re
from collections import Counter
from collections.abc import Iterable
from typing import Any

from services.contract.errors import DataError
from training.prepare.labels import sentence_key
from training.prepare.manifest import PreparedManifest
from training.prepare.rows import BAD, Drop, Row
from training.prepare.splits import EVALUATION_SPLITS

_EXAMPLES = 5
_LISTED_BAD = 1000
_TAG = re.compile(r"<[^<>\s]+>|\[[^][\s]+\]")


@dataclasses.dataclass
class Report:
    """Counts rows and drops as they come; the order of coming is the same in every run."""

    max_bad_share: float
    n_rows: int = 0
    n_assigned: Counter[str] = dataclasses.field(default_factory=Counter)
    """Rows of each split, before their audio was looked at."""
    n_dropped: Counter[str] = dataclasses.field(default_factory=Counter)
    examples: dict[str, list[Drop]] = dataclasses.field(default_factory=dict)
    notes: list[str] = dataclasses.field(default_factory=list)

    def drop(self, drop: Drop) -> None:
        """Count a drop; keep it as an example while there are few, and every bad row."""
        self.n_dropped[drop.filter] += 1
        examples = self.examples.setdefault(drop.filter, [])
        if len(examples) < (_LISTED_BAD if drop.filter == BAD else _EXAMPLES):
            examples.append(drop)

    def check_bad_share(self) -> None:
        """Stop when too much of the input cannot be read.

        Raises:
            DataError: more than `max_bad_share` of the rows are bad.
        """
        n_bad = self.n_dropped[BAD]
        if n_bad > self.max_bad_share * self.n_rows:
            first = "; ".join(f"{drop.where}: {drop.detail}" for drop in self.examples[BAD][:3])
            raise DataError(
                f"{n_bad} of {self.n_rows} rows cannot be read, more than the"
                f" {self.max_bad_share:.1%} that prepare.max_bad_share allows: {first}"
            )

    def note_shared_sentences(self, rows: Iterable[Row]) -> None:
        """Say how many clips of train hold a sentence of dev or test, known by heart then."""
        rows = list(rows)
        asked = {sentence_key(row.text) for row in rows if row.split in EVALUATION_SPLITS}
        train = [key for row in rows if row.split == "train" and (key := sentence_key(row.text))]
        if n_shared := sum(key in asked for key in train):
            self.notes.append(
                f"{n_shared} of {len(train)} clips of train say a sentence of dev or test, whose "
                "word error rate may flatter; prepare.splits.by=sentence draws splits without that"
            )

    def note_shared_speakers(self, rows: Iterable[Row]) -> None:
        """Say how many clips of train are of speakers in dev or test, as marks can have it."""
        rows = list(rows)
        heard = {row.speaker for row in rows if row.split in EVALUATION_SPLITS} - {""}
        train = [row.speaker for row in rows if row.split == "train"]
        if n_shared := sum(speaker in heard for speaker in train):
            self.notes.append(
                f"{n_shared} of {len(train)} clips of train are of speakers in dev or test, whose "
                "word error rate may flatter: people who are new to the model are harder"
            )

    def note_odd_texts(self, rows: Iterable[Row]) -> None:
        """Say how many texts are not as people write: the model learns to write as they are."""
        rows = list(rows)
        if tagged := [(row, tag) for row in rows if (tag := _TAG.search(row.text))]:
            row, tag = tagged[0]
            self.notes.append(
                f"{len(tagged)} of {len(rows)} texts hold a tag such as {tag.group()} ({row.where})"
                ", which the model learns to write: take tags out of the source"
            )
        n_capitals = sum(_TAG.sub("", row.text).isupper() for row in rows)
        if 2 * n_capitals > len(rows):
            self.notes.append(
                f"{n_capitals} of {len(rows)} texts are in capitals, and the model learns to write "
                "so: give them as you want to read them"
            )

    def note_emptied(self, manifest: PreparedManifest) -> None:
        """Say which splits had rows and have no clip: of a few clips, one bad file is enough."""
        self.notes += [
            f"no clip is left of the {self.n_assigned[name]} drawn or marked for {name}: mend or "
            "remove what was dropped, or mark other rows with `split`, and prepare again"
            for name in ("train", "dev", "test")
            if self.n_assigned[name]
            and not ((split := manifest.splits.get(name)) and split.n_clips)
        ]

    def reasons(self) -> str:
        """Say what dropped most, in one line."""
        counts = self.n_dropped.most_common(3)
        return ", ".join(f"{name} dropped {n}" for name, n in counts) or "the source is empty"

    def to_dict(self, manifest: PreparedManifest) -> dict[str, Any]:
        """Give the content of report.json."""
        return {
            "source": manifest.source,
            "n_rows": self.n_rows,
            "splits": {name: split.model_dump() for name, split in manifest.splits.items()},
            "dropped": {
                name: {
                    "n": self.n_dropped[name],
                    "examples": [
                        {"where": drop.where, "why": drop.detail} for drop in self.examples[name]
                    ],
                }
                for name in sorted(self.n_dropped)
            },
            "notes": self.notes,
        }

    def summary(self, manifest: PreparedManifest) -> str:
        """Say in a few lines what is in the corpus and what is not."""
        lines = [f"{manifest.source}: {self.n_rows} rows"]
        for name, split in manifest.splits.items():
            lines.append(f"  {name:<6} {split.n_clips:>7} clips {split.hours:>8.2f} h")
        for name, n_dropped in self.n_dropped.most_common():
            example = self.examples[name][0]
            lines.append(
                f"  dropped {name:<18} {n_dropped:>6}  ({example.where}: {example.detail})"
            )
        return "\n".join([*lines, *(f"  note: {note}" for note in self.notes)])
