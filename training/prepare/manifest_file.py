"""Manifests: JSONL, CSV or TSV with `audio` and `text`, perhaps speaker, split, start and end."""

import codecs
import csv
import json
import math
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from services.contract.errors import DataError
from training.prepare.rows import Drop, Row, bad, clip_id

SPLIT_NAMES = {"validation": "dev", "valid": "dev", "eval": "dev", "validated": "extra"}
_SPLITS = frozenset({"train", "dev", "test", "extra"})
_COLUMNS = ("audio", "text", "speaker", "split", "start", "end", "domain")
_REST = " "
"""Holds what a line has beyond its header; no column is called so, for names are stripped."""


def read(path: Path, root: Path | None = None) -> Iterator[Row | Drop]:
    """Yield the manifest's rows in its order.

    Args:
        path: JSONL, CSV or TSV.
        root: what relative audio paths start from; the manifest's own folder by default.
    Raises:
        DataError: `audio` or `text` is missing as a column.
    """
    records = _jsonl(path) if path.suffix.lower() == ".jsonl" else _separated(path)
    for number, record in records:
        where = f"{path.name}:{number}"
        yield (
            bad(where, record)
            if isinstance(record, str)
            else _row(where, record, root or path.parent)
        )


def split_name(name: str) -> str | None:
    """Give our name for a split, None when it is no split of ours."""
    name = SPLIT_NAMES.get(name.lower(), name.lower())
    return name if name in _SPLITS else None


def _row(where: str, record: dict[str, Any], root: Path) -> Row | Drop:
    audio, text = record.get("audio"), record.get("text")
    if not isinstance(audio, str) or not audio:
        return bad(where, "audio must name a file")
    if "\\" in audio and not os.path.exists(root / audio):  # written on Windows
        audio = audio.replace("\\", "/")
    if not isinstance(text, str):
        return bad(where, "text must be a string")
    named = str(record.get("split") or "").strip()
    split = split_name(named) if named else ""
    if split is None:
        return bad(where, f"split must be train, dev, test or extra, not {record['split']!r}")
    try:
        start_s, end_s = _seconds(record.get("start")), _seconds(record.get("end"))
    except (ValueError, OverflowError):  # an integer beyond any float
        return bad(where, "start and end must be seconds, 0 or more")
    speaker = record.get("speaker")
    if end_s is not None and end_s <= (start_s or 0):
        return bad(where, f"end ({end_s:g} s) must come after start ({start_s or 0:g} s)")
    return Row(
        id=clip_id(audio, start_s, end_s),
        audio=audio,
        text=text,
        where=where,
        speaker="" if speaker is None else str(speaker),
        split=split,
        start_s=start_s,
        end_s=end_s,
        domain=str(record.get("domain") or ""),
    )


def _seconds(value: Any) -> float | None:
    if value is None or value == "":
        return None
    # A Swedish spreadsheet writes half a second as 0,5.
    value = value.replace(",", ".") if isinstance(value, str) else value
    seconds = float(value) if isinstance(value, str | int | float) else math.nan
    if not (math.isfinite(seconds) and seconds >= 0):
        raise ValueError(value)
    return seconds


def _jsonl(path: Path) -> Iterator[tuple[int, dict[str, Any] | str]]:
    checked = False
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            record = _json_object(line)
            if not checked and isinstance(record, dict):
                _require(path, record)
                checked = True
            yield number, record


def _json_object(line: bytes) -> dict[str, Any] | str:
    try:
        record = json.loads(line.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:  # a ValueError too: not UTF-8
        return f"not JSON: {error}"
    return record if isinstance(record, dict) else "not a JSON object"


def _separated(path: Path) -> Iterator[tuple[int, dict[str, Any] | str]]:
    # As in Common Voice, a quote mark in a .tsv is part of the text; in a .csv it has to close.
    form: dict[str, Any] = {"strict": True, "skipinitialspace": True}
    if path.suffix.lower() == ".tsv":
        form = {"delimiter": "\t", "quoting": csv.QUOTE_NONE}
    with path.open(encoding=_encoding(path), errors="replace", newline="") as file:
        # Where the comma is the decimal sign, as in Swedish, spreadsheets write semicolons.
        header = file.readline()
        form.setdefault("delimiter", ";" if header.count(";") > header.count(",") else ",")
        file.seek(0)
        reader = csv.DictReader(file, restkey=_REST, **form)
        try:
            reader.fieldnames = [name.strip().lower() for name in reader.fieldnames or ()]
            _require(path, dict.fromkeys(reader.fieldnames))
            _refuse_repeated(path, reader.fieldnames)
            for record in reader:
                yield reader.line_num, _problem(record) or record
        except csv.Error as error:
            raise DataError(
                f"not readable as {path.suffix[1:]}: {error}",
                path=str(path),
                line=reader.line_num + 1,
            ) from error


def _encoding(path: Path) -> str:
    """Spreadsheets save "Unicode text" as UTF-16, which begins with a mark."""
    with path.open("rb") as file:
        return (
            "utf-16" if file.read(2) in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) else "utf-8-sig"
        )


def _problem(record: dict[str, Any]) -> str:
    if any(record.get(_REST, ())):  # a spreadsheet's empty columns are no harm
        return "more columns than the header has"
    if "\ufffd" in (record["text"] or ""):
        return "not UTF-8; save the file as UTF-8"
    return ""


def _require(path: Path, columns: dict[str, Any]) -> None:
    for name in ("audio", "text"):
        if name not in columns:
            advice = (
                "; for a Common Voice release give its folder" if "client_id" in columns else ""
            )
            raise DataError(
                f"has no column {name}; its columns are {', '.join(columns) or '(none)'}{advice}",
                path=str(path),
            )


def _refuse_repeated(path: Path, columns: Sequence[str]) -> None:
    """Of two columns of one name the last would be read, which may be the wrong one."""
    for name in _COLUMNS:
        if columns.count(name) > 1:
            raise DataError(f"has the column {name} twice; rename one of them", path=str(path))
