"""Secrets in image definitions: what could not work or would leak is refused, with its key path."""

import pytest

from builder.analyse.implied import by_definition
from builder.definition import Secret
from builder.errors import DefinitionError
from builder.inputs.definition_file import parse

BUILT = '[source]\nkind = "build"\ntoolchain = "musl"\n[run]\ncommand = ["/bin/a"]\n'
ONE = BUILT + '[[secret]]\nname = "one"\n'


def test_a_name_is_all_that_must_be_said() -> None:
    [secret] = parse(ONE, "web").secret
    assert secret == Secret("one")
    assert (secret.place, secret.mode, secret.user) == ("/run/secrets/one", "0400", None)


@pytest.mark.parametrize(
    ("path", "place"),
    [("/run/secrets/key.pem", "/run/secrets/key.pem"), ("/etc/tls/key.pem", "/run/secrets/one")],
)
def test_the_file_itself_is_always_among_the_secrets(path: str, place: str) -> None:
    [secret] = parse(f'{ONE}path = "{path}"\n', "web").secret
    assert secret.place == place


def test_a_kernel_has_the_device_only_where_there_are_secrets() -> None:
    wanted = {need.id for need in by_definition(parse(ONE, "web"))}
    assert wanted - {need.id for need in by_definition(parse(BUILT, "web"))} == {
        "secrets",
        "mount:sysfs",
        "mount:tmpfs",
    }


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (BUILT + "[[secret]]\n", "secret[0].name: is required"),
        (BUILT + '[[secret]]\nname = ""\n', "secret[0].name"),
        (BUILT + '[[secret]]\nname = "a b"\n', "secret[0].name"),
        (BUILT + '[[secret]]\nname = "../a"\n', "secret[0].name"),
        (BUILT + f'[[secret]]\nname = "{"x" * 40}"\n', "secret[0].name"),
        (ONE + "value = 'x'\n", "secret[0].value: unknown key"),
        (ONE + 'mode = "0600"\n', "secret[0].mode"),
        (ONE + 'mode = "0500"\n', "secret[0].mode"),
        (ONE + 'path = "key"\n', "secret[0].path: 'key' is not an absolute path"),
        (ONE + 'path = "/etc/../key"\n', "secret[0].path: '/etc/../key' is not a plain path"),
        (ONE + 'path = "/etc/a key"\n', "secret[0].path: '/etc/a key' is not a plain path"),
        (ONE + 'path = "/run/secrets"\n', "secret[0].path: a file right in /run/secrets, or one elsewhere"),
        (ONE + 'path = "/run/secrets/a/b"\n', "secret[0].path: a file right in /run/secrets, or one elsewhere"),
        (ONE + 'path = "/proc/key"\n', "secret[0].path: nothing may be put at /proc/key"),
        (ONE + 'path = "/"\n', "secret[0].path: nothing may be put at /"),
        (
            ONE + 'path = "/data/key"\n[disk]\nmount = "/data"\n',
            "secret[0].path: /data/key would be hidden: disk.mount",
        ),
        (
            ONE + 'path = "/tmp/k"\n[[files.tmpfs]]\npath = "/tmp"\n',
            "secret[0].path: /tmp/k would be hidden: files.tmpfs",
        ),
        (ONE + '[[secret]]\nname = "one"\n', "secret[1].name: one is there twice, see secret[0]"),
        (ONE + '[[secret]]\nname = "b"\npath = "/run/secrets/one"\n', "secret[1].path: /run/secrets/one is that of"),
        (
            ONE + 'path = "/k"\n[[secret]]\nname = "b"\npath = "/k"\n',
            "secret[1].path: /k is that of secret[0]",
        ),
        (ONE + '[[files.tmpfs]]\npath = "/run/secrets"\n', "files.tmpfs[0].path: /run/secrets is where the agent"),
        (ONE + '[disk]\nmount = "/run/secrets/a"\n', "disk.mount: /run/secrets is where the agent"),
        (ONE + '[needs]\nfeatures = ["core dump"]\n', "needs.features: core dump: the application's memory"),
        (ONE + 'test_file = "/etc/passwd"\n', "secret[0].test_file: '/etc/passwd' is not a file beside image.toml"),
        (ONE + 'test_file = "../a"\n', "secret[0].test_file: '../a' is not a file beside image.toml"),
        (ONE + 'test_file = "files/a"\n', "secret[0].test_file: files/a: files/ is laid over the image"),
        (ONE + 'test_file = "./src/a"\n', "secret[0].test_file: ./src/a: source.directory is what"),
    ],
)
def test_what_cannot_work_is_refused(text: str, said: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        parse(text, "web")
    assert caught.value.message.startswith(f"images/web/image.toml: {said}")


def test_a_tmpfs_above_the_secrets_is_no_problem() -> None:
    assert parse(ONE + '[[files.tmpfs]]\npath = "/run"\n', "web").secret
