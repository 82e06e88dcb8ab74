"""What a shell completes is what the command line takes."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from pinhold.cli import COMMANDS, main

pytest.importorskip("shtab", reason="needs shtab: pip install 'pinhold[terminal]'")


def script(shell: str, capsys: pytest.CaptureFixture[str]) -> str:
    """As the command prints it."""
    assert main(["completion", shell]) == 0
    return capsys.readouterr().out


@pytest.mark.parametrize(
    ("typed", "completed"),
    [
        ("che", {"check"}),
        ("co", {"compare", "conform", "completion"}),
        ("run --on model:6.1", {"model:6.1", "model:6.12", "model:6.18"}),
        ("run --form", {"--format"}),
        ("run seed --format k", {"ktap"}),
        ("kernels fe", {"fetch"}),
    ],
)
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


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_have_a_script(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    """It names every command."""
    text = script(shell, capsys)
    assert [name for name in COMMANDS if name not in text] == []
