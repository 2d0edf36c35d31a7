"""Tax codes."""

from api.operations.form import CommandForm, ReadForm
from api.operations.shared import event
from domain.capability import Capability
from domain.errors import Code
from projections.views.tax_codes import TaxCodes

_CHANGED = {
    "code": "E",
    "name": "VAT, reduced rate",
    "components": [
        {
            "name": "VAT",
            "authority_code": "E",
            "rate": "8",
            "role": "vat_payable",
            "from": "2018-09-21",
            "to": "2026-12-31",
        },
        {
            "name": "VAT",
            "authority_code": "E",
            "rate": "9.5",
            "role": "vat_payable",
            "from": "2027-01-01",
            "to": None,
        },
    ],
}

FORMS = (
    ReadForm(
        path="/tax-codes",
        id="list_tax_codes",
        tag="Point of sale",
        summary="List the tax codes",
        description="The codes that lines may name, each with the taxes that it bears and from when to when.",
        answer_type=TaxCodes,
        capabilities=(Capability.POS_SELL, Capability.INVOICE_CREATE, Capability.ACCOUNT_READ),
        answer={"data": [_CHANGED]},
    ),
    CommandForm(
        action="tax_code.set",
        path="/tax-codes/{tax_code}",
        method="PUT",
        id="set_tax_code",
        tag="Point of sale",
        summary="Change a tax code",
        codes=(Code.UNKNOWN_TAX_CODE, Code.UNKNOWN_TAX_ROLE, Code.EFFECTIVE_DATE_TOO_EARLY),
        request={
            "name": "VAT, reduced rate",
            "components": [{"name": "VAT", "authority_code": "E", "rate": "9.5", "role": "vat_payable"}],
            "from": "2027-01-01",
        },
        key="tax-code-E-2027",
        answer=_CHANGED,
        last_event=event(
            "tenant.tax_code_set", "tenant", **_CHANGED, recorded_at="2026-11-22T09:30:00.123456Z"
        ),
    ),
)
