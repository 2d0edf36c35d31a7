"""`bursar import` against the real service, by its command line: what it posts, says, writes and exits with."""

import csv
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from zoneinfo import ZoneInfo

import httpx
import pytest
from typer.testing import CliRunner, Result

from ops import logs
from ops.cli.main import app
from tests.support.service import until

COLUMNS = [
    "--customer",
    "Who",
    "--date",
    "Day",
    "--amount",
    "Total",
    "--quantity",
    "Pieces",
    "--description",
    "What",
]
TODAY = f"{datetime.now(ZoneInfo('Africa/Nairobi')):%Y-%m-%d}"
HEADER = "Who,Day,Total,Pieces,What\n"


class School:
    """The running service: files are imported with `key`, what they did is read with `reading_key`."""

    def __init__(self, ready: Path, url: str, *, key: str, reading_key: str) -> None:
        self.ready, self.url, self.key = ready, url, key
        self.http = httpx.Client(
            base_url=f"{url}/v2/finance/", headers={"Authorization": f"Bearer {reading_key}"}, timeout=30
        )

    def new_key(self, role: str) -> str:
        """A key of a client that is named as its role."""
        tenant, data = self.get("ping")["tenant"], str(self.ready.parent / "up")
        command = ["key", "create", "--tenant", tenant, "--client", role, "--role", role, "--data", data]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(logs, "configure", lambda **_: None)  # this process's log is not the command's
            return json.loads(CliRunner().invoke(app, [*command, "--json"]).stdout)["key"]

    def get(self, path: str, **params):
        response = self.http.get(path, params=params)
        response.raise_for_status()
        return response.json()

    def balance(self, role: str) -> int:
        return next(account["balance"] for account in self.get("accounts")["data"] if account["role"] == role)

    def wallet(self, account: str) -> int:
        return self.get(f"wallets/{account}")["balance"]

    def run(self, *arguments: object, words: bool = False) -> Result:
        """Import, for a summary in JSON or in words."""
        end = [] if words else ["--json"]
        command = ["import", *map(str, arguments), "--url", self.url, "--key", self.key, *end]
        return CliRunner().invoke(app, command)


@pytest.fixture
def school(ready_file: Path) -> Iterator[School]:
    ready = json.loads(ready_file.read_text())
    made = School(ready_file, ready["url"], key=ready["keys"]["admin"], reading_key=ready["keys"]["admin"])
    yield made
    made.http.close()


def summary(result: Result) -> dict[str, int]:
    [line] = result.stdout.splitlines()
    found = json.loads(line)
    assert list(found)[:5] == ["read", "posted", "already_there", "rejected", "total_minor"]
    assert found["read"] == found["posted"] + found["already_there"] + found["rejected"]
    return found


def counts(result: Result) -> list[int]:
    return list(summary(result).values())[:5]


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def rejected(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.with_name(f"{path.name}.rejected.csv").read_text().splitlines()))


def test_a_file_of_cash_sales(school, tmp_path):
    path = write(
        tmp_path / "cash.csv",
        HEADER + "S-1,2026-01-05,12.50,1,Pen\nS-1,2026-01-05,12.50,1,Pen\nS-2,2026-01-06,0,1,Pen\n",
    )
    sales, till = school.balance("sales"), school.balance("till_cash")
    result = school.run("sales", path, *COLUMNS)
    assert result.exit_code == 3, result.output
    assert counts(result) == [3, 2, 0, 1, 2500]
    assert (school.balance("sales") - sales, school.balance("till_cash") - till) == (2500, 2500)
    (row,) = rejected(tmp_path / "cash.csv")
    assert (row["line"], row["reason"], row["Who"]) == ("4", "amount 0 is not above zero", "S-2")
    assert school.http.get("wallets/S-1").status_code == 404


def test_a_file_again_and_a_file_that_has_grown(school, tmp_path):
    text = HEADER + "G-1,2026-01-05,12.50,1,Pen\n" * 3
    path = write(tmp_path / "grown.csv", text)
    assert counts(school.run("sales", path, *COLUMNS)) == [3, 3, 0, 0, 3750]
    position = school.get("ping")["position"]
    again = school.run("sales", path, *COLUMNS)
    assert (again.exit_code, counts(again)) == (0, [3, 0, 3, 0, 0])
    assert school.get("ping")["position"] == position
    write(path, text + "G-1,2026-01-05,12.50,1,Pen\nG-2,2026-01-05,1,1,Pen\n")
    assert counts(school.run("sales", path, *COLUMNS)) == [5, 2, 3, 0, 1350]


def test_sales_by_wallet(school, tmp_path):
    path = write(
        tmp_path / "wallet.csv",
        HEADER + "w-1,2026-01-05,12.50,1,Pen\nW-1,2026-01-06,1,1,Pen\nW-2,2026-01-07,3,1,Pen\n",
    )
    result = school.run("sales", path, *COLUMNS, "--tender", "wallet", "--prefund")
    assert (result.exit_code, counts(result)) == (0, [3, 3, 0, 0, 1650]), result.output
    assert (school.wallet("W-1"), school.wallet("W-2")) == (0, 0)
    statement = school.get("statements", account="W-1")
    assert [(line["effective_date"], line["amount"]) for line in statement["lines"]] == [
        ("2026-01-05", 1250),
        ("2026-01-05", -1250),
        ("2026-01-06", 100),
        ("2026-01-06", -100),
    ]
    assert counts(school.run("sales", path, *COLUMNS, "--tender", "wallet", "--prefund")) == [3, 0, 3, 0, 0]


