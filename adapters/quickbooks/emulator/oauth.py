"""Enough of Intuit's OAuth 2 for intuit-oauth: discovery, an authorisation that needs no person, token, revoke.

Any client id and secret are taken. Each refresh gives a new refresh token, and the old one dies at once;
Intuit's own changes about daily.
"""

import secrets
from collections.abc import Mapping
from urllib.parse import urlencode

from adapters.quickbooks.emulator import statements
from adapters.quickbooks.emulator.refusals import Body
from adapters.quickbooks.emulator.store import Store, companies, now_ms

ACCESS_SECONDS = 3600
REFRESH_SECONDS = 100 * 86_400
CODE_SECONDS = 600


class OAuthError(Exception):
    """An `error` of RFC 6749, such as invalid_grant."""

    def __init__(self, error: str, *, status: int = 400) -> None:
        super().__init__(error)
        self.error = error
        self.status = status


def discovery(base: str) -> Body:
    """The discovery document of the server at `base`, such as http://127.0.0.1:9000."""
    return {
        "issuer": base,
        "authorization_endpoint": f"{base}/connect/oauth2",
        "token_endpoint": f"{base}/oauth2/v1/tokens/bearer",
        "userinfo_endpoint": f"{base}/v1/openid_connect/userinfo",
        "revocation_endpoint": f"{base}/v2/oauth2/tokens/revoke",
        "jwks_uri": f"{base}/op/v1/jwks",
        "response_types_supported": ["code"],
        "scopes_supported": ["com.intuit.quickbooks.accounting"],
        "token_endpoint_auth_methods_supported": ["client_secret_basic"],
    }


def authorise(store: Store, params: Mapping[str, str]) -> str:
    """The address that the browser is sent back to, with a code, for `realmId` or the first company there is."""
    target = params.get("redirect_uri")
    if params.get("response_type") != "code" or not target:
        raise OAuthError("invalid_request")
    realms = [company.realm for company in companies(store)]
    realm = params.get("realmId") or (realms[0] if realms else None)
    if realm not in realms:
        raise OAuthError("access_denied")
    code = _issue(store, "code", secrets.token_hex(8), CODE_SECONDS)
    mark = "&" if "?" in target else "?"
    return f"{target}{mark}{urlencode({'code': code, 'state': params.get('state', ''), 'realmId': realm})}"


def tokens(store: Store, authorization: str, form: Mapping[str, str]) -> Body:
    """A new pair of tokens for a code or for a refresh token, which dies by it. Raises OAuthError."""
    _need_client(authorization)
    match form.get("grant_type"):
        case "authorization_code":
            use, given = "code", form.get("code", "")
        case "refresh_token":
            use, given = "refresh", form.get("refresh_token", "")
        case _:
            raise OAuthError("unsupported_grant_type")
    found = store.row(statements.SELECT_TOKEN, given, use, now_ms())
    if found is None:
        raise OAuthError("invalid_grant")
    store.run(statements.DELETE_TOKEN, given)
    family = str(found[0])
    return {
        "token_type": "bearer",
        "access_token": _issue(store, "access", family, ACCESS_SECONDS),
        "expires_in": ACCESS_SECONDS,
        "refresh_token": _issue(store, "refresh", family, REFRESH_SECONDS),
        "x_refresh_token_expires_in": REFRESH_SECONDS,
    }


def revoke(store: Store, authorization: str, token: str) -> None:
    """Ends the token and all that came of the same authorisation. Raises OAuthError."""
    _need_client(authorization)
    if not token:
        raise OAuthError("invalid_request")
    store.run(statements.DELETE_FAMILY, token)


def _need_client(authorization: str) -> None:
    if not authorization.startswith("Basic "):
        raise OAuthError("invalid_client", status=401)


def _issue(store: Store, use: str, family: str, seconds: int) -> str:
    value = secrets.token_urlsafe(32)
    store.run(statements.INSERT_TOKEN, value, use, family, now_ms() + seconds * 1000)
    return value
