"""`git bisect run` with `compare --bisect`: commits that are models, and some that nothing can be told of.

tests/vm/test_bisect.py has kernels in their place.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from bisected import Repository, git_missing

pytestmark = pytest.mark.skipif(git_missing(), reason="needs git")

GOOD, BAD, UNBUILT = "model:6.12", "model:6.1", "vm:./bzImage"
HALF = "model:6.1,gup_unshares=cow_longterm"
"""The patch without the one that it needs: the pin never ends."""


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    """An empty one, and a script that compares each commit with a model that is right."""
    return Repository(tmp_path, 'exec $PINHOLD compare --bisect "$(cat target)" model:6.2 seed/151')


def test_it_finds_the_first_bad_commit(repository: Repository) -> None:
    """A commit that gives no image is passed over, and one that loops where the model does not is bad."""
    repository.commit(GOOD, GOOD, GOOD, UNBUILT, GOOD, HALF, BAD)
    done = repository.bisect()
    assert done.returncode == 0, done.stdout + done.stderr
    assert repository.first_bad() == 5
    assert f"seed/151: {HALF} livelock, model:6.2 held" in done.stdout
    assert "cannot be tested: there is no ./bzImage" in done.stdout
    assert "skip" in repository.log()


def test_what_is_wrong_beside_unbuilt_commits_is_one_of_them(repository: Repository) -> None:
    """git says which are left."""
    repository.commit(GOOD, GOOD, UNBUILT, BAD, BAD)
    done = repository.bisect()
    assert "The first bad commit could be any of" in done.stdout
    assert done.returncode == 2


@pytest.mark.parametrize(
    ("script", "status"),
    [
        ('exec $PINHOLD compare --bisect "$(cat target)" model:6.2 sead/151', 131),
        ("exec $PINHOLD compare --bisect vm:6.999 model:6.2 seed/151", 132),
        ('exec $PINHOLD compare --bisect "$(cat target)" model:6.2 seed/1 --touches hugetlb_wp,nobody', 132),
    ],
    ids=["suite", "kernel", "nothing"],
)
def test_a_mistake_stops_it(tmp_path: Path, script: str, status: int) -> None:
    """No commit is called good, bad or skipped for it."""
    repository = Repository(tmp_path, script)
    repository.commit(GOOD, GOOD, BAD, BAD)
    done = repository.bisect()
    assert done.returncode != 0
    assert f"exit code {status}" in done.stdout + done.stderr
    assert not [
        line for line in repository.log().splitlines()[1:] if line.startswith("git bisect") and "start" not in line
    ]
    assert "pinhold: " in done.stdout + done.stderr
