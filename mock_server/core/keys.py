"""Whose request this is: from an ``Authorization`` header to an account. The key itself is never written down."""

from __future__ import annotations

import hashlib
import re
from functools import lru_cache

from mock_server.core.model import ApiKey, Terms, VendorError
from mock_server.core.scenarios import scenario_of_key

_CREDENTIALS = re.compile(r"(?:(bearer)( +))?(\S+)", re.IGNORECASE)


class KeyRing:
    """Knows the keys of ``terms`` and tells the account of each request."""

    def __init__(self, terms: Terms) -> None:
        self._terms = terms
        self._secret = f"facechain-mock:{terms.seed}".encode()
        self.identify = lru_cache(maxsize=1024)(self._identify)
        self.number = lru_cache(maxsize=1024)(self._number)

    def _identify(self, authorization: str | None) -> ApiKey:
        """The key behind the header's text. Raises VendorError (401) and says what is wrong with it."""
        if not authorization or not authorization.strip():
            raise VendorError(
                "no_api_key",
                rule="auth.key.missing",
                place="header Authorization",
                problem="is missing; send 'Authorization: Bearer sk-...'",
            )
        match = _CREDENTIALS.fullmatch(authorization.strip())
        if match is None:
            raise _invalid("is not of the form 'Bearer <key>'")
        scheme, spaces, key = match.groups()
        if scheme is None and self._terms.behaviours["bearer-missing"] == "refuse":
            raise _invalid("lacks the word Bearer before the key")
        if spaces and len(spaces) > 1 and self._terms.behaviours["bearer-spaces"] == "refuse":
            raise _invalid("has more than one space after Bearer")
        account = self._account(key)
        scenario = scenario_of_key(key, is_known=key in self._terms.keys)
        return ApiKey(account, self.digest(key, digits=True), self.digest(account, digits=True), scenario)

    def _number(self, authorization: str) -> str | None:
        """Six digits that tell one credential from another, also one that is refused."""
        word = authorization.strip().rpartition(" ")[2]
        return self.digest(word, digits=True) if word else None

    def _account(self, key: str) -> str:
        if self._terms.keys:
            if key not in self._terms.keys:
                raise _invalid("holds a key that is none of the configured ones")
            return self._terms.keys[key] or self.digest(key)
        if not key.startswith("sk-") or key == "sk-":
            raise _invalid("holds a key that does not begin with sk-; any sk-<word> is accepted here")
        return self.digest(key)

    def digest(self, text: str, *, digits: bool = False) -> str:
        """A short name for ``text`` that does not give it away: 12 hex characters, or 6 digits."""
        found = hashlib.blake2s(
            text.encode("utf-8", "surrogateescape"), key=self._secret[:32], digest_size=6
        ).hexdigest()
        return f"{int(found, 16) % 900_000 + 100_000}" if digits else found


def _invalid(problem: str) -> VendorError:
    return VendorError("invalid_api_key", rule="auth.key.invalid", place="header Authorization", problem=problem)
