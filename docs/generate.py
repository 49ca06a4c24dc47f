"""Makes the tables of the documentation from the data they show: ``python docs/generate.py``.

Whole pages are written anew; in the READMEs only what stands between the marks of a table. A test compares.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from contracts import catalogue

ROOT = Path(__file__).resolve().parent.parent
OBSERVATIONS = ROOT / "tests" / "mock_server" / "sdk_observations.json"
IN_CHINESE = ROOT / "docs" / "scenarios.zh.json"
MADE = "<!-- Made by docs/generate.py; change the data, not this page. -->"

CARRIERS = (
    ("request header", "`X-Mock-Scenario: {name}`", "that call: a submission, a query, a detection, an upload"),
    (
        "picture's host",
        "`https://{name}.facechain.test/any.jpg` as `template_url`, in `user_urls`, `images` or `training_file_ids`",
        "that submission, detection or training",
    ),
    ("resource id", "`mock-{name}` as `resource_id`; not in train-free mode", "that submission"),
    (
        "next submission",
        '`POST /__admin/plans` `{{"scenario": "{name}"}}`; for a training with `"model": "facechain-finetune"`',
        "the next one accepted, or refused by it",
    ),
    ("session", '`PUT /__admin/scenario` `{{"scenario": "{name}"}}`', "the session, until it is put back to `null`"),
    ("server", "`facechain-mock serve --scenario {name}`", "every session, as its first choice"),
    ("API key", "`sk-mock-{name}`", "every call with that key"),
)
"""Every place where the word may stand, the most specific first, and the key, which comes on top."""


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = [head, ["---"] * len(head), *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def scenarios_table() -> str:
    """Every scenario in a line."""
    rows = catalogue.scenarios().values()
    return table(
        ("scenario", "what happens", "what it is for", "evidence"),
        [(f"`{row.name}`", row.does, row.story, row.evidence) for row in rows],
    )


def scenarios_page() -> str:
    """``docs/scenarios.md``."""
    examples = [(where, how.format(name="poll-429"), until) for where, how, until in CARRIERS]
    sources = [(f"`{row.name}`", row.evidence, row.source) for row in catalogue.scenarios().values()]
    return f"""\
{MADE}

# Scenarios

A scenario is a chosen course of events, named by one word. The word means the same wherever it stands.

{scenarios_table()}

## How to ask for one

With `poll-429` as the example:

{table(("where", "how", "for what"), examples)}

Of the first five the most specific one that is there decides alone: a header over a picture's host over a resource id
over a plan in the queue over the session. The key concerns the account and comes on top: its refusals and faults apply
beside those of the task, and its course of the task where none of the five says anything.

A scenario concerns what it speaks of. Its refusals and faults meet portraits, detections and trainings alike; the
course of a task, as in `failed-algo`, leaves trainings alone; that of a training, as in `failed-training`, portraits.

A word that is no scenario is refused, and the answer names the nearest one; a key whose word is like none of them is a
plain key. Faults that pass are counted for each task on queries and links, and for each account on submissions, so
`poll-429` throttles the first two queries of every task. `invalid-key` refuses every call where it is known before the
body is read: by key, by header, by session.

`facechain-mock scenarios` prints this table, and `GET /__admin/scenarios` gives it as JSON, with the plans and faults
behind each word.

## How well each is known

`documented`: a page of the vendor's says so. `observed`: real answers showed it. `assumed`: our best guess, or a thing
that happens to any API.

{table(("scenario", "evidence", "source"), sources)}
"""


def observations() -> dict[str, Any]:
    """What was observed: the SDK, and what two ways of calling came to, for portraits and trainings, by scenario."""
    found: dict[str, Any] = json.loads(OBSERVATIONS.read_text(encoding="utf-8"))
    return found


def _ends(row: dict[str, Any]) -> str:
    verb, _, what = str(row["ends"]).partition(" ")
    return f"{verb} `{what}`" if verb in ("returns", "raises") else str(row["ends"])


def _took(row: dict[str, Any]) -> str:
    counts = f"{row['submissions']} + {row['queries']}"
    return f"{counts}, {row['slept_s']} s, {row['paid_cny']:.2f} CNY"


def observations_table() -> str:
    """What the SDK does under each scenario, in a line."""
    return table(
        ("scenario", "1.x: `BaseAsyncApi.call`", "2.x: `jobs.create`, `jobs.wait`"),
        [
            (f"`{name}`", _ends(row["classic"]), _ends(row["client"]))
            for name, row in observations()["portraits"].items()
        ],
    )


def observations_page() -> str:
    """``docs/sdk-observations.md``."""
    found = observations()
    rows = [
        (
            f"`{name}`",
            _ends(row["classic"]),
            _took(row["classic"]),
            _ends(row["client"]),
            _took(row["client"]),
            row.get("note", ""),
        )
        for name, row in found["portraits"].items()
    ]
    head = ("scenario", "1.x", "it took", "2.x", "it took", "to know")
    return f"""\
{MADE}

# What the vendor's SDK does