def test_a_wallet_that_is_empty_rejects_its_rows(school, tmp_path):
    path = write(tmp_path / "empty.csv", HEADER + "E-1,2026-01-05,12.50,1,Pen\nE-2,2999-01-05,1,1,Pen\n")
    result = school.run("sales", path, *COLUMNS, "--tender", "wallet")
    assert (result.exit_code, counts(result)) == (3, [2, 0, 0, 2, 0])
    reasons = [row["reason"].split(":")[0] for row in rejected(tmp_path / "empty.csv")]
    assert reasons == ["insufficient_funds", "effective_date_in_future"]


PREFUNDED = ("--tender", "wallet", "--prefund")


def test_a_row_that_is_rejected_leaves_no_money_anywhere(school, tmp_path):
    path = write(
        tmp_path / "refused.csv",
        HEADER + 'R-1,2026-01-05,12.50,1,"Lunch\nand juice"\nR-1,2026-01-05,1,1,Lunch\tand juice\n'
        "R-2,2026-01-05,1,1000001,Pen\nR-3,2999-01-05,1,1,Pen\n",
    )
    till = school.balance("till_cash")
    result = school.run("sales", path, *COLUMNS, *PREFUNDED)
    assert (result.exit_code, counts(result)) == (3, [4, 0, 0, 4, 0]), result.output
    assert school.balance("till_cash") == till
    assert [school.http.get(f"wallets/R-{n}").status_code for n in (1, 2)] == [404, 404]
    assert school.wallet("R-3") == 0
    reasons = [row["reason"].partition(":")[0] for row in rejected(path)]
    assert reasons[2:] == ["quantity", "effective_date_in_future"]
    assert set(reasons[:2]) == {"description"}


def test_a_sale_that_is_refused_after_its_prefunding_says_so(school, tmp_path):
    path = write(tmp_path / "after.csv", HEADER + "P-1,2026-01-05,12.50,1,Pen\n")
    school.run("sales", path, *COLUMNS)
    result = school.run("sales", path, *COLUMNS, *PREFUNDED, "--again")
    assert (result.exit_code, counts(result)) == (3, [1, 0, 0, 1, 0]), result.output
    assert (summary(result)["rejected_after_prefund"], summary(result)["stranded_minor"]) == (1, 1250)
    assert rejected(path)[0]["reason"].startswith("prefunded 12.50, sale refused: idempotency_key_reused")
    told = school.run("sales", path, *COLUMNS, *PREFUNDED, "--again", words=True).stdout
    assert "read 1: posted 0 (0.00 KES), already there 0, rejected 1" in told
    assert "rejected after their wallet was prefunded: 1; 12.50 KES lie there" in told
    assert f"what was rejected, and why: {path}.rejected.csv" in told
    assert school.wallet("P-1") == 1250


def test_an_mpesa_statement(school, tmp_path):
    for account in ("M-1", "M-2"):
        body = {"account": account, "currency": "KES"}
        school.http.post(
            "wallets", json=body, headers={"Idempotency-Key": f"open-{account}-x"}
        ).raise_for_status()
    by_till = {"amount": 700, "currency": "KES", "source": {"type": "mpesa", "reference": "QA40001"}}
    key = {"Idempotency-Key": "at-the-till"}
    school.http.post("wallets/M-2/top-up", json=by_till, headers=key).raise_for_status()
    typed = {"amount": 900, "currency": "KES", "source": {"type": "mpesa", "reference": "QA50001"}}
    key = {"Idempotency-Key": "typed-wrongly"}
    school.http.post("wallets/M-1/top-up", json=typed, headers=key).raise_for_status()
    path = write(
        tmp_path / "statement.csv",
        "Organization,GREENHILL\n"
        "Receipt No.,Completion Time,Details,Transaction Status,Paid In,Withdrawn,Balance\n"
        'QA10001,2026-01-05 08:00:00,Pay Bill from 254700 - JANE DOE Acc. m-1,Completed,"1,500.00",,0\n'
        "QA20001,2026-01-05 08:00:00,Pay Bill from 254700 - JANE DOE Acc. 0712345678,Completed,100,,0\n"
        "QA30001,2026-01-05 08:00:00,Pay Bill from 254700 - JANE DOE Acc. M-1,Failed,100,,0\n"
        "QA40001,2026-01-05 08:00:00,Pay Bill from 254700 - JANE DOE Acc. M-2,Completed,7,,0\n"
        "QA50001,2026-01-05 08:00:00,Pay Bill from 254700 - JANE DOE Acc. M-2,Completed,90,,0\n"
        'QA10001,2026-01-05 08:00:00,Pay Bill from 254700 - JANE DOE Acc. M-1,Completed,"1,500.00",,0\n',
    )
    clearing = school.balance("mpesa_clearing")
    result = school.run("mpesa", path)
    assert (result.exit_code, counts(result)) == (3, [5, 1, 2, 2, 150000]), result.output
    assert school.balance("mpesa_clearing") - clearing == 150000
    assert (school.wallet("M-1"), school.wallet("M-2")) == (150900, 700)
    told = summary(result)
    assert (told["not_receipts"], told["not_receipts_by_reason"]) == (
        1,
        [{"reason": "not completed", "rows": 1}],
    )
    assert told["rejected_by_reason"] == [
        {"reason": "wallet_not_found", "rows": 1, "amount_minor": 10000},
        {"reason": "reference_already_used", "rows": 1, "amount_minor": 9000},
    ]
    assert [(row["line"], row["Receipt No."], row["reason"]) for row in rejected(path)] == [
        ("4", "QA20001", "wallet_not_found"),
        ("7", "QA50001", "reference_already_used: booked with 9.00 on M-1, the file says 90.00 on M-2"),
    ]
    assert counts(school.run("mpesa", path)) == [5, 0, 3, 2, 0]


