"""What can be chosen: by flag, else environment variable, else file, else default."""

from __future__ import annotations

import os
import re
import secrets
import sys
from collections.abc import Callable, Mapping, Sequence, Set
from contextlib import suppress
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from contracts import catalogue
from mock_server.core.faults import Fault, fault_from_json
from mock_server.core.model import LOOPBACK_NAMES
from mock_server.core.plans import Plan, plan_from_json

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ENVIRONMENT_PREFIX = "FACECHAIN_MOCK_"
CONFIG_FILE = "facechain-mock.toml"
_ORIGIN = re.compile(r"https?://(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:]+\])(?::\d{1,5})?")
_EVENT_URL = re.compile(r"[!-\[\]-~]+")
"""Printable ASCII without a backslash, before and behind which clients see different hosts."""

_ACCOUNT = re.compile(r"[A-Za-z0-9._-]{1,64}")


@dataclass(frozen=True)
class Settings:
    """How to run the server. Every field has a flag, an environment variable and a key in the file."""

    host: str = "127.0.0.1"
    port: int = 8790
    profile: str = "calm"
    scenario: str | None = None
    speed: float = 1.0
    seed: int = field(default_factory=lambda: secrets.randbelow(1_000_000_000))
    limits: str = "documented"
    behaviour: Mapping[str, str] = field(default_factory=dict)
    api_key: Mapping[str, str] = field(default_factory=dict)
    workspace: tuple[str, ...] = ()
    public_base_url: str | None = None
    allow_host: tuple[str, ...] = ()
    resource: tuple[str, ...] = ()
    assets: str | None = None
    unknown_images: str = "accept"
    event_url: str | None = None
    allow_event_host: tuple[str, ...] = ()
    admin_token: str | None = None
    ready_file: str | None = None
    log: str = "text"
    front: str = "on"

    def __post_init__(self) -> None:
        """Raises ValueError that names the setting, what it is and what it may be."""
        _one_of("profile", self.profile, catalogue.profiles())
        if self.scenario is not None:
            catalogue.scenario(self.scenario)
        _one_of("limits", self.limits, ("documented", "off"))
        _one_of("log", self.log, ("text", "json", "off"))
        _one_of("front", self.front, ("on", "off"))
        _one_of("unknown-images", self.unknown_images, ("accept", "refuse"))
        catalogue.chosen(self.behaviour)
        if not 0 <= self.port <= 65_535:
            raise ValueError(f"port is {self.port}; it is a number from 0 (any free one) to 65535")
        if not 0.001 <= self.speed <= 1_000_000:
            raise ValueError(f"speed is {self.speed}; it is from 0.001 to 1000000")
        if self.public_base_url and not _ORIGIN.fullmatch(self.public_base_url):
            raise ValueError(f"public-base-url is {self.public_base_url!r}; it looks like http://host:port")
        if self.event_url is not None:
            _require_event_url(self.event_url, LOOPBACK_NAMES | {name.lower() for name in self.allow_event_host})
        for account in self.api_key.values():
            if account and not _ACCOUNT.fullmatch(account):
                raise ValueError("an account of api-key is not 1 to 64 letters, digits, dots, dashes or underscores")
        if self.host not in LOOPBACK_NAMES and not self.admin_token:
            raise ValueError(
                f"host is {self.host}, which other machines may reach: choose an --admin-token first, "
                "or stay on 127.0.0.1"
            )

    @property
    def plan(self) -> Plan:
        """How a portrait goes when nobody chose a plan for it."""
        return plan_from_json(catalogue.profiles()[self.profile].plan, Plan())

    @property
    def training(self) -> Plan:
        """How a training goes when nobody chose a plan for it."""
        return plan_from_json(catalogue.profiles()[self.profile].training, Plan())

    @property
    def faults(self) -> tuple[Fault, ...]:
        """The faults that the profile puts in."""
        return tuple(fault_from_json(row) for row in catalogue.profiles()[self.profile].faults)


def read_settings(
    flags: Mapping[str, Any], environment: Mapping[str, str] | None = None, folder: Path | None = None
) -> Settings:
    """Settings from flags (by field name; None means not given), environment, file and defaults.

    Raises ValueError that names the place and the nearest known setting.
    """
    environment = os.environ if environment is None else environment
    chosen = _from_file(flags.get("config") or environment.get(ENVIRONMENT_PREFIX + "CONFIG"), folder or Path.cwd())
    chosen |= _from_environment(environment)
    chosen |= {name: value for name, value in flags.items() if value is not None and name != "config"}
    return Settings(**{name: _read(name, value) for name, value in chosen.items()})


