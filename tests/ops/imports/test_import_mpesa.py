"""An M-Pesa paybill statement, read: completed receipts become top-ups, and nothing of the details is kept."""

from pathlib import Path

import msgspec
import pytest

from ops.imports.layout import Wish, find_table
from ops.imports.mpesa_statement import StatementColumns, receipts
from ops.imports.records import FileError
from ops.imports.rows import Entry, Rejection, Row, Skipped

COLUMNS = (
    "Receipt No.,Completion Time,Initiation Time,Details,Transaction Status,Paid In,Withdrawn,Balance,"
    "Balance Confirmed,Reason Type,Other Party Info,Linked Transaction ID,A/C No."
)
STATEMENT = f"""\
Organization Statement
Short Code:,556677
Operator:,"GREENHILL, SCHOOL"

{COLUMNS}
SJ2A1BB1,2026-09-02 11:00:00,2026-09-02 10:59:58,Pay Bill from 254712345678 - JANE DOE Acc. stu-0042,Completed,"1,500.00",,"1,500.00",true,Pay Bill Online,254712345678 - JANE DOE,,
SJ2A1BB2,02-09-2026 23:59:59,,Pay Bill Online,Completed,300.00,,"1,800.00",true,Pay Bill Online,2547****0111 - MARY,,STU-0043
SJ2A1BB3,2026-09-03 09:15:00,,Pay Bill from 254700000001 - JOHN DOE Acc. STU-0042,Failed,500.00,,,,Pay Bill Online,,,
SJ2A1BB1,2026-09-02 11:00:00,,Pay Bill Charge,Completed,,-15.00,"1,785.00",true,Pay Bill Charge,,,
SJ2A1BB4,2026-09-04 17:00:00,,Organization Settle to Bank,Completed,,"-1,000.00",785.00,true,Withdraw Funds,KCB,,
SJ2A1BB5,2026-09-05 08:00:00,,Pay Bill Reversal by 254712345678 - JANE DOE,Completed,,-300.00,485.00,true,Pay Bill Reversal,,SJ2A1BB2,
SJ2A1BB6,2026-09-05 09:00:00,,Funds received from KCB current,Completed,"600,000.00",,,true,Organization Settlement,,,
SJ2A1BB7,2026-09-05 10:00:00,,Pay Bill from 254712345678 - JANE DOE Acc. JANE DOE,Completed,100.00,,,true,Pay Bill Online,,,
SJ2A1BB8,2026-09-05 11:00:00,,Pay Bill from 254712345678 - JANE DOE Acc. ,Completed,100.00,,,true,Pay Bill Online,,,
SJ2A1BB9,09/05/2026 11:00,,Pay Bill Online,Completed,100.00,,,true,Pay Bill Online,,,STU-0042
,,,,,"2,400.00",,,,,,,
"""


def rows(tmp_path: Path, text: str, account_column: str | None = None):
    path = tmp_path / "statement.csv"
    path.write_text(text, encoding="utf-8")
    columns = StatementColumns(account_column=account_column)
    table, _ = find_table(path, Wish(decimal="point"), columns, "KES")
    repeated: list[Entry] = []
    return list(receipts(table, columns, repeated=repeated)), repeated


def one(tmp_path: Path, row: str) -> Row:
    (found,), _ = rows(tmp_path, f"{COLUMNS}\n{row}\n")
    return found


def test_completed_receipts_become_top_ups(tmp_path):
    found, _ = rows(tmp_path, STATEMENT)
    entries = [row for row in found if isinstance(row, Entry)]
    (first,) = entries[0].elements
    assert first.action == "wallet.top_up"
    assert first.idempotency_key == "mpesa-SJ2A1BB1"
    assert first.data == {
        "account": "STU-0042",
        "amount": 150000,
        "currency": "KES",
        "source": {"type": "mpesa", "reference": "SJ2A1BB1"},
        "effective_date": "2026-09-02",
    }
    (second,) = entries[1].elements
    assert (second.data["account"], second.data["effective_date"]) == ("STU-0043", "2026-09-02")
    assert len(entries) == 2


def test_what_is_no_receipt_is_passed_over_by_its_reason(tmp_path):
    found, _ = rows(tmp_path, STATEMENT)
    assert [row.reason for row in found if isinstance(row, Skipped)] == [
        "not completed",
        "a provider's charge",
        "a withdrawal or settlement: no money was paid in",
        "a settlement",
    ]


def test_what_somebody_has_to_see_to_is_rejected_with_its_line_a_reason_and_its_amount(tmp_path):
    found, _ = rows(tmp_path, STATEMENT)
    assert [(row.line, row.amount_minor, row.reason) for row in found if isinstance(row, Rejection)] == [
        (11, None, "a reversal: the provider takes money back"),
        (13, 10000, "the account is not the id of a wallet"),
        (14, 10000, "no account"),
        (15, 10000, "the completion time is neither 2026-01-31 10:15:00 nor 31-01-2026 10:15:00"),
        (16, 240000, "no receipt number"),
    ]


def test_nothing_of_the_details_is_kept(tmp_path):
    found, _ = rows(tmp_path, STATEMENT)
    kept = msgspec.json.encode(found).decode()
    for personal in ("2547", "JANE", "DOE", "MARY", "KCB", "Pay Bill from"):
        assert personal not in kept


def test_the_account_stands_in_a_column_of_its_own(tmp_path):
    text = (
        "Receipt No,Completion Time,Details,Status,Paid In,Withdrawn,Balance,Student\n"
        "SJ2A1BB1,2026-09-02 11:00:00,Pay Bill from 2547 - J Acc. OTHER,Completed,5,,5,stu-1\n"
    )
    (entry,), _ = rows(tmp_path, text, "student")
    assert entry.elements[0].data["account"] == "STU-1"
    (entry,), _ = rows(tmp_path, text)
    assert entry.elements[0].data["account"] == "OTHER"


