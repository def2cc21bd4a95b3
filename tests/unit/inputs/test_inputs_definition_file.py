"""Image definitions: every error names the file and the key path, and nothing but a DefinitionError gets out."""

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from builder.definition import BuildSource, DebianSource, Definition
from builder.errors import DefinitionError
from builder.inputs.definition_file import load, names, parse

IMAGES = Path(__file__).parents[3] / "images"
MINIMAL = """
[source]
kind = "debian"
packages = ["nginx"]

[run]
command = ["/usr/sbin/nginx"]
"""
BUILT = '[source]\nkind = "build"\ntoolchain = "musl"\n'
RUN = '[run]\ncommand = ["/bin/a"]\n'
SERVING = MINIMAL + "[network]\nports = [8080]\n"


def last_line(text: str) -> str:
    """A short name for a test case."""
    return (text.strip().splitlines() or ["nothing"])[-1][:70]


def refusal(text: str) -> DefinitionError:
    with pytest.raises(DefinitionError) as caught:
        parse(text, "web")
    assert re.match(r"images/web/image\.toml(:\d+)?: ", caught.value.message)
    assert "\n" not in caught.value.message
    return caught.value


def test_what_is_optional_has_its_default() -> None:
    found = parse(MINIMAL, "web")
    assert found.name == "web"
    assert found.source == DebianSource(("nginx",))
    assert (found.run.user, found.run.restart, found.run.stop_signal) == ("app", "on-failure", "TERM")
    assert (found.machine.memory_mib, found.machine.platform, found.profile) == (64, "microvm", "lean")
    assert (found.disk, found.network.ports, found.smoke.check) == (None, (), ())
    assert (found.trace.check, found.trace.timeout_s) == ((), 300)


def test_the_kind_of_source_decides_its_keys() -> None:
    text = '[source]\nkind = "build"\ntoolchain = "musl"\n[run]\ncommand = ["/bin/a"]\n'
    assert parse(text, "web").source == BuildSource(toolchain="musl")
    assert "source.packages" in refusal(text.replace('"build"', '"debian"').replace('toolchain = "musl"', "")).message


@pytest.mark.parametrize("name", names(IMAGES))
def test_every_image_of_the_repository_loads(name: str) -> None:
    assert load(IMAGES, name).name == name


class TestWhichImage:
    @pytest.fixture
    def images(self, tmp_path: Path) -> Path:
        for name in ("nginx", "redis", "hello"):
            (tmp_path / name).mkdir()
            (tmp_path / name / "image.toml").write_text(MINIMAL)
        (tmp_path / "notes").mkdir()
        return tmp_path

    def test_folders_with_a_definition_are_images(self, images: Path) -> None:
        assert names(images) == ("hello", "nginx", "redis")

    def test_a_mistyped_name_gets_the_near_ones(self, images: Path) -> None:
        with pytest.raises(DefinitionError, match="no image named 'ngnix' in images/") as caught:
            load(images, "ngnix")
        assert caught.value.hint == "did you mean nginx?"

    def test_a_name_like_no_other_gets_them_all(self, images: Path) -> None:
        with pytest.raises(DefinitionError) as caught:
            load(images, "zzz")
        assert caught.value.hint == "there are: hello, nginx, redis"

    @pytest.mark.parametrize("name", ["", ".", "..", "../nginx", "nginx/", "nginx\n", "Nginx", "notes"])
    def test_only_a_plain_name_with_a_definition_is_one(self, images: Path, name: str) -> None:
        with pytest.raises(DefinitionError, match="no image named" if name else "which image"):
            load(images, name)

    def test_a_file_that_is_no_text_says_where(self, images: Path) -> None:
        (images / "nginx" / "image.toml").write_bytes(b"a = '\xff'\n")
        with pytest.raises(DefinitionError, match=r"images/nginx/image.toml: not UTF-8 text \(byte 5\)"):
            load(images, "nginx")


