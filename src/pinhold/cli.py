"""The command line: parses the arguments, runs one command, and turns what ends it into a status and one line.

What a command needs is imported when it runs, so that `pinhold --help` is there at once.
"""

from __future__ import annotations

import argparse
import importlib
import io
import os
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from typing import Any, NoReturn, TextIO

from pinhold import __version__
from pinhold.commands import (
    Ended,
    Stop,
    UsageError,
    grammar_audit,
    grammar_cluster,
    grammar_conform,
    grammar_explore,
    grammar_inspect,
    grammar_lab,
    grammar_run,
    grammar_touches,
    nearest,
)
from pinhold.commands.grammar_pages import add_chart, add_html

EXIT_HELD = 0
EXIT_BROKEN = 5
EXIT_INTERRUPTED = 130
_NOT_OF_COMMIT = (3, 4, EXIT_BROKEN)
"""Usage, nothing could be run, broken."""

EXIT_BROKEN_PIPE = 141

_TEST = "SUITE, SUITE/N, SUITE/N-M (for example seed/151-162) or FILE.pin"
_TARGET = (
    "model:REL (for example model:6.2; model:6.2,RULE=VALUE switches a rule), live (the running kernel), vm:REL or "
    "vm:PATH (in QEMU); NAME=TARGET gives it a name in the report; repeat it to compare"
)

_CHECKED = "model:6.1 model:6.2 live, and vm:6.1 vm:6.12 where QEMU and these kernels are"


_FEW = 12
"""So many choices are named in a message."""


