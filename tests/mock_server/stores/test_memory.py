"""The store in memory: one step at a time, one world a session, bounded."""

import re
from concurrent.futures import ThreadPoolExecutor

import pytest

from mock_server.core.model import MODEL, TRAINING_MODEL, Account, Task
from mock_server.core.pictures import FINE
from mock_server.core.plans import Plan
from mock_server.core.ports import clear_tasks
from mock_server.core.scenarios import Asked
from mock_server.stores import memory
from mock_server.stores.memory import MemoryWorld, MemoryWorlds

UUID4 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


@pytest.fixture
def worlds() -> MemoryWorlds:
    return MemoryWorlds(7)


def task_of(id_: str) -> Task:
    return Task(id_, "key", "request", "f_idcard_male", 1, 0, Plan())


def test_what_a_step_changed_is_kept(worlds: MemoryWorlds) -> None:
    world = worlds.open("")

    def add(account: Account) -> int:
        account.portraits.tasks["one"] = task_of("one")
        account.admitted_ms = {"submissions": (5,)}
        return 3

    assert world.change("acme", add) == 3
    assert world.change("acme", lambda account: account.admitted_ms) == {"submissions": (5,)}
    assert world.change("globex", lambda account: account.admitted_ms) == {}
    assert [(name, task.id) for name, task in world.tasks()] == [("acme", "one")]
    assert world.accounts() == ["acme", "globex"]


def test_steps_of_one_account_never_overlap(worlds: MemoryWorlds) -> None:
    world = worlds.open("")

    def count(account: Account) -> None:
        account.portraits.slot_free_ms = account.portraits.slot_free_ms + 1

    with ThreadPoolExecutor(8) as threads:
        for _ in range(2_000):
            threads.submit(world.change, "acme", count)
    assert world.change("acme", lambda account: account.portraits.slot_free_ms) == 2_000


def taken(world: MemoryWorld) -> Asked | None:
    first = world.first_plan()
    world.take_plan()
    return first


def test_plans_come_out_as_they_went_in(worlds: MemoryWorlds) -> None:
    world = worlds.open("")
    plans = [Asked(Plan(running_ms=number)) for number in range(3)]
    for plan in plans:
        world.queue_plan(plan)
    assert world.queued_plans() == plans
    assert [taken(world) for _ in range(4)] == [*plans, None]
    world.queue_plan(plans[0])
    world.clear_plans()
    assert world.first_plan() is None


def test_the_queue_of_plans_is_bounded(worlds: MemoryWorlds, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "MOST_QUEUED_PLANS", 2)
    world = worlds.open("")
    world.queue_plan(Asked(Plan()))
    world.queue_plan(Asked(Plan()))
    with pytest.raises(ValueError, match="2 plans are queued already; clear them with DELETE plans"):
        world.queue_plan(Asked(Plan()))


def test_ids_are_random_uuids_that_the_seed_decides(worlds: MemoryWorlds) -> None:
    ids = [worlds.open("").new_id() for _ in range(1_000)]
    assert all(UUID4.fullmatch(id_) for id_ in ids)
    assert len(set(ids)) == 1_000
    again, other = MemoryWorlds(7), MemoryWorlds(8)
    assert [again.open("").new_id() for _ in range(3)] == ids[:3]
    assert other.open("").new_id() != ids[0] != worlds.open("another session").new_id()


def test_worlds_are_apart_until_they_are_cleared(worlds: MemoryWorlds) -> None:
    one = worlds.open("one")
    one.queue_plan(Asked(Plan()))
    assert worlds.open("one") is one
    assert worlds.open("two").queued_plans() == []
    worlds.clear("one")
    worlds.clear("never opened")
    assert worlds.open("one").queued_plans() == []


def test_the_session_unused_longest_is_forgotten_first(worlds: MemoryWorlds, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "MOST_SESSIONS", 2)
    kept, lost = worlds.open("kept"), worlds.open("lost")
    worlds.open("kept")
    worlds.open("third")
    assert worlds.open("kept") is kept
    assert worlds.open("lost") is not lost


