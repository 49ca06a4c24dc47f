"""Settings: a flag over the environment over the file over the default, and a clear word on a wrong one."""

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from contracts import catalogue
from mock_server.app import create_simulator
from mock_server.core.plans import Plan, plan_from_json
from mock_server.settings import CONFIG_FILE, Settings, names, read_settings

DEFAULTS = Settings(seed=1)
PROJECT = "pyproject.toml"


def read(tmp_path: Path, flags: dict[str, Any] | None = None, /, *, file: str = "", **environment: str) -> Settings:
    """Settings from flags, variables without their prefix, and the text of ``facechain-mock.toml``."""
    if file:
        (tmp_path / CONFIG_FILE).write_text(file, encoding="utf-8")
    variables = {f"FACECHAIN_MOCK_{name.upper()}": value for name, value in environment.items()}
    return read_settings({"seed": 1, **(flags or {})}, variables, tmp_path)


def test_nothing_chosen_gives_the_defaults(tmp_path: Path) -> None:
    assert read(tmp_path) == DEFAULTS


def test_a_seed_that_is_not_chosen_is_random() -> None:
    assert len({Settings().seed for _ in range(5)}) > 1


@pytest.mark.parametrize(
    ("flags", "environment", "file", "port"),
    [
        ({}, {}, "", 8790),
        ({}, {}, "port = 1", 1),
        ({}, {"port": "2"}, "port = 1", 2),
        ({"port": 3}, {"port": "2"}, "port = 1", 3),
        ({"port": None}, {"port": "2"}, "", 2),
        ({"port": 0}, {"port": "2"}, "", 0),
        ({"port": 3}, {}, "port = 1", 3),
    ],
)
def test_a_flag_wins_over_the_environment_over_the_file_over_the_default(
    tmp_path: Path, flags: dict[str, Any], environment: dict[str, str], file: str, port: int
) -> None:
    assert read(tmp_path, flags, file=file, **environment).port == port


EVERYTHING: dict[str, tuple[Any, str, str, Any]] = {
    "host": ("::1", "::1", '"::1"', "::1"),
    "port": (81, "81", "81", 81),
    "profile": ("real", "real", '"real"', "real"),
    "scenario": ("happy", "happy", '"happy"', "happy"),
    "speed": (2.5, "2.5", "2.5", 2.5),
    "seed": (5, "5", "5", 5),
    "limits": ("off", "off", '"off"', "off"),
    "behaviour": (
        ["end-time=seconds", "n-maximum=5"],
        "end-time=seconds,n-maximum=5",
        '["end-time=seconds", "n-maximum=5"]',
        {"end-time": "seconds", "n-maximum": "5"},
    ),
    "api_key": (
        ["sk-a=acme", "sk-b"],
        "sk-a=acme, sk-b",
        '{"sk-a" = "acme", "sk-b" = ""}',
        {"sk-a": "acme", "sk-b": ""},
    ),
    "workspace": (["ws-1", "ws-2"], "ws-1, ws-2", '["ws-1", "ws-2"]', ("ws-1", "ws-2")),
    "public_base_url": ("https://mock.test:1", "https://mock.test:1", '"https://mock.test:1"', "https://mock.test:1"),
    "allow_host": (["mock.test"], "mock.test", '"mock.test"', ("mock.test",)),
    "resource": (["my-likeness", "b"], "my-likeness,b", '["my-likeness", "b"]', ("my-likeness", "b")),
    "assets": ("photos", "photos", '"photos"', "photos"),
    "unknown_images": ("refuse", "refuse", '"refuse"', "refuse"),
    "event_url": ("http://[::1]:9/a?b=c", "http://[::1]:9/a?b=c", '"http://[::1]:9/a?b=c"', "http://[::1]:9/a?b=c"),
    "allow_event_host": (["hooks.test", "b"], "hooks.test, b", '["hooks.test", "b"]', ("hooks.test", "b")),
    "admin_token": ("t", "t", '"t"', "t"),
    "ready_file": ("ready.json", "ready.json", '"ready.json"', "ready.json"),
    "front": ("off", "off", '"off"', "off"),
    "log": ("json", "json", '"json"', "json"),
}
"""For each setting: as a flag, as a variable, in the file, and what it then is."""