def test_what_is_no_receipt_makes_no_failure(school, tmp_path):
    path = write(
        tmp_path / "charges.csv",
        "Receipt No.,Completion Time,Details,Transaction Status,Paid In,Withdrawn,Balance\n"
        "QB10001,2026-01-05 08:00:00,Pay Bill Charge,Completed,,-15.00,0\n,,,,,,\n"
        "QB10002,2026-01-05 08:00:00,Pay Bill from 254700 - JANE DOE Acc. M-1,Failed,100,,0\n",
    )
    result = school.run("mpesa", path)
    assert (result.exit_code, counts(result)) == (0, [0, 0, 0, 0, 0]), result.output
    assert (summary(result)["not_receipts"], summary(result)["blank"]) == (2, 1)
    told = school.run("mpesa", path, words=True).stdout
    assert "passed over: 1 blank row, 2 that are not receipts" in told
    assert "passed over 1: a provider's charge" in told


def test_how_a_file_is_read_is_told(school, tmp_path):
    path = write(tmp_path / "told.csv", "sep=;\nWho;Day;Total;Pieces;What\nH-1;2026-01-05;12,50;1;Pen\n")
    result = school.run("sales", path, *COLUMNS)
    assert (result.exit_code, counts(result)) == (0, [1, 1, 0, 0, 1250]), result.output
    assert summary(result)["file"] == {
        "encoding": "utf-8",
        "delimiter": ";",
        "sheet": None,
        "decimal": "comma",
        "header_line": 2,
    }
    told = school.run("sales", path, *COLUMNS, words=True).stderr
    assert f"{path}: utf-8, delimiter semicolon, decimal comma, header on line 2" in told
    refused = school.run("sales", path, *COLUMNS, "--decimal", "point")
    assert (refused.exit_code, counts(refused)) == (3, [1, 0, 0, 1, 0])


def test_a_mended_file_of_rejected_rows_is_imported(school, tmp_path):
    rows = "Q-1,2026-01-05,5,1,Pen\nQ-1,2026-31-01,5,1,Pen\nQ-1,2026-01-05,many,1,Pen\n"
    path = write(tmp_path / "mend.csv", HEADER + rows)
    result = school.run("sales", path, *COLUMNS)
    assert (result.exit_code, counts(result)) == (3, [3, 1, 0, 2, 500])
    assert summary(result)["rejected_by_reason"] == [
        {"reason": "the date is not an ISO date", "rows": 1, "amount_minor": 500},
        {"reason": "the amount is not a decimal to the cent", "rows": 1, "amount_minor": 0},
    ]
    mended = tmp_path / "mend.csv.rejected.csv"
    write(mended, mended.read_text().replace("2026-31-01", "2026-01-05").replace("many", "7.50"))
    result = school.run("sales", mended, *COLUMNS)
    assert (result.exit_code, counts(result)) == (0, [2, 2, 0, 0, 1250]), result.output
    assert counts(school.run("sales", mended, *COLUMNS)) == [2, 0, 2, 0, 0]


def test_what_the_service_refused_is_the_same_sale_in_either_file(school, tmp_path):
    path = write(tmp_path / "funds.csv", HEADER + "F-1,2026-01-05,5,1,Pen\n")
    assert counts(school.run("sales", path, *COLUMNS, "--tender", "wallet")) == [1, 0, 0, 1, 0]
    body = {"amount": 1000, "currency": "KES", "source": {"type": "cash"}}
    paid = school.http.post("wallets/F-1/top-up", json=body, headers={"Idempotency-Key": "funds-for-f-1"})
    paid.raise_for_status()
    rejections = tmp_path / "funds.csv.rejected.csv"
    assert counts(school.run("sales", rejections, *COLUMNS, "--tender", "wallet")) == [1, 1, 0, 0, 500]
    assert counts(school.run("sales", path, *COLUMNS, "--tender", "wallet")) == [1, 0, 1, 0, 0]
    assert school.wallet("F-1") == 500


def test_nothing_is_posted_where_rejected_rows_could_not_be_written(school, tmp_path):
    path = write(tmp_path / "shut.csv", HEADER + "K-1,2026-01-05,5,1,Pen\n")
    (tmp_path / "shut.csv.rejected.csv").mkdir()
    position = school.get("ping")["position"]
    result = school.run("sales", path, *COLUMNS)
    assert result.exit_code == 1
    assert "shut.csv.rejected.csv is a folder" in result.stderr
    assert school.get("ping")["position"] == position


def broken_off(school: School, path: Path, by: signal.Signals) -> tuple[int, str, str]:
    """Import a long file, and end it by a signal once rows are posted: exit code, output, errors."""
    before = school.balance("sales")
    command = [sys.executable, "-m", "ops.cli", "import", "sales", path, *COLUMNS, "--json"]
    importing = subprocess.Popen(
        [*command, "--url", school.url, "--key", school.key],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[3],
    )
    until(lambda: school.balance("sales") > before, "rows are posted")
    importing.send_signal(by)
    printed, errors = importing.communicate(timeout=60)
    return importing.returncode, printed, errors