class TestForm:
    def test_broken_toml_names_the_line(self) -> None:
        assert refusal("[source]\nkind = = 1\n").message.startswith("images/web/image.toml:2: ")

    @pytest.mark.parametrize(
        ("text", "key", "near"),
        [
            ("[sorce]\n" + MINIMAL, "sorce: unknown key", "source"),
            (MINIMAL + "comand = []\n", "run.comand: unknown key", "command"),
            (MINIMAL + "[machine]\nmemory_mb = 3\n", "machine.memory_mb: unknown key", "memory_mib"),
            (MINIMAL + '[[smoke.check]]\nkind = "log"\nexpekt = ""\n', "expekt: unknown key", "expect"),
        ],
        ids=last_line,
    )
    def test_an_unknown_key_gets_its_path_and_the_near_one(self, text: str, key: str, near: str) -> None:
        error = refusal(text)
        assert key in error.message
        assert error.hint == f"did you mean {near}?"

    def test_an_unknown_key_like_no_other_gets_those_of_its_table(self) -> None:
        error = refusal(MINIMAL + "[disk]\nqqqq = 1\n")
        assert error.message.endswith(": disk.qqqq: unknown key")
        assert error.hint == "one of mount, size_mib, user"

    @pytest.mark.parametrize(
        ("text", "hint"),
        [
            (MINIMAL.replace('"debian"', '"debain"'), "did you mean debian?"),
            (MINIMAL.replace('kind = "debian"', ""), "one of debian, build"),
            (MINIMAL + 'stop_signal = "TREM"\n', "did you mean TERM?"),
            (MINIMAL + '[[smoke.check]]\nkind = "htpp"\n', "did you mean http?"),
            (MINIMAL + '[[smoke.check]]\nkind = "exit"\ncod = 1\n', "did you mean code?"),
        ],
        ids=last_line,
    )
    def test_a_word_gets_those_that_may_stand_there(self, text: str, hint: str) -> None:
        assert refusal(text).hint == hint

    @pytest.mark.parametrize(
        ("text", "key"),
        [
            (MINIMAL + '[machine]\nmemory_mib = "much"\n', "machine.memory_mib: Expected `int`, got `str`"),
            (MINIMAL + "[machine]\nmemory_mib = 99999999999999999999999\n", "machine.memory_mib: "),
            (MINIMAL.replace('["/usr/sbin/nginx"]', '"/usr/sbin/nginx"'), "run.command: Expected `array`"),
            (MINIMAL.replace('["/usr/sbin/nginx"]', "[]"), "run.command: "),
            (MINIMAL.replace('["nginx"]', "[7]"), "source.packages[0]: Expected `str`, got `int`"),
            (MINIMAL.replace('["nginx"]', "[]"), "source.packages: "),
            (MINIMAL.replace('"debian"', '"rpm"'), "source.kind: Invalid value 'rpm'"),
            ("source = 1\n[run]\ncommand = ['/a']", "source: Expected `object`"),
            (MINIMAL + "[network]\nports = [0]\n", "network.ports[0]: "),
            (MINIMAL + "[network]\nports = [65536]\n", "network.ports[0]: "),
            (MINIMAL + 'restart = "sometimes"\n', "run.restart: "),
            (MINIMAL + "stop_timeout_s = nan\n", "run.stop_timeout_s: "),
            (MINIMAL + "environment = { A = 1 }\n", "run.environment.A: Expected `str`, got `int`"),
            (MINIMAL + '[disk]\nmount = "data"\n', "disk.mount: "),
            (MINIMAL + '[disk]\nmount = "/data\\n"\n', "disk.mount: "),
            (MINIMAL + '[[files.directories]]\npath = "/a"\nmode = "755"\n', "files.directories[0].mode: "),
            (MINIMAL + '[[files.directories]]\npath = "/a"\nmode = "0755\\n"\n', "files.directories[0].mode: "),
            ("description = 2020-01-01\n" + MINIMAL, "description: Expected `str`, got `date`"),
            ('profile = "lean\\n"\n' + MINIMAL, "profile: "),
            (MINIMAL + 'user = "a:b"\n', "run.user: "),
            (MINIMAL.replace('"nginx"', '"--allow-unauthenticated"'), "source.packages[0]: "),
        ],
        ids=last_line,
    )
    def test_a_wrong_value_gets_its_key_path(self, text: str, key: str) -> None:
        assert f"image.toml: {key}" in refusal(text).message

    @pytest.mark.parametrize(
        ("text", "key"),
        [
            ("", "source: is required"),
            ('[source]\nkind = "build"\n', "run: is required"),
            (MINIMAL.replace('kind = "debian"', ""), "source.kind: is required"),
            (MINIMAL.replace('command = ["/usr/sbin/nginx"]', ""), "run.command: is required"),
            (MINIMAL + "[disk]\nsize_mib = 8\n", "disk.mount: is required"),
            (MINIMAL + '[[smoke.check]]\nkind = "log"\n', "smoke.check[0].expect: is required"),
        ],
        ids=last_line,
    )
    def test_what_is_missing_is_named(self, text: str, key: str) -> None:
        assert f"image.toml: {key}" in refusal(text).message

    def test_the_name_is_that_of_the_folder(self) -> None:
        assert "name: not a key" in refusal('name = "web"\n' + MINIMAL).message

    def test_a_package_may_be_pinned_to_a_version(self) -> None:
        text = MINIMAL.replace('"nginx"', '"nginx=1.22.1-9+deb12u1", "libstdc++6", "g=1:2~rc1"')
        assert "source.packages" in refusal(text).message  # no package has a name of one letter
        assert isinstance(parse(text.replace('"g=1', '"gg=1'), "web").source, DebianSource)