def test_the_table_holds_every_setting() -> None:
    assert set(names()) <= EVERYTHING.keys()


@pytest.mark.parametrize("name", EVERYTHING)
def test_a_setting_reads_the_same_from_flag_environment_and_file(tmp_path: Path, name: str) -> None:
    flag, variable, text, expected = EVERYTHING[name]
    flags = {} if name == "seed" else {"seed": 1}
    found = [
        read_settings({**flags, name: flag}, {}, tmp_path),
        read_settings(flags, {f"FACECHAIN_MOCK_{name.upper()}": variable}, tmp_path),
    ]
    (tmp_path / CONFIG_FILE).write_text(f"{name.replace('_', '-')} = {text}", encoding="utf-8")
    found.append(read_settings(flags, {}, tmp_path))
    assert [getattr(settings, name) for settings in found] == [expected] * 3
    assert found[0] == found[1] == found[2]


def test_a_table_of_the_file_chooses_behaviours(tmp_path: Path) -> None:
    file = '[behaviour]\nend-time = "seconds"\nn-maximum = 5\n'
    assert read(tmp_path, file=file).behaviour == {"end-time": "seconds", "n-maximum": "5"}


def test_blank_lists_in_the_environment_choose_nothing(tmp_path: Path) -> None:
    assert read(tmp_path, api_key="", workspace=" , ", behaviour="") == DEFAULTS


def test_the_table_of_a_project_is_read_when_there_is_no_file_of_its_own(tmp_path: Path) -> None:
    (tmp_path / PROJECT).write_text('[project]\nname = "x"\n[tool.facechain-mock]\nport = 5\n', encoding="utf-8")
    assert read(tmp_path).port == 5
    assert read(tmp_path, file="port = 6").port == 6


def test_a_project_without_the_table_chooses_nothing(tmp_path: Path) -> None:
    (tmp_path / PROJECT).write_text('[project]\nname = "x"\n', encoding="utf-8")
    assert read(tmp_path) == DEFAULTS


