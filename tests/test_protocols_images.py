"""Images by name: every one found, or the missing ones listed with what may be the cause."""

import os
import pickle

import pytest

from facezoo import protocols


@pytest.fixture
def root(tmp_path):
    """Four images in two folders, beside what is no image."""
    for name in ("ann/1.jpg", "ann/2.PNG", "bob/0.555.jpeg", "bob/x.JPG", "bob/notes.txt"):
        path = tmp_path / "images" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
    (tmp_path / "secret.jpg").write_bytes(b"secret")
    return tmp_path / "images"


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("ann/1", "ann/1.jpg"),
        ("ann/1.jpg", "ann/1.jpg"),
        ("ann/1.JPG", "ann/1.jpg"),
        ("ann/2", "ann/2.PNG"),
        ("ann/2.png", "ann/2.PNG"),
        ("bob/0.555", "bob/0.555.jpeg"),
        ("bob/./x.jpg", "bob/x.JPG"),
    ],
)
def test_a_name_fits_with_and_without_suffix(root, name, file):
    images = protocols.ImageFolder(root)
    images.check([name])
    assert images.read(name) == file.encode()


@pytest.mark.parametrize("name", ["ann/1.png", "ann/1.jpeg", "Ann/1", "bob/X", "bob/notes", "ann"])
def test_what_is_spelt_otherwise_is_missing(root, name):
    images = protocols.ImageFolder(root)
    for look in (images.read, lambda name: images.check([name])):
        with pytest.raises(FileNotFoundError, match=f"1 of 1 images are missing in .*: {name}"):
            look(name)


@pytest.mark.parametrize(
    "name",
    ["../secret", "../secret.jpg", "ann/../../secret", "ann/..", "/etc/passwd", "C:\\x", "", "."],
)
def test_a_name_does_not_lead_out_of_the_folder(root, name):
    images = protocols.ImageFolder(root)
    for look in (images.read, lambda name: images.check(["ann/1", name])):
        with pytest.raises(ValueError, match="do not lead out of it. Received"):
            look(name)


def test_two_files_that_fit_one_name_are_an_error(root):
    (root / "ann" / "1.png").write_bytes(b"")
    (root / "bob" / "x.jpg").write_bytes(b"lower")
    images = protocols.ImageFolder(root)
    with pytest.raises(ValueError, match=r"fit one name.*1 names: ann/1 \(1.jpg or 1.png\)"):
        images.check(["ann/1", "ann/2"])
    with pytest.raises(ValueError, match="fit one name"):
        images.read("ann/1")
    assert images.read("ann/1.jpg") == b"ann/1.jpg"
    assert images.read("bob/x.jpg") == b"lower"
    assert images.read("bob/x.JPG") == b"bob/x.JPG"


def test_missing_images_are_counted_and_the_first_are_listed(root):
    images = protocols.ImageFolder(root)
    names = ["ann/1", *(f"cid/{number}" for number in range(25)), "bob/x"]
    with pytest.raises(FileNotFoundError) as raised:
        images.check(names)
    message = str(raised.value)
    assert message.startswith("25 of 27 images are missing in ")
    assert "cid/0, cid/1, " in message
    assert "cid/19, and 5 more. Copy them there; expected are the suffixes .jpg" in message
    assert "cid/20" not in message


def test_all_missing_is_another_folder(root):
    with pytest.raises(FileNotFoundError, match=r"They lie in .*images: give that folder"):
        protocols.ImageFolder(root.parent).check(["ann/1", "bob/x"])
    with pytest.raises(FileNotFoundError, match=r"another folder\. Expected.*It holds: ann, bob\."):
        protocols.ImageFolder(root).check(["cid/1"])
    (root / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match="It holds: nothing"):
        protocols.ImageFolder(root / "empty").check(["cid/1"])


def test_a_folder_named_like_an_image_is_none(root):
    (root / "ann" / "3.jpg").mkdir()
    with pytest.raises(FileNotFoundError, match="1 of 2"):
        protocols.ImageFolder(root).check(["ann/3", "ann/1"])


def test_suffixes_can_be_chosen(root):
    images = protocols.ImageFolder(root, suffixes=(".txt",))
    assert images.read("bob/notes") == b"bob/notes.txt"
    with pytest.raises(FileNotFoundError):
        images.read("ann/1")


def test_what_is_no_folder_is_an_error(root):
    with pytest.raises(NotADirectoryError, match="which is a file"):
        protocols.ImageFolder(root / "ann" / "1.jpg")
    with pytest.raises(NotADirectoryError, match="which is not there"):
        protocols.open_images(root / "none")


def test_open_images_takes_a_folder_or_a_pack(root):
    assert protocols.open_images(os.fspath(root)).read("ann/1") == b"ann/1.jpg"
    pack = root / "mine.bin"
    pack.write_bytes(pickle.dumps(([b"a", b"b"], [True])))
    images = protocols.open_images(pack)
    assert [images.read(name) for name in images.names] == [b"a", b"b"]
    with pytest.raises(ValueError, match="must be a pickle"):
        protocols.open_images(root / "ann" / "1.jpg")
