"""Where packages come from: both forms of sources.list(5), narrowed to one Debian release."""

from builder.edges.apt_sources import Source, choose, of_mirror, parse_deb822, parse_one_line, render

ONE_LINE = """\
# the installation medium
#deb cdrom:[Debian GNU/Linux 12 _Bookworm_]/ bookworm main
deb http://deb.example.org/debian bookworm main contrib # and so on
deb-src http://deb.example.org/debian bookworm main
   deb [arch=amd64 signed-by=/usr/share/keyrings/example.gpg] http://deb.example.org/debian  bookworm-updates\tmain
deb http://security.example.org/debian-security bookworm-security main non-free-firmware

deb http://tools.example.com/apt ./
deb
"""

DEB822 = """\
# the main archive
Types: deb deb-src
URIs: http://one.example.org/debian http://two.example.org/debian
Suites: bookworm bookworm-updates
Components: main contrib
Signed-By: /usr/share/keyrings/example.gpg

# the one for security
types: deb
uris:
 http://security.example.org/debian-security
# a comment between the lines of a field
suites:
 bookworm-security
components: main
 non-free-firmware
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 Comment: a key with a field's form: in it
 -----END PGP PUBLIC KEY BLOCK-----


Types: deb-src
URIs: http://source.example.org/debian
Suites: bookworm
Components: main

Enabled: no
Types: deb
URIs: http://off.example.org/debian
Suites: bookworm
Components: main
"""

MAIN = Source("http://deb.example.org/debian", "bookworm", ("main", "contrib"))
DEBIAN_12 = {"ID": "debian", "VERSION_CODENAME": "bookworm"}
DEBIAN_13 = {"ID": "debian", "VERSION_CODENAME": "trixie"}
UBUNTU = {"ID": "ubuntu", "ID_LIKE": "debian", "VERSION_CODENAME": "noble"}


def host(release: str, security: str = "http://security.example.org/debian-security") -> tuple[Source, ...]:
    archive = "http://deb.example.org/debian"
    return (
        Source(archive, release, ("main", "non-free-firmware")),
        Source(archive, f"{release}-updates", ("main",)),
        Source(security, f"{release}-security", ("main",)),
        Source(archive, f"{release}-backports", ("main",)),
        Source("http://tools.example.com/apt", "stable", ("main",)),
        Source(archive, release, ("contrib",)),
    )


class TestOneLine:
    def test_deb_entries_are_read_with_their_options_and_comments(self) -> None:
        assert parse_one_line(ONE_LINE)[:3] == (
            MAIN,
            Source("http://deb.example.org/debian", "bookworm-updates", ("main",)),
            Source("http://security.example.org/debian-security", "bookworm-security", ("main", "non-free-firmware")),
        )

    def test_an_entry_without_components_has_none(self) -> None:
        assert parse_one_line(ONE_LINE)[3:] == (Source("http://tools.example.com/apt", "./", ()),)

    def test_an_installation_medium_is_never_chosen(self) -> None:
        found = parse_one_line("deb cdrom:[Debian GNU/Linux 12]/ bookworm main\n")
        assert choose(found, "bookworm", UBUNTU) == ()


class TestDeb822:
    def test_each_address_with_each_suite_is_one_source(self) -> None:
        assert parse_deb822(DEB822)[:4] == (
            Source("http://one.example.org/debian", "bookworm", ("main", "contrib")),
            Source("http://one.example.org/debian", "bookworm-updates", ("main", "contrib")),
            Source("http://two.example.org/debian", "bookworm", ("main", "contrib")),
            Source("http://two.example.org/debian", "bookworm-updates", ("main", "contrib")),
        )

    def test_values_go_on_in_the_next_lines_with_comments_between(self) -> None:
        assert parse_deb822(DEB822)[4:] == (
            Source("http://security.example.org/debian-security", "bookworm-security", ("main", "non-free-firmware")),
        )

    def test_an_entry_that_is_switched_off_is_none(self) -> None:
        for word in ("no", "No", "false", "off", "disable", "without"):  # as apt reads them (apt-pkg StringToBool)
            assert "off.example.org" not in str(parse_deb822(DEB822.replace("Enabled: no", f"Enabled: {word}")))
        assert "off.example.org" in str(parse_deb822(DEB822.replace("Enabled: no", "Enabled: yes")))

    def test_an_empty_file_has_none(self) -> None:
        assert parse_deb822("") == parse_deb822("\n# nothing\n\n") == ()


