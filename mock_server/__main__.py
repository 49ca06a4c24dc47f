"""The command ``facechain-mock``."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from mock_server.serving import Server
    from mock_server.settings import Settings


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code: 0 well, 2 could not run."""
    parser = _parser()
    flags = parser.parse_args(arguments)
    try:
        code = _COMMANDS[flags.command](flags)
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # so that the flush at exit is quiet too
        return 0
    except (ValueError, OSError) as error:
        text = error.strerror if isinstance(error, OSError) and error.strerror and not error.filename else error
        print(f"facechain-mock: {text}", file=sys.stderr)
        return 2
    return code


class _Parser(argparse.ArgumentParser):
    """Names the nearest option to one that nobody knows."""

    def error(self, message: str) -> NoReturn:
        unknown = message.partition("unrecognized arguments: ")[2].partition("=")[0].partition(" ")[0]
        if unknown.startswith("-"):
            from contracts import catalogue

            message = f"{message}; {catalogue.hint(unknown, _options(self))}"
        super().error(message)


def _options(parser: argparse.ArgumentParser) -> list[str]:
    """The options of the parser and of its commands."""
    options: list[str] = []
    for action in parser._actions:
        options += action.option_strings
        if isinstance(action, argparse._SubParsersAction):
            options += [option for command in action.choices.values() for option in _options(command)]
    return list(dict.fromkeys(options))


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="facechain-mock",
        description="DashScope FaceChain on your machine: no keys, no cost, real pictures.",
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    serve = commands.add_parser(
        "serve",
        help="run the server",
        description="Run the server. Each option is also a variable FACECHAIN_MOCK_<OPTION> and a key in "
        "facechain-mock.toml or [tool.facechain-mock] of pyproject.toml.",
    )
    option = serve.add_argument
    option("--host", help="address to listen on (127.0.0.1); any other needs --admin-token")
    option("--port", type=int, help="port to listen on (8790); 0 takes a free one")
    option("--profile", help="calm: short tasks; real: timings seen in real traffic; hostile: calm with faults (calm)")
    option("--scenario", metavar="NAME", help="a scenario for every task; see facechain-mock scenarios")
    option("--speed", type=float, help="how fast the vendor's clock runs (1.0)")
    option("--seed", type=int, help="decides ids and pictures; random when left out, and printed")
    option("--limits", help="documented: 2 submissions/s, 1 running task, 20 task calls/s; or off (documented)")
    option(
        "--behaviour",
        action="append",
        metavar="ID=CHOICE",
        help="settle a point the vendor's pages leave open",
    )
    option("--api-key", action="append", metavar="KEY[=ACCOUNT]", help="accept only such keys (any sk-...)")
    option("--workspace", action="append", metavar="ID", help="accept only such X-DashScope-WorkSpace (any)")
    option(
        "--public-base-url",
        metavar="URL",
        help="how clients reach the server, for result links (request's Host)",
    )
    option("--allow-host", action="append", metavar="NAME", help="a Host the admin API may be asked by")
    option("--resource", action="append", metavar="ID", help="a likeness that needs no training")
    option("--assets", metavar="DIR", help="pictures that https://assets.facechain.test/<name> stands for")
    option("--unknown-images", help="accept: a URL nobody declared is a fine photo; or refuse (accept)")
    option("--event-url", metavar="URL", help="post a CloudEvent there when a portrait task ends; loopback only")
    option("--allow-event-host", action="append", metavar="NAME", help="another host that events may be posted to")
    option("--admin-token", metavar="T", help="token of the admin API; random when left out, and printed")
    option(
        "--ready-file",
        metavar="PATH",
        help="write base_url, admin_url, admin_token, pid there as JSON when ready",
    )
    option("--config", metavar="FILE", help="read settings from this TOML file")
    option("--log", help="a line for each request on standard error: text, json or off (text)")
    option("--front", help="on: queries and submissions are answered before Flask sees them; or off (on)")
    for name, text in (
        ("scenarios", "print every scenario, and what it is for"),
        ("errors", "print the error catalogue"),
        ("rules", "print every rule, and how well it is known"),
        ("behaviours", "print the open points and their choices"),
        ("version", "print the version"),
    ):
        commands.add_parser(name, help=text)
    contracts = commands.add_parser("contracts", help="copy schemas, OpenAPI and catalogues to a folder")
    contracts.add_argument("folder", metavar="DIR")
    contracts.add_argument("--force", action="store_true", help="overwrite files of the same names")
    return parser


