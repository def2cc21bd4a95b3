"""The kernel's CVE records, held against one kernel. Those in `cve/` are recorded from the CVE list
(github.com/CVEProject/cvelistV5), without descriptions and with some of their versions."""

import json
from pathlib import Path

import msgspec
import pytest

from builder.rebuild.cve import Record, read, verdict

SAMPLE = {
    "containers": {
        "cna": {
            "affected": [
                {
                    "product": "Linux",
                    "vendor": "Linux",
                    "defaultStatus": "unaffected",
                    "repo": "https://git.kernel.org/pub/scm/linux/kernel/git/stable/linux.git",
                    "programFiles": ["net/ipv4/tcp_input.c", "include/net/tcp.h"],
                    "versions": [{"version": "1da177e4c3f4", "lessThan": "abc", "status": "affected"}],
                },
                {"product": "Linux", "defaultStatus": "affected", "programFiles": ["net/ipv4/tcp_input.c"]},
            ],
            "title": "tcp: do not accept what is not there",
        }
    },
    "cveMetadata": {"assignerOrgId": "416baaa9", "cveId": "CVE-2026-12345", "state": "PUBLISHED"},
    "dataType": "CVE_RECORD",
    "dataVersion": "5.1",
}
RECORD = Record("CVE-2026-12345", ("include/net/tcp.h", "net/ipv4/tcp_input.c"))


def test_a_record_names_its_files() -> None:
    assert read(json.dumps(SAMPLE).encode()) == RECORD


def test_recorded_ones_are_read() -> None:
    found = [read(path.read_bytes()) for path in sorted((Path(__file__).parent / "cve").iterdir())]
    assert found == [
        Record("CVE-2024-26581", ()),  # one of the first: they named no files yet
        Record("CVE-2025-38083", ("net/sched/sch_prio.c",)),
    ]
    assert [verdict(one.id, one, {"net/ipv4/tcp.c"}, {}).verdict for one in found] == ["unknown", "not in this kernel"]


@pytest.mark.parametrize("data", [b"", b"{}", b"[1]", b'{"cveMetadata": 3}', b"\xff"])
def test_what_is_no_record_is_refused(data: bytes) -> None:
    with pytest.raises((msgspec.DecodeError, UnicodeDecodeError)):
        read(data)


def test_a_kernel_that_read_none_of_its_files_has_it_not() -> None:
    found = verdict(RECORD.id, RECORD, {"kernel/fork.c"}, {})
    assert found.verdict == "not in this kernel"


def test_a_kernel_built_from_its_files_has_it() -> None:
    read_files = {"net/ipv4/tcp_input.c"}
    assert verdict(RECORD.id, RECORD, read_files, {}).verdict == "in this kernel"
    assert verdict(RECORD.id, RECORD, read_files, {"net/ipv4/tcp_input.c": True}).verdict == "in this kernel"


def test_unless_what_the_update_changes_in_all_of_them_is_not_there() -> None:
    both = {"net/ipv4/tcp_input.c", "include/net/tcp.h"}
    assert verdict(RECORD.id, RECORD, both, {"net/ipv4/tcp_input.c": False}).verdict == "in this kernel"
    assert verdict(RECORD.id, RECORD, both, dict.fromkeys(both, False)).verdict == "not in this kernel"


def test_without_data_nobody_knows() -> None:
    assert verdict(RECORD.id, None, {"a"}, {}).verdict == "unknown"
    assert verdict(RECORD.id, Record(RECORD.id, ()), {"a"}, {}).verdict == "unknown"