class TestChoosing:
    def test_debian_12_has_what_is_wanted_itself(self) -> None:
        archive = "http://deb.example.org/debian"
        assert choose(host("bookworm"), "bookworm", DEBIAN_12) == (
            Source(archive, "bookworm", ("main",)),
            Source(archive, "bookworm-updates", ("main",)),
            Source("http://security.example.org/debian-security", "bookworm-security", ("main",)),
        )

    def test_debian_13_has_the_same_archives_by_another_release_name(self) -> None:
        assert choose(host("trixie"), "bookworm", DEBIAN_13) == choose(host("bookworm"), "bookworm", DEBIAN_12)

    def test_a_machine_with_both_releases_uses_what_it_has(self) -> None:
        both = (*host("trixie", "http://new.example.org/security"), *host("bookworm"))
        assert choose(both, "bookworm", DEBIAN_13) == choose(host("bookworm"), "bookworm", DEBIAN_12)

    def test_ubuntu_has_no_debian_archive(self) -> None:
        assert choose(host("noble"), "bookworm", UBUNTU) == ()

    def test_ubuntu_with_a_debian_archive_configured_uses_that(self) -> None:
        found = choose((*host("noble"), MAIN), "bookworm", UBUNTU)
        assert found == (Source(MAIN.uri, "bookworm", ("main",)),)

    def test_a_machine_without_a_release_name_has_none(self) -> None:
        assert choose(host("trixie"), "bookworm", {"ID": "debian"}) == ()

    def test_others_that_use_the_name_of_the_release_are_not_debian(self) -> None:
        text = (
            "deb [signed-by=/etc/apt/keyrings/tools.gpg] http://tools.example.com/apt bookworm main\n"
            "deb http://unsaid.example.org/debian bookworm main\n"
        )
        unsaid = Source("http://unsaid.example.org/debian", "bookworm", ("main",))
        assert choose(parse_one_line(text), "bookworm", DEBIAN_12) == (unsaid,)
        keyring = "/usr/share/keyrings/debian-archive-keyring.gpg"
        text += f"deb [signed-by={keyring}] http://deb.example.org/debian bookworm main\n"
        assert choose(parse_one_line(text), "bookworm", DEBIAN_12) == (
            Source("http://deb.example.org/debian", "bookworm", ("main",)),
        )

    def test_archives_for_other_machines_do_not_count(self) -> None:
        one_line = "deb [arch=arm64] http://ports.example.org/debian bookworm main\n"
        assert parse_one_line(one_line) == ()
        assert parse_one_line(one_line.replace("arm64", "amd64,arm64")) != ()
        fields = "Types: deb\nURIs: http://ports.example.org/debian\nSuites: bookworm\nComponents: main\n"
        assert parse_deb822(fields + "Architectures: arm64\n") == ()
        assert parse_deb822(fields + "Architectures: arm64 amd64\n") != ()

    def test_only_archives_with_the_main_component_count(self) -> None:
        assert choose((Source("http://x.example.org", "bookworm", ("contrib",)),), "bookworm", DEBIAN_12) == ()


def test_a_mirror_is_three_archives() -> None:
    assert of_mirror("http://m.example.org/debian/", "bookworm") == (
        Source("http://m.example.org/debian", "bookworm", ("main",)),
        Source("http://m.example.org/debian", "bookworm-updates", ("main",)),
        Source("http://m.example.org/debian-security", "bookworm-security", ("main",)),
    )


def test_what_is_rendered_trusts_one_keyring_and_reads_back() -> None:
    chosen = choose(host("bookworm"), "bookworm", DEBIAN_12)
    text = render(chosen, "/usr/share/keyrings/archive.gpg")
    assert text.splitlines()[0] == (
        "deb [signed-by=/usr/share/keyrings/archive.gpg target=Packages] http://deb.example.org/debian bookworm main"
    )
    assert parse_one_line(text) == chosen
    assert "trusted" not in text