def _serve(flags: argparse.Namespace) -> int:
    from mock_server.app import create_app
    from mock_server.events import announcing
    from mock_server.log import request_log
    from mock_server.serving import serve, write_ready_file
    from mock_server.settings import names, read_settings
    from mock_server.web.guard import GUARD
    from mock_server.web.wire import SIMULATOR

    settings = read_settings({name: getattr(flags, name, None) for name in (*names(), "config")})
    app = create_app(settings, log=request_log(settings.log, sys.stderr))
    token = app.extensions[GUARD].token

    def announce(server: Server) -> None:
        if settings.ready_file:
            write_ready_file(settings.ready_file, server, token)
        print(_greeting(settings, server.url, token), flush=True)

    with announcing(app.extensions[SIMULATOR], settings.event_url):
        serve(app, settings.host, settings.port, announce)
    if settings.ready_file and os.path.exists(settings.ready_file):
        os.unlink(settings.ready_file)
    return 0


def _greeting(settings: Settings, url: str, token: str) -> str:
    key = next(iter(settings.api_key), "sk-mock")
    scenario = f", scenario {settings.scenario}" if settings.scenario else ""
    told = {"pictures of assets.facechain.test": settings.assets, "events go to": settings.event_url}
    if settings.unknown_images != "accept":
        told["pictures that nobody declared are"] = "refused"
    more = "".join(f"\n  {what} {value}" for what, value in told.items() if value is not None)
    return f"""\
facechain-mock answers at {url}/api/v1
  a key that works   {key}
  profile {settings.profile}, limits {settings.limits}, seed {settings.seed}{scenario}{more}
  point the SDK at it
    export DASHSCOPE_HTTP_BASE_URL={url}/api/v1
    export DASHSCOPE_API_KEY={key}
  admin API          {url}/__admin  (X-Admin-Token: {token})
Stop it with Ctrl-C."""


def _table(rows: Sequence[Sequence[str]]) -> None:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]) - 1)]
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
        print("  ".join([*cells, row[-1]]))


def _scenarios(_flags: argparse.Namespace) -> int:
    from contracts import catalogue

    rows = [(row.name, row.evidence, row.does, row.story) for row in catalogue.scenarios().values()]
    _table([("SCENARIO", "EVIDENCE", "WHAT HAPPENS", "FOR"), *rows])
    return 0


def _errors(_flags: argparse.Namespace) -> int:
    from contracts import catalogue

    rows = [
        (row.reason, str(row.status or "-"), row.code, row.evidence, row.message) for row in catalogue.errors().values()
    ]
    _table([("REASON", "HTTP", "CODE", "EVIDENCE", "MESSAGE"), *rows])
    return 0


def _rules(_flags: argparse.Namespace) -> int:
    from contracts import catalogue

    rows = [(rule.id, rule.evidence, rule.error or "-", rule.sentence) for rule in catalogue.rules().values()]
    _table([("RULE", "EVIDENCE", "ERROR", "WHAT"), *rows])
    return 0


def _behaviours(_flags: argparse.Namespace) -> int:
    from contracts import catalogue

    for behaviour in catalogue.behaviours().values():
        print(f"{behaviour.id}  ({behaviour.evidence})  {behaviour.question}")
        for choice, option in behaviour.options.items():
            mark = "*" if choice == behaviour.default else " "
            print(f"  {mark} {choice:12} {option.sentence}")
    return 0


def _contracts(flags: argparse.Namespace) -> int:
    import shutil
    from importlib.resources import as_file, files

    with as_file(files("contracts")) as source:
        if os.path.exists(flags.folder) and os.path.samefile(source, flags.folder):
            raise ValueError(f"{flags.folder} is where the contract already is; choose another folder")
        if os.path.exists(flags.folder) and not os.path.isdir(flags.folder):
            raise ValueError(f"{flags.folder} is a file; choose a folder")
        if os.path.isdir(flags.folder) and os.listdir(flags.folder) and not flags.force:
            raise ValueError(f"{flags.folder} is not empty; choose a new folder, or overwrite files there with --force")
        shutil.copytree(
            source, flags.folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("*.py", "py.typed", "__pycache__")
        )
    print(f"copied to {flags.folder}")
    return 0


def _version(_flags: argparse.Namespace) -> int:
    from mock_server.version import installed_version

    print(f"facechain-mock {installed_version()}")
    return 0


class _Version(argparse.Action):
    """Prints the version, which takes a while to look up, only when it is asked for."""

    def __call__(self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, *_: object) -> NoReturn:
        parser.exit(_version(namespace))


_COMMANDS = {
    "serve": _serve,
    "scenarios": _scenarios,
    "errors": _errors,
    "rules": _rules,
    "behaviours": _behaviours,
    "contracts": _contracts,
    "version": _version,
}

if __name__ == "__main__":
    sys.exit(main())
