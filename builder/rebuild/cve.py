"""Records of the kernel's CVE numbering authority, read and held against one kernel (pure).

Format: CVE JSON 5 (github.com/CVEProject/cve-schema), as the kernel's vulns repository publishes them; of interest is
`containers.cna.affected[].programFiles`, the source files a vulnerability lies in.
"""

from collections.abc import Collection, Mapping

import msgspec

from builder.rebuild_documents import CveVerdict
from builder.value import Value


class _Affected(msgspec.Struct):
    program_files: tuple[str, ...] = msgspec.field(default=(), name="programFiles")


class _Cna(msgspec.Struct):
    affected: tuple[_Affected, ...] = ()


class _Containers(msgspec.Struct):
    cna: _Cna = msgspec.field(default_factory=_Cna)


class _Metadata(msgspec.Struct):
    cve_id: str = msgspec.field(name="cveId")


class _Document(msgspec.Struct):
    cve_metadata: _Metadata = msgspec.field(name="cveMetadata")
    containers: _Containers = msgspec.field(default_factory=_Containers)


class Record(Value, frozen=True):
    """A vulnerability and the source files it lies in."""

    id: str
    files: tuple[str, ...]


def read(data: bytes) -> Record:
    """A record from its JSON. Raises msgspec.DecodeError for what is none."""
    document = msgspec.json.decode(data, type=_Document)
    files = {file for one in document.containers.cna.affected for file in one.program_files}
    return Record(document.cve_metadata.cve_id, tuple(sorted(files)))


def verdict(name: str, record: Record | None, read_files: Collection[str], present: Mapping[str, bool]) -> CveVerdict:
    """What a vulnerability is to a kernel. `read_files`: what its build read; `present`: of the files that the update
    changes and the build reads, whether what changed is in the kernel. Without a record nobody knows."""
    if record is None:
        return CveVerdict(
            name, "unknown", "no record of it: set KILN_CVE_RECORDS to a folder with the kernel's records"
        )
    if not record.files:
        return CveVerdict(name, "unknown", "its record names no files")
    touched = [file for file in record.files if file in read_files]
    if not touched:
        return CveVerdict(name, "not in this kernel", "none of its files was read by the build", record.files)
    if all(present.get(file) is False for file in touched):
        why = "what changed of its files is not in the kernel"
        return CveVerdict(name, "not in this kernel", why, record.files)
    return CveVerdict(name, "in this kernel", f"the kernel is built from {', '.join(touched[:3])}", record.files)
