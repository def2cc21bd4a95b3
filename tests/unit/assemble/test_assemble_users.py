"""Users of an image: which there are, and with which ids."""

import pytest

from builder.assemble import users
from builder.definition import BuildSource, Definition, Directory, Disk, Files, Run, Tmpfs
from builder.errors import DefinitionError


def definition(user: str, *others: str, disk: Disk | None = None) -> Definition:
    files = Files(
        directories=tuple(Directory(f"/d/{name}", user=name) for name in others), tmpfs=(Tmpfs("/t", user="root"),)
    )
    return Definition(source=BuildSource(), run=Run(("/a",), user=user), files=files, disk=disk, name="app")


def test_root_and_nobody_are_always_there_others_only_when_named() -> None:
    assert users.of(definition("root")).uids == {"root": 0, "nobody": 65534}


def test_debians_users_keep_their_ids_and_the_rest_count_from_1000_in_order_of_naming() -> None:
    known = users.of(definition("www-data", "cache", "backup", "cache", disk=Disk("/data", user="db")))
    assert known.uids == {"root": 0, "nobody": 65534, "www-data": 33, "cache": 1000, "backup": 34, "db": 1001}
    assert known.gids == known.uids


def test_passwd_and_group_are_as_programs_read_them() -> None:
    known = users.of(definition("redis"))
    assert users.passwd(known.uids) == (
        "nobody:x:65534:65534::/:/nonexistent\nredis:x:1000:1000::/:/nonexistent\nroot:x:0:0::/:/nonexistent\n"
    )
    assert users.group(known.gids) == "nogroup:x:65534:\nredis:x:1000:\nroot:x:0:\n"


OWN = "root:x:0:0:root:/:/bin/sh\nredis:x:101:103:Redis:/var/lib/redis:/usr/sbin/nologin\n\n"


def test_a_passwd_file_of_the_image_decides_when_there_is_one() -> None:
    known = users.of(definition("redis"), OWN)
    assert (known.uids["redis"], known.gids["redis"]) == (101, 103)


def test_a_user_that_this_file_lacks_is_named() -> None:
    said = "images/app/image.toml: files.directories: 'cache' is not in images/app/files/etc/passwd"
    with pytest.raises(DefinitionError, match=said):
        users.of(definition("redis", "cache"), OWN)


@pytest.mark.parametrize("line", ["redis", "redis:x:one:1::/:/bin/sh"])
def test_a_line_in_it_that_is_no_user_is_an_error(line: str) -> None:
    with pytest.raises(DefinitionError, match="images/app/files/etc/passwd: a line that is no user"):
        users.of(definition("redis"), f"{OWN}{line}\n")
