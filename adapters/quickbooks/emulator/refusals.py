"""The refusals of QuickBooks Online, in Intuit's shape.

Codes and wording follow Intuit's published list of error codes; where that list gives no wording for a case
the code is Intuit's and the detail is ours.
"""

from typing import Any

Body = dict[str, Any]


class Refusal(Exception):  # noqa: N818 - a refusal is an answer of the service, not an error of the program
    """A request that QuickBooks would refuse: it becomes a `Fault` and leaves nothing behind."""

    def __init__(
        self, code: str, message: str, detail: str, *, status: int = 400, fault_type: str = "ValidationFault"
    ) -> None:
        super().__init__(f"{code} {message}: {detail}")
        self.code = code
        self.message = message
        self.detail = detail
        self.status = status
        self.fault_type = fault_type

    def fault(self) -> Body:
        """The value of the key `Fault` of an answer or of an item of a batch."""
        error = {"Message": self.message, "Detail": self.detail, "code": self.code, "element": ""}
        return {"Error": [error], "type": self.fault_type}


def unauthenticated(detail: str) -> Refusal:
    message = "message=AuthenticationFailed; errorCode=003200; statusCode=401"
    return Refusal("3200", message, detail, status=401, fault_type="AuthenticationFault")


def unknown_company(realm: str) -> Refusal:
    message = "message=ApplicationAuthorizationFailed; errorCode=003100; statusCode=403"
    detail = f"The token gives no access to company {realm}"
    return Refusal("3100", message, detail, status=403, fault_type="AuthorizationFault")


def unsupported(detail: str) -> Refusal:
    return Refusal("500", "Unsupported Operation", detail)


def invalid_property(detail: str) -> Refusal:
    return Refusal("2010", "Request has invalid or unsupported property", detail)


def missing(name: str) -> Refusal:
    message = "Required param missing, need to supply the required value for the API"
    return Refusal("2020", message, f"Required parameter {name} is missing in the request")


def too_long(name: str, limit: int, length: int) -> Refusal:
    message = "String length is either shorter or longer than supported by specification"
    return Refusal("2050", message, f"{name} takes at most {limit} characters, {length} were supplied")


def invalid_number(name: str, value: object) -> Refusal:
    return Refusal("2090", "Invalid Number", f"{name} is not a valid amount: {value!r}")


def invalid_enumeration(name: str, value: object) -> Refusal:
    return Refusal("2170", "Invalid Enumeration", f"{name} does not take the value {value!r}")


def invalid_reference(name: str, value: object) -> Refusal:
    return Refusal(
        "2500", "Invalid Reference Id", f"Invalid Reference Id : {name} element id {value} not found"
    )


def query_error(detail: str) -> Refusal:
    return Refusal("4000", "Error parsing query", f"QueryParserError: {detail}")


def unknown_query_property(kind: str, name: str) -> Refusal:
    return Refusal(
        "4001", "Invalid query", f"QueryValidationError: Property {name} not found for Entity {kind}"
    )


def stale() -> Refusal:
    detail = "Stale Object Error : You and someone else were working on this at the same time."
    return Refusal("5010", "Stale Object Error", detail)


def business(detail: str) -> Refusal:
    message = "A business validation error has occurred while processing your request"
    return Refusal("6000", message, f"Business Validation Error: {detail}")


def wrong_amount(supplied: object) -> Refusal:
    detail = f"Amount is not equal to UnitPrice * Qty. Supplied value:{supplied}"
    return Refusal("6070", "Amount calculation incorrect in the request", detail)


def not_found(detail: str) -> Refusal:
    return Refusal("610", "Object Not Found", f"Object Not Found : {detail}")


def cannot_link(detail: str) -> Refusal:
    return Refusal("620", "Transaction cannot be linked", detail)


def duplicate_number(detail: str) -> Refusal:
    message = "Duplicate Document Number Error"
    return Refusal("6140", message, f"{message} : This number has already been used. {detail}")


def closed_period(detail: str) -> Refusal:
    return Refusal("6210", "Account Period Closed, Cannot Update Through Services Error", detail)


def duplicate_name(detail: str) -> Refusal:
    return Refusal("6240", "Duplicate Name Exists Error", f"The name supplied already exists. : {detail}")
