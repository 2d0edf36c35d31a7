"""The kinds of files that are imported: of each what `run` must know, from its options."""

import shlex

import msgspec

from domain.tender import TenderType
from ops.imports.customers import Customers
from ops.imports.mpesa_statement import CURRENCY, SOURCE, StatementColumns, receipts
from ops.imports.reading import Table
from ops.imports.rows import Entry, hash_of
from ops.imports.run import Kind, Passes, School
from ops.imports.sales_file import SalesColumns, SalesOptions, sales


def sales_kind(
    columns: SalesColumns,
    *,
    source: str,
    customers: Customers,
    date_format: str | None,
    tender: TenderType,
    prefund: bool,
) -> Kind:
    """Files of sales; their options are those of `SalesOptions`."""

    def passes(table: Table, school: School) -> Passes:
        options = SalesOptions(
            **msgspec.structs.asdict(columns),
            source=source,
            customers=customers,
            date_format=date_format,
            tender=tender,
            prefund=prefund,
            currency=school.currency,
            time_zone=school.time_zone,
        )
        return (sales(table, options),)

    typed = _typed(columns, customers, date_format)
    return Kind(columns=columns, passes=passes, source=source, options=typed)


def _typed(columns: SalesColumns, customers: Customers, date_format: str | None) -> str:
    """The options that decide what is read of a row, as they are typed; of a table of customers its hash."""
    table = None if customers.wallet_ids is None else f"FILE:{hash_of(*sorted(customers.wallet_ids.items()))}"
    options = {
        "customer": columns.customer,
        "date": columns.date,
        "amount": columns.amount,
        "quantity": columns.quantity,
        "description": columns.description,
        "date-format": date_format,
        "customer-pattern": customers.pattern and customers.pattern.pattern,
        "customers": table,
    }
    return " ".join(f"--{name} {shlex.quote(value)}" for name, value in options.items() if value is not None)


def statement_kind(account_column: str | None) -> Kind:
    """M-Pesa statements, whose accounts stand in a column of that name where one is named."""
    columns = StatementColumns(account_column=account_column)

    def passes(table: Table, _: School) -> Passes:
        repeated: list[Entry] = []
        return receipts(table, columns, repeated=repeated), repeated

    typed = "" if account_column is None else f"--account-column {shlex.quote(account_column)}"
    return Kind(
        columns=columns, passes=passes, source=SOURCE, options=typed, currency=CURRENCY, by_receipt=True
    )
