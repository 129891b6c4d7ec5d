from training.evaluate.html import Text, table


def test_head_stands_over_its_column_and_all_is_escaped() -> None:
    html = table("A & B", ("clip", "errors", "said"), [("c<1", "3", Text("5 > 4"))])
    assert "<th scope=col>errors</th><th scope=col class=text>said</th>" in html
    assert "<td>c&lt;1</td><td>3</td><td class=text>5 &gt; 4</td>" in html
    assert "A &amp; B" in html


def test_table_without_rows_keeps_its_head() -> None:
    assert "<th scope=col>clip</th>" in table("none", ("clip",), [])
