"""How a file is written is found out, told, and never guessed where two answers fit."""

from datetime import date, datetime
from pathlib import Path

import pytest

from ops.imports.layout import Wish, find_table
from ops.imports.mpesa_statement import StatementColumns, receipts
from ops.imports.reading import Layout, Table
from ops.imports.records import FileError
from ops.imports.rows import Entry, Rejection
from ops.imports.sales_file import SalesOptions, sales
from tests.support.workbook import Cell, write_workbook

OPTIONS = SalesOptions(
    customer="Who",
    date="Day",
    amount="Total",
    description="What",
    date_format="%d/%m/%Y",
    source="shop.csv",
    currency="KES",
    time_zone="Africa/Nairobi",
)
PLAIN = "Who,Day,Total,What\nA,31/01/2026,12.50,Café\nB,31/01/2026,3,x\n"


def table(path: Path, **wish: str) -> Table:
    found, count = find_table(path, Wish(**wish), OPTIONS, "KES")
    assert count == sum(1 for _ in found.rows())
    return found


def text_file(tmp_path: Path, text: str, encoding: str = "utf-8") -> Path:
    path = tmp_path / "shop.csv"
    path.write_bytes(text.encode(encoding))
    return path


def read(found: Table) -> list[tuple[str, int, str]]:
    rows = list(sales(found, OPTIONS))
    entries = [row for row in rows if isinstance(row, Entry)]
    assert len(rows) == len(entries), rows
    return [
        (entry.lane, entry.amount_minor, entry.elements[0].data["lines"][0]["description"])
        for entry in entries
    ]


def amounts(tmp_path: Path, *written: str, **wish: str) -> list[int | str]:
    """What a file of these amounts is read as: minor units, or why a row was refused."""
    lines = [f"A{n};31/01/2026;{amount};x\n" for n, amount in enumerate(written)]
    path = text_file(tmp_path, "Who;Day;Total;What\n" + "".join(lines))
    rows = sales(table(path, **wish), OPTIONS)
    return [
        row.amount_minor if isinstance(row, Entry) else row.reason
        for row in rows
        if isinstance(row, Entry | Rejection)
    ]


@pytest.mark.parametrize(
    ("encoding", "told"),
    [
        ("utf-8", "utf-8"),
        ("utf-8-sig", "utf-8-sig"),
        ("utf-16", "utf-16"),
        ("cp1252", "cp1252"),
    ],
)
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_encoding_and_delimiter_are_found_out(tmp_path, encoding, told, delimiter):
    found = table(text_file(tmp_path, PLAIN.replace(",", delimiter), encoding))
    assert found.layout == Layout(encoding=told, delimiter=delimiter, decimal="point", header_line=1)
    assert read(found) == [("A", 1250, "Café"), ("B", 300, "x")]


def test_utf_16_of_either_order(tmp_path):
    path = tmp_path / "shop.csv"
    path.write_bytes(b"\xfe\xff" + PLAIN.encode("utf-16-be"))
    assert read(table(path))[0] == ("A", 1250, "Café")
    path.write_bytes(PLAIN.encode("utf-16-be"))
    with pytest.raises(FileError, match="zero bytes"):
        table(path)
    assert read(table(path, encoding="utf-16-be"))[0] == ("A", 1250, "Café")


def test_what_is_said_is_not_found_out(tmp_path):
    path = text_file(tmp_path, PLAIN.replace(",", "|"), "cp437")
    with pytest.raises(FileError, match=r"no column 'Who', 'Day', 'Total', 'What'; its columns are Who\|Day"):
        table(path, encoding="cp437")
    found = table(path, delimiter="|", encoding="cp437")
    assert read(found)[0] == ("A", 1250, "Café")
    with pytest.raises(FileError, match="is not utf-8 text"):
        table(path, delimiter="|", encoding="utf-8")