class TestMeaning:
    @pytest.mark.parametrize(
        ("text", "key"),
        [
            (MINIMAL.replace("/usr/sbin/nginx", "nginx"), "run.command: 'nginx' is not an absolute path"),
            (MINIMAL.replace("sbin/nginx", "sbin\\u0000nginx"), "run.command: "),
            (MINIMAL + "environment = { 'A=B' = 'c' }\n", "run.environment.'A=B': "),
            (MINIMAL + "environment = { A = 'b\\u0000' }\n".replace("'", '"'), "run.environment.'A': "),
            (MINIMAL + '[disk]\nmount = "/"\n', "disk.mount: nothing may be mounted on /"),
            (MINIMAL + '[disk]\nmount = "/x/../proc"\n', "disk.mount: nothing may be mounted on /proc"),
            (MINIMAL + '[[files.tmpfs]]\npath = "/dev/"\n', "files.tmpfs[0].path: nothing may be mounted on /dev"),
            (MINIMAL + '[[files.tmpfs]]\npath = "/a b"\n', "files.tmpfs[0].path: '/a b' holds white space"),
            (MINIMAL + '[[files.tmpfs]]\npath = "/a/"\n[disk]\nmount = "/a"\n', "disk.mount: /a is mounted twice"),
            (MINIMAL + '[[files.tmpfs]]\npath = "/a/b"\n[disk]\nmount = "/a"\n', "disk.mount: /a would hide /a/b"),
            (MINIMAL + '[[files.tmpfs]]\npath = "/a"\nsize_mib = 65\n', "files.tmpfs[0].size_mib: more than"),
            (MINIMAL + "[network]\nports = [1, 2, 1]\n", "network.ports[2]: 1 is there twice"),
            (MINIMAL + '[network]\naddress = "dhcp"\n', "network.address: the image has no network"),
            (SERVING + 'address = "auto"\n', "network.address: "),
            (
                SERVING + 'address = "dhcp"\n[[files.tmpfs]]\npath = "/run/kiln/"\n',
                "files.tmpfs[0].path: /run/kiln is where the agent puts what the network says",
            ),
            (BUILT + 'directory = "../elsewhere"\n' + RUN, "source.directory: '../elsewhere' is not a folder beside"),
            (BUILT + 'packages = ["libevent-dev"]\n' + RUN, "source.packages: "),
            (SERVING + "[agent]\nport = 8080\n", "agent.port: 8080 is one of network.ports"),
            (MINIMAL + '[[smoke.check]]\nkind = "http"\n', "smoke.check[0]: the image has no network.ports"),
            (MINIMAL + '[[smoke.check]]\nkind = "tcp"\n', "smoke.check[0]: the image has no network.ports"),
            (
                SERVING + '[[smoke.check]]\nkind = "http"\n[[smoke.check]]\nkind = "http"\nport = 81\n',
                "smoke.check[1].port: 81 is not one of network.ports",
            ),
            (
                MINIMAL + 'restart = "always"\n[[smoke.check]]\nkind = "exit"\n',
                'smoke.check[0]: never comes true with run.restart = "always"',
            ),
            (MINIMAL + '[[smoke.check]]\nkind = "log"\nexpect = "("\n', "smoke.check[0].expect: not a regular"),
            (MINIMAL + '[[trace.check]]\nkind = "http"\n', "trace.check[0]: the image has no network.ports"),
            (MINIMAL + "[trace]\ntimeout_s = nan\n", "trace.timeout_s: "),
        ],
        ids=last_line,
    )
    def test_what_cannot_work_gets_its_key_path(self, text: str, key: str) -> None:
        assert key in refusal(text).message

    @pytest.mark.parametrize("expect", ["a{99999999999999999999}", "(" * 5000])
    def test_a_regular_expression_beyond_all_limits_is_an_error_too(self, expect: str) -> None:
        assert (
            "smoke.check[0].expect"
            in refusal(MINIMAL + f'[[smoke.check]]\nkind = "log"\nexpect = "{expect}"\n').message
        )

    def test_a_check_may_ask_the_agent(self) -> None:
        text = SERVING + '[[smoke.check]]\nkind = "http"\nport = 9100\npath = "/metrics"\n'
        assert len(parse(text, "web").smoke.check) == 1