def long_file(path: Path, prefix: str, rows: int) -> Path:
    return write(path, HEADER + "".join(f"{prefix}-{n % 500},2026-01-05,1,1,Pen\n" for n in range(rows)))


def test_ctrl_c_tells_what_was_done(school, tmp_path):
    path = long_file(tmp_path / "long.csv", "C", 40_000)
    before = school.balance("sales")
    code, printed, errors = broken_off(school, path, signal.SIGINT)
    assert code == 130, errors
    assert "Traceback" not in errors
    assert "Run it again" in errors
    told = json.loads(printed)
    assert 0 < told["posted"] < 40_000
    (record,) = imports_of(school, "long.csv")
    assert (record["posted"], record["finished"]) == (told["posted"], False)
    until(lambda: school.balance("sales") - before == told["total_minor"], "what was told is what was posted")


def test_an_import_that_was_killed_is_known_and_finished_by_the_next(school, tmp_path):
    path = long_file(tmp_path / "killed.csv", "KI", 20_000)
    broken_off(school, path, signal.SIGKILL)
    (record,) = imports_of(school, "killed.csv")
    assert (record["posted"], record["finished"]) == (0, False)
    renamed = write(tmp_path / "copy.csv", path.read_text())
    assert "this file was imported" in school.run("sales", renamed, *COLUMNS).stderr
    told = summary(school.run("sales", path, *COLUMNS))
    assert told["read"] == 20_000
    assert 0 < told["already_there"] < 20_000
    (finished,) = imports_of(school, "killed.csv")
    assert (finished["id"], finished["finished"], finished["read"]) == (record["id"], True, 20_000)


def test_a_disk_that_is_full_at_the_end_is_told_and_the_import_recorded(school, tmp_path, monkeypatch):
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    path = write(tmp_path / "full.csv", HEADER + "FD-1,2026-01-05,5,1,Pen\nFD-1,never,5,1,Pen\n")
    monkeypatch.setattr("ops.imports.run.write_rejections", full)
    result = school.run("sales", path, *COLUMNS)
    assert result.exit_code == 1
    assert "all is posted but what was rejected" in result.stderr
    assert "No space left on device" in result.stderr
    (record,) = imports_of(school, "full.csv")
    assert (record["posted"], record["rejected"], record["finished"]) == (1, 1, True)


# --- what would be done


def test_a_dry_run_tells_all_and_writes_nothing(school, tmp_path):
    body = {"account": "D-1", "currency": "KES"}
    school.http.post("wallets", json=body, headers={"Idempotency-Key": "open-D-1"}).raise_for_status()
    path = write(
        tmp_path / "dry.csv",
        HEADER
        + "D-1,2026-01-05,12.50,1,Pen\nD-2,2026-02-06,1,1,Pen\nD-2,2026-02-07,2,1,Pen\nD-3,2026-02-07,x,1,Pen\n"
        "D-4,2999-01-01,5,1,Pen\n,,,,\n",
    )
    position = school.get("ping")["position"]
    result = school.run("sales", path, *COLUMNS, "--tender", "wallet", "--dry-run")
    assert result.exit_code == 3, result.output
    assert json.loads(result.stdout) | {"file": None} == {
        "dry_run": True,
        "read": 5,
        "would_post": 3,
        "already_there": 0,
        "rejected": 2,
        "total_minor": 1550,
        "customers": 2,
        "months": [
            {"month": "2026-01", "rows": 1, "amount_minor": 1250},
            {"month": "2026-02", "rows": 2, "amount_minor": 300},
        ],
        "would_open": ["D-2"],
        "rejected_by_reason": [
            {"reason": "the amount is not a decimal to the cent", "rows": 1, "amount_minor": 0},
            {"reason": "effective_date_in_future", "rows": 1, "amount_minor": 500},
        ],
        "blank": 1,
        "not_receipts": 0,
        "not_receipts_by_reason": [],
        "file": None,
        "imported_before": [],
        "would_refuse": False,
        "key_lacks": None,
    }
    told = school.run("sales", path, *COLUMNS, "--tender", "wallet", "--dry-run", words=True).stdout
    assert "nothing is written. read 5: would post 3 (15.50 KES) of 2 customers, rejected 2" in told
    assert "2026-02: 2 rows, 3.00 KES" in told
    assert "wallets that would be opened, 1: D-2" in told
    assert "not known before it is posted: which rows are there already" in told
    assert school.get("ping")["position"] == position
    assert [each.name for each in tmp_path.iterdir()] == ["dry.csv"]