Observed with {found["sdk"]}, unmodified, against this mock, by the classes of 1.x and by those of the 2.x client, each
with its defaults. These are observations of one version, for whoever builds on it, and no verdict: some of it is a
choice that suits other services better. A test repeats every line.

"It took" counts the submissions and queries that the server heard, the seconds that the SDK slept in between, and what
the vendor would charge for all tasks in the end.

## Portraits

Four pictures, submitted and waited for in one go, by `BaseAsyncApi.call` of 1.x and by `jobs.create`, then `jobs.wait`,
of 2.x. The SDK was given ten minutes of the vendor's time. It fetches no pictures by itself.

{table(head, rows)}

## Trainings

One likeness, by `FineTunes.call`, then `FineTunes.wait`, of 1.x and by `fine_tunes.create`, then `fine_tunes.wait`, of
2.x. The SDK was given an hour. Scenarios that come to the same share a line.

{trainings_table()}

## Files and uploads

- `Files.upload` of 1.x and 2.x and `dashscope files upload` take a file for JSON lines and read it as text, so a photo
  ends in a UnicodeDecodeError before anything is sent. Another `purpose`, such as `inference`, lets it pass; none is
  sent.
- Under `small-storage` both return as if all were well, since the answer is a 200: look whether `uploaded_files` holds
  your file. In 2.x the `file_id` is None.
- `OssUtils.upload` takes the name of the file for the last part of the `oss://` link. One certificate takes each name
  once, since nothing is overwritten. The key goes to the API alone, not to the storage.
- An `oss://` link needs the header `X-DashScope-OssResourceResolve: enable`, and for these models the caller adds it:
  `headers={{"X-DashScope-OssResourceResolve": "enable"}}`. The link is good for the model that it was uploaded for.
- `FineTunes.logs` asks from line 1 on, which leaves out the first where lines count from 0, as the vendor's page has
  it: give `offset=0`, or choose `--behaviour log-offset=1`.
- `dashscope fine-tunes create` looks again after 30 seconds as long as a training waits, and leaves it once it runs:
  there it, like `dashscope fine-tunes stream`, says "Invalid response", with exit status 0. `list --page` is not sent.