# ---- whatever the text is ----------------------------------------------------------------------------------------

KEYS = sorted(
    {*Definition.__struct_fields__, "kind", "command", "packages", "check", "expect", "port", "path", "mount"}
)
LEAVES = st.one_of(
    st.booleans(), st.integers(), st.floats(), st.dates(), st.text(), st.sampled_from(["debian", "build", "/a", "http"])
)
TABLES = st.dictionaries(
    st.sampled_from(KEYS) | st.text(max_size=5),
    st.recursive(
        LEAVES,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4),
        max_leaves=12,
    ),
    max_size=6,
)


def toml(value: object) -> str:
    """A value as TOML; written here, for the standard library only reads."""
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            return '"' + "".join(f"\\U{ord(character):08x}" for character in value) + '"'
        case list():
            return "[" + ", ".join(toml(item) for item in value) + "]"
        case Mapping():
            return "{" + ", ".join(f"{toml(str(key))} = {toml(item)}" for key, item in value.items()) + "}"
    return str(value)


def assert_definition_or_error(text: str) -> None:
    said = "images/web/image.toml"
    try:
        assert isinstance(parse(text, "web"), Definition)
    except DefinitionError as error:
        said = error.message
    assert said.startswith("images/web/image.toml")
    assert "\n" not in said


@settings(deadline=None)
@given(st.text())
@example("a = " + "1" * 5000)
@example("a = " + "[" * 5000)
@example("a." * 1500 + "b = 1")
@example('"two\\nlines" = 1')
def test_any_text_is_a_definition_or_a_definition_error(text: str) -> None:
    assert_definition_or_error(text)


@settings(deadline=None)
@given(TABLES)
def test_any_table_is_a_definition_or_a_definition_error(table: dict[str, object]) -> None:
    text = "".join(f"{toml(key)} = {toml(value)}\n" for key, value in table.items())
    tomllib.loads(text)  # the test writes real TOML
    assert_definition_or_error(text)


@settings(deadline=None)
@given(TABLES, st.sampled_from(["run", "files", "network", "disk", "machine", "needs", "agent", "smoke"]))
def test_any_table_beside_a_good_source_is_a_definition_or_a_definition_error(
    table: dict[str, object], key: str
) -> None:
    source = {"kind": "debian", "packages": ["nginx"]}
    good: dict[str, dict[str, object]] = {"source": {**source}, "run": {"command": ["/a"]}}
    whole = {**good, key: {**good.get(key, {}), **table}}
    assert_definition_or_error("".join(f"{name} = {toml(value)}\n" for name, value in whole.items()))
