"""The artifact store: an artifact is whole and true to its digest, or it is not there."""

import hashlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from storage.artifacts import ArtifactStore, folder_digest
from storage.errors import ArtifactError


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    return ArtifactStore(tmp_path / "artifacts")


def write_two(folder: Path) -> None:
    (folder / "weights.bin").write_bytes(b"\x00\x01" * 1000)
    (folder / "inner").mkdir()
    (folder / "inner" / "manifest.json").write_text("{}")


def visible(store: ArtifactStore) -> list[str]:
    return [path.name for path in store.root.iterdir() if not path.name.startswith(".")]


def test_what_is_published_is_found_under_its_digest(store: ArtifactStore) -> None:
    digest = store.publish(write_two)
    assert visible(store) == [digest]
    assert (store.verify(digest) / "inner" / "manifest.json").read_text() == "{}"


def test_the_digest_is_the_one_that_sha256sum_gives_over_its_own_output(store: ArtifactStore) -> None:
    digest = store.publish(write_two)
    files = sorted(path for path in store.path(digest).rglob("*") if path.is_file())
    lines = [
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(store.path(digest))}\n" for path in files
    ]
    assert digest == hashlib.sha256("".join(lines).encode()).hexdigest()


def test_publishing_the_same_content_again_changes_nothing(store: ArtifactStore) -> None:
    with ThreadPoolExecutor(4) as pool:
        digests = set(pool.map(store.publish, [write_two] * 4))
    assert visible(store) == list(digests)
    assert list(store.root.glob(".draft-*")) == []


def test_the_same_content_may_be_published_many_times_at_once(tmp_path: Path) -> None:
    together = Barrier(8)

    def write(folder: Path) -> None:
        write_two(folder)
        together.wait(timeout=10)

    with ThreadPoolExecutor(8) as pool:
        for attempt in range(20):  # one attempt alone meets the race in one of five cases
            store = ArtifactStore(tmp_path / str(attempt))
            (digest,) = set(pool.map(store.publish, [write] * 8))
            assert [path.name for path in store.root.iterdir()] == [digest]


def test_a_writer_that_fails_leaves_nothing(store: ArtifactStore) -> None:
    def run_out_of_space(folder: Path) -> None:
        write_two(folder)
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        store.publish(run_out_of_space)
    assert list(store.root.iterdir()) == []


def test_a_writer_that_is_killed_leaves_only_a_draft_which_the_next_start_removes(store: ArtifactStore) -> None:
    program = (
        "import os, signal, sys; from pathlib import Path; from storage.artifacts import ArtifactStore\n"
        "def write(folder):\n"
        "    (folder / 'weights.bin').write_bytes(b'half')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "ArtifactStore(Path(sys.argv[1])).publish(write)\n"
    )
    killed = subprocess.run([sys.executable, "-c", program, str(store.root)], check=False, timeout=60)
    assert killed.returncode == -signal.SIGKILL
    assert visible(store) == []
    assert store.remove_drafts() == 1
    assert list(store.root.iterdir()) == []


def test_a_draft_that_another_process_is_writing_is_left_alone(store: ArtifactStore) -> None:
    program = (
        "import sys; from pathlib import Path; from storage.artifacts import ArtifactStore\n"
        "def write(folder):\n"
        "    (folder / 'weights.bin').write_bytes(b'half')\n"
        "    print('half', flush=True); sys.stdin.readline()\n"
        "    (folder / 'weights.bin').write_bytes(b'whole')\n"
        "print(ArtifactStore(Path(sys.argv[1])).publish(write))\n"
    )
    command = [sys.executable, "-c", program, str(store.root)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "half\n"
        assert store.remove_drafts() == 0
        digest = writer.communicate("\n", timeout=60)[0].strip()
    assert (store.verify(digest) / "weights.bin").read_text() == "whole"


def test_sweeping_while_others_publish_loses_nothing(store: ArtifactStore) -> None:
    def write(number: int) -> Callable[[Path], object]:
        return lambda folder: (folder / "number").write_text(str(number))

    with ThreadPoolExecutor(6) as pool:
        sweeps = [pool.submit(store.remove_drafts) for _ in range(40)]
        digests = list(pool.map(store.publish, map(write, range(40))))
        for sweep in sweeps:
            sweep.result()
    assert sorted((store.verify(digest) / "number").read_text() for digest in digests) == sorted(map(str, range(40)))


@pytest.mark.parametrize("change", ["edit", "remove", "add", "rename"])
def test_an_artifact_that_was_changed_is_refused(store: ArtifactStore, change: str) -> None:
    digest = store.publish(write_two)
    weights = store.path(digest) / "weights.bin"
    if change == "edit":
        weights.write_bytes(weights.read_bytes()[:-1] + b"\xff")
    elif change == "remove":
        weights.unlink()
    elif change == "add":
        (weights.parent / "extra.pkl").write_bytes(b"")
    else:
        weights.rename(weights.parent / "other.bin")
    with pytest.raises(ArtifactError, match="was changed after it was published"):
        store.verify(digest)


@pytest.mark.parametrize("digest", ["0" * 64, "../elsewhere", "", ".draft-x", "a/b"])
def test_an_unknown_digest_is_refused_whatever_it_looks_like(store: ArtifactStore, digest: str) -> None:
    store.publish(write_two)
    (store.root.parent / "elsewhere").mkdir()
    with pytest.raises(ArtifactError, match="no artifact"):
        store.verify(digest)


def test_removing_drafts_where_nothing_was_ever_stored_does_nothing(store: ArtifactStore) -> None:
    assert store.remove_drafts() == 0


def test_the_digest_depends_on_names_and_content_and_not_on_the_order_of_writing(tmp_path: Path) -> None:
    for folder, names in ((tmp_path / "one", "ab"), (tmp_path / "two", "ba")):
        folder.mkdir()
        for name in names:
            (folder / name).write_text(name)
    assert folder_digest(tmp_path / "one") == folder_digest(tmp_path / "two")
    os.utime(tmp_path / "one" / "a", (0, 0))
    assert folder_digest(tmp_path / "one") == folder_digest(tmp_path / "two")
    (tmp_path / "two" / "a").write_text("changed")
    assert folder_digest(tmp_path / "one") != folder_digest(tmp_path / "two")
