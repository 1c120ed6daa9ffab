"""Where shared memory comes from: an iceoryx2 slice, or the heap (simulation, colocated roles, tests).

    Memory("paper", "prepost")          one process of one instance: an iceoryx2 node
      ├── segment("engine/commands", n)   memory that we write. Lay it out, then `announce()` it: whoever follows it maps it
      └── follow("engine/reports")        the same from the other side: `newest()` is mapped read-only

    a segment      ┌────────────────────────────┬──────────────────────────────────────┐
                   │ magic  epoch  size         │ what its owner lays out              │
                   └────────────────────────────┴──────────────────────────────────────┘
                    one cache line, written once

A slice is loaned once, sent once and written for as long as its owner lives; iceoryx2 keeps it for late followers (history 1)
and removes it when the owner closes it or is found dead. A follower keeps the sample, and with it the mapping, also when the
owner is dead. One name has one living owner: a second one is refused.
"""

import contextlib
import ctypes
import os
import resource
import sys
import time
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, Final, Self

from shm._native import ffi

CACHE_LINE: Final = 64
FOLLOWERS_MAX: Final = 16  # Every role, the supervisor, and a few windows of somebody who watches.
NODE_ATTEMPTS: Final = 40  # Two nodes created at the same instant can fail; 40 × 5 to 25 ms is more than any storm of starts.
EXPIRED_OWNERS_MAX: Final = 16  # Gone, with something unread. iceoryx2 makes room for 128: 0.46 MB a follower.
UNFINISHED_S_MAX: Final = 10.0  # Making a service takes milliseconds.
_OWNER_MAY_WRITE: Final = 0o200
_MAGIC: Final = 0x31676573_5F736874
_PAGE: Final = resource.getpagesize()
_MADV_POPULATE_READ: Final = 22  # Linux 5.14; older kernels refuse it, and the first pass takes the faults.


class SegmentError(Exception):
    """Memory cannot be had, or is not what it should be. The sentence names cause and remedy."""


_last_epoch = 0


def next_epoch() -> int:
    """Greater than every epoch given on this host since it booted: CLOCK_MONOTONIC in ns, never the same twice here."""
    global _last_epoch
    _last_epoch = max(_last_epoch + 1, time.monotonic_ns())
    return _last_epoch