def test_a_dry_run_tells_what_dates_and_amounts_the_service_would_refuse(school, tmp_path):
    old = f"{date.fromisoformat(TODAY) - timedelta(days=20)}"
    lines = (
        f"DL-1,0026-01-05,1,1,Pen\nDL-1,1899-12-31,1,1,Pen\nDL-2,2020-01-05,1,1,Pen\nDL-2,2020-01-06,2,1,Pen\n"
        f"DL-3,{TODAY},200000000,1,Pen\nDL-3,{TODAY},2,1,Pen\nDL-4,{old},3,1,Pen\n"
    )
    path = write(tmp_path / "limits.csv", HEADER + lines)
    keys = json.loads(school.ready.read_text())["keys"]
    position = school.get("ping")["position"]
    for role, dated_back in (("admin", 0), ("cashier", 3)):
        school.key = keys[role]
        told = json.loads(school.run("sales", path, *COLUMNS, "--dry-run").stdout)
        reasons = {each["reason"]: each["rows"] for each in told["rejected_by_reason"]}
        assert reasons.pop("capability_missing", 0) == dated_back
        assert reasons == {"effective_date_too_early": 2, "amount_too_large": 1}
        assert (told["would_refuse"], told["would_post"]) == (False, 4 - dated_back)
    assert school.get("ping")["position"] == position
    school.key = keys["cashier"]
    posted = summary(school.run("sales", path, *COLUMNS))
    assert {each["reason"]: each["rows"] for each in posted["rejected_by_reason"]} == {
        "effective_date_too_early": 2,
        "amount_too_large": 1,
        "capability_missing": 3,
    }


def test_a_dry_run_by_a_key_that_may_not_post_says_so(school, tmp_path):
    path = write(tmp_path / "may-not.csv", HEADER + "MN-1,2020-01-05,1,1,Pen\n")
    school.key = json.loads(school.ready.read_text())["keys"]["auditor"]
    result = school.run("sales", path, *COLUMNS, "--dry-run")
    told = json.loads(result.stdout)
    assert result.exit_code == 3
    assert (told["would_refuse"], told["key_lacks"], told["would_post"]) == (True, "wallet.top_up", 1)
    words = school.run("sales", path, *COLUMNS, "--dry-run", words=True).stdout
    assert "the key may not post it: it lacks wallet.top_up" in words


def test_a_dry_run_of_a_statement_asks_of_dates_and_amounts(school, tmp_path):
    body = {"account": "TL-1", "currency": "KES"}
    school.http.post("wallets", json=body, headers={"Idempotency-Key": "open-TL-1"}).raise_for_status()
    row = "{},{} 08:00:00,Pay Bill from 254700 - JANE DOE Acc. TL-1,Completed,{},,0\n"
    path = write(
        tmp_path / "limits-statement.csv",
        "Receipt No.,Completion Time,Details,Transaction Status,Paid In,Withdrawn,Balance\n"
        + row.format("QL10001", "2026-01-05", "100")
        + row.format("QL10002", "2026-01-05", "200000000")
        + row.format("QL10003", "1969-12-31", "100")
        + row.format("QL10004", f"{date.fromisoformat(TODAY) - timedelta(days=20)}", "100"),
    )
    told = json.loads(school.run("mpesa", path, "--dry-run").stdout)
    assert told["would_post"] == 2
    assert {each["reason"] for each in told["rejected_by_reason"]} == {
        "amount_too_large",
        "effective_date_too_early",
    }
    for role, would_post in (("bursar", 1), ("cashier", 0)):
        school.key = school.new_key(role)
        told = json.loads(school.run("mpesa", path, "--dry-run").stdout)
        assert told["would_post"] == would_post


def test_a_dry_run_of_a_statement(school, tmp_path):
    body = {"account": "T-1", "currency": "KES"}
    school.http.post("wallets", json=body, headers={"Idempotency-Key": "open-T-1"}).raise_for_status()
    row = "{},2026-01-05 08:00:00,Pay Bill from 254700 - JANE DOE Acc. {},{},100,,0\n"
    path = write(
        tmp_path / "dry-statement.csv",
        "Receipt No.,Completion Time,Details,Transaction Status,Paid In,Withdrawn,Balance\n"
        + row.format("QT10001", "T-1", "Completed")
        + row.format("QT10002", "T-NOBODY", "Completed")
        + row.format("QT10003", "T-1", "Failed")
        + row.format("QT10001", "T-1", "Completed"),
    )
    result = school.run("mpesa", path, "--dry-run")
    told = json.loads(result.stdout)
    assert result.exit_code == 3
    assert (told["would_post"], told["already_there"], told["not_receipts"]) == (1, 1, 1)
    assert told["rejected_by_reason"] == [{"reason": "wallet_not_found", "rows": 1, "amount_minor": 10000}]
    assert school.wallet("T-1") == 0


# --- whose sale it is


def test_customers_become_ids_by_a_pattern(school, tmp_path):
    path = write(
        tmp_path / "pattern.csv",
        HEADER
        + f"ADM/2024/0045,2026-01-05,1,1,Pen\nJane,2026-01-05,1,1,Pen\n{'9' * 201},2026-01-05,1,1,Pen\n",
    )
    result = school.run("sales", path, *COLUMNS, "--customer-pattern", r"ADM/\d+/(.*)|\d+")
    assert (result.exit_code, counts(result)) == (3, [3, 1, 0, 2, 100]), result.output
    assert [row["reason"] for row in rejected(path)] == [
        "customer 'Jane' does not match --customer-pattern",
        f"customer '{'9' * 60}' is longer than 200 characters",
    ]