class _Parser(argparse.ArgumentParser):
    """An ArgumentParser whose errors are this command's usage errors."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message}; see {self.prog} --help")

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        """Of a word that is none of a list: the one that was meant, in words that fit on a screen."""
        if action.choices is None or value in action.choices:
            return
        choices = [str(choice) for choice in action.choices]
        listed = f"{self.prog} --help" if len(choices) > _FEW else ""
        what = f"{action.dest} command" if action.nargs == argparse.PARSER else action.dest
        which = "/".join(action.option_strings) or what
        raise UsageError(f"unknown {which} {value!r}: {nearest(str(value), choices, listed)}")

    def _print_message(self, message: str, file: Any = None) -> None:
        """argparse passes over help that cannot be written."""
        (file or sys.stdout).write(message)


def parser() -> argparse.ArgumentParser:
    """The grammar of the command line."""
    top = _Parser(
        prog="pinhold",
        description="Is the memory that I handed to a device still the memory that my process sees?",
        epilog="Exit status: 0 all held; 1 violated, livelock or mismatch; 2 unknown; 3 usage; 4 nothing could be run "
        "here; 5 the tool or a guest broke.",
        allow_abbrev=False,
    )
    top.add_argument("-v", "--version", action="version", version=f"pinhold {__version__}")
    commands = top.add_subparsers(dest="command", metavar="COMMAND", required=True)

    def command(name: str, words: str) -> argparse.ArgumentParser:
        return commands.add_parser(name, help=words, description=words, allow_abbrev=False)

    check = command("check", "the answer for the kernel that runs here, beside kernels before and after the patch")
    check.add_argument("--on", action="append", metavar="TARGET", help=f"{_TARGET}; default: {_CHECKED}")
    grammar_lab.add_with(check)
    grammar_lab.add_jobs(check)
    grammar_lab.add_luggage(check)
    grammar_lab.add_deadline(check)
    grammar_lab.add_without(check)
    check.add_argument("--full", action="store_true", help="print every test; without it the answer, on one screen")
    add_html(check)
    _allow_change(check)

    _run(command)
    _show(command)
    _report(command)

    step = command("step", "tell a test step by step, on two targets up to their first difference")
    step.add_argument("test", metavar="TEST", help="SUITE/N or FILE.pin")
    step.add_argument("--on", action="append", metavar="TARGET", required=True, help=_TARGET)
    step.add_argument(
        "--full", action="store_true", help="in words all that was seen and decided, which a pipe has anyhow"
    )
    grammar_lab.add_with(step)
    grammar_lab.add_pin(step)
    grammar_lab.add_luggage(step)
    grammar_lab.add_deadline(step)

    _ask(command)
    _examples(command)
    rules = command("rules", "what differs between kernels, switch by switch")
    add_chart(rules, "rules by releases")
    actions = rules.add_subparsers(dest="rules", metavar="ACTION")
    actions.add_parser("list", help="every switch with its commit and first release", allow_abbrev=False)
    one = actions.add_parser("show", help="show REL: the values of one release", allow_abbrev=False)
    one.add_argument("release", metavar="REL")
    two = actions.add_parser("diff", help="diff REL REL: what differs between two releases", allow_abbrev=False)
    two.add_argument("old", metavar="REL")
    two.add_argument("new", metavar="REL")
    grammar_lab.add_doctor(command)
    command("restore", "put back what a run changed, where neither the run nor its guardian could")
    grammar_lab.add(command, _TARGET)
    for grammar in (grammar_explore, grammar_cluster, grammar_conform, grammar_inspect, grammar_audit):
        grammar.add(command)
    _about_itself(command)
    return top


def _about_itself(command: Callable[..., argparse.ArgumentParser]) -> None:
    docs = command("docs", "the pages of the book, which come with pinhold: listed, or one printed")
    docs.add_argument("page", nargs="?", metavar="PAGE", help="for example howto/bisect; default: the list of them")
    completion = command("completion", "a script by which a shell completes commands, options and targets")
    completion.add_argument(
        "shell", choices=("bash", "zsh", "fish"), help="for example: source <(pinhold completion bash)"
    )
    completion.set_defaults(grammar=parser)
    command("version", "the version of pinhold, as --version prints it")
    helping = command("help", "what a command does and takes, as COMMAND --help prints it")
    helping.add_argument("about", nargs="*", metavar="COMMAND")


def _ask(command: Callable[..., argparse.ArgumentParser]) -> None:
    ask = command("ask", "for authors of drivers: what a pin with these FOLL_* flags promises, on every kind of memory")
    ask.add_argument(
        "flags",
        nargs="+",
        metavar="FLAGS|INTERFACE",
        help="for example FOLL_LONGTERM, 'FOLL_LONGTERM|FOLL_WRITE', 0; or ibv_reg_mr, vfio, O_DIRECT ...",
    )
    ask.add_argument("--on", action="append", metavar="model:REL", help="a release; repeat it; default: all")
    grammar_lab.add_with(ask)
    ask.add_argument(
        "--memory",
        dest="mebibytes",
        type=_mebibytes,
        default=64,
        metavar="MIB",
        help="the size of your buffer, for RLIMIT_MEMLOCK; default: 64",
    )
    ask.add_argument("--format", choices=("table", "json"), default="table", help="default: table")
    where = add_chart(ask, "kinds of memory by releases")
    where.add_argument("-o", dest="output", metavar="FILE", help="write there instead of to standard output")


def _examples(command: Callable[..., argparse.ArgumentParser]) -> None:
    examples = command("examples", "scenarios, programs that pin, a driver: listed, printed or copied, to begin with")
    examples.add_argument("name", nargs="?", metavar="EXAMPLE", help="a file or a folder of them; default: all")
    examples.add_argument("--copy", metavar="DIR", help="copy them there")


def _run(command: Callable[..., argparse.ArgumentParser]) -> None:
    run = command("run", "run tests and report the verdicts")
    run.add_argument("tests", nargs="*", metavar="TEST", help=_TEST)
    grammar_run.add_asked(run)
    run.add_argument("--on", action="append", metavar="TARGET", help=f"{_TARGET}; default: live")
    grammar_lab.add_with(run)
    grammar_lab.add_pin(run)
    grammar_run.add_reports(run)
    grammar_run.add_known(run)
    grammar_lab.add_jobs(run)
    grammar_lab.add_luggage(run)
    grammar_lab.add_deadline(run)
    grammar_lab.add_without(run)
    grammar_touches.add_touches(run)
    grammar_lab.add_counts(run)
    add_html(run)
    _allow_change(run)


def _show(command: Callable[..., argparse.ArgumentParser]) -> None:
    show = command("show", "print the text of a test, or the tests of a suite")
    show.add_argument(
        "what", nargs="?", metavar="TEST|RUN", help=f"{_TEST} or a run file; without it the suites are listed"
    )
    show.add_argument("--on", action="append", metavar="TARGET", help=f"{_TARGET}; default: model:6.1 and model:6.2")
    show.add_argument(
        "--text", action="store_true", help="a picture in 78 columns: who holds which page frame, step by step"
    )
    show.add_argument("--svg", metavar="FILE", help="the same picture as a still image")
    show.add_argument("--html", metavar="FILE", help="as a page: each step with its state and what decided it")
    show.add_argument(
        "--poster",
        metavar="FILE",
        help="as a sheet of A3 that tells it in the comments of its file, .svg or .html; without TEST: the life of a "
        "pinned page",
    )
    show.add_argument("--steps", type=_steps, metavar="A:B", help="which steps a page shows of a long run")
    grammar_lab.add_with(show)
    grammar_lab.add_pin(show)
    grammar_lab.add_luggage(show)
    grammar_lab.add_deadline(show)


def _report(command: Callable[..., argparse.ArgumentParser]) -> None:
    report = command("report", "run files as pages, JUnit, KTAP, a table, a baseline or one run file")
    report.add_argument("runs", nargs="+", metavar="RUN", help="what run --format json has written")
    report.add_argument("-o", dest="output", metavar="DIR", help="write all there: index.html, junit.xml, results.ktap")
    report.add_argument("--format", choices=grammar_run.READ_BACK, help="one of them, to standard output")
    grammar_run.add_ktap_names(report)


def _mebibytes(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < len(text) < 9 and int(text)):
        raise argparse.ArgumentTypeError(f"{text!r} is no number of MiB: give 1 or more")
    return int(text)


def _steps(text: str) -> tuple[int, int]:
    first, colon, last = text.partition(":")
    if not (colon and all(part.isascii() and part.isdigit() and 0 < len(part) < 8 for part in (first, last))):
        raise argparse.ArgumentTypeError(f"{text!r} is no range of steps: write A:B, for example 1:200")
    if not 0 < int(first) <= int(last):
        raise argparse.ArgumentTypeError(f"{text!r} has no step: write the first one first, from 1")
    return int(first), int(last)


def _allow_change(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--allow-change",
        metavar="WHAT,...",
        help="let the target live change this machine until the run ends: hugepages, swap, ksm, thp; default: nothing",
    )


_WORDS = {"version": "--version", "help": "--help"}
"""Commands that are another word for an option."""

COMMANDS = (
    "check",
    "run",
    "show",
    "report",
    "step",
    "ask",
    "examples",
    "rules",
    "doctor",
    "restore",
    *grammar_lab.COMMANDS,
    *grammar_explore.COMMANDS,
    *grammar_cluster.COMMANDS,
    *grammar_conform.COMMANDS,
    *grammar_inspect.COMMANDS,
    *grammar_audit.COMMANDS,
    "docs",
    "completion",
    *_WORDS,
)


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    if arguments and not arguments[0].startswith("-") and arguments[0] not in COMMANDS:
        raise UsageError(f"unknown command {arguments[0]!r}: {nearest(arguments[0], COMMANDS, 'pinhold --help')}")
    if arguments and arguments[0] in _WORDS:
        arguments = [*arguments[1:], _WORDS[arguments[0]]]
    return parser().parse_args(arguments)


def _stop(message: object, status: int) -> int:
    try:
        print(f"pinhold: {' '.join(str(message).split())}", file=sys.stderr, flush=True)
    except OSError:
        _silence(sys.stderr)
    return status


_BISECT = "--bisect"
_STOPS_BISECT = 128
"""`git bisect run` takes a status up to 127 for one about the commit, and stops at any other."""


def main(arguments: Sequence[str]) -> int:
    """Run one command; gives its exit status.  With --bisect, one that says nothing about the commit has 128 added."""
    try:
        status = _main(arguments)
    except Exception as defect:  # Python's own status for it would be that of a finding
        from pinhold.commands.defect import told

        with suppress(OSError, ValueError):
            sys.stdout.flush()
        status = _stop(told(defect), EXIT_BROKEN)
    return status + _STOPS_BISECT if _BISECT in arguments and status in _NOT_OF_COMMIT else status


def _patched(options: argparse.Namespace) -> AbstractContextManager[None]:
    """For what --with gives."""
    if not getattr(options, "patches", None):
        return nullcontext()
    from pinhold.commands.given import patches

    return patches(options.patches)


def _main(arguments: Sequence[str]) -> int:
    status = EXIT_HELD
    try:
        with suppress(SystemExit):  # by --help and --version, which have said everything
            options = _parse(arguments)
            with _patched(options):
                status = importlib.import_module(f"pinhold.commands.{options.command.replace('-', '_')}").main(options)
        sys.stdout.flush()
        return status
    except Stop as error:
        return _stop(error, error.status)
    except BrokenPipeError:
        _silence(sys.stdout)
        return EXIT_BROKEN_PIPE
    except KeyboardInterrupt as end:
        _silence(sys.stdout)
        return end.status if isinstance(end, Ended) else EXIT_INTERRUPTED
    except OSError as error:
        _silence(sys.stdout)
        where = f"{error.filename}: " if error.filename else "the output could not be written: "
        return _stop(f"{where}{error.strerror or error}", EXIT_BROKEN)


def _silence(stream: TextIO) -> None:
    """What is still buffered goes nowhere: flushing it at exit would fail again."""
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), stream.fileno())


def _open_what_is_closed() -> None:
    """Give each standard stream that is closed a descriptor, so that no other file gets its number.

    Writing to standard output then still fails, as it should; what is said to a closed standard error goes nowhere.
    """
    for number, flags in ((0, os.O_WRONLY), (1, os.O_RDONLY), (2, os.O_WRONLY)):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, flags)  # gets the lowest number that is free
    for number, name in ((1, "stdout"), (2, "stderr")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, "w", encoding="utf-8", closefd=False))  # noqa: SIM115 (for good)


def _in_a_process_of_ours(_kind: type[BaseException], error: BaseException, _trace: object) -> None:
    """A process that works beside this one has nobody to catch what it raises; its end is seen by who waits for it."""
    from pinhold.commands.defect import told

    _stop(told(error), EXIT_BROKEN)


def entry() -> None:
    """Run the command and exit with its status."""
    _open_what_is_closed()
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a file's name or title may not fit the locale
    sys.excepthook = _in_a_process_of_ours
    status = main(sys.argv[1:])
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # what ends at exit says nothing about Ctrl-C either
    sys.exit(status)