def test_clearing_the_tasks_leaves_the_windows(worlds: MemoryWorlds) -> None:
    world = worlds.open("")

    def fill(account: Account) -> None:
        account.portraits.add(task_of("one"))
        account.admitted_ms, account.portraits.slot_free_ms = {"submissions": (5,)}, 9

    world.change("acme", fill)
    clear_tasks(world)
    assert world.change("acme", lambda account: account) == Account(admitted_ms={"submissions": (5,)})


def test_contents_are_kept_up_to_a_bound_and_belong_to_one_session(
    worlds: MemoryWorlds, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "MOST_CONTENT_BYTES", 10)
    monkeypatch.setattr(memory, "EACH_CONTENT_BYTES", 0)
    one, other = worlds.open(""), worlds.open("other")
    one.keep("a", b"12345")
    other.keep("a", b"1234")
    assert (one.kept("a"), other.kept("a"), one.kept("b")) == (b"12345", b"1234", None)
    one.keep("a", b"123456")  # the same name again takes the place of the first
    assert (one.kept("a"), other.kept("a")) == (b"123456", b"1234")
    one.keep("b", b"1")
    assert (one.kept("a"), one.kept("b"), other.kept("a")) == (b"123456", b"1", None)
    one.drop("b")
    worlds.clear("")
    assert (one.kept("a"), one.kept("b")) == (None, None)
    one.keep("late", b"1")  # by a request that was under way when the session was cleared
    assert one.kept("late") is None


def test_many_empty_contents_take_room_too(worlds: MemoryWorlds, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "MOST_CONTENT_BYTES", 2 * memory.EACH_CONTENT_BYTES)
    world = worlds.open("")
    for name in "abc":
        world.keep(name, b"")
    assert [world.kept(name) for name in "abc"] == [None, b"", b""]


def test_more_than_there_is_room_for_is_not_kept(worlds: MemoryWorlds, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "MOST_CONTENT_BYTES", 10)
    monkeypatch.setattr(memory, "EACH_CONTENT_BYTES", 0)
    world = worlds.open("")
    world.keep("small", b"1")
    world.keep("large", b"12345678901")
    assert (world.kept("small"), world.kept("large")) == (None, None)


def test_plans_wait_for_the_submissions_that_they_are_for(worlds: MemoryWorlds) -> None:
    world = worlds.open("")
    for model in (TRAINING_MODEL, MODEL, TRAINING_MODEL):
        world.queue_plan(Asked(Plan(running_ms=len(world.queued_plans())), model=model))
    first = world.first_plan(MODEL)
    assert first == Asked(Plan(running_ms=1), model=MODEL)
    world.take_plan(MODEL)
    assert world.first_plan(MODEL) is None
    assert [asked.plan for asked in world.queued_plans()] == [Plan(running_ms=0), Plan(running_ms=2)]
    world.take_plan(MODEL)
    assert len(world.queued_plans()) == 2


@pytest.mark.parametrize("what", ["declare", "add_resource"])
def test_what_is_declared_is_bounded(worlds: MemoryWorlds, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    monkeypatch.setattr(memory, "MOST_DECLARED", 1)
    world = worlds.open("")
    given = (FINE,) if what == "declare" else ()
    getattr(world, what)("one", *given)
    getattr(world, what)("one", *given)
    with pytest.raises(ValueError, match=r"^1 .* are declared already; clear them with DELETE "):
        getattr(world, what)("two", *given)


@pytest.mark.parametrize("lane", ["portraits", "trainings"])
def test_an_account_with_something_of_its_own_outlives_one_without(
    worlds: MemoryWorlds, monkeypatch: pytest.MonkeyPatch, lane: str
) -> None:
    monkeypatch.setattr(memory, "MOST_ACCOUNTS", 2)
    world = worlds.open("")
    world.change("oldest", lambda account: getattr(account, lane).add(task_of("one")))
    for name in ("idle", "newest"):
        world.change(name, lambda _account: None)
    assert world.accounts() == ["oldest", "newest"]
    world.change("last", lambda account: getattr(account, lane).add(task_of("two")))
    world.change("one too many", lambda _account: None)
    assert world.accounts() == ["last", "one too many"]