def test_customers_become_ids_by_a_table(school, tmp_path):
    table = write(tmp_path / "customers.csv", "Name;Wallet id\nJane  Doe;n-1\nJOHN DOE;N-2\n;\n")
    path = write(tmp_path / "names.csv", HEADER + "jane doe,2026-01-05,1,1,Pen\nJim Doe,2026-01-05,1,1,Pen\n")
    options = ("--tender", "wallet", "--prefund", "--customers", table)
    result = school.run("sales", path, *COLUMNS, *options)
    assert (result.exit_code, counts(result)) == (3, [2, 1, 0, 1, 100]), result.output
    assert rejected(path)[0]["reason"] == "customer 'Jim Doe' is not in the file of --customers"
    assert school.wallet("N-1") == 0


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Jane,N-1\nJANE,N-2\n", "two wallets for 'JANE', the second on line 2"),
        ("Jane,N-1\nJohn,\n", "line 2: customer '' is not an id"),
        ("Jane,N-1\n,N-2\n", "no customer and id on line 2"),
        ("Jane,N-1\nJohn,N-2,x\n", "no customer and id on line 2"),
        ("Jane\n", "has not two columns"),
        ("Name,Wallet id\n", "has no customers"),
    ],
)
def test_a_bad_table_of_customers_is_refused_before_anything(school, tmp_path, text, expected):
    path = write(tmp_path / "table.csv", HEADER + "Jane,2026-01-05,1,1,Pen\n")
    table = write(tmp_path / "customers.csv", text)
    position = school.get("ping")["position"]
    result = school.run("sales", path, *COLUMNS, "--customers", table)
    assert result.exit_code == 1
    assert expected in result.stderr
    assert school.get("ping")["position"] == position


def test_rows_without_a_customer_are_sold_to_nobody_where_that_is_allowed(school, tmp_path):
    path = write(
        tmp_path / "walk-in.csv",
        HEADER + ",2026-01-05,1,1,Pen\n,2026-01-05,1,1,Pen\nY-1,2026-01-05,1,1,Pen\n,2026-01-05,9,1,Total\n",
    )
    assert counts(school.run("sales", path, *COLUMNS)) == [4, 1, 0, 3, 100]
    sales = school.balance("sales")
    result = school.run("sales", path, *COLUMNS, "--allow-anonymous")
    assert (result.exit_code, counts(result)) == (3, [4, 2, 1, 1, 200]), result.output
    assert rejected(path)[0]["reason"] == "this row reads as the total of the rows above"
    assert school.balance("sales") - sales == 200


# --- what was imported before


def lines_of(prefix: str, count: int) -> str:
    return "".join(f"{prefix}-{n},2026-01-05,1.{n:02},1,Pen\n" for n in range(count))


def imports_of(school: School, source: str) -> list[dict[str, object]]:
    listed = CliRunner().invoke(app, ["import", "list", "--url", school.url, "--key", school.key, "--json"])
    assert listed.exit_code == 0
    return [each for each in json.loads(listed.stdout) if each["source"] == source]


def test_an_import_is_recorded_once_with_its_counts(school, tmp_path):
    path = write(tmp_path / "recorded.csv", HEADER + lines_of("RE", 3) + "RE-9,never,1,1,Pen\n")
    assert school.run("sales", path, *COLUMNS).exit_code == 3
    (record,) = imports_of(school, "recorded.csv")
    assert (record["read"], record["posted"], record["already_there"], record["rejected"]) == (4, 3, 0, 1)
    assert (record["name"], record["finished"]) == ("recorded.csv", True)
    assert record["sha256"] == sha256(path.read_bytes()).hexdigest()
    assert "sketch" not in record
    school.run("sales", path, *COLUMNS)
    assert len(imports_of(school, "recorded.csv")) == 1  # nothing was posted the second time
    listed = CliRunner().invoke(app, ["import", "list", "--url", school.url, "--key", school.key]).stdout
    assert "BEGUN (UTC)" in listed
    assert "recorded.csv" in listed


def test_a_file_under_another_name_is_refused_unless_again(school, tmp_path):
    path = write(tmp_path / "first.csv", HEADER + lines_of("AG", 10))
    assert counts(school.run("sales", path, *COLUMNS)) == [10, 10, 0, 0, 1045]
    renamed = write(tmp_path / "renamed.csv", path.read_text())
    rewritten = "Who;Day;Total;Pieces;What\n" + lines_of("AG", 11).replace(",", ";").replace("1.", "1,")
    shuffled = write(tmp_path / "shuffled.csv", rewritten)
    for other, what in ((renamed, "this file was"), (shuffled, "of its rows")):
        position = school.get("ping")["position"]
        result = school.run("sales", other, *COLUMNS)
        assert result.exit_code == 1
        assert what in result.stderr
        assert "from first.csv, under the source 'first.csv'" in result.stderr
        told = json.loads(school.run("sales", other, *COLUMNS, "--dry-run").stdout)
        assert told["would_refuse"] is True
        assert told["imported_before"][0]["source"] == "first.csv"
        assert school.get("ping")["position"] == position
    words = school.run("sales", renamed, *COLUMNS, "--dry-run", words=True)
    assert words.exit_code == 3
    assert "imported before: this file on" in words.stdout
    assert counts(school.run("sales", renamed, *COLUMNS, "--source", "first.csv")) == [10, 0, 10, 0, 0]
    assert counts(school.run("sales", shuffled, *COLUMNS, "--source", "first.csv")) == [11, 1, 10, 0, 110]
    assert counts(school.run("sales", renamed, *COLUMNS, "--again")) == [10, 10, 0, 0, 1045]


ITEMS = "Who,Day,Total,Pieces,What,Box\n" + "".join(
    f"OP-{n},{n:02}/02/2026,{n}.50,{n},Pen,{n}/26\n" for n in range(1, 13)
)
PLAIN = ("--customer", "Who", "--date", "Day", "--amount", "Total", "--date-format", "%d/%m/%Y")


