"""Why a document is not in QuickBooks yet, and what to do about it: a new reason is one line here.

It stands below both the exporter, which finds the reasons, and the read that tells them.
"""

from enum import StrEnum
from typing import Self


class ExportReason(StrEnum):
    """A stable code; none is ever renamed. `remedy` is what a person does, in an accountant's words."""

    remedy: str

    def __new__(cls, value: str, remedy: str) -> Self:
        reason = str.__new__(cls, value)
        reason._value_ = value
        reason.remedy = remedy
        return reason

    # fmt: off
    # --- it waits by itself

    WAITS_FOR_DOCUMENT = "waits_for_document", "Nothing to do here: see to the document that it waits for; this one follows it."
    ANSWER_LOST = "answer_lost", "Nothing to do: it is sent again or looked for until QuickBooks answers."

    # --- somebody has to mend something in QuickBooks or the ledger, and to export again

    CLOSED_PERIOD = "closed_period", "Open the period in QuickBooks (Account and settings > Advanced > Accounting > Close the books), then export again."
    SIGN_IN = "sign_in", "Give the exporter a new access token of the company; it then goes on by itself."
    CUSTOMER_INACTIVE = "customer_inactive", "In QuickBooks make the customer active again (Sales > Customers > include inactive > Make active) or rename it, then export again."
    ACCOUNT_INACTIVE = "account_inactive", "In QuickBooks make the account active again (Settings > Chart of accounts > include inactive > Make active), then export again."
    ITEM_INACTIVE = "item_inactive", "In QuickBooks make the item active again (Sales > Products and services > Inactive > Make active), then export again."
    REFERENCE_INACTIVE = "reference_inactive", "In QuickBooks find which customer, item or account of the document is inactive, make it active again, then export again."
    REFERENCE_MISSING = "reference_missing", "In QuickBooks bring back the customer, item or account that the document names, then export again."
    ROLE_WITHOUT_ACCOUNT = "role_without_account", "In the ledger open an account for the role and map it, then export again."
    ITEM_ON_OTHER_ACCOUNT = "item_on_other_account", "In QuickBooks set the item's income account to the one of that number, or rename the item, then export again."
    NAME_TAKEN = "name_taken", "In QuickBooks rename the vendor, employee or other entry that has this name, then export again."
    NAME_REFUSED = "name_refused", "Mend in QuickBooks what it refuses the name for, then export again."

    # --- it is dead until a person has had it tried again

    NUMBER_TAKEN = "number_taken", "Compare with the document of this number in QuickBooks: renumber or void that one, then have this one tried again."
    LINK_REFUSED = "link_refused", "In QuickBooks compare the customer and the open balance of what it is to be applied to, mend them, then have it tried again."
    REFUSED = "refused", "Mend in QuickBooks what it refuses, then have it tried again."
    REFUSED_TOO_OFTEN = "refused_too_often", "QuickBooks failed on it again and again: look there for its number, and if it is not there have it tried again."
    # fmt: on