def test_a_name_that_looks_like_a_kind_changes_nothing(tmp_path):
    row = "SJ2A1BB1,2026-09-02 11:00:00,,Pay Bill from 2547 - REVERSA CHARGE Acc. STU-1,Completed,5,,,,,,,"
    assert isinstance(one(tmp_path, row), Entry)


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ("=CMD(),2026-09-02 11:00:00,,Pay Bill Online,Completed,5,,,,,,,STU-1", "no receipt number"),
        ("SJ2A1BB1,2026-09-02 11:00:00,,Pay Bill Online,Completed,5.001,,,,,,,STU-1", "to the cent"),
        (
            "SJ2A1BB1,2026-09-02 11:00:00,,Pay Bill Online,Completed,10000000000000.01,,,,,,,STU-1",
            "Give a whole number of minor units",
        ),
        ("SJ2A1BB1,2026-09-02 11:00:00,,Pay Bill Online,Completed,abc,,,,,,,STU-1", "to the cent"),
        (
            "SJ2A1BB1,2026-09-02 11:00:00,,Pay Bill Online,Completed,\u0661\u0665\u0660\u0660,,,,,,,STU-1",
            "to the cent",
        ),
        (
            "SJ2A1BB1,2026-09-02 11:00:00,,Pay Bill Charge,Completed,n/a,,,,,,,STU-1",
            "charge that was paid in",
        ),
        ("SJ2A1BB1,2026-09-02 11:00:00,,Pay Bill Online,Completed,-5,,,,,,,STU-1", "above zero"),
        ("SJ2A1BB1,,,Pay Bill Online,Completed,5,,,,,,,STU-1", "completion time"),
        ("SJ2A1BB1,2026-09-02 11:00:00", "not completed: the row has no transaction status"),
        ("SJ2A1BB1,2026-09-02 11:00:00,,Pay Bill Charge,Completed,5,,,,,,,STU-1", "charge that was paid in"),
        (
            "SJ2A1BB1,2026-09-02 11:00:00,,Merchant Payment,Completed,5,,,,,,,STU-1",
            "not the payment of a bill",
        ),
        ("SJ2A1BB1,2026-09-02 11:00:00,,Pay Bill - DOE, J,Completed,5,,,,,,,STU-1", "more cells"),
        ("SJ2A1BB1,2026-09-02 11:00:00,,Pay Bill,Completed,5,,,,,,,STU-1,", "more cells"),
        ("SJ2A1BB1,2026-09-02 11:00:00,,Pay Bill,Completed,5,5.00,,,,,,STU-1", "both paid in and withdrawn"),
        ("SJ2A1BB1,2026-09-02 11:00:00,,Pay Bill,Completed,5,KES 5,,,,,,STU-1", "both paid in and withdrawn"),
        ("SJ2A1BB1,2026-09-02 11:00:00,,Pay Bill,Completed,5,0..0,,,,,,STU-1", "both paid in and withdrawn"),
        # a thousand that nobody quoted, in a row without its last cell
        (
            "SJ2A1BB1,2026-09-02 11:00:00,,Pay Bill,Completed,1,000.00,,,,,,STU-1",
            "both paid in and withdrawn",
        ),
        ("SJ2A1BB1,2026-09-02 11:00:00,,Pay Bill,Completed,1.500,,,,,,,STU-1", "to the cent"),
        ('SJ2A1BB1,2026-09-02 11:00:00,,"Pay" Bill,Completed,5,,,,,,,STU-1', "broken quoting"),
    ],
)
def test_a_row_that_cannot_be_posted(tmp_path, row, expected):
    found = one(tmp_path, row)
    assert isinstance(found, Rejection)
    assert expected in found.reason


@pytest.mark.parametrize("withdrawn", ["", " ", "-", "0", "0.00", "-0.00", "0."])
def test_nothing_withdrawn_stands_beside_a_credit(tmp_path, withdrawn):
    row = f"SJ2A1BB1,2026-09-02 11:00:00,,Pay Bill,Completed,5,{withdrawn},,,,,,STU-1"
    assert isinstance(one(tmp_path, row), Entry)


@pytest.mark.parametrize("paid_in", ["", " ", "-", "0", "0.00", "-0.00", "0."])
def test_a_row_without_a_credit_is_no_receipt(tmp_path, paid_in):
    found = one(tmp_path, f"SJ2A1BB1,2026-09-02 11:00:00,,Withdrawal,Completed,{paid_in},-5,,,,,,STU-1")
    assert found == Skipped(kind="not_receipt", reason="a withdrawal or settlement: no money was paid in")


def test_a_receipt_number_that_comes_again_is_kept_for_later(tmp_path):
    row = "{},2026-09-02 11:00:00,,Pay Bill Online,Completed,5,,,,,,,STU-1\n"
    found, repeated = rows(tmp_path, COLUMNS + "\n" + row.format("SJ2A1BB1") + row.format("sj2a1bb1"))
    assert [entry.line for entry in found] == [2]
    assert [entry.line for entry in repeated] == [3]
    assert found[0].elements == repeated[0].elements


@pytest.mark.parametrize(
    ("text", "column", "expected"),
    [
        ("Who,Day,Total\n", None, "is no paybill statement"),
        ("", None, "is no paybill statement"),
        (STATEMENT, "Pupil", "no column 'Pupil'; its columns are Receipt No."),
    ],
)
def test_a_file_that_is_refused_as_a_whole(tmp_path, text, column, expected):
    with pytest.raises(FileError, match=expected):
        rows(tmp_path, text, column)