def test_a_file_can_be_named_by_flag_or_variable(tmp_path: Path) -> None:
    for name, port in (("a.toml", 7), ("b.toml", 8)):
        (tmp_path / name).write_text(f"port = {port}", encoding="utf-8")
    a, b = str(tmp_path / "a.toml"), str(tmp_path / "b.toml")
    assert read(tmp_path, {"config": a}, file="port = 9").port == 7
    assert read(tmp_path, file="port = 9", config=b).port == 8
    assert read(tmp_path, {"config": a}, config=b).port == 7


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"profile": "calmer"}, "profile is 'calmer'; it is one of calm, real, hostile"),
        ({"scenario": "hapy"}, "unknown scenario 'hapy'; nearest is 'happy'"),
        ({"limits": "on"}, "limits is 'on'; it is one of documented, off"),
        ({"log": "xml"}, "log is 'xml'; it is one of"),
        ({"behaviour": ["end-tim=seconds"]}, "unknown behaviour 'end-tim'; nearest is 'end-time'"),
        ({"behaviour": ["end-time=second"]}, "unknown choice for end-time 'second'; nearest is 'seconds'"),
        ({"behaviour": ["end-time"]}, "unknown choice for end-time ''; known are millis, seconds"),
        ({"behaviour": 5}, "behaviour is 5; it is a table, or a list of name=value"),
        ({"port": 65_536}, "port is 65536; it is a number from 0 (any free one) to 65535"),
        ({"port": -1}, "port is -1; it is a number from 0"),
        ({"port": "http"}, "port is 'http'; it is a whole number"),
        ({"port": 80.5}, "port is 80.5; it is a whole number"),
        ({"port": True}, "port is True; it is a whole number"),
        ({"seed": "x"}, "seed is 'x'; it is a whole number"),
        ({"speed": 0}, "speed is 0.0; it is from 0.001 to 1000000"),
        ({"speed": "nan"}, "speed is nan; it is from 0.001"),
        ({"speed": "inf"}, "speed is inf; it is from 0.001"),
        ({"speed": "fast"}, "speed is 'fast'; it is a number"),
        ({"speed": []}, "speed is []; it is a number"),
        ({"public_base_url": "mock.test"}, "public-base-url is 'mock.test'; it looks like http://host:port"),
        ({"public_base_url": "http://mock.test/api"}, "it looks like http://host:port"),
        ({"public_base_url": "ftp://mock.test"}, "it looks like http://host:port"),
        ({"public_base_url": "http://["}, "it looks like http://host:port"),
        ({"public_base_url": "http://a b"}, "it looks like http://host:port"),
        ({"api_key": ["sk-a=two words"]}, "an account of api-key is not 1 to 64 letters, digits, dots, dashes or"),
        ({"api_key": ["sk-a=" + "x" * 65]}, "is not 1 to 64 letters"),
        ({"workspace": 5}, "workspace is 5; it is a list of names"),
        ({"resource": 5}, "resource is 5; it is a list of names"),
        ({"allow_event_host": 5}, "allow-event-host is 5; it is a list of names"),
        ({"unknown_images": "reject"}, "unknown-images is 'reject'; it is one of accept, refuse"),
        ({"front": "yes"}, "front is 'yes'; it is one of on, off"),
        ({"unknown_images": ""}, "unknown-images is ''; it is one of accept, refuse"),
        ({"host": "192.0.2.1"}, "host is 192.0.2.1, which other machines may reach: choose an --admin-token first"),
        ({"host": ""}, "which other machines may reach"),
        ({"host": "mock.test"}, "or stay on 127.0.0.1"),
    ],
    ids=str,
)
def test_a_wrong_value_is_named_with_what_it_may_be(tmp_path: Path, given: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError) as raised:  # noqa: PT011  # the text is compared below, brackets and all
        read(tmp_path, given)
    assert text in str(raised.value)


@pytest.mark.parametrize(
    ("name", "text", "complaint"),
    [
        (CONFIG_FILE, "prot = 1", "facechain-mock.toml has an unknown setting 'prot'; nearest is 'port'"),
        (CONFIG_FILE, "public_base_url = ''", "nearest is 'public-base-url'"),
        (CONFIG_FILE, "port =", "facechain-mock.toml is not TOML: "),
        (PROJECT, "[tool.facechain-mock]\nprot = 1", "[tool.facechain-mock] of pyproject.toml has an unknown setting"),
        (PROJECT, "[tool", "pyproject.toml is not TOML: "),
    ],
)
def test_a_wrong_file_is_named(tmp_path: Path, name: str, text: str, complaint: str) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")
    with pytest.raises(ValueError) as raised:  # noqa: PT011  # the text is compared below, brackets and all
        read(tmp_path)
    assert complaint in str(raised.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"cannot read .*nowhere\.toml: No such file or directory"):
        read(tmp_path, {"config": str(tmp_path / "nowhere.toml")})


ELSEWHERE = [
    "http://hooks.test/",
    "https://hooks.test:443/events",
    "http://192.0.2.1:9000/",
    "http://127.0.0.2/",
    "http://0.0.0.0/",
    "http://[::]/",
    "http://[::ffff:127.0.0.1]/",
    "http://2130706433/",
    "http://127.1/",
    "http://localhost./",
    "http://localhost.hooks.test/",
    "http://127.0.0.1@hooks.test/",
    "http://localhost:80@hooks.test/",
    "http://hooks.test#@127.0.0.1/",
    "http://hooks.test?@127.0.0.1/",
    "http://169.254.169.254/latest/meta-data",
]