@pytest.mark.parametrize(
    "options",
    [
        (*PLAIN, "--description", "What"),
        (*PLAIN, "--quantity", "Pieces"),
        (*PLAIN[:-1], "%m/%d/%Y"),
        (*PLAIN, "--customer-pattern", r"(OP)-\d+"),
        (*PLAIN, "--customers", "map.csv"),
        ("--customer", "Who", "--date", "Day", "--amount", "Pieces", "--date-format", "%d/%m/%Y"),
    ],
)
@pytest.mark.parametrize("grown", ["", "OP-13,13/02/2026,1,1,Pen,1/26\n"])
def test_a_file_is_refused_by_options_that_read_other_values(school, tmp_path, options, grown):
    """Its rows would have other keys, and be posted again."""
    prefix = f"O{hash((options, grown)) % 10**9}"
    path = write(tmp_path / f"{prefix}.csv", ITEMS.replace("OP", prefix))
    table = "".join(f"{prefix}-{n},M-{prefix}-{n}\n" for n in range(1, 14))
    options = [
        str(write(tmp_path / each, table)) if each == "map.csv" else each.replace("OP", prefix)
        for each in options
    ]
    assert counts(school.run("sales", path, *PLAIN))[:4] == [12, 12, 0, 0]
    write(path, ITEMS.replace("OP", prefix) + grown.replace("OP", prefix))
    position = school.get("ping")["position"]
    refused = school.run("sales", path, *options)
    assert refused.exit_code == 1, refused.output
    assert "and its rows were read otherwise" in refused.stderr
    assert (
        "give the options of then (--customer Who --date Day --amount Total --date-format" in refused.stderr
    )
    told = school.run("sales", path, *options, "--dry-run")
    assert told.exit_code == 3
    (before,) = json.loads(told.stdout)["imported_before"]
    assert before["differs"] == ["options"]
    assert school.get("ping")["position"] == position
    assert counts(school.run("sales", path, *PLAIN))[2] == 12
    assert counts(school.run("sales", path, *options, "--again"))[1] >= 10


def test_a_file_that_is_on_record_as_paid_otherwise_is_refused_before_it_opens_a_wallet(school, tmp_path):
    """Its rows keep their keys, and would all be refused; what is prefunded for them would stay."""
    path = write(tmp_path / "paid.csv", HEADER + lines_of("PD", 5).replace("2026-01-05", TODAY))
    assert counts(school.run("sales", path, *COLUMNS))[:2] == [5, 5]
    position = school.get("ping")["position"]
    for options in (("--tender", "bank"), ("--tender", "wallet", "--prefund")):
        refused = school.run("sales", path, *COLUMNS, *options)
        assert refused.exit_code == 1, refused.output
        assert "and its rows were read otherwise" in refused.stderr
    assert school.get("ping")["position"] == position


def test_a_file_is_refused_by_a_key_of_another_client(school, tmp_path):
    path = write(tmp_path / "client.csv", HEADER + lines_of("CL", 5).replace("2026-01-05", TODAY))
    assert counts(school.run("sales", path, *COLUMNS))[:2] == [5, 5]
    admin, school.key = school.key, json.loads(school.ready.read_text())["keys"]["cashier"]
    position = school.get("ping")["position"]
    refused = school.run("sales", path, *COLUMNS)
    assert refused.exit_code == 1
    assert "by the client 'ADMIN'" in refused.stderr
    assert "use a key of the client 'ADMIN'" in refused.stderr
    words = school.run("sales", path, *COLUMNS, "--dry-run", words=True)
    assert words.exit_code == 3
    assert "it would be refused, and else posted again" in words.stdout
    assert school.get("ping")["position"] == position
    assert counts(school.run("sales", path, *COLUMNS, "--again"))[:2] == [5, 5]
    school.key = admin
    (own,) = [each for each in imports_of(school, "client.csv") if each["client"] == "ADMIN"]
    assert own["options"].startswith("--customer Who --date Day --amount Total --quantity Pieces")


def test_a_table_of_customers_may_grow(school, tmp_path):
    path = write(tmp_path / "grows.csv", HEADER + lines_of("GT", 8))
    table = write(tmp_path / "grows-map.csv", "".join(f"GT-{n},GT-N-{n}\n" for n in range(5)))
    assert counts(school.run("sales", path, *COLUMNS, "--customers", table))[:4] == [8, 5, 0, 3]
    write(table, "".join(f"GT-{n},GT-N-{n}\n" for n in range(8)))
    assert counts(school.run("sales", path, *COLUMNS, "--customers", table))[:4] == [8, 3, 5, 0]


def test_rejected_rows_keep_their_keys_whatever_the_options(school, tmp_path):
    lines = lines_of("RO", 4) + "RO-8,2026-01-05,many,1,Pen\nRO-9,2026-01-05,1,x,Pen\n"
    path = write(tmp_path / "other-options.csv", HEADER + lines)
    assert counts(school.run("sales", path, *COLUMNS))[:4] == [6, 4, 0, 2]
    mended = tmp_path / "other-options.csv.rejected.csv"
    write(mended, mended.read_text().replace("many", "7.50"))
    assert counts(school.run("sales", mended, *COLUMNS[:6]))[:4] == [2, 2, 0, 0]
    assert counts(school.run("sales", mended, *COLUMNS[:6]))[:4] == [2, 0, 2, 0]


