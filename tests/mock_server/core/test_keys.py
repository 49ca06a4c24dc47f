"""Whose key it is, told without keeping the key."""

from collections.abc import Mapping

import pytest

from contracts import catalogue
from mock_server.core.keys import KeyRing
from mock_server.core.model import Terms, VendorError
from mock_server.core.plans import Plan


def ring(
    behaviours: Mapping[str, str] | None = None, *, seed: int = 7, keys: Mapping[str, str] | None = None
) -> KeyRing:
    return KeyRing(Terms(catalogue.chosen(behaviours or {}), seed, Plan(), keys=keys or {}))


@pytest.mark.parametrize(
    ("authorization", "behaviours", "known"),
    [
        ("Bearer sk-a", {}, True),
        ("  Bearer sk-a  ", {}, True),
        ("Bearer  sk-a", {}, True),
        ("Bearer  sk-a", {"bearer-spaces": "refuse"}, False),
        ("sk-a", {}, False),
        ("sk-a", {"bearer-missing": "accept"}, True),
        ("Bearer", {"bearer-missing": "accept"}, False),
        ("Basic sk-a", {"bearer-missing": "accept"}, False),
        ("Bearer sk-人", {}, True),
        ("Bearer sk-\udce9", {}, True),
        ("Bearer a", {}, False),
    ],
)
def test_a_header_names_a_key_or_not(authorization: str, behaviours: dict[str, str], known: bool) -> None:
    if known:
        assert ring(behaviours).identify(authorization).account
        return
    with pytest.raises(VendorError) as refused:
        ring(behaviours).identify(authorization)
    assert (refused.value.reason, refused.value.rule) == ("invalid_api_key", "auth.key.invalid")


@pytest.mark.parametrize("authorization", [None, "", " "])
def test_a_header_may_be_missing(authorization: str | None) -> None:
    with pytest.raises(VendorError) as refused:
        ring().identify(authorization)
    assert (refused.value.reason, refused.value.rule) == ("no_api_key", "auth.key.missing")


def test_what_is_told_of_a_key_does_not_give_it_away() -> None:
    key = ring().identify("Bearer sk-secret")
    assert "secret" not in repr(key)
    assert key == ring().identify("bearer   sk-secret")
    assert key != ring(seed=8).identify("Bearer sk-secret"), "two servers cannot compare their accounts"


def test_keys_of_one_account_differ_in_their_id_alone() -> None:
    keys = {"sk-main": "acme", "sk-ram": "acme", "sk-lone": ""}
    main, ram, lone = (ring(keys=keys).identify(f"Bearer {key}") for key in keys)
    assert (main.account, main.account_number) == (ram.account, ram.account_number) == ("acme", main.account_number)
    assert main.id != ram.id
    assert lone.account not in ("acme", "", "sk-lone")