def test_a_first_line_may_name_the_delimiter(tmp_path):
    found = table(text_file(tmp_path, "sep=|\r\n" + PLAIN.replace(",", "|"), "utf-8-sig"))
    assert (found.layout.delimiter, found.layout.header_line) == ("|", 2)
    assert read(found) == [("A", 1250, "Café"), ("B", 300, "x")]
    assert [record.line for record in found.rows()] == [3, 4]


def test_titles_stand_before_the_header(tmp_path):
    titles = 'GREENHILL ACADEMY\n\n"Canteen; ""Main""",2026\n'
    found = table(text_file(tmp_path, titles + PLAIN))
    assert (found.layout.header_line, found.layout.delimiter) == (4, ",")
    assert read(found) == [("A", 1250, "Café"), ("B", 300, "x")]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Who;Day;Total;What\nWho,Day,Total,What\n", "say --delimiter"),
        (
            "Report\nName,Day,Total,What\nA,B,C,D,E,F\n",
            "no column 'Who'; its columns are Name, Day, Total, What",
        ),
        ("", "its columns are none"),
        ('Who,Day,Total,What\nA,31/01/2026,5,"x\n', "line 2 is never closed"),
        (
            "Who,Day,Total,What\nA,31/01/2026,1.500,x\n",
            r"1.500 on line 2.*say --decimal comma or --decimal point",
        ),
        ('Who,Day,Total,What\nA,31/01/2026,"1,500",x\nB,31/01/2026,1.500,x\n', "1.500 on line 3"),
        (
            'Who,Day,Total,What\nA,31/01/2026,"12,50",x\nB,31/01/2026,12.50,x\n',
            r"comma \(12,50 on line 2\) and with a decimal point \(12.50 on line 3\); say --decimal",
        ),
    ],
)
def test_a_file_that_may_be_read_in_two_ways_or_in_none_is_refused(tmp_path, text, expected):
    with pytest.raises(FileError, match=expected):
        table(text_file(tmp_path, text))


def test_the_amounts_of_a_file_tell_its_decimals(tmp_path):
    assert amounts(tmp_path, "12,50", "1.500", "1.500,00", "3") == [1250, 150000, 150000, 300]
    assert amounts(tmp_path, "12.50", "1,500", "1,500.00", "3") == [1250, 150000, 150000, 300]
    assert amounts(tmp_path, "1.234.567", "1.500") == [123456700, 150000]
    assert amounts(tmp_path, "1,500", "20") == [150000, 2000]
    *_, refused = amounts(tmp_path, "12.50", "1.500")
    assert refused == "amount '1.500' has more than the 2 decimals of KES"
    *_, refused = amounts(tmp_path, "12,50", "1,500")
    assert refused == "amount '1,500' has more than the 2 decimals of KES"


def test_decimals_that_are_said_are_taken(tmp_path):
    assert amounts(tmp_path, "1.500,00", "1.500", "12,5", decimal="comma") == [150000, 150000, 1250]
    assert amounts(tmp_path, "1.500", decimal="point") == [
        "amount '1.500' has more than the 2 decimals of KES"
    ]
    assert amounts(tmp_path, "12.50", decimal="comma") == ["amount '12.50' is not an amount"]


def test_a_large_file_is_never_held_whole(tmp_path):
    """What is sniffed is read as a stream: memory stays far below the file's 40 MB."""
    import tracemalloc

    path = tmp_path / "shop.csv"
    with path.open("w") as file:
        file.write("Who,Day,Total,What\n")
        file.writelines(f"A,31/01/2026,12.50,{'x' * 480}\n" for _ in range(80_000))
    tracemalloc.start()
    found, count = find_table(path, Wish(), OPTIONS, "KES")
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (count, found.layout.decimal) == (80_000, "point")
    assert peak_bytes < 12_000_000


# --- workbooks

HEADER: list[Cell] = ["Who", "Day", "Total", "What"]


