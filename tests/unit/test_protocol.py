"""What the controller and the processes of a scenario say to one another."""

from __future__ import annotations

import json

import pytest

from pinhold.targets.live import protocol as p
from pinhold.targets.live.nursery import _serve
from pinhold.targets.live.process import ANSWERS

TO_THE_HELPER = {p.Spawn, p.Reap, p.Signal, p.ReapGroup}
BASES = {p.Request, p.Ranged}
REQUESTS = {each for each in p.MESSAGES.values() if issubclass(each, p.Request)}


def test_what_is_sent_is_what_arrives() -> None:
    """A message goes over the channel as JSON and is the same one at the other end."""
    sent = p.Acquire("x", 0, 3, "io_uring", True, False)
    assert p.decode(json.loads(json.dumps(p.encode(sent)))) == sent
    assert p.encode(sent)["op"] == "acquire"


@pytest.mark.parametrize("received", [{"op": "no such"}, {"op": "write", "region": "x"}, {"op": "drain", "more": 1}])
def test_what_is_no_message_is_refused(received: dict[str, object]) -> None:
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


def test_looks_are_requests_of_their_own() -> None:
    """Those that change nothing are named, as after any other a process looks up anew what may be read."""
    assert {each for each in REQUESTS if each.op in ("look", "frames", "contents", "states")} == set(p.LOOKS)
