"""Contents, scratch folders, data disks, loopback ports, and the digest of Kiln's own code."""

import socket
import subprocess
import threading
from pathlib import Path

import pytest

from builder.edges import code, content, disk, net, scratch
from builder.edges.store import Store, digest_bytes
from builder.errors import HostError, StorageError


class TestContent:
    def test_generated_content_is_kept_by_its_digest(self, tmp_path: Path) -> None:
        store = Store(tmp_path)
        one = content.keep(store, "/etc/hosts", b"localhost\n")
        other = content.keep(store, "/etc/secret", b"localhost\n", mode=0o600)
        assert (one.path, one.mode, one.size_bytes) == ("/etc/hosts", 0o644, 10)
        assert one.sha256 == digest_bytes(b"localhost\n")
        assert (other.mode, other.host) == (0o600, one.host)
        assert len(store.made) == 1

    def test_it_is_read_in_pieces(self, tmp_path: Path) -> None:
        data = bytes(range(256)) * 10_000
        pieces = list(content.read(content.keep(Store(tmp_path), "/data", data)))
        assert b"".join(pieces) == data
        assert max(map(len, pieces)) <= content.PIECE_BYTES < len(data)

    def test_damage_of_a_single_byte_is_an_error_when_it_is_read(self, tmp_path: Path) -> None:
        kept = content.keep(Store(tmp_path), "/data", b"precious")
        Path(kept.host).chmod(0o644)
        Path(kept.host).write_bytes(b"precioux")
        with pytest.raises(StorageError, match=r"/data: .* has changed or is damaged") as caught:
            list(content.read(kept))
        assert "clean --cache" in caught.value.hint


class TestScratch:
    def test_a_scratch_folder_is_gone_afterwards_whatever_happens(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("KILN_CACHE", str(tmp_path))
        seen: list[Path] = []

        def fail() -> None:
            with scratch.scratch_folder("test") as folder:
                seen.append(folder)
                (folder / "file").touch(exist_ok=False)
                raise RuntimeError

        with pytest.raises(RuntimeError):
            fail()
        assert seen[0].is_relative_to(tmp_path)
        assert not seen[0].exists()

    def test_a_copy_keeps_links_and_modes(self, tmp_path: Path) -> None:
        (tmp_path / "a").mkdir()
        (tmp_path / "a" / "tool").touch(0o755)
        (tmp_path / "a" / "link").symlink_to("nowhere")
        scratch.copy_folder(tmp_path / "a", tmp_path / "b")
        assert (tmp_path / "b" / "link").readlink() == Path("nowhere")
        assert (tmp_path / "b" / "tool").stat().st_mode & 0o777 == (tmp_path / "a" / "tool").stat().st_mode & 0o777


class TestDisk:
    def test_a_new_disk_is_a_sparse_and_sound_ext4(self, tmp_path: Path) -> None:
        made = disk.make(tmp_path / "disks" / "web.img", 16)
        assert made.stat().st_size == 16 << 20
        assert made.stat().st_blocks * 512 < 4 << 20
        argv = ["/sbin/e2fsck", "-f", "-n", str(made)]
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        described = subprocess.run(["/sbin/dumpe2fs", "-h", str(made)], capture_output=True, text=True, check=True)
        features = next(line for line in described.stdout.splitlines() if line.startswith("Filesystem features:"))
        assert {"has_journal", "extent"} <= set(features.split())
        assert not {"64bit", "metadata_csum"} & set(features.split())

    def test_a_disk_that_is_there_keeps_its_data(self, tmp_path: Path) -> None:
        place = tmp_path / "web.img"
        place.write_bytes(b"precious")
        assert disk.make(place, 16).read_bytes() == b"precious"

    def test_what_a_kill_left_behind_does_not_hinder(self, tmp_path: Path) -> None:
        (tmp_path / ".web.img.new").write_bytes(b"half")
        made = disk.make(tmp_path / "web.img", 8)
        assert made.stat().st_size == 8 << 20
        assert [path.name for path in tmp_path.iterdir()] == ["web.img"]

    def test_a_disk_too_small_for_a_file_system_is_an_error_and_none_is_left(self, tmp_path: Path) -> None:
        with pytest.raises(HostError, match=r"web\.img") as caught:
            disk.make(tmp_path / "web.img", 0)
        assert caught.value.tail
        assert not (tmp_path / "web.img").exists()


class TestNet:
    def test_each_guest_port_gets_a_free_port_of_its_own(self) -> None:
        found = net.free_ports(range(8000, 8020))
        assert set(found) == set(range(8000, 8020))
        assert len(set(found.values())) == 20
        net.need_free(found.values())

    def test_a_port_in_use_is_named_with_a_way_out(self) -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            with pytest.raises(HostError, match=f"port {port} on 127.0.0.1") as caught:
                net.need_free([port])
        assert "--publish" in caught.value.hint

    def test_a_conversation_ends_as_soon_as_it_was_enough(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:

            def serve() -> None:
                connection, _ = server.accept()
                with connection:
                    for byte in connection.recv(100).upper():
                        connection.sendall(bytes([byte]))
                    connection.recv(1)  # stays open: only `enough` can end it

            thread = threading.Thread(target=serve)
            thread.start()
            answer = net.converse(server.getsockname()[1], b"ping", lambda said: said == b"PING", 60)
            thread.join()
        assert answer == b"PING"

    def test_a_conversation_ends_when_the_service_hangs_up(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:

            def serve() -> None:
                connection, _ = server.accept()
                with connection:
                    connection.recv(100)
                    connection.sendall(b"bye")

            thread = threading.Thread(target=serve)
            thread.start()
            answer = net.converse(server.getsockname()[1], b"x", lambda said: False, 60)
            thread.join()
        assert answer == b"bye"

    def test_a_silent_service_ends_at_the_limit(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            assert net.converse(server.getsockname()[1], b"x", lambda said: False, 0.05) == b""


class TestCode:
    def test_each_part_has_its_own_digest(self) -> None:
        digests = {code.code_digest(part) for part in ("analyse", "assemble", "edges/archive.py", "model.py")}
        assert len(digests) == 4

    def test_named_parts_exist(self) -> None:
        """A part that is not there would never change, and old results would be taken for new ones."""
        for part in ("inputs/build.py", "edges/archive.py", "model.py", "paths.py", "assemble", "analyse"):
            assert (code.PACKAGE / part).exists()
