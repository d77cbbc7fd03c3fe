"""Data sets behind `--dataset`: Pascal-5i folds with and without lists, folders of pairs, and bad data by name."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from artifacts.data.datasets import find_task, held_out_scenes, splits
from artifacts.data.episodes import make_episodes
from artifacts.data.pascal import fold_classes
from artifacts.data.scenes import PLAIN, VOID, load_scenes
from artifacts.errors import DatasetError, OfflineError
from artifacts.tasks import TASKS, pair_task
from engine.geometry import Geometry

GEOMETRY = Geometry()
SIZE = 48


def voc(root: Path, pictures: int = 24, lists: bool = True) -> Path:
    """A VOC2012-layout folder: picture i shows class 1 + i % 3 on the left and class 6 on the right."""
    for folder in ("JPEGImages", "SegmentationClassAug", "ImageSets/Segmentation"):
        (root / folder).mkdir(parents=True)
    names = [f"2007_{index:06d}" for index in range(pictures)]
    for index, name in enumerate(names):
        labels = np.zeros((SIZE, SIZE), np.uint8)
        labels[8:40, 4:20], labels[8:40, 28:44], labels[:2] = 1 + index % 3, 6, 255
        Image.fromarray(labels).save(root / "SegmentationClassAug" / f"{name}.png")
        Image.fromarray(np.full((SIZE, SIZE, 3), 10 * index, np.uint8)).save(root / "JPEGImages" / f"{name}.jpg")
    if lists:
        for split, part in (("train", names[: pictures * 2 // 3]), ("val", names[pictures * 2 // 3 :])):
            (root / "ImageSets/Segmentation" / f"{split}.txt").write_text("\n".join(part))
    return root


def test_folds_part_vocs_classes() -> None:
    every = [fold_classes(fold) for fold in range(4)]
    assert frozenset.union(*every) == frozenset(range(1, 21))
    assert sum(map(len, every)) == 20
    with pytest.raises(DatasetError, match="no fold 4"):
        fold_classes(4)


def test_a_folds_foreground_is_one_class(tmp_path: Path) -> None:
    parts = splits(str(voc(tmp_path)), GEOMETRY, fold=0)
    assert [len(part) for part in parts.values()] == [10, 6, 8]
    for part in parts.values():
        assert part.classes is not None
        assert set(part.classes.tolist()) == {1, 2, 3}
        assert part.masks[:, 50, 20].all()
        assert not part.masks[:, 50, 90].any()  # class 6 is of another fold
        assert not part.masks[:, 0].any()  # nor is the border foreground
    other = splits(str(tmp_path), GEOMETRY, fold=1)["test"]
    assert other.masks[:, 50, 90].all()
    assert not other.masks[:, 50, 20].any()


def test_example_and_query_share_their_class(tmp_path: Path) -> None:
    part = splits(str(voc(tmp_path)), GEOMETRY, fold=0)["test"]
    assert part.classes is not None
    class_of = {
        int(picture[50, 50, 0]): int(number) for picture, number in zip(part.pictures, part.classes, strict=True)
    }
    episodes = make_episodes(part, TASKS["segmentation"], 30, 0)
    for example, query in zip(episodes.example_input, episodes.query, strict=True):
        assert class_of[int(example[50, 50, 0])] == class_of[int(query[50, 50, 0])]
        assert example[50, 50, 0] != query[50, 50, 0]


def test_without_lists_the_masks_decide(tmp_path: Path) -> None:
    parts = splits(str(voc(tmp_path, lists=False)), GEOMETRY, fold=1)
    assert [len(part) for part in parts.values()] == [11, 8, 5]


def test_without_lists_a_whole_folder_is_split_by_names(tmp_path: Path) -> None:
    parts = splits(str(voc(tmp_path, lists=False)), GEOMETRY)
    assert [len(part) for part in parts.values()] == [11, 8, 5]


@pytest.mark.parametrize("fold", [None, 0])
def test_vocs_own_masks_are_read_where_there_are_no_others(tmp_path: Path, fold: int | None) -> None:
    augmented = splits(str(voc(tmp_path)), GEOMETRY, fold)
    (tmp_path / "SegmentationClassAug").rename(tmp_path / "SegmentationClass")
    for part, scenes in splits(str(tmp_path), GEOMETRY, fold).items():
        assert np.array_equal(scenes.masks, augmented[part].masks)


def test_masks_of_0_and_255_show_no_object(tmp_path: Path) -> None:
    for path in (voc(tmp_path) / "SegmentationClassAug").iterdir():
        labels = np.asarray(Image.open(path))
        Image.fromarray(np.where(labels == 6, 255, 0).astype(np.uint8)).save(path)
    with pytest.raises(DatasetError, match=r"SegmentationClassAug shows no object: .* 255 \(void"):
        splits(str(tmp_path), GEOMETRY)


@pytest.mark.parametrize("fold", [None, 0])
def test_masks_that_do_not_fit_or_hold_gray_levels_are_named(tmp_path: Path, fold: int | None) -> None:
    path = voc(tmp_path) / "SegmentationClassAug/2007_000003.png"
    labels = Image.open(path)
    labels.resize((SIZE, SIZE // 2), Image.Resampling.NEAREST).save(path)
    with pytest.raises(DatasetError, match=r"2007_000003\.png is of 48x24 pixels, its picture of 48x48"):
        splits(str(tmp_path), GEOMETRY, fold)
    labels.resize((SIZE * 2, SIZE * 2), Image.Resampling.NEAREST).save(path)
    splits(str(tmp_path), GEOMETRY, fold)
    smooth = np.asarray(labels).copy()
    smooth[20:30, 20:30], smooth[20] = 255, 127
    Image.fromarray(smooth).save(path)
    with pytest.raises(DatasetError, match=r"2007_000003\.png holds gray levels"):
        splits(str(tmp_path), GEOMETRY, fold)
    labels.save(path, "JPEG")
    with pytest.raises(DatasetError, match=r"2007_000003\.png holds no class labels"):
        splits(str(tmp_path), GEOMETRY, fold)


def test_a_split_of_plain_pictures_has_no_masks(tmp_path: Path) -> None:
    root = voc(tmp_path)
    names = sorted(path.stem for path in (root / "SegmentationClassAug").iterdir())[:3]
    for name in names:
        Image.fromarray(np.full((SIZE, SIZE), VOID, np.uint8)).save(root / "SegmentationClassAug" / f"{name}.png")
    (root / "ImageSets/Segmentation").mkdir(parents=True, exist_ok=True)
    (root / "ImageSets/Segmentation" / f"{PLAIN}.txt").write_text("\n".join(names))
    assert not load_scenes(root, PLAIN, 24).masks.any()


def test_few_shot_lists_win(tmp_path: Path) -> None:
    root = voc(tmp_path)
    for name, numbers in (("trn", range(8)), ("val", range(16, 22))):
        (root / "splits/pascal" / name).mkdir(parents=True)
        lines = [f"2007_{index:06d}__{1 + index % 3:02d}" for index in numbers if index % 3 < 2]
        (root / "splits/pascal" / name / "fold0.txt").write_text("\n".join(lines))
    test = splits(str(root), GEOMETRY, fold=0)["test"]
    assert test.classes is not None
    assert sorted(test.classes.tolist()) == [1, 1, 2, 2]
    (root / "splits/pascal/val/fold0.txt").write_text("2007_000016__07")
    with pytest.raises(DatasetError, match=r"fold0\.txt:1: '2007_000016__07' is not"):
        splits(str(root), GEOMETRY, fold=0)


def test_bad_pictures_are_named(tmp_path: Path) -> None:
    root = voc(tmp_path)
    with pytest.raises(DatasetError, match="search of fold 3 is empty"):
        splits(str(root), GEOMETRY, fold=3)
    (root / "SegmentationClassAug/2007_000003.png").write_bytes(b"not a picture")
    with pytest.raises(DatasetError, match=r"2007_000003\.png cannot be read"):
        splits(str(root), GEOMETRY)
    (root / "JPEGImages/2007_000001.jpg").unlink()
    with pytest.raises(DatasetError, match=r"2007_000001\.jpg cannot be read"):
        splits(str(root), GEOMETRY, fold=0)


def pairs(root: Path, count: int) -> Path:
    """Pair i: gray level 10 i becomes its negative."""
    for folder, invert in (("input", False), ("output", True)):
        (root / folder).mkdir(parents=True)
        for index in range(count):
            level = 255 - 10 * index if invert else 10 * index
            Image.fromarray(np.full((30, 40, 3), level, np.uint8)).save(root / folder / f"p{index:02d}.png")
    return root


def test_a_folder_of_pairs_is_a_task(tmp_path: Path) -> None:
    parts = splits(str(pairs(tmp_path, 12)), GEOMETRY)
    assert {name: len(part) for name, part in parts.items()} == {"search": 6, "validation": 3, "test": 3}
    task = find_task("negative", str(tmp_path))
    episodes = make_episodes(parts["search"], task, 9, 0)
    np.testing.assert_array_equal(episodes.answer, 255 - episodes.query)
    np.testing.assert_array_equal(episodes.example_output, 255 - episodes.example_input)
    assert (episodes.query != episodes.example_input).any((1, 2, 3)).all()
    assert pair_task("segmentation").metric == "iou"


def test_bad_pairs_are_named(tmp_path: Path) -> None:
    root = pairs(tmp_path, 3)
    with pytest.raises(OfflineError, match="--fold"):
        splits(str(root), GEOMETRY, fold=0)
    with pytest.raises(OfflineError, match="task name"):
        find_task("../x", str(root))
    (root / "input/p09.png").write_bytes(b"")
    with pytest.raises(DatasetError, match=r"p09\.png has no partner"):
        splits(str(root), GEOMETRY)
    (root / "output/p09.jpg").write_bytes(b"")
    with pytest.raises(DatasetError, match=r"p09\.png is not a picture"):
        splits(str(root), GEOMETRY)
    (root / "output/p01.jpg").write_bytes(b"")
    with pytest.raises(DatasetError, match="have one name"):
        splits(str(root), GEOMETRY)


def test_too_little_data_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"few holds 1 pair; to search and to test takes 8 or more"):
        splits(str(pairs(tmp_path / "few", 1)), GEOMETRY)
    root = voc(tmp_path / "voc")
    (root / "ImageSets/Segmentation/val.txt").write_text("2007_000016")
    with pytest.raises(DatasetError, match=r"val\.txt lists too few pictures: 1 for test"):
        splits(str(root), GEOMETRY)


def test_bad_files_are_told_in_one_line(tmp_path: Path) -> None:
    root = voc(tmp_path)
    mask = root / "SegmentationClassAug/2007_000003.png"
    whole = mask.read_bytes()
    for content in (whole[: len(whole) // 2], whole[:40] + b"\0" * 20 + whole[60:], b""):
        mask.write_bytes(content)
        with pytest.raises(DatasetError) as raised:
            splits(str(root), GEOMETRY)
        assert str(raised.value).startswith(f"{mask} cannot be read: ")
        assert "\n" not in str(raised.value)
    mask.unlink()
    with pytest.raises(DatasetError, match=r"2007_000003\.png cannot be read: No such file or directory$"):
        splits(str(root), GEOMETRY)


def test_held_out_scenes_come_at_any_size(tmp_path: Path) -> None:
    root = voc(tmp_path / "voc")
    assert held_out_scenes(str(root), 64, None, 3).pictures.shape == (3, 64, 64, 3)
    fold = held_out_scenes(str(root), 64, 0, 6)
    assert fold.labels is not None
    assert fold.labels.tolist() == [2, 3, 1, 2, 3, 1]
    assert held_out_scenes(str(pairs(tmp_path / "pairs", 8)), 30, None, 1).pictures.shape == (2, 30, 30, 3)


def test_tasks_are_found_by_name() -> None:
    assert find_task("inpaint", "demo") is TASKS["inpaint"]
    with pytest.raises(OfflineError, match=r"choose one of colorization, .*, segmentation_inpaint"):
        find_task("nothing", "demo")
    with pytest.raises(DatasetError, match="VOC2012 layout"):
        splits("/nowhere", GEOMETRY)


def test_a_folder_of_pictures_alone_is_told_what_is_missing(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((SIZE, SIZE, 3), np.uint8)).save(tmp_path / "a.jpg")
    with pytest.raises(DatasetError, match=r"JPEGImages/NAME\.jpg and SegmentationClass/NAME\.png .* pictures alone"):
        load_scenes(tmp_path, "train", 32)