class HeapSegment:
    """Zeroed memory of this process, cache-line aligned; it lives as long as this object."""

    def __init__(self, size: int) -> None:
        self._memory: Any = ffi.new("uint8_t[]", size + CACHE_LINE)
        start = int(ffi.cast("uintptr_t", self._memory))
        self.address = -(-start // CACHE_LINE) * CACHE_LINE
        self.size = size

    def pointer(self, ctype: str = "void *") -> Any:
        """The memory as a cffi pointer. Valid while this object lives."""
        return ffi.cast(ctype, self.address)

    def announce(self) -> None:
        """Nobody else can see it."""

    def refresh(self) -> None:
        """Nobody comes late."""

    def close(self) -> None:
        """It goes with this object."""


class OwnSegment:
    """Shared memory that this process alone may write."""

    def __init__(self, memory: "Memory", name: str, size: int, followers_max: int) -> None:
        self.name = name
        self.size = size
        self.epoch = next_epoch()
        self._memory = memory
        self._service = memory.service(name, followers_max)
        raw_size = size + 2 * CACHE_LINE  # The header line, and room to begin on a cache line.
        try:
            self._publisher: Any = (
                self._service.publisher_builder().initial_max_slice_len(raw_size).max_loaned_samples(1).create()
            )
            self._sample: Any = self._publisher.loan_slice_uninit(raw_size)
        except Exception as error:
            raise SegmentError(memory.explain(f"cannot own {name!r} ({size} bytes)", error)) from error
        header = _aligned(int(self._sample.payload().as_ptr()))
        self.address = header + CACHE_LINE
        ctypes.memset(header, 0, size + CACHE_LINE)  # Also brings every page in, so that the hot path takes no fault.
        words = (ctypes.c_uint64 * 3).from_address(header)
        words[0], words[1], words[2] = _MAGIC, self.epoch, size
        self._is_announced = False

    def announce(self) -> None:
        """Shows the segment, laid out by now, to everybody who follows the name, early or late."""
        assert not self._is_announced, "a segment is announced once"
        self._is_announced = True
        sample = self._sample.assume_init()
        sample.send()  # The publisher's history keeps it in place; we go on writing.
        self._sample = None
        self._memory.lock(self.address, self.size, self.name)

    def refresh(self) -> None:
        """Hands the segment to followers that came since last time."""
        self._publisher.update_connections()

    def close(self) -> None:
        """Takes the segment back. Followers that have mapped it keep their mapping."""
        if self._publisher is not None:
            self._sample = None
            self._publisher.delete()
            self._publisher = self._service = None


class MappedSegment:
    """Somebody else's memory, read-only. It stays mapped while this object lives, even if its owner is dead."""

    def __init__(self, name: str, sample: Any) -> None:
        payload = sample.payload()
        start, raw_size = int(payload.as_ptr()), int(payload.len())
        header = _aligned(start)
        if raw_size < 2 * CACHE_LINE:
            raise SegmentError(f"{name!r}: what is announced is too small to be a segment ({raw_size} bytes)")
        magic, epoch, size = (ctypes.c_uint64 * 3).from_address(header)
        if magic != _MAGIC or size > raw_size - (header - start) - CACHE_LINE:
            raise SegmentError(f"{name!r}: what is announced is not a segment of this system; another program uses the name")
        self.name = name
        self.address = header + CACHE_LINE
        self.size = int(size)
        self.epoch = int(epoch)
        self._sample = sample

    def pointer(self, ctype: str = "const void *") -> Any:
        """The memory as a cffi pointer. Valid while this object lives; writing through it ends the process."""
        return ffi.cast(ctype, self.address)

    def close(self) -> None:
        """Unmaps it. Nobody may look at the memory after this."""
        if self._sample is not None:
            self._sample.delete()
            self._sample = None


class FollowedSegments:
    """What the owners of a name, one after another, have announced."""

    def __init__(self, memory: "Memory", name: str, followers_max: int) -> None:
        self.name = name
        self._memory = memory
        self._newest: MappedSegment | None = None
        self._service = memory.service(name, followers_max)
        try:
            self._subscriber: Any = self._service.subscriber_builder().create()
        except Exception as error:
            raise SegmentError(memory.explain(f"cannot follow {name!r}", error)) from error

    def newest(self) -> MappedSegment | None:
        """The segment of the latest owner; None: nobody yet. The same object until there is a newer one.

        Raises:
            SegmentError: something else is announced under the name.
        """
        while (sample := self._subscriber.receive()) is not None:
            found = MappedSegment(self.name, sample)
            if self._newest is None or found.epoch > self._newest.epoch:
                self._newest = found
                self._memory.lock(found.address, found.size, self.name)
        return self._newest

    def close(self) -> None:
        """Stops following. Segments that somebody still holds stay mapped."""
        if self._subscriber is not None:
            self._subscriber.delete()
            self._newest = self._subscriber = self._service = None


class _Flatbuffers(ModuleType):
    """What iceoryx2 finds as `flatbuffers`: the real ones, once they are used; with them comes numpy, 13 MB a process."""

    @staticmethod
    def Builder(*arguments: Any) -> Any:
        """The name that iceoryx2's annotations look up."""
        return import_module("flatbuffers").Builder(*arguments)

    def __getattr__(self, name: str) -> Any:
        return getattr(import_module("flatbuffers"), name)


def _import_iceoryx2() -> Any:
    """iceoryx2. Its messages may be flatbuffers; ours are slots and bytes."""
    mine = _Flatbuffers("flatbuffers")
    is_first = sys.modules.setdefault("flatbuffers", mine) is mine
    try:
        return import_module("iceoryx2")
    finally:
        if is_first:
            del sys.modules["flatbuffers"]  # Who imports them by himself gets them.


class Memory:
    """Shared memory of one process: names carry the instance, so that two instances on a host never meet.

    `warnings` holds sentences about what is slower than it could be (memory that could not be locked).
    """

    def __init__(self, instance: str, role: str) -> None:
        """
        Raises:
            SegmentError: the host does not let us; the sentence says what to do.
        """
        iceoryx2 = _import_iceoryx2()  # Here, because it takes its time, and a simulation in one process needs none of it.
        iceoryx2.set_log_level(iceoryx2.LogLevel.Fatal)  # Its errors come back to us as exceptions.
        self.instance = instance
        self.role = role
        self.warnings: list[str] = []
        self._iceoryx2: Any = iceoryx2
        self._locked: dict[str, int] = {}
        self._owned: list[OwnSegment | FollowedSegments] = []
        problem = blocked_folder(self._root())
        if problem:
            raise SegmentError(problem)
        self.node: Any = self._make_node(f"crypto_trade/{instance}/{role}")

    def segment(self, name: str, size: int, followers_max: int = FOLLOWERS_MAX) -> OwnSegment:
        """New zeroed memory under this name, ours to write. Lay it out, then `announce()`.

        Raises:
            SegmentError: somebody alive owns the name, or there is no memory.
        """
        own = OwnSegment(self, name, size, followers_max)
        self._owned.append(own)
        return own

    def follow(self, name: str, followers_max: int = FOLLOWERS_MAX) -> FollowedSegments:
        """Finds what the owner of the name announces, now or later. Both sides name the same `followers_max`.

        Raises:
            SegmentError: too many followers.
        """
        followed = FollowedSegments(self, name, followers_max)
        self._owned.append(followed)
        return followed

    def service_name(self, name: str) -> str:
        """The name on the host."""
        return f"crypto_trade/{self.instance}/{name}"

    def service(self, name: str, followers_max: int) -> Any:
        """The iceoryx2 service of a segment: one owner, history 1."""
        iox2 = self._iceoryx2
        try:
            return (
                self.node.service_builder(iox2.ServiceName.new(self.service_name(name)))
                # No payload alignment: iceoryx2 0.10 multiplies the size by it. We align by ourselves.
                .publish_subscribe(iox2.Slice[ctypes.c_uint8])
                .max_publishers(1)
                .max_subscribers(followers_max)
                .max_nodes(2 * FOLLOWERS_MAX)
                .history_size(1)
                .subscriber_max_buffer_size(1)
                .subscriber_max_borrowed_samples(4)  # The present owner's, and a dead one's until it is drained.
                .open_or_create()
            )
        except Exception as error:
            raise SegmentError(self.explain(f"cannot open {name!r}", error)) from error

    def topic_service(
        self, name: str, publishers_max: int, subscribers_max: int, nodes_max: int, queue: int, history: int
    ) -> Any:
        """The iceoryx2 service of a topic: many publishers, the oldest message of a full queue is lost."""
        iox2 = self._iceoryx2
        try:
            return (
                self.node.service_builder(iox2.ServiceName.new(self.service_name(name)))
                .publish_subscribe(iox2.Slice[ctypes.c_uint8])
                .max_publishers(publishers_max)
                .max_subscribers(subscribers_max)
                .max_nodes(nodes_max)
                .history_size(history)
                .subscriber_max_buffer_size(queue)
                .subscriber_max_borrowed_samples(2)
                .enable_safe_overflow(True)
                .open_or_create()
            )
        except Exception as error:
            raise SegmentError(self.explain(f"cannot open the topic {name!r}", error)) from error

    def explain(self, what: str, error: Exception) -> str:
        """One sentence for the user: cause and remedy."""
        cause = str(error)
        if "ExceedsMaxSupportedPublishers" in cause:
            return (
                f"instance {self.instance!r}, {self.role}: {what}: another living process owns it. "
                f"Is this instance running already? Stop it, or choose another instance name"
            )
        if "ExceedsMaxSupportedSubscribers" in cause or "ExceedsMaxNumberOfNodes" in cause:
            return f"instance {self.instance!r}, {self.role}: {what}: too many processes follow it. Close one that watches"
        blocked = blocked_folder(self._root())
        if blocked:
            return blocked
        return (
            f"instance {self.instance!r}, {self.role}: {what}: iceoryx2 says {cause}. "
            f"If a process died while it made it, or an older version left it behind, stop every process of this instance and "
            f"start again after {UNFINISHED_S_MAX:.0f} s; see also `df /dev/shm`"
        )

    def lock(self, address: int, size: int, name: str) -> None:
        """Keeps these pages in memory. Where the host does not let us, they are at least brought in, and a warning is kept."""
        first = address // _PAGE * _PAGE
        length = -(-(address + size - first) // _PAGE) * _PAGE
        if _libc.mlock(ctypes.c_void_p(first), ctypes.c_size_t(length)) == 0:
            self._locked[name] = length
            return
        reason = os.strerror(ctypes.get_errno())
        _libc.madvise(ctypes.c_void_p(first), ctypes.c_size_t(length), _MADV_POPULATE_READ)
        self.warnings.append(
            f"{name}: {length // 1024} KiB could not be locked in memory ({reason}; limit {_lock_limit_text()}): "
            f"raise it with `ulimit -l` or LimitMEMLOCK= in the systemd unit"
        )

    @property
    def locked_bytes(self) -> int:
        """Bytes locked in memory by this process through us."""
        return sum(self._locked.values())

    def remove_stale_resources(self) -> int:
        """Removes what dead processes left behind, of whichever instance; the living are not touched. How many were removed."""
        return int(self.node.try_cleanup_dead_nodes().cleanups) + self._remove_unfinished_services()

    def _remove_unfinished_services(self) -> int:
        """Whoever dies while it makes a service leaves a description that nobody can open and no node owns (HangsInCreation).

        A finished one is read-only.
        """
        service = self._iceoryx2.config.default().global_cfg.service
        folder, suffix = Path(self._root(), service.directory.to_string()), service.static_config_storage_suffix.to_string()
        removed, oldest_s = 0, time.time() - UNFINISHED_S_MAX
        for file in folder.glob(f"*{suffix}"):
            with contextlib.suppress(OSError):  # Gone meanwhile, or somebody else's.
                status = file.stat()
                if status.st_mode & _OWNER_MAY_WRITE and status.st_mtime < oldest_s:
                    file.unlink()
                    removed += 1
        return removed

    def names_in_use(self) -> list[str]:
        """What exists on the host under the name of this instance, ours or anybody's: segments and topics."""
        iox2 = self._iceoryx2
        prefix = self.service_name("")
        names = [service.name().to_string() for service in iox2.Service.list(self.node.config, iox2.ServiceType.Ipc)]
        return sorted(name.removeprefix(prefix) for name in names if name.startswith(prefix))

    def close(self) -> None:
        """Takes everything of this process back."""
        for owned in self._owned:
            owned.close()
        self._owned.clear()
        self.node = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _root(self) -> str:
        return str(self._iceoryx2.config.default().global_cfg.root_path.to_string())

    def _make_node(self, name: str) -> Any:
        iox2 = self._iceoryx2
        config = iox2.config.global_config()
        config.defaults.publish_subscribe.subscriber_expired_connection_buffer = EXPIRED_OWNERS_MAX
        for attempt in range(NODE_ATTEMPTS):
            try:
                return (
                    iox2.NodeBuilder.new()
                    .config(config)
                    .name(iox2.NodeName.new(name))
                    .signal_handling_mode(iox2.SignalHandlingMode.Disabled)  # SIGINT and SIGTERM belong to the shard.
                    .create(iox2.ServiceType.Ipc)
                )
            except iox2.NodeCreationFailure as error:
                if attempt == NODE_ATTEMPTS - 1:
                    raise SegmentError(self.explain("cannot join iceoryx2", error)) from error
                time.sleep(0.005 + 0.001 * (os.getpid() * (attempt + 1) % 20))  # Different for every process.
        raise AssertionError("the last attempt returns or raises")


def blocked_folder(root: str) -> str:
    """The sentence for the user if iceoryx2 may not write where it must; empty if it may."""
    for path in (Path("/dev/shm"), Path(root), Path(root) / "nodes", Path(root) / "services"):
        if not path.exists():
            continue
        if os.access(path, os.W_OK | os.X_OK):
            continue
        facts = path.stat()
        remedy = (
            "`sudo chmod 1777 /dev/shm`"
            if path == Path("/dev/shm")
            else f"run as that user, or, if no iceoryx2 program of that user runs, remove it: `sudo rm -r {root}`"
        )
        owner = f"owner uid {facts.st_uid}, mode {facts.st_mode & 0o7777:o}; we are uid {os.geteuid()}"
        return f"no permission to write {path} ({owner}): {remedy}"
    return ""


def lock_limit_bytes() -> int | None:
    """How much memory this process may lock (soft limit); None: no limit."""
    soft, _ = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    return None if soft == resource.RLIM_INFINITY else soft


def _lock_limit_text() -> str:
    limit = lock_limit_bytes()
    return "none" if limit is None else f"{limit // 1024} KiB"


def _aligned(address: int) -> int:
    return -(-address // CACHE_LINE) * CACHE_LINE


_libc = ctypes.CDLL(None, use_errno=True)
