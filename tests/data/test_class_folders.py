"""What lies in class folders: images, and everything else, counted."""

import os
import socket

import pytest

from tf_edd.data.class_folders import describe_skipped, scan
from tf_edd.errors import UserError


def place(root, *names):
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")


def names(root, files):
    paths, labels = files
    return [(os.path.relpath(path, root), label) for path, label in zip(paths, labels.tolist(), strict=True)]


def test_files_are_sorted_and_labeled(tmp_path):
    place(tmp_path, "dog/b.JPG", "dog/a.png", "cat/z.jpeg")
    found = scan(tmp_path)
    assert found.classes == ("cat", "dog") and found.test is None and found.skipped == {}
    assert names(tmp_path, found.train) == [("cat/z.jpeg", 0), ("dog/a.png", 1), ("dog/b.JPG", 1)]


def test_what_is_skipped_is_counted(tmp_path):
    place(tmp_path, "cat/a.png", "cat/b.gif", "cat/c.GIF", "cat/d.webp", "cat/.DS_Store", "cat/README")
    place(tmp_path, "dog/a.png", "dog/e.webp", "dog/f.gif", "dog/more/x.png")
    place(tmp_path, "loose.png", "labels.csv", ".hidden")
    found = scan(tmp_path)
    assert found.skipped == {
        ".gif": 3,
        ".webp": 2,
        ".csv beside the class folders": 1,
        "folder": 1,
        "hidden": 1,
        "image beside the class folders": 1,
        "without a suffix": 1,
    }
    assert names(tmp_path, found.train) == [("cat/a.png", 0), ("dog/a.png", 1)]
    text = describe_skipped(found.skipped)
    assert text.startswith("3 .gif, 2 .webp, 1 .csv beside") and text.endswith(", 1 other")


def test_numbers_above_one_are_plural():
    counts = {"folder": 3, "folder 'val'": 1, "image beside the class folders": 2, "not a regular file": 2, ".gif": 2}
    assert describe_skipped(counts) == (
        "3 folders, 1 folder 'val', 2 images beside the class folders, 2 not regular files, 2 .gif"
    )
    assert describe_skipped({f".{letter}": 1 for letter in "abcdefgh"}).endswith("1 .f, 2 others")


def test_train_is_a_class_unless_it_holds_classes(tmp_path):
    place(tmp_path, "bus/a.png", "car/a.png", "train/a.png")
    found = scan(tmp_path)
    assert found.classes == ("bus", "car", "train") and found.test is None and found.skipped == {}
    assert names(tmp_path, found.train) == [("bus/a.png", 0), ("car/a.png", 1), ("train/a.png", 2)]


@pytest.mark.parametrize("test_name", ["test", "val"])
def test_two_splits_without_class_folders_are_no_classes(tmp_path, test_name):
    place(tmp_path, "train/a.png", f"{test_name}/a.png")
    with pytest.raises(UserError, match="two class folders in '.*train'"):
        scan(tmp_path)


def test_a_second_test_folder_is_named(tmp_path):
    place(tmp_path, *(f"{part}/{name}/a.png" for part in ("train", "test", "val", "extra") for name in ("cat", "dog")))
    found = scan(tmp_path)
    assert names(tmp_path, found.test) == [("test/cat/a.png", 0), ("test/dog/a.png", 1)]
    assert found.skipped == {"folder 'extra'": 1, "folder 'val'": 1}


def test_pipes_sockets_and_devices_are_not_read(tmp_path, monkeypatch):
    place(tmp_path, "cat/a.png", "dog/a.png")
    os.mkfifo(tmp_path / "cat" / "pipe.png")
    (tmp_path / "cat" / "zero.png").symlink_to("/dev/zero")
    (tmp_path / "cat" / "gone.png").symlink_to(tmp_path / "nowhere.png")
    (tmp_path / "cat" / "linked.png").symlink_to(tmp_path / "dog" / "a.png")
    with socket.socket(socket.AF_UNIX) as server:
        monkeypatch.chdir(tmp_path / "cat")  # the path of a socket is short
        server.bind("socket.png")
        found = scan(tmp_path)
    assert names(tmp_path, found.train) == [("cat/a.png", 0), ("cat/linked.png", 0), ("dog/a.png", 1)]
    assert found.skipped == {"not a regular file": 4}


def test_a_class_without_images_says_what_lies_there(tmp_path):
    place(tmp_path, "cat/a.png", "dog/a.gif", "dog/b.gif", "dog/.c")
    with pytest.raises(
        UserError, match=r"\(.jpg, .jpeg, .png\) in '.*dog'. Received: none \(skipped: 2 .gif, 1 hidden"
    ):
        scan(tmp_path)


@pytest.mark.parametrize("name", [b"a\nb", b"\xff\xfe"])
def test_class_folders_have_printable_names(tmp_path, name):
    place(tmp_path, "cat/a.png", "dog/a.png")
    os.rename(os.fsencode(tmp_path / "dog"), os.fsencode(tmp_path) + b"/" + name)
    with pytest.raises(UserError, match="name of a class must be one line of UTF-8. Received: '"):
        scan(tmp_path)


def test_files_have_printable_names(tmp_path):
    place(tmp_path, "cat/a.png", "dog/a.png")
    os.rename(os.fsencode(tmp_path / "dog" / "a.png"), os.fsencode(tmp_path / "dog") + b"/\xff.png")
    with pytest.raises(UserError, match=r"rename the file. Received: '.*dog/\\udcff.png'"):
        scan(tmp_path)
