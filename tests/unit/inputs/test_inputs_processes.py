"""Processes beside the application in image definitions: what they are where nothing is said, and what is refused."""

import pytest

from builder.analyse.implied import by_definition
from builder.definition import Process
from builder.errors import DefinitionError
from builder.inputs.definition_file import parse

BUILT = '[source]\nkind = "build"\ntoolchain = "musl"\n[run]\ncommand = ["/bin/a"]\n'
ONE = BUILT + '[[process]]\nname = "worker"\ncommand = ["/bin/w", "x"]\n'


def test_a_name_and_a_command_are_all_that_must_be_said() -> None:
    [process] = parse(ONE, "web").process
    assert process == Process("worker", ("/bin/w", "x"))
    assert (process.user, process.restart, process.directory) == (None, "always", "/")
    assert (process.open_files, process.processes) == (1024, 256)


def test_the_kernel_has_users_where_any_of_them_is_not_root() -> None:
    root = ONE.replace('"/bin/a"]', '"/bin/a"]\nuser = "root"')
    needs = [{need.id for need in by_definition(parse(text, "web"))} for text in (root, f'{root}user = "w"\n')]
    assert needs[1] - needs[0] == {"capabilities"}


def many(count: int) -> str:
    return BUILT + "".join(f'[[process]]\nname = "p{n}"\ncommand = ["/bin/w"]\n' for n in range(count))


def test_there_may_be_eight() -> None:
    assert len(parse(many(8), "web").process) == 8


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (many(9), "process: 9 of them, the agent has room for 8"),
        (BUILT + "[[process]]\n", "process[0].name: is required"),
        (BUILT + '[[process]]\nname = "a"\n', "process[0].command: is required"),
        (BUILT + '[[process]]\nname = "a"\ncommand = []\n', "process[0].command"),
        (BUILT + '[[process]]\nname = "A b"\ncommand = ["/a"]\n', "process[0].name"),
        (BUILT + '[[process]]\nname = "stderr"\ncommand = ["/a"]\n', "process[0].name: stderr is what"),
        (ONE.replace('"/bin/w"', '"w"'), "process[0].command: 'w' is not an absolute path in the guest"),
        (ONE.replace('"x"', '"\\u0000"'), "process[0].command: an argument cannot hold a NUL"),
        (ONE.replace('"x"', ", ".join(['"x"'] * 31)), "process[0].command: 32 of them, the agent has room for 31"),
        (ONE + 'environment = { "" = "x" }\n', "process[0].environment.''"),
        (ONE + 'restart = "sometimes"\n', "process[0].restart"),
        (ONE + "open_files = 3\n", "process[0].open_files"),
        (ONE + "processes = -1\n", "process[0].processes"),
        (ONE + 'directory = "tmp"\n', "process[0].directory"),
        (ONE + 'user = "a b"\n', "process[0].user"),
        (ONE + "stop_signal = 'INT'\n", "process[0].stop_signal: unknown key"),
        (
            ONE + ONE.partition("[[")[1] + ONE.partition("[[")[2],
            "process[1].name: worker is there twice, see process[0]",
        ),
    ],
)
def test_what_could_not_work_is_refused_with_its_key(text: str, said: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        parse(text, "web")
    assert str(caught.value).startswith(f"images/web/image.toml: {said}")