@pytest.mark.parametrize("url", ELSEWHERE)
def test_events_leave_this_machine_only_when_their_host_is_allowed(tmp_path: Path, url: str) -> None:
    with pytest.raises(ValueError) as raised:  # noqa: PT011  # the text is compared below, brackets and all
        read(tmp_path, {"event_url": url})
    host = urlsplit(url).hostname
    text = f"event-url is {url!r}, which lies on another machine; allow it with --allow-event-host {host}, or stay on"
    assert text in str(raised.value)
    for other in ("other.test", f"x.{host}", "127.0.0.1", "*", ""):
        with pytest.raises(ValueError, match="which lies on another machine"):
            read(tmp_path, {"event_url": url, "allow_event_host": ["other.test", other]})
    assert read(tmp_path, {"event_url": url, "allow_event_host": [host]}).event_url == url


def test_an_allowed_host_is_known_in_any_case(tmp_path: Path) -> None:
    for url in ("http://hooks.test/", "http://HOOKS.test:81/"):
        assert read(tmp_path, {"event_url": url, "allow_event_host": ["Hooks.Test"]}).event_url == url


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1",
        "http://127.0.0.1:9000/a/b?c=d",
        "http://localhost/",
        "https://LOCALHOST:1/",
        "http://[::1]:9",
    ],
)
def test_events_may_go_to_this_machine(tmp_path: Path, url: str) -> None:
    assert read(tmp_path, {"event_url": url}).event_url == url


@pytest.mark.parametrize(
    "url",
    [
        "",
        "127.0.0.1:9000",
        "//127.0.0.1/",
        "http:///events",
        "http://",
        "http:127.0.0.1",
        "ftp://127.0.0.1/",
        "file:///etc/passwd",
        "javascript://127.0.0.1/",
        "http://127.0.0.1:0/",
        "http://127.0.0.1:65536/",
        "http://127.0.0.1:port/",
        "http://[::1/",
        "http://[localhost]/",
        " http://127.0.0.1/",
        "http://127.0.0.1/ ",
        "http://127.0.0.1/\r\nX-Evil: 1",
        "http://127.0.0.1\n.hooks.test/",
        "http://127.0.0.1/\x00",
        "http://hooks.test\\@127.0.0.1/",
        "http://127.0.0.1\\@hooks.test/",
        "http:\\\\127.0.0.1/",
        "http://127.0.0.1/\u4eba",
        "http://127.0.0.1\u3002hooks.test/",
    ],
)
def test_an_event_url_that_is_none_or_that_clients_read_differently_is_refused(tmp_path: Path, url: str) -> None:
    with pytest.raises(ValueError, match=r"it looks like http://127\.0\.0\.1:9000/events"):
        read(tmp_path, {"event_url": url, "allow_event_host": ["hooks.test"]})


def test_a_folder_of_pictures_has_to_be_there(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    for missing in (str(tmp_path / "nowhere"), str(tmp_path / "file")):
        with pytest.raises(ValueError, match="is not a folder"):
            create_simulator(Settings(assets=missing))
    assert create_simulator(Settings(assets=str(tmp_path))).terms.assets is not None
    assert create_simulator(Settings()).terms.assets is None


def test_the_choices_reach_the_vendor(tmp_path: Path) -> None:
    terms = create_simulator(
        read(tmp_path, {"resource": ["mine"], "unknown_images": "refuse", "event_url": "http://127.0.0.1:9/"})
    ).terms
    assert (terms.resources, terms.accepts_unknown_images, terms.announces) == (frozenset({"mine"}), False, True)
    terms = create_simulator(DEFAULTS).terms
    assert (terms.resources, terms.accepts_unknown_images, terms.announces) == (frozenset(), True, False)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1"])
def test_this_machine_needs_no_token_of_its_own(host: str) -> None:
    assert Settings(host=host).admin_token is None


def test_other_machines_may_come_in_when_there_is_a_token() -> None:
    assert Settings(host="192.0.2.1", admin_token="t").host == "192.0.2.1"


@pytest.mark.parametrize("profile", catalogue.profiles())
def test_a_profile_is_a_plan_and_faults(profile: str) -> None:
    settings, row = Settings(profile=profile), catalogue.profiles()[profile]
    assert settings.plan == plan_from_json(row.plan, Plan())
    assert settings.training == plan_from_json(row.training, Plan())
    assert len(settings.faults) == len(row.faults)
