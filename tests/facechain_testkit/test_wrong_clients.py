"""Clients that are wrong on purpose, each caught by the finding that names its defect."""

from __future__ import annotations

import ast

import pytest

from contracts import catalogue
from docs import generate
from tests.wrong_clients.catch import FOLDER, OURS, WrongClient, caught, clients

CLIENTS = clients()


@pytest.mark.breaks_contract
@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.name)
def test_a_wrong_client_is_caught_at_its_defect_and_at_nothing_else(client: WrongClient) -> None:
    found = {finding.id for finding in caught(client).findings}
    assert found == {client.finding, *client.also}
    grave = {name for name in found if catalogue.advice()[name].level == "must"}
    assert grave <= {client.finding}


def test_every_piece_of_advice_has_a_client_that_needs_it() -> None:
    assert {client.finding for client in CLIENTS} == set(catalogue.advice())


def test_every_library_is_among_them() -> None:
    assert {client.library for client in CLIENTS} == {"requests", "httpx", "aiohttp"}


@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.name)
def test_a_client_is_small_and_does_not_know_the_kit(client: WrongClient) -> None:
    text = (FOLDER / f"{client.name}.py").read_text(encoding="utf-8")
    assert client.name not in OURS
    assert len(text.splitlines()) <= 45
    imported = {
        name
        for node in ast.walk(ast.parse(text))
        for name in (
            [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else [each.name for each in node.names]
            if isinstance(node, ast.Import)
            else []
        )
    }
    assert not {name for name in imported if name.startswith(("facechain_testkit", "mock_server", "contracts"))}


@pytest.mark.breaks_contract
def test_the_page_is_as_the_run_makes_it() -> None:
    page = generate.ROOT / "docs" / "wrong-clients.md"
    assert page.read_text(encoding="utf-8") == generate.wrong_clients_page(), "run python docs/generate.py"
