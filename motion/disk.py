"""A new HDF5 file on a disk that may be full.

HDF5 never lets go of a file whose last flush failed: the handle stays open, and the process dies of it at its exit. So
a refusal of the disk is kept from HDF5, which closes in peace, and is raised afterwards. What the disk refuses is held
in memory until then, for HDF5 reads back what it wrote and crashes over anything else. The file is filled by a thread
of its own, because Python runs the handlers of signals in the main one alone: none can break into HDF5 in mid-flush.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import h5py


def write_hdf5(path: Path, fill: Callable[[h5py.File], None]) -> None:
    """Create an HDF5 file at ``path`` and let ``fill`` fill it. Raises what ``fill`` raises, and the disk's own `OSError`."""
    with _Disk(path, "w+") as disk:
        try:
            with ThreadPoolExecutor(max_workers=1) as thread:
                thread.submit(_fill, disk, fill).result()
        finally:
            if disk.refusal is not None:
                raise disk.refusal


def _fill(disk: _Disk, fill: Callable[[h5py.File], None]) -> None:
    with h5py.File(disk, "w") as file:
        fill(file)


class _Disk(io.FileIO):
    """A file that takes everything: after the disk's first refusal it goes on in memory."""

    refusal: OSError | None = None
    _memory: io.BytesIO | None = None

    def write(self, data: Any, /) -> int:
        """Take all of ``data``; returns its size in bytes."""
        whole = memoryview(data).cast("B")
        done = 0
        try:
            while self._memory is None and done < len(whole):
                done += super().write(whole[done:])
        except OSError as error:
            self._go_on_in_memory(error)
        if self._memory is not None:
            self._memory.write(whole[done:])
        return len(whole)

    def truncate(self, size: int | None = None, /) -> int:
        """Set the file's size, in bytes."""
        if self._memory is None:
            try:
                return super().truncate(size)
            except OSError as error:
                self._go_on_in_memory(error)
        return self._resize_memory(self.tell() if size is None else size)

    def readinto(self, buffer: Any, /) -> int:
        """Read into ``buffer``; returns the number of bytes that there were."""
        return super().readinto(buffer) if self._memory is None else self._memory.readinto(buffer)

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Go to a place in the file; returns it."""
        return super().seek(offset, whence) if self._memory is None else self._memory.seek(offset, whence)

    def tell(self) -> int:
        """The place in the file."""
        return super().tell() if self._memory is None else self._memory.tell()

    def _go_on_in_memory(self, refusal: OSError) -> None:
        place = super().tell()
        super().seek(0)
        memory = io.BytesIO(super().readall())
        memory.seek(place)
        self.refusal, self._memory = refusal, memory

    def _resize_memory(self, size: int) -> int:
        assert self._memory is not None
        place = self._memory.tell()
        self._memory.truncate(size)
        self._memory.seek(0, io.SEEK_END)
        self._memory.write(bytes(size - self._memory.tell()))
        self._memory.seek(place)
        return size
