"""Gets the sources of a record into the cache.

One thread decides and each transfer has its own; nothing is shared but a queue of finished ones.
"""

from __future__ import annotations

import os
import queue
import time
from collections import Counter, deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal
from urllib.parse import urlsplit

from pkggen.errors import (
    DownloadError,
    PkggenError,
    ToolError,
    VerificationError,
    raise_all,
)
from pkggen.sources.addresses import Choices, local_paths, refusal, remote_addresses
from pkggen.sources.commits import fetch_commit, find_commit
from pkggen.sources.download import Download, inspect, key
from pkggen.web import (
    MAX_REDIRECTS,
    REDIRECTS,
    Answer,
    PassingError,
    Transfer,
    is_loopback,
    new_adapter,
    redirect_target,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from requests.adapters import HTTPAdapter

    from pkggen.sources.cache import Cache
    from pkggen.sources.hashes import Hashes
    from pkggen.sources.model import Source

MAX_SOURCE_BYTES: Final = 2 * 1024 * 1024 * 1024
"""Largest accepted source."""

_UNSATISFIABLE: Final = 416
_IDLE_SECONDS: Final = 0.5
_MAX_THREADS: Final = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """A source in the cache, verified."""

    source: Source
    """What was wanted."""
    path: Path
    """A file of the cache; for git an uncompressed tar."""
    hashes: Hashes
    """Computed from the bytes; all recorded checksums are among them."""
    origin: str | None
    """Address or path that the bytes came from just now; None when the cache had them."""
    commit: str | None
    """All digits of the commit; None unless git."""

    @property
    def strong(self) -> bool:
        """Whether the record vouches for the bytes; with md5 only, they were merely seen."""
        return self.source.strong


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened to a source."""

    kind: Literal["cached", "fetched", "trouble", "remark", "failed"]
    """`trouble` is an address that did not work while others are left; a `remark` is advice."""
    source: Source
    """The source."""
    detail: str
    """Where it came from, or what is wrong."""
    size: int = 0
    """Bytes of a source that is there now."""


def fetch(
    sources: Iterable[Source],
    cache: Cache,
    choices: Choices,
    progress: Callable[[Event], None] = lambda _: None,
) -> tuple[Fetched, ...]:
    """Get sources into the cache, verified, archives also inspected.

    Args:
        sources: From `collect_sources`.
        cache: Where they are kept; several processes may use it.
        choices: How to fetch.
        progress: Told what happens, in the caller's thread.

    Returns:
        One result for each source, in their order.

    Raises:
        VerificationError: an address gave other bytes than recorded, and none the right ones.
        DownloadError: no address gave anything.
        InputError: an archive must not be unpacked, or the cache cannot be used.
        ToolError: the disk is full, or git fails.
        Faults: several of these; those of verification come first.
    """
    wanted = tuple(sources)
    fetcher = _Fetcher(cache, choices, progress)
    fetcher.run(wanted)
    raise_all(sorted(fetcher.faults, key=lambda fault: fault.exit_code != 4))
    return tuple(fetcher.results[source.file_name] for source in wanted)


@dataclass(slots=True, eq=False)
class _Job:
    """A source that has to come from the network."""

    source: Source
    addresses: deque[str]
    failures: list[PkggenError] = field(default_factory=list)
    attempt: int = 0
    redirects: int = 0
    not_before: float = 0.0
    url: str = ""
    """Where the next request goes: the first address, or where it redirects to."""
    host: str = ""
    """Of the first address: redirects to its file servers count as the same."""
    etag: str = ""
    """Version of the file that an attempt met."""
    etag_url: str = ""
    """Where it met it."""

    def next_address(self) -> None:
        self.attempt = self.redirects = 0
        self.addresses.popleft()
        self.point()

    def point(self) -> None:
        if self.addresses:
            self.url = self.addresses[0]
            self.host = urlsplit(self.url).netloc


class _Fetcher:
    """One run; all methods belong to the caller's thread, except where they say otherwise."""

    def __init__(self, cache: Cache, choices: Choices, progress: Callable[[Event], None]) -> None:
        self.results: dict[str, Fetched] = {}
        self.faults: list[PkggenError] = []
        self._cache = cache
        self._choices = choices
        self._progress = progress
        self._waiting: list[_Job] = []
        self._active: dict[Transfer[Download], _Job] = {}
        """Transfers whose threads are at work, be it only at verifying."""
        self._receiving: dict[Transfer[Download], str] = {}
        """Those of them that occupy a connection, with the server."""
        self._news: queue.SimpleQueue[Transfer[Download]] = queue.SimpleQueue()

    def run(self, sources: Sequence[Source]) -> None:
        """Try everything for each source."""
        files = [source for source in sources if source.kind != "git"]
        # A thread for each processor: this is hashing and unpacking.
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            for source, look in [(s, pool.submit(self._look, s)) for s in files]:
                failures: list[PkggenError] = []
                try:
                    here, failures = look.result()
                except PkggenError as error:
                    self._fail(source, [error])
                    continue
                if here is not None:
                    self._succeed(here)
                else:
                    self._enqueue(source, failures)
        try:
            self._transfer_all()
        finally:
            for transfer in self._active:
                transfer.give_up()
                transfer.sink.close()
        for source in sources:
            if source.kind == "git":
                self._git(source)

    # What is on this machine

    def _look(self, source: Source) -> tuple[Fetched | None, list[PkggenError]]:
        """Look for a file on this machine; runs in a thread of a pool."""
        failures: list[PkggenError] = []
        if (found := self._cache.find(source.checksums)) is not None:
            inspect(source, found[0])
            return _fetched(source, *found, None), failures
        if (fetched := self._left_over(source)) is not None:
            return fetched, failures
        for path in local_paths(source, self._choices.mirrors):
            try:
                if os.path.exists(path):  # noqa: PTH110 - unlike `Path.exists`, it never raises
                    added = self._cache.add(path, source.checksums)
                    inspect(source, added[0])
                    return _fetched(source, *added, str(path)), failures
                failures.append(DownloadError("there is no such file", where=str(path)))
            except (VerificationError, DownloadError) as error:
                failures.append(VerificationError(error.message, where=str(path)))
        return None, failures

    def _left_over(self, source: Source) -> Fetched | None:
        """Take a file that was complete when the process that fetched it died."""
        part = self._cache.left_over(key(source))
        if part is None:
            return None
        with part:
            hashes = part.hasher().hashes()
            if not hashes.matches(source.checksums):
                return None
            inspect(source, part.path)
            path = self._cache.accept(part, hashes, source.checksums)
            return _fetched(source, path, hashes, None)

    # What is elsewhere

    def _enqueue(self, source: Source, failures: list[PkggenError]) -> None:
        job = _Job(source, deque(), failures)
        if self._choices.offline:
            told = DownloadError("not asked, because of --offline", where=source.urls[0])
            self._fail(source, [*failures, told])
            return
        for address in remote_addresses(source, self._choices):
            if (reason := refusal(address, source, self._choices)) is None:
                job.addresses.append(address)
            else:
                job.failures.append(DownloadError(reason, where=address))
        if job.addresses:
            job.point()
            self._waiting.append(job)
        else:
            self._fail(source, job.failures)

    def _transfer_all(self) -> None:
        if not self._waiting:
            return
        adapter = new_adapter(self._choices.jobs)
        while self._waiting or self._active:
            now = time.monotonic()
            self._give_up_slow(now)
            for job in self._startable(now):
                self._start(job, adapter)
            pause = min(
                (job.not_before - now for job in self._waiting if job.not_before > now),
                default=_IDLE_SECONDS,
            )
            try:
                transfer = self._news.get(timeout=min(pause, _IDLE_SECONDS))
            except queue.Empty:
                continue
            self._receiving.pop(transfer, None)
            if transfer.is_done and (done := self._active.pop(transfer, None)) is not None:
                self._finish(transfer, done)

    def _startable(self, now: float) -> Iterator[_Job]:
        busy = Counter(self._receiving.values())
        for job in tuple(self._waiting):
            if len(self._receiving) >= self._choices.jobs or len(self._active) >= _MAX_THREADS:
                return
            if job.not_before <= now and busy[job.host] < self._choices.per_host:
                self._waiting.remove(job)
                busy[job.host] += 1
                yield job

    def _start(self, job: _Job, adapter: HTTPAdapter) -> None:
        etag = job.etag if job.etag_url == job.url else ""
        transfer = Transfer(
            adapter,
            job.url,
            Download(self._cache, job.source, etag),
            patience=self._choices.patience,
            limit=MAX_SOURCE_BYTES,
            received=self._news.put,
            done=self._news.put,
        )
        self._active[transfer] = job
        self._receiving[transfer] = job.host
        transfer.start()

    def _give_up_slow(self, now: float) -> None:
        for transfer, job in tuple(self._active.items()):
            if now >= transfer.deadline:
                del self._active[transfer]
                self._receiving.pop(transfer, None)
                error = transfer.give_up()
                transfer.sink.close()
                self._next(job, error)

    def _finish(self, transfer: Transfer[Download], job: _Job) -> None:
        sink = transfer.sink
        try:
            self._take(transfer.answer(), transfer, job)
        except PassingError as error:
            self._retry(job, error)
        except VerificationError as error:
            if sink.resumed:
                # The beginning was of other bytes; it is gone now.
                self._waiting.append(job)
            else:
                self._next(job, VerificationError(error.message, where=transfer.url))
        except DownloadError as error:
            self._next(job, error)
        except PkggenError as error:
            self._stop_or_fail(job, error)
        finally:
            job.etag, job.etag_url = sink.etag, transfer.url
            sink.close()

    def _take(self, answer: Answer, transfer: Transfer[Download], job: _Job) -> None:
        sink = transfer.sink
        if answer.status in REDIRECTS:
            self._redirect(job, redirect_target(transfer.url, answer))
        elif answer.status == _UNSATISFIABLE and sink.offset:
            # What is there is as long as the file or longer, and not the file.
            sink.part.clear()
            self._waiting.append(job)
        elif sink.result is None:
            raise DownloadError(f"the server answered {answer.status}", where=transfer.url)
        else:
            self._succeed(_fetched(job.source, *sink.result, transfer.url))

    def _redirect(self, job: _Job, target: str) -> None:
        job.redirects += 1
        if job.redirects > MAX_REDIRECTS:
            raise DownloadError(f"more than {MAX_REDIRECTS} redirects", where=job.addresses[0])
        if (reason := refusal(target, job.source, self._choices)) is not None:
            raise DownloadError(f"redirects to {target}: {reason}", where=job.url)
        if is_loopback(target) and not is_loopback(job.url):
            raise DownloadError(f"redirects into this machine, to {target}", where=job.url)
        job.url = target
        self._waiting.append(job)

    def _retry(self, job: _Job, error: PassingError) -> None:
        patience = self._choices.patience
        if job.attempt >= patience.retries:
            self._next(job, error)
            return
        job.not_before = time.monotonic() + patience.pause(job.attempt, error.pause)
        job.attempt += 1
        job.redirects = 0
        job.url = job.addresses[0]
        self._waiting.append(job)

    def _next(self, job: _Job, error: PkggenError) -> None:
        """Go on with the next address."""
        job.failures.append(error)
        job.next_address()
        if job.addresses:
            self._progress(Event(kind="trouble", source=job.source, detail=str(error)))
            self._waiting.append(job)
        else:
            self._fail(job.source, job.failures)

    def _stop_or_fail(self, job: _Job, error: PkggenError) -> None:
        """Another address does not help; with a full disk, nothing does."""
        if isinstance(error, ToolError):
            raise error
        self._fail(job.source, [error])

    def _git(self, source: Source) -> None:
        try:
            commit = find_commit(source, self._cache)
            if commit is not None:
                origin = None
            elif self._choices.offline:
                raise DownloadError("not in the cache, and --offline", where=str(source))
            else:
                origin = source.urls[0]
                commit = fetch_commit(source, self._cache, local=is_loopback(origin))
            for remark in commit.remarks:
                self._progress(Event(kind="remark", source=source, detail=remark))
        except PkggenError as error:
            self._fail(source, [error])
            return
        self._succeed(
            Fetched(
                source=source,
                path=commit.path,
                hashes=commit.hashes,
                origin=origin,
                commit=commit.commit,
            )
        )

    # Results

    def _succeed(self, fetched: Fetched) -> None:
        self.results[fetched.source.file_name] = fetched
        self._progress(
            Event(
                kind="fetched" if fetched.origin else "cached",
                source=fetched.source,
                detail=fetched.origin or str(fetched.path),
                size=fetched.hashes.size,
            )
        )

    def _fail(self, source: Source, failures: list[PkggenError]) -> None:
        fault = _summary(source, failures)
        self.faults.append(fault)
        self._progress(Event(kind="failed", source=source, detail=fault.message))


def _fetched(source: Source, path: Path, hashes: Hashes, origin: str | None) -> Fetched:
    return Fetched(source=source, path=path, hashes=hashes, origin=origin, commit=None)


def _summary(source: Source, failures: Sequence[PkggenError]) -> PkggenError:
    """Return one error for a source that tells what each address did."""
    files_only = isinstance(failures[0], DownloadError | VerificationError)
    if source.kind == "git" or not files_only:
        return failures[0]
    told = "".join(f"\n  {failure.where}: {failure.message}" for failure in failures)
    if any(isinstance(failure, VerificationError) for failure in failures):
        return VerificationError(
            f"{source.file_name} was found with other bytes than recorded only{told}",
            where=str(source),
            hint="do not build from it; the recorded file may be in a cache: --mirror",
        )
    return DownloadError(
        f"{source.file_name} could not be fetched{told}",
        where=str(source),
        hint="if you have the file or another cache of opam archives, name it with --mirror",
    )
