"""What the controller and the processes of a scenario say to one another."""

from __future__ import annotations

import marshal

import pytest

from pinhold.targets.live import protocol as p
from pinhold.targets.live.helper import _serve
from pinhold.targets.live.process import ANSWERS

TO_THE_HELPER = {p.Spawn, p.Reap, p.Signal, p.ReapGroup}
BASES = {p.Request, p.Ranged}
REQUESTS = {each for each in p.MESSAGES.values() if issubclass(each, p.Request)}


def test_what_is_sent_is_what_arrives() -> None:
    """A message goes over the channel as marshal has it and is the same one at the other end."""
    sent = p.Acquire("x", 0, 3, "io_uring", True, False, 0)
    assert p.decode(marshal.loads(marshal.dumps(p.encode(sent)))) == sent
    assert p.encode(sent)[0] == "acquire"


@pytest.mark.parametrize("received", [("no such",), ("write", "x"), ("drain", 1)])
def test_what_is_no_message_is_refused(received: tuple[object, ...]) -> None:
    """An unknown word, a field that is missing and one too many."""
    with pytest.raises((KeyError, TypeError)):
        p.decode(received)


def test_a_process_answers_every_request() -> None:
    """What is not for the helper is answered by a process, and nothing else is."""
    assert set(ANSWERS) == REQUESTS - TO_THE_HELPER


def test_the_helper_refuses_what_is_not_for_it() -> None:
    """A request that a process answers is not taken for one of the helper's."""
    with pytest.raises(TypeError, match="no request to the helper"):
        _serve(p.Drain(), [], set(), None, None)


def test_what_changes_nothing_is_named() -> None:
    """After any other request a process tells what it sees then: those that only look are none of them, but one that is
    about just that."""
    assert {"frames", "contents", "states", "who", "where"} < {each.op for each in p.STILL}
    assert p.Look not in p.STILL
    assert set(p.STILL) < REQUESTS
    assert set(p.REMAPS) < REQUESTS