def test_equal_rows_with_receipts_of_their_own_are_no_copies(school, tmp_path):
    """Each pupil pays the same lunch at noon and again in the evening."""

    def export(name: str, receipt: str, pupils: range, separator: str = ",") -> Path:
        lines = [f"RF-{n},2026-01-05,50.00,Lunch,{receipt}{n:04}" for n in pupils]
        text = "\n".join(["Who,Day,Total,What,Receipt", *lines]).replace(",", separator)
        return write(tmp_path / name, text + "\n")

    options = ["--customer", "Who", "--date", "Day", "--amount", "Total", "--description", "What"]
    options += ["--reference", "Receipt", "--tender", "mpesa"]
    noon = export("noon.csv", "RFA", range(40))
    assert counts(school.run("sales", noon, *options)) == [40, 40, 0, 0, 200_000]
    evening = export("evening.csv", "RFB", range(40))
    assert counts(school.run("sales", evening, *options)) == [40, 40, 0, 0, 200_000]
    for copy in (noon.rename(tmp_path / "copy.csv"), export("other.csv", "rfb", range(39, 4, -1), ";")):
        result = school.run("sales", copy, *options)
        assert result.exit_code == 1
        assert "--again" in result.stderr


def test_a_key_that_may_not_record_an_import_posts_nothing(school, tmp_path):
    path = write(tmp_path / "auditor.csv", HEADER + lines_of("AU", 3))
    ready = json.loads(school.ready.read_text())
    school.key = ready["keys"]["auditor"]
    position = school.get("ping")["position"]
    result = school.run("sales", path, *COLUMNS)
    assert result.exit_code == 1
    assert "wallet.top_up" in result.stderr
    assert school.get("ping")["position"] == position


def test_statements_that_overlap_are_no_copies(school, tmp_path):
    body = {"account": "OV-1", "currency": "KES"}
    school.http.post("wallets", json=body, headers={"Idempotency-Key": "open-OV-1"}).raise_for_status()
    header = "Receipt No.,Completion Time,Details,Transaction Status,Paid In,Withdrawn,Balance\n"
    rows = [
        f"QV{n}0001,2026-01-05 08:00:00,Pay Bill from 254700 - JANE DOE Acc. OV-1,Completed,100,,0\n"
        for n in range(5)
    ]
    week = write(tmp_path / "week.csv", header + "".join(rows[:4]))
    month = write(tmp_path / "month.csv", header + "".join(rows))
    assert counts(school.run("mpesa", week)) == [4, 4, 0, 0, 40000]
    assert counts(school.run("mpesa", month)) == [5, 1, 4, 0, 10000]


def test_one_is_not_told_as_many(school, tmp_path):
    path = write(tmp_path / "one.csv", HEADER + "ONE-1,2026-01-05,12.50,1,Pen\n,,,,\n")
    told = school.run("sales", path, *COLUMNS, "--dry-run", words=True).stdout
    assert "of 1 customer, rejected 0" in told
    assert "2026-01: 1 row, 12.50 KES" in told
    assert "passed over: 1 blank row, 0 that are not receipts" in told


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("Name,Day,Total\nA,2026-01-05,1\n", "no column 'Who'"),
        (HEADER + 'A,2026-01-05,1,1,"x\n', "never closed"),
    ],
)
@pytest.mark.parametrize(
    "service", [["--url", "http://127.0.0.1:9", "--key", "bk_nobody"], ["--data", "nowhere"]]
)
def test_what_is_wrong_with_a_file_is_told_where_no_service_answers(tmp_path, text, why, service):
    path = write(tmp_path / "wrong.csv", text)
    result = CliRunner().invoke(app, ["import", "sales", str(path), *COLUMNS, *service])
    assert result.exit_code == 1
    assert why in result.stderr


def test_a_failure_is_one_line_and_exit_code_one(school, tmp_path):
    path = write(tmp_path / "x.csv", "Name,Day,Total\nA,2026-01-05,1\n")
    result = school.run("sales", path, *COLUMNS)
    assert result.exit_code == 1
    assert "no column 'Who'" in result.stderr
    school.key = "nobody's"
    assert school.run("sales", path, *COLUMNS).exit_code == 1


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--prefund"], "--prefund goes with --tender wallet"),
        (["--date-format", "DD/MM/YYYY"], "names no day"),
        (["--date-format", "%Q"], "names no day"),
        (["--tender", "barter"], "barter"),
        (["--tender", "mpesa"], "--tender mpesa needs --reference COLUMN"),
        (["--delimiter", "comma"], "--delimiter 'comma' is not one character"),
        (["--encoding", "base64"], "--encoding 'base64' is not one of a text"),
        (["--encoding", "klingon"], "--encoding 'klingon' is not one of a text"),
        (["--decimal", "both"], "both"),
        (["--allow-anonymous", "--tender", "wallet"], "--allow-anonymous does not go with"),
        (["--customer-pattern", "("], "--customer-pattern '('"),
        (["--customer-pattern", "A"], "has 0 groups, and needs one"),
        (["--customers", "nowhere.csv"], "nowhere.csv"),
    ],
)
def test_options_that_are_wrong(tmp_path, options, expected):
    path = write(tmp_path / "x.csv", HEADER)
    result = CliRunner().invoke(
        app, ["import", "sales", str(path), *COLUMNS, *options, "--url", "http://x", "--key", "y"]
    )
    assert result.exit_code == 2
    assert expected in result.output.replace("\n", " ")
