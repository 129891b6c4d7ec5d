"""Figures of a report as inline SVG; matplotlib draws, nothing is loaded from elsewhere."""

import io
from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

from training.evaluate.report import Group

_WIDTH_INCHES = 8.0


def grouped_bars(series: Mapping[str, Sequence[Group]], title: str) -> str:
    """Draw the normalised WER of groups side by side.

    Args:
        series: name of a series (a context, a model) to its groups; labels may be missing in some.
        title: what is shown.
    Returns:
        an <svg> element.
    """
    labels = list(dict.fromkeys(group.label for groups in series.values() for group in groups))
    figure = Figure(figsize=(_WIDTH_INCHES, 3.2), layout="constrained")
    axes = figure.add_subplot()
    width = 0.8 / max(1, len(series))
    for i, (name, groups) in enumerate(series.items()):
        places = [labels.index(group.label) + i * width for group in groups]
        heights = [100 * group.normalised.wer for group in groups]
        axes.bar(places, heights, width, label=name)
    middle = 0.4 - width / 2
    axes.set_xticks([i + middle for i in range(len(labels))], labels)
    if len(labels) > 8:
        axes.tick_params(axis="x", labelrotation=60)
    axes.set_ylabel("normalised WER, %")
    axes.set_title(title)
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))  # beside the bars, not on them
    return _svg(figure)


def error_kinds(groups: Mapping[str, Group], title: str) -> str:
    """Draw substitutions, deletions and insertions as shares of the reference words."""
    figure = Figure(figsize=(_WIDTH_INCHES, 0.8 + 0.4 * len(groups)), layout="constrained")
    axes = figure.add_subplot()
    left = [0.0] * len(groups)
    for kind in ("substitutions", "deletions", "insertions"):
        shares = [_share(group, kind) for group in groups.values()]
        axes.barh(list(groups), shares, left=left, label=kind)
        left = [a + b for a, b in zip(left, shares, strict=True)]
    axes.set_xlabel("% of reference words")
    axes.set_title(title)
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    return _svg(figure)


def intervals(rows: Mapping[str, tuple[float, float, float]], title: str) -> str:
    """Draw values with their confidence intervals.

    Args:
        rows: name to (low, value, high) as shares.
    """
    figure = Figure(figsize=(_WIDTH_INCHES, 0.8 + 0.4 * len(rows)), layout="constrained")
    axes = figure.add_subplot()
    for name, (low, value, high) in rows.items():
        errors = [[100 * (value - low)], [100 * (high - value)]]
        axes.errorbar([100 * value], [name], xerr=errors, fmt="o", capsize=4)
    axes.set_xlabel("normalised WER, %, with 95 % interval")
    axes.set_title(title)
    return _svg(figure)


def _share(group: Group, kind: str) -> float:
    words = group.normalised.words
    return 100 * float(getattr(words, kind)) / max(1, words.n_reference)


def _svg(figure: Figure) -> str:
    buffer = io.StringIO()
    # No date, so that equal results give equal pages.
    figure.savefig(buffer, format="svg", metadata={"Date": None})
    text = buffer.getvalue()
    return text[text.index("<svg") :]
