"""The little HTML that reports need: a page, a table, escaped text."""

from collections.abc import Iterable, Sequence
from html import escape

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem;
       color: #1b1b1b; background: #fff; }
table { border-collapse: collapse; margin: 1rem 0; width: 100%; }
th, td { border-bottom: 1px solid #ccc; padding: .3rem .6rem; text-align: right; }
th:first-child, td:first-child, .text { text-align: left; }
caption { text-align: left; font-weight: 600; }
figure { margin: 1rem 0; } svg { max-width: 100%; height: auto; }
.note { color: #555; }
"""


class Text(str):
    """A cell that holds words, so it is set to the left."""


def page(title: str, parts: Iterable[str]) -> str:
    """Return a whole document that loads nothing from elsewhere."""
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
        f"<h1>{escape(title)}</h1>\n" + "\n".join(parts) + "\n</body>\n</html>\n"
    )


def table(caption: str, head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table; every cell is escaped, and a column's head is set as its cells are."""
    body = list(rows)
    first = body[0] if body else head
    heads = (
        f"<th scope=col{_kind(cell)}>{escape(name)}</th>"
        for name, cell in zip(head, first, strict=True)
    )
    lines = [f"<table><caption>{escape(caption)}</caption>"]
    lines.append(f"<thead><tr>{''.join(heads)}</tr></thead><tbody>")
    for row in body:
        cells = (f"<td{_kind(cell)}>{escape(cell)}</td>" for cell in row)
        lines.append(f"<tr>{''.join(cells)}</tr>")
    lines.append("</tbody></table>")
    return "\n".join(lines)


def heading(text: str) -> str:
    """Return a heading of escaped text."""
    return f"<h2>{escape(text)}</h2>"


def paragraph(text: str, *, note: bool = False) -> str:
    """Return a paragraph of escaped text."""
    return f"<p{' class=note' if note else ''}>{escape(text)}</p>"


def figure(svg: str) -> str:
    """Wrap an SVG that we drew ourselves."""
    return f"<figure>{svg}</figure>"


def percent(share: float) -> str:
    """Write a share as percent with two decimals."""
    return f"{100 * share:.2f} %"


def _kind(cell: str) -> str:
    return " class=text" if isinstance(cell, Text) else ""
