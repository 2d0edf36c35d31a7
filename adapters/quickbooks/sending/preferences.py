"""What a company's preferences must be before anything is posted, and where a person mends them."""

from adapters.quickbooks.api.client import Preferences


def wrong_preference(preferences: Preferences, *, currency: str, taxed: bool) -> str | None:
    """Why nothing may be posted with these preferences, and where to click; None if all is well."""
    if preferences.auto_apply_credit:
        return (
            "QuickBooks would use up credit memos by itself. Turn off Account and settings > Advanced >"
            " Automation > Automatically apply credits."
        )
    if not preferences.custom_numbers:
        return (
            "QuickBooks would take the same number twice. Turn on Account and settings > Sales > Sales form"
            " content > Custom transaction numbers."
        )
    if preferences.home_currency != currency:
        return (
            f"The company's home currency is {preferences.home_currency}, the ledger's is {currency}."
            " Connect the company of this school (Account and settings > Advanced > Currency)."
        )
    if preferences.uses_sales_tax and not taxed:
        return (
            "Sales tax is set up in this company, and documents without tax codes would be refused."
            " Turn it off under Taxes > Sales tax settings, or connect another company."
        )
    if taxed and not preferences.uses_sales_tax:
        return (
            "Sales tax is not set up in this company, and the school is registered for tax."
            " Set it up under Taxes > Set up sales tax, or connect another company."
        )
    return None
