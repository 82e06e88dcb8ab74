"""What a shell completes is what the command line takes."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from pinhold.cli import COMMANDS, main

pytest.importorskip("shtab", reason="needs shtab: pip install 'pinhold[terminal]'")


def script(shell: str, capsys: pytest.CaptureFixture[str]) -> str:
    """As the command prints it."""
    assert main(["completion", shell]) == 0
    return capsys.readouterr().out


TYPED = pytest.mark.parametrize(
    ("typed", "completed"),
    [
        ("che", {"check"}),
        ("co", {"compare", "conform", "completion"}),
        ("run --on model:6.1", {"model:6.1", "model:6.12", "model:6.18"}),
        ("run --form", {"--format"}),
        ("run seed --format k", {"ktap"}),
        ("run seed sto", {"stock"}),
        ("compare model:6.2 li", {"live"}),
        ("kernels fe", {"fetch"}),
        ("pins --on v", {"vmcore:"}),
        ("pins --on l", {"live"}),
        ("watch --on q", {"qmp:"}),
        ("watch --on l", {"live"}),
    ],
)


@TYPED
def test_bash_completes(typed: str, completed: set[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Commands, options, their values and targets, as bash itself does it."""
    file = tmp_path / "completion.bash"
    file.write_text(script("bash", capsys))
    words = f"pinhold {typed}".split()
    asked = (
        f'source "{file}"; COMP_WORDS=({" ".join(words)}); COMP_CWORD={len(words) - 1}; '
        "function=$(complete -p pinhold | grep -o '[-]F [^ ]*' | cut -c4-); "
        f'$function pinhold "{words[-1]}" "{words[-2]}"; printf "%s\\n" "${{COMPREPLY[@]}}"'
    )
    done = subprocess.run(["bash", "-c", asked], capture_output=True, text=True, check=True)
    assert {word.strip() for word in done.stdout.splitlines()} == completed, done.stderr


@TYPED
@pytest.mark.skipif(shutil.which("fish") is None, reason="needs fish: apt-get install fish")
def test_fish_completes(typed: str, completed: set[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The same, as fish itself does it: a word and what it means in each line."""
    file = tmp_path / "pinhold.fish"
    file.write_text(script("fish", capsys))
    asked = f"source {shlex.quote(str(file))}; complete -C {shlex.quote(f'pinhold {typed}')}"
    environment = {**os.environ, "HOME": str(tmp_path)}
    fish = ["fish", "--no-config", "-c", asked]
    done = subprocess.run(fish, capture_output=True, text=True, check=True, env=environment)
    assert {line.partition("\t")[0] for line in done.stdout.splitlines()} == completed, done.stderr


ZSH = """\
fpath=($PWD $fpath)
autoload -Uz compinit
compinit -u -D
compadd() {
  local -a found
  [[ " ${@[1,(i)(-|--)]} " == *' -'[OAD]' '* ]] || { builtin compadd -A found "$@"; print -rl -- $found >> found }
  builtin compadd "$@"
}
zle-line-init() { BUFFER=$typed; CURSOR=$#BUFFER; zle complete-word; BUFFER=exit; zle accept-line }
zle -N zle-line-init
"""
"""Completes what is typed, writes down what zsh would offer, and ends."""


@TYPED
@pytest.mark.skipif(shutil.which("zsh") is None, reason="needs zsh: apt-get install zsh")
def test_zsh_completes(typed: str, completed: set[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The same, as zsh itself does it, which completes on a terminal alone."""
    (tmp_path / "_pinhold").write_text(script("zsh", capsys))
    (tmp_path / "begin").write_text(ZSH)
    said = on_a_terminal(["zsh", "-f", "-i"], b"source ./begin\n", tmp_path, {"typed": f"pinhold {typed}"})
    found = tmp_path / "found"
    assert found.exists(), said.decode(errors="replace")
    assert set(found.read_text().split()) == completed, said.decode(errors="replace")


def on_a_terminal(program: list[str], typed: bytes, where: Path, words: dict[str, str]) -> bytes:
    """What the program says, until it ends."""
    ours, its = os.openpty()
    environment = {**os.environ, "TERM": "dumb", **words}
    with subprocess.Popen(
        program, stdin=its, stdout=its, stderr=its, cwd=where, env=environment, start_new_session=True
    ):
        os.close(its)
        os.write(ours, typed)
        said = b""
        try:
            while part := os.read(ours, 4096):
                said += part
        except OSError:  # the other side is closed
            pass
    os.close(ours)
    return said


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_have_a_script(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    """It names every command."""
    text = script(shell, capsys)
    assert [name for name in COMMANDS if name not in text] == []


def test_a_dump_is_not_completed_where_it_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """`watch` takes no dump, in which nothing changes."""
    lines = [line for line in script("bash", capsys).splitlines() if "__on_choices" in line]
    told = {command: [line for line in lines if f"_{command}_" in line] for command in ("pins", "watch")}
    assert ["vmcore:" in line for line in told["pins"] + told["watch"]] == [True, False]
