"""Tables on a terminal; elsewhere each row is one line, however long, for grep and its kin."""

from rich.console import Console
from rich.table import Table

#: No row of ours is wider.
UNBOUNDED = 10_000


def plain_table(*titles: str) -> Table:
    """Return an empty table without lines; what does not fit goes on below, never away."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in titles:
        table.add_column(title, overflow="fold")
    return table


def show(table: Table) -> None:
    """Print a table."""
    console = Console()
    if console.is_terminal:
        console.print(table)
        return
    wide = Console(width=UNBOUNDED)
    with wide.capture() as captured:
        wide.print(table)
    for line in captured.get().splitlines():
        print(line.rstrip())