def test_a_workbook_has_dates_and_exact_numbers(tmp_path):
    rows: list[list[Cell]] = [
        ["Canteen"],
        [],
        HEADER,
        ["A", date(2026, 1, 31), 1500.5, "x"],
        [45, datetime.fromisoformat("2026-02-01 08:30"), 12, 7],
        ["C", "28/02/2026", "1.250,50", "x"],
        [None],
        ["D", date(2026, 1, 31), 0.1 + 0.2, "x", None, "aside"],
        ["E", date(2026, 1, 31), 0.1 + 0.2, "x"],
        ["F", date(2026, 1, 31), 1e15, "x"],
    ]
    path = write_workbook(tmp_path / "shop.xlsx", {"Notes": [["Who", "knows"]], "June": rows, "Empty": []})
    found = table(path)
    assert found.layout == Layout(sheet="June", decimal="comma", header_line=3)
    read_rows = list(sales(found, OPTIONS))
    entries = [row for row in read_rows if isinstance(row, Entry)]
    assert [(e.line, e.lane, e.amount_minor, e.elements[0].data["effective_date"]) for e in entries] == [
        (4, "A", 150050, "2026-01-31"),
        (5, "45", 1200, "2026-02-01"),
        (6, "C", 125050, "2026-02-28"),
    ]
    reasons = [row.reason for row in read_rows if isinstance(row, Rejection)]
    assert reasons[0] == "the row has 6 cells, the header 4"
    assert reasons[1] == "amount '0.30000000000000004' has more than the 2 decimals of KES"
    assert "whole number of minor units" in reasons[2]


def test_the_sheet_is_named_where_several_have_the_columns(tmp_path):
    june, july = [HEADER, ["A", "31/01/2026", 1.0, "x"]], [HEADER, ["B", "31/01/2026", 2.0, "x"]]
    path = write_workbook(tmp_path / "shop.xlsx", {"June": june, "July": july})
    with pytest.raises(FileError, match="several sheets: June, July; say --sheet"):
        table(path)
    assert read(table(path, sheet="July")) == [("B", 200, "x")]
    with pytest.raises(FileError, match="no sheet 'May'; its sheets are June, July"):
        table(path, sheet="May")


def test_a_statement_of_mpesa_may_be_a_workbook(tmp_path):
    header: list[Cell] = [
        "Receipt No.",
        "Completion Time",
        "Details",
        "Transaction Status",
        "Paid In",
        "Withdrawn",
        "A/C No.",
    ]
    row: list[Cell] = [
        "SJ2A1BB1",
        datetime.fromisoformat("2026-09-02 11:05:07"),
        "Pay Bill",
        "Completed",
        1500.5,
        None,
        "stu-1",
    ]
    path = write_workbook(tmp_path / "statement.xlsx", {"Sheet1": [["Organization Statement"], header, row]})
    columns = StatementColumns()
    found, _ = find_table(path, Wish(), columns, "KES")
    (entry,) = receipts(found, columns, repeated=[])
    assert isinstance(entry, Entry)
    data = entry.elements[0].data
    assert (data["account"], data["amount"], data["effective_date"]) == ("STU-1", 150050, "2026-09-02")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"PK\x03\x04 nothing of a workbook", "not a workbook that can be read"),
        (bytes.fromhex("d0cf11e0a1b11ae1") + b"old", "before 2007"),
    ],
)
def test_a_workbook_that_cannot_be_read(tmp_path, content, expected):
    path = tmp_path / "shop.xlsx"
    path.write_bytes(content)
    with pytest.raises(FileError, match=expected):
        table(path)


def test_a_workbook_that_would_fill_the_memory_is_refused(tmp_path, monkeypatch):
    path = write_workbook(tmp_path / "shop.xlsx", {"June": [HEADER]})
    monkeypatch.setattr("ops.imports.workbook.MAX_UNPACKED_BYTES", 100)
    with pytest.raises(FileError, match="too large for a workbook"):
        table(path)


def test_a_text_has_no_sheets(tmp_path):
    with pytest.raises(FileError, match="is not a workbook"):
        table(text_file(tmp_path, PLAIN), sheet="June")