"""


def trainings_table() -> str:
    """What the SDK does with trainings, with the scenarios in one line that come to the same."""
    trainings = observations()["trainings"]
    same: dict[tuple[str, ...], list[str]] = {}
    for name, row in trainings.items():
        cells = (_ends(row["classic"]), _took(row["classic"]), _ends(row["client"]), _took(row["client"]))
        same.setdefault(cells, []).append(name)
    rows = [
        (
            ", ".join(f"`{name}`" for name in names),
            *cells,
            " ".join(trainings[name]["note"] for name in names if "note" in trainings[name]),
        )
        for cells, names in same.items()
    ]
    return table(("scenario", "1.x", "it took", "2.x", "it took", "to know"), rows)


@dataclass(frozen=True)
class Language:
    """The words of the short tables of a README. ``ends`` says what a call of the SDK came to, ``{}`` the rest."""

    scenarios_head: tuple[str, str, str]
    observations_head: tuple[str, str, str]
    observed: str
    ends: Mapping[str, str]
    paid: str
    paid_twice: str
    comma: str


ENGLISH = Language(
    scenarios_head=("scenario", "what happens", "for"),
    observations_head=("scenario", "classic wait: `BaseAsyncApi.call`", "jobs: `jobs.create`, `jobs.wait`"),
    observed="Observed with {sdk}, unmodified, on a call for four pictures:",
    ends={
        "returns": "returns `{}`",
        "raises": "raises `{}`",
        "still waits after ten minutes": "still waits after ten minutes",
    },
    paid="{}; the task goes on and is paid",
    paid_twice="{}; two tasks are paid",
    comma=", ",
)
CHINESE = Language(
    scenarios_head=("场景", "会发生什么", "适合检验"),
    observations_head=("场景", "经典等待：`BaseAsyncApi.call`", "任务接口：`jobs.create`、`jobs.wait`"),
    observed="以下是 {sdk}（未经修改）请求四张图片时的观察结果：",
    ends={
        "returns": "返回 `{}`",
        "raises": "抛出 `{}`",
        "still waits after ten minutes": "十分钟后仍在等待",
    },
    paid="{}；任务仍在继续，照样计费",
    paid_twice="{}；两个任务都计费",
    comma="、",
)


def short_scenarios_table(language: Language) -> str:
    """Every scenario in a line, without its evidence."""
    rows = catalogue.scenarios().values()
    told = {row.name: {"does": row.does, "for": row.story} for row in rows} if language is ENGLISH else in_chinese()
    return table(language.scenarios_head, [(f"`{name}`", words["does"], words["for"]) for name, words in told.items()])


def in_chinese() -> dict[str, dict[str, str]]:
    """What happens in each scenario and what it is for, in Chinese."""
    told: dict[str, dict[str, str]] = json.loads(IN_CHINESE.read_text(encoding="utf-8"))
    return told


def short_observations_table(language: Language) -> str:
    """What the SDK does, with the scenarios in one line that come to the same."""
    same: dict[tuple[str, str], list[str]] = {}
    for name, row in observations()["portraits"].items():
        cells = (_told(row["classic"], language), _told(row["client"], language))
        same.setdefault(cells, []).append(f"`{name}`")
    rows = [(language.comma.join(names), *cells) for cells, names in same.items()]
    observed = language.observed.format(sdk=observations()["sdk"])
    return f"{observed}\n\n{table(language.observations_head, rows)}"


def _told(row: Mapping[str, Any], language: Language) -> str:
    """How a call ended; and what it cost, where the caller got nothing or paid more than once."""
    verb, _, what = str(row["ends"]).partition(" ")
    ends = language.ends[verb].format(what) if verb in language.ends else language.ends[row["ends"]]
    if row["paid_cny"] > price_of_a_call():
        return language.paid_twice.format(ends)
    return language.paid.format(ends) if row["paid_cny"] and what != "SUCCEEDED" else ends


def price_of_a_call() -> float:
    """What the vendor charges for the call that was observed, when nothing goes wrong."""
    return float(observations()["portraits"]["happy"]["classic"]["paid_cny"])


def findings_table() -> str:
    """Every finding in a line."""
    rows = catalogue.advice().values()
    return table(
        ("finding", "level", "what the client did", "what to do instead"),
        [(f"`{row.id}`", row.level, row.sentence, row.advice) for row in rows],
    )


def parts() -> dict[Path, dict[str, str]]:
    """The tables that stand in pages written by hand, by page and by the name in their marks."""
    readmes = {
        ROOT / name: {
            "scenarios": short_scenarios_table(language),
            "observations": short_observations_table(language),
        }
        for name, language in (("README.md", ENGLISH), ("README.zh-CN.md", CHINESE))
    }
    return {**readmes, ROOT / "docs" / "testing.md": {"findings": findings_table()}}


def with_tables(text: str, tables: Mapping[str, str]) -> str:
    """A page with its tables as they are now. Raises ValueError when the marks of one are not there, once."""
    for name, made in tables.items():
        begin, end = f"<!-- {name}: made by docs/generate.py -->", f"<!-- /{name} -->"
        if (text.count(begin), text.count(end)) != (1, 1):
            raise ValueError(f"the page has no place for a table: {begin} and {end}, once each")
        before, after = text.partition(begin)[0], text.partition(end)[2]
        text = f"{before}{begin}\n{made}\n{end}{after}"
    return text


def wrong_clients_page() -> str:
    """``docs/wrong-clients.md``, from a run of the clients."""
    from mock_server.core.findings import numbers
    from tests.wrong_clients.catch import Caught, WrongClient, caught, clients

    def row(client: WrongClient, verdict: Caught) -> tuple[str, ...]:
        link = f"[{client.name}](../tests/wrong_clients/{client.name}.py)"
        found = next(finding for finding in verdict.findings if finding.id == client.finding)
        also = "".join(f", also `{name}`" for name in client.also)
        caught_at = f"{found.level} `{found.id}`{also}: {numbers(found.requests)}"
        seen = ", ".join(_thread(name) for name in client.seen)
        return link, client.library, client.defect, f"`{client.scenario}`", verdict.ending, caught_at, seen

    def order(client: WrongClient) -> int:
        return list(catalogue.advice()).index(client.finding)

    rows = [row(client, caught(client)) for client in sorted(clients(), key=order)]
    advice = [(f"`{name}`", row.level, row.sentence, row.advice) for name, row in catalogue.advice().items()]
    return f"""\
{MADE}

# Clients that are wrong on purpose

Each of these has one defect and is right otherwise. Each is run in process under one scenario, and the kit names its
defect: the finding, its level, and the numbers of the requests that earned it. A test repeats every line and allows no
finding beside those shown. The reference client, `facechain_testkit.client.PortraitClient`, earns none in any scenario.

"It ends" tells what its user sees: most of these look as if all were well. "Seen in" names public threads that tell of
the same kind of defect, with other services, where we know any.

{table(("client", "library", "what is wrong", "scenario", "it ends", "caught at", "seen in"), rows)}

## What to do instead

{table(("finding", "level", "what it says", "advice"), advice)}
"""


def _thread(name: str) -> str:
    """A link to ``owner/repository#1``."""
    return f"[{name}](https://github.com/{name.replace('#', '/issues/')})"


def pages() -> dict[Path, str]:
    """Every file that is made here without running anything, with what it should hold."""
    made = {
        ROOT / "docs" / "scenarios.md": scenarios_page(),
        ROOT / "docs" / "sdk-observations.md": observations_page(),
    }
    for page, tables in parts().items():
        made[page] = with_tables(page.read_text(encoding="utf-8"), tables)
    return made


if __name__ == "__main__":
    for path, text in {**pages(), ROOT / "docs" / "wrong-clients.md": wrong_clients_page()}.items():
        path.write_text(text, encoding="utf-8")
        print(path.relative_to(ROOT))
