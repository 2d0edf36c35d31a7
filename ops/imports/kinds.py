"""The kinds of files that are imported: of each what `run` must know, from its options."""

import msgspec

from domain.tender import TenderType
from ops.imports.customers import Customers
from ops.imports.mpesa_statement import CURRENCY, SOURCE, StatementColumns, receipts
from ops.imports.reading import Table
from ops.imports.rows import Entry
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

    return Kind(columns=columns, passes=passes, source=source)


def statement_kind(account_column: str | None) -> Kind:
    """M-Pesa statements, whose accounts stand in a column of that name where one is named."""
    columns = StatementColumns(account_column=account_column)

    def passes(table: Table, _: School) -> Passes:
        repeated: list[Entry] = []
        return receipts(table, columns, repeated=repeated), repeated

    return Kind(columns=columns, passes=passes, source=SOURCE, currency=CURRENCY)
