"""Tables on a terminal; elsewhere each row is one line, however long, for grep and its kin."""

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table

#: No row of ours is wider.
UNBOUNDED = 10_000
#: What stands between two columns, and the least that a column which goes on below is given.
GAP, LEAST = 2, 12


def plain_table(*titles: str) -> Table:
    """Return an empty table without lines; what does not fit goes on below, never away."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in titles:
        table.add_column(title, overflow="fold")
    return table


def show(table: Table) -> None:
    """Print a table; where whole columns have no room, the terminal breaks the lines."""
    console = Console()
    if console.is_terminal and _width_of_whole(table) + LEAST <= console.width:
        console.print(table)
        return
    wide = Console(width=UNBOUNDED)
    with wide.capture() as captured:
        wide.print(table)
    for line in captured.get().splitlines():
        print(line.rstrip())


def _width_of_whole(table: Table) -> int:
    """Return the room that the columns need which must not be broken: rich would cut them."""
    whole = [column for column in table.columns if column.no_wrap]
    texts = [[str(column.header), *map(str, column.cells)] for column in whole]
    return sum(max(map(cell_len, cells)) + GAP for cells in texts)
