"""The artifact store: folders of files addressed by the SHA-256 of their content, published whole or not at all."""

import errno
import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from storage.errors import ArtifactError

CHUNK = 1 << 20
DRAFT = ".draft-"
REDACTED = "erased.txt"
"""In an artifact that lost what was erased; it is not what its digest says."""


def file_digest(path: Path, rest: Callable[[], object] = lambda: None) -> str:
    """Return the SHA-256 of a file, in hex; `rest` is called after each megabyte."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
            rest()
    return digest.hexdigest()


def folder_digest(folder: Path, rest: Callable[[], object] = lambda: None) -> str:
    """Return the SHA-256, in hex, over the sorted lines `<file digest>  <relative path>` (the format of sha256sum).

    `rest` is called after each megabyte.
    """
    lines = [
        f"{file_digest(path, rest)}  {path.relative_to(folder).as_posix()}\n"
        for path in sorted(folder.rglob("*"), key=lambda path: path.relative_to(folder).as_posix())
        if path.is_file()
    ]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


class ArtifactStore:
    """A folder in which each artifact is a folder named by its digest."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def path(self, digest: str) -> Path:
        """Return where the artifact is, without reading it.

        Raises:
            ArtifactError: nothing was published under this digest.

        """
        folder = self.root / digest
        if not digest.isalnum() or not folder.is_dir():
            raise ArtifactError(f"no artifact {digest} in {self.root}. Restore it from a backup, or train again.")
        return folder

    def publish(self, write: Callable[[Path], object]) -> str:
        """Let `write` fill an empty folder, and publish that under its digest, which is returned.

        The files reach the disk before the name does, so a crash leaves either the whole artifact or none of it;
        publishing the same content again changes nothing.
        """
        self.root.mkdir(parents=True, exist_ok=True)
        with self._draft() as draft:
            write(draft)
            digest = folder_digest(draft)
            for path in [*draft.rglob("*"), draft]:
                _sync(path)
            try:
                draft.rename(self.root / digest)
                _sync(self.root)
            except OSError as error:  # the same content was published before, perhaps a moment ago
                if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):
                    raise
        return digest

    def verify(self, digest: str) -> Path:
        """Return where the artifact is after reading all of it.

        Raises:
            ArtifactError: it is missing, or its content is not what its digest says.

        """
        folder = self.path(digest)
        if (folder / REDACTED).exists():
            raise ArtifactError(
                f"artifact {digest} held what was erased since, so it is not used any more. Train again, or build anew."
            )
        actual = folder_digest(folder)
        if actual != digest:
            raise ArtifactError(
                f"artifact {digest} was changed after it was published (its content now has digest {actual}). "
                "Restore it from a backup; it is not used."
            )
        return folder

    def redact(self, digest: str, files: Mapping[str, bytes]) -> None:
        """Put what is left after an erasure in place of files of an artifact, which is not used any more after that.

        Each file is replaced whole, and doing it again changes nothing, so it is repeated after a crash.
        """
        folder = self.path(digest)
        said = b"Texts were erased here, so these files are not what the folder's digest says.\n"
        for name, content in {REDACTED: said, **files}.items():
            fresh = folder / f"{DRAFT}{os.getpid()}-{name}"
            fresh.write_bytes(content)
            _sync(fresh)
            fresh.replace(folder / name)
        _sync(folder)

    def erase(self, digest: str) -> None:
        """Remove an artifact; one that is gone already stays so."""
        if digest.isalnum():
            shutil.rmtree(self.root / digest, ignore_errors=True)

    def remove_drafts(self) -> int:
        """Remove what a killed process had begun to write; return how many. What a live one writes is left alone."""
        removed = 0
        for draft in self.root.glob(f"{DRAFT}*"):
            with _locked(draft, wait=False) as abandoned:
                if abandoned:
                    shutil.rmtree(draft, ignore_errors=True)
                    removed += 1
        return removed

    @contextmanager
    def _draft(self) -> Iterator[Path]:
        """Give a new folder, locked as long as this process lives and the block runs; what is left of it is removed."""
        while True:
            draft = Path(tempfile.mkdtemp(prefix=DRAFT, dir=self.root))
            with _locked(draft, wait=True) as mine:
                if not mine:  # swept away by somebody before it was locked
                    continue
                try:
                    yield draft
                finally:
                    shutil.rmtree(draft, ignore_errors=True)
                return


@contextmanager
def _locked(folder: Path, *, wait: bool) -> Iterator[bool]:
    """Hold the folder's lock, which the system takes back from a process that dies; give whether it is held.

    It is not when somebody else holds it (with `wait`, that is waited for), or when the folder is gone.
    """
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except FileNotFoundError:
        yield False
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        held = folder.exists()
    except BlockingIOError:
        held = False
    try:
        yield held
    finally:
        os.close(descriptor)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
