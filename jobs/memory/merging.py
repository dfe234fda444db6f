"""Merging keeps the files of a memory few, and takes out for good what is to be forgotten.

Many files are copied into one, section by section, and then deleted. The copy is durable before anything is deleted, so a section
may lie in two files if a process is killed in between; readers count it once, by its name. Two processes that merge at once may
make a file each. A file that is damaged, or of a newer release, stays as it is.
"""

import hashlib
from collections.abc import Sequence
from typing import BinaryIO, Final

from jobs.errors import StoreDamaged
from jobs.memory.files import (
    Forgotten,
    Section,
    checked_sections,
    closing_line,
    folder_of,
    list_names,
    opening,
    read_sections,
    readable_forgotten,
)
from jobs.store.store import Store

SINGLE_FILES: Final = 64
"""If there are more single files than this, they are merged."""
MERGED_FILES: Final = 16
"""If there are more merged files than this, all files are merged into one."""


def merge_files(store: Store, tenant: str, *, all_files: bool = False) -> bool:
    """Merge the files of a tenant's memory if there are many, or if `all_files`. Returns whether files were merged.

    Raises StoreUnavailable. Whatever is damaged stays.
    """
    names = list_names(store, tenant)
    everything = all_files or len(names.merged) > MERGED_FILES
    if not everything and len(names.single) <= SINGLE_FILES:
        return False
    forgotten, _ = readable_forgotten(store, tenant, names.forgotten)
    sources: list[str] = []
    sections: set[str] = set()
    try:
        for name in sorted(names.sections if everything else names.single):
            try:
                sections.update(checked_sections(store, tenant, name))
            except StoreDamaged:
                continue
            sources.append(name)
        if not sources:
            return False
        identity = "\n".join([*sorted(sections), "", *names.forgotten])
        merged = f"merged-{hashlib.sha256(identity.encode()).hexdigest()[:16]}.jsonl"
        with store.writer(f"{folder_of(tenant)}/{merged}") as target:
            _copy(store, tenant, sources, forgotten, target)
    except (KeyError, StoreDamaged):  # another process merges at this moment, or a file was damaged meanwhile
        return False
    store.discard(*(f"{folder_of(tenant)}/{name}" for name in sources if name != merged))
    return True


def _copy(store: Store, tenant: str, sources: Sequence[str], forgotten: Sequence[Forgotten], target: BinaryIO) -> None:
    copied: set[str] = set()

    def is_new(name: str) -> bool:
        new = name not in copied
        copied.add(name)
        return new

    for source in sources:
        for section in read_sections(store, tenant, source, is_new):
            _copy_section(section, forgotten, target)


def _copy_section(section: Section, forgotten: Sequence[Forgotten], target: BinaryIO) -> None:
    target.write(opening(section.name))
    count = 0
    for entry, line in section.entries:
        if not any(one.covers(entry) for one in forgotten):
            target.write(line)
            count += 1
    target.write(closing_line(count))