def _read(name: str, value: Any) -> Any:
    try:
        return _READERS.get(name, str)(value)
    except ValueError as error:
        raise ValueError(f"{name.replace('_', '-')} is {value!r}; it is {error}") from None


def _from_environment(environment: Mapping[str, str]) -> dict[str, Any]:
    known = {ENVIRONMENT_PREFIX + name.upper() for name in (*names(), "config")}
    for variable in environment:
        if variable.startswith(ENVIRONMENT_PREFIX) and variable not in known:
            raise ValueError(f"unknown variable {variable}; {catalogue.hint(variable, known)}")
    found = {}
    for name in names():
        value = environment.get(ENVIRONMENT_PREFIX + name.upper())
        if value is not None:
            found[name] = [each for each in value.split(",") if each.strip()] if name in _LISTS else value
    return found


def _from_file(path: str | None, folder: Path) -> dict[str, Any]:
    if path is not None:
        return _checked(_read_toml(Path(path)), path)
    own, project = folder / CONFIG_FILE, folder / "pyproject.toml"
    if own.is_file():
        return _checked(_read_toml(own), CONFIG_FILE)
    if project.is_file():
        table = _read_toml(project).get("tool", {}).get("facechain-mock", {})
        return _checked(table, "[tool.facechain-mock] of pyproject.toml")
    return {}


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(f"cannot read {path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not TOML: {error}") from error


def _checked(table: Mapping[str, Any], place: str) -> dict[str, Any]:
    known = {name.replace("_", "-"): name for name in names()}
    for key in table:
        if key not in known:
            raise ValueError(f"{place} has an unknown setting {key!r}; {catalogue.hint(key, known)}")
    return {known[key]: value for key, value in table.items()}


def names() -> list[str]:
    """The names of all settings, as the fields spell them."""
    return [each.name for each in fields(Settings)]


def _require_event_url(url: str, hosts: Set[str]) -> None:
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        is_name = host != "" and ("[" in parts.netloc) is (":" in host)  # before 3.11 brackets may hold anything
        is_sound = parts.scheme in ("http", "https") and is_name and (parts.port is None or parts.port > 0)
    except ValueError:
        is_sound, host = False, ""
    if not is_sound or not _EVENT_URL.fullmatch(url):
        raise ValueError(f"event-url is {url!r}; it looks like http://127.0.0.1:9000/events")
    if host not in hosts:
        raise ValueError(
            f"event-url is {url!r}, which lies on another machine; allow it with --allow-event-host {host}, "
            "or stay on 127.0.0.1"
        )


def _one_of(name: str, value: str, choices: Sequence[str] | Mapping[str, Any]) -> None:
    if value not in choices:
        raise ValueError(f"{name} is {value!r}; it is one of {', '.join(choices)}")


def _whole(value: Any) -> int:
    if isinstance(value, int | str) and not isinstance(value, bool) and re.fullmatch(r"-?\d{1,18}", str(value)):
        return int(value)
    raise ValueError("a whole number")


def _number(value: Any) -> float:
    if isinstance(value, int | float | str) and not isinstance(value, bool):
        with suppress(ValueError, OverflowError):
            return float(value)
    raise ValueError("a number")


def _pairs(value: Any) -> dict[str, str]:
    """``{"id": "choice"}``, or a list of ``"id=choice"``; a key alone is an account of its own."""
    if isinstance(value, Mapping):
        return {str(name): str(choice) for name, choice in value.items()}
    if not isinstance(value, Sequence) or isinstance(value, str):
        raise ValueError("a table, or a list of name=value")
    pairs = {}
    for entry in value:
        name, _, choice = str(entry).partition("=")
        pairs[name.strip()] = choice.strip()
    return pairs


def _names(value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        return (value,)
    if not isinstance(value, Sequence):
        raise ValueError("a list of names")
    return tuple(str(each).strip() for each in value)


_LISTS = frozenset({"behaviour", "api_key", "workspace", "allow_host", "resource", "allow_event_host"})
_READERS: dict[str, Callable[[Any], Any]] = {
    "port": _whole,
    "speed": _number,
    "seed": _whole,
    "behaviour": _pairs,
    "api_key": _pairs,
    "workspace": _names,
    "allow_host": _names,
    "resource": _names,
    "allow_event_host": _names,
}
