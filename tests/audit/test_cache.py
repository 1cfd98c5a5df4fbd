"""The cache: whatever is wrong with an entry, it is a miss."""

from __future__ import annotations

from pathlib import Path

import pytest
from submissions import audit, honest

from auditor.cache import Cache, cache_key, folder_digest, rule_book_version


def test_a_whole_entry_is_found(tmp_path: Path) -> None:
    cache, answer = Cache(tmp_path / "cache"), audit(honest(tmp_path / "a"))
    cache.put("k", answer)
    assert cache.get("k") == answer
    assert cache.get("other") is None


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty", "another-key", "folder"])
def test_a_damaged_entry_is_a_miss(tmp_path: Path, damage: str) -> None:
    folder = tmp_path / "cache"
    cache = Cache(folder)
    cache.put("k", audit(honest(tmp_path / "a")))
    file = folder / "k"
    data = file.read_bytes()
    file.unlink()
    if damage == "folder":
        file.mkdir()
    elif damage == "another-key":
        (folder / "j").write_bytes(data)
    else:
        flipped = data[:200] + bytes([data[200] ^ 1]) + data[201:]
        file.write_bytes({"cut": data[:-10], "flipped": flipped, "empty": b""}[damage])
    assert cache.get("j" if damage == "another-key" else "k") is None


def test_a_cache_that_cannot_be_written_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    Cache(tmp_path / "file" / "below").put("k", audit(honest(tmp_path / "a")))


@pytest.mark.parametrize("home", [None, "relative"])
def test_without_a_home_nothing_is_remembered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, home: str | None
) -> None:
    def no_account(_uid: int) -> None:
        raise KeyError

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    monkeypatch.setattr("pwd.getpwuid", no_account)
    monkeypatch.delenv("HOME")
    if home is not None:
        monkeypatch.setenv("HOME", home)
    answer = audit(honest(tmp_path / "a"))
    Cache().put("k", answer)
    assert Cache().get("k") is None
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_the_digest_sees_contents_names_and_links(tmp_path: Path) -> None:
    folder = honest(tmp_path / "a")
    seen = {folder_digest(folder)}
    (folder / "train_gpt.py").write_text("print(2)\n")
    seen.add(folder_digest(folder))
    (folder / "train_gpt.py").rename(folder / "train.py")
    seen.add(folder_digest(folder))
    (folder / "link.py").symlink_to("train.py")
    seen.add(folder_digest(folder))
    assert len(seen) == 4
    assert folder_digest(folder) in seen


def test_keys_tell_inputs_apart() -> None:
    assert cache_key("a", "b") == cache_key("a", "b")
    assert cache_key("a", "b") != cache_key("ab", "")
    assert rule_book_version() == rule_book_version()
