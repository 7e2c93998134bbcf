"""``shearbench init`` writes a project that can be read, with the pipeline of this repository; the wheel carries it."""

from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from shearbench.commands import init
from shearbench.data import raw
from shearbench.data.folds import read_folds, read_part
from shearbench.errors import InputError
from shearbench.params import load
from shearbench.records import read_npz
from shearbench.stages import prepare

REPOSITORY = Path(__file__).parents[1]
PACKAGED = REPOSITORY / "src" / "shearbench" / "commands" / "project"


def _pictures(folder: Path, *, sides: tuple[int, ...] = (16,), mode: str = "RGB") -> Path:
    rng = np.random.default_rng(0)
    for number, name in enumerate(("cat", "dog", "Größe")):
        (folder / name).mkdir(parents=True)
        for each in range(12):
            side = sides[each % len(sides)]
            pixels = rng.integers(0, 255, (side, side, 3), dtype=np.uint8)
            pixels[:, :, 0] = 40 * number
            Image.fromarray(pixels).convert(mode).save(folder / name / f"{each}.png")
    return folder


def test_the_packaged_pipeline_is_this_repositorys() -> None:
    assert (PACKAGED / "pipeline.yaml").read_text() == (REPOSITORY / "dvc.yaml").read_text()
    assert (PACKAGED / "searches.yaml").read_text() == (REPOSITORY / "tuned" / "dvc.yaml").read_text()


def test_a_project_of_pictures_is_whole(tmp_path: Path) -> None:
    pictures = _pictures(tmp_path / "my pictures")
    project = tmp_path / "benchmark"
    init.main(project, images=pictures, npz=None)
    params = load(project / "params.yaml")
    (name,) = params.datasets
    assert name == "my_pictures"
    assert params.datasets[name].channels == 3
    assert {run.model for run in params.runs.values()} == {"svm", "mlp", "cnn2"}
    stages = yaml.safe_load((project / "dvc.yaml").read_text())["stages"]
    whole = yaml.safe_load((REPOSITORY / "dvc.yaml").read_text())["stages"]
    assert whole.keys() - stages.keys() == {"handwriting"}
    assert all(stages[key] == whole[key] for key in stages.keys() - {"report", "track"})
    made = {path.name for path in project.iterdir()}
    assert made >= {"data", "data.dvc", "Makefile", "README.md", "mlruns", "reports", "networks", "tuned", ".gitignore"}
    assert "adopted" in yaml.safe_load((project / "data.dvc").read_text())["meta"]


def test_the_ablation_in_the_comments_can_be_used(tmp_path: Path) -> None:
    init.main(tmp_path / "benchmark", images=_pictures(tmp_path / "pictures"), npz=None)
    path = tmp_path / "benchmark" / "params.yaml"
    head, begun, example = path.read_text().partition("# whether augmentation helps, write below, in place of {}:\n")
    lines = [line.removeprefix("#").removeprefix(" ") for line in example.splitlines() if line.startswith("#")]
    path.write_text("\n".join([head + begun, "ablations:", *(f"  {line}" for line in lines), ""]))
    (ablation,) = load(path).ablations.values()
    assert ablation.models["augmented"].recipe.augment == ("flip", "crop")
    assert "ablations: {}" in example


def test_what_a_stage_depends_on_is_there_or_made_by_another(tmp_path: Path) -> None:
    init.main(tmp_path / "benchmark", images=_pictures(tmp_path / "pictures"), npz=None)
    stages = yaml.safe_load((tmp_path / "benchmark" / "dvc.yaml").read_text())["stages"].values()
    bodies = [stage.get("do", stage) for stage in stages]
    listed = [each for body in bodies for key in ("outs", "metrics", "plots") for each in body.get(key, [])]
    made = {next(iter(each)) if isinstance(each, dict) else each for each in listed}
    needed = {each for body in bodies for each in body.get("deps", [])}
    roots = {each.partition("$")[0].rstrip("/") for each in made}
    unknown = [
        each
        for each in needed
        if not any(each.partition("$")[0].startswith(root) or root.startswith(each) for root in roots)
        and not (tmp_path / "benchmark" / each).exists()
    ]
    assert unknown == []


@pytest.mark.parametrize(
    ("sides", "mode", "resize", "channels"),
    [((16,), "L", None, 1), ((16, 20), "RGB", (20, 20), 3), ((100,), "RGB", (64, 64), 3)],
)
def test_sizes_and_channels_are_declared_as_they_are_found(
    tmp_path: Path, sides: tuple[int, ...], mode: str, resize: tuple[int, int] | None, channels: int
) -> None:
    init.main(tmp_path / "benchmark", images=_pictures(tmp_path / "pictures", sides=sides, mode=mode), npz=None)
    source = load(tmp_path / "benchmark" / "params.yaml").sources.images["pictures"]
    assert (source.resize, source.channels) == (resize, channels)


def test_one_image_of_another_size_among_hundreds_is_seen(tmp_path: Path) -> None:
    """Sizes are those after the rotation that the camera noted, as for the stage that reads the images."""
    for odd in ("other", "rotated"):
        pictures = _pictures(tmp_path / odd)
        for number in range(400):
            Image.new("RGB", (16, 16), (number // 2, number % 2, 7)).save(pictures / "cat" / f"more{number}.png")
        rotation = Image.Exif()
        rotation[0x0112] = 6
        side = (16, 20) if odd == "rotated" else (18, 16)
        for number in range(12):
            Image.new("RGB", side, (number, 9, 9)).save(pictures / "dog" / f"{number}x.png", exif=rotation)
        init.main(tmp_path / f"{odd} benchmark", images=pictures, npz=None)
        source = load(tmp_path / f"{odd} benchmark" / "params.yaml").sources.images[odd]
        assert source.resize == ((20, 20) if odd == "rotated" else (18, 18))


def test_a_plan_counts_readable_images_alone(tmp_path: Path) -> None:
    pictures = _pictures(tmp_path / "pictures")  # 36 of them
    for number in range(36):
        (pictures / "cat" / f"link{number}.png").symlink_to(tmp_path / "nowhere.png")
    init.main(tmp_path / "benchmark", images=pictures, npz=None)
    assert "36 images of 3 channels" in (tmp_path / "benchmark" / "README.md").read_text()


def test_an_npz_file_and_the_packages_digits_are_sources_too(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    images = rng.integers(0, 255, (60, 12, 12), dtype=np.uint8)
    np.savez(tmp_path / "scans.npz", train_images=images, train_labels=np.arange(60) % 3)
    init.main(tmp_path / "one", images=None, npz=tmp_path / "scans.npz")
    assert list(load(tmp_path / "one" / "params.yaml").datasets) == ["scans"]
    init.main(tmp_path / "two", images=None, npz=None)
    digits = load(tmp_path / "two" / "params.yaml")
    assert list(digits.datasets) == ["mnist"]


@pytest.mark.parametrize(
    ("arrays", "fault"),
    [
        ({"train_images": np.arange(60)}, r"images must be \(n, height, width\) .* got \(60,\)"),
        ({"train_images": np.array(3)}, r"images must be \(n, height, width\) .* got \(\)"),
        ({"train_labels": np.eye(3)[np.arange(60) % 3]}, r"one label an image, got labels \(60, 3\)"),
        ({"train_images": np.zeros((60, 12, 12), np.uint16) + 300}, "got uint16 from 300 to 300"),
        ({"train_labels": np.arange(60) % 3 % 2 + (np.arange(60) < 2)}, "class '2' has 1"),
    ],
    ids=["flat", "scalar", "one-hot", "wide", "rare"],
)
def test_a_fault_of_an_npz_file_is_named(tmp_path: Path, arrays: dict[str, np.ndarray], fault: str) -> None:
    images = np.random.default_rng(1).integers(0, 255, (60, 12, 12), dtype=np.uint8)
    np.savez(tmp_path / "scans.npz", **({"train_images": images, "train_labels": np.arange(60) % 3} | arrays))
    with pytest.raises(InputError, match=fault):
        init.main(tmp_path / "benchmark", images=None, npz=tmp_path / "scans.npz")
    assert not (tmp_path / "benchmark").exists()


def test_an_npz_file_may_have_its_channels_first_and_large_images_are_resized(tmp_path: Path) -> None:
    images = np.random.default_rng(1).integers(0, 255, (60, 3, 100, 80), dtype=np.uint8)
    np.savez(tmp_path / "scans.npz", train_images=images, train_labels=np.arange(60) % 3)
    init.main(tmp_path / "one", images=None, npz=tmp_path / "scans.npz")
    params = load(tmp_path / "one" / "params.yaml")
    assert params.datasets["scans"].channels == 3
    assert params.sources.images["scans"].resize == (64, 64)
    assert read_npz(tmp_path / "one" / "data" / "scans" / "train.npz")["images"].shape == (48, 3, 64, 64)
    with pytest.raises(InputError, match=r"--npz must name an NPZ file; .*none\.npz is not one"):
        init.main(tmp_path / "two", images=None, npz=tmp_path / "none.npz")


def test_the_source_is_named_in_plain_letters_and_its_path_may_have_any(tmp_path: Path) -> None:
    init.main(tmp_path / "benchmark", images=_pictures(tmp_path / 'Bilder "für" alle'), npz=None)
    source = load(tmp_path / "benchmark" / "params.yaml").sources.images["bilder_fur_alle"]
    assert source.path == str(tmp_path / 'Bilder "für" alle')


@pytest.mark.parametrize(
    ("images", "side", "batch", "epochs"),
    [
        (5000, 8, 32, {"mlp": 12, "cnn2": 8}),
        (1000, 8, 32, {"mlp": 60, "cnn2": 40}),
        (60, 8, 16, {"mlp": 100, "cnn2": 100}),
        (1000, 40, 32, {"resnet18": 50}),
    ],
)
def test_networks_have_some_thousand_mini_batches_within_100_epochs(
    tmp_path: Path, images: int, side: int, batch: int, epochs: dict[str, int]
) -> None:
    pixels = np.random.default_rng(2).integers(0, 255, (images, side, side), dtype=np.uint8)
    np.savez(tmp_path / "few.npz", train_images=pixels, train_labels=np.arange(images) % 2)
    init.main(tmp_path / "benchmark", images=None, npz=tmp_path / "few.npz")
    models = load(tmp_path / "benchmark" / "params.yaml").models
    recipes = {name: models[name].recipe for name in epochs}
    assert {name: recipe.epochs for name, recipe in recipes.items() if recipe} == epochs
    assert {recipe.batch for recipe in recipes.values() if recipe} == {batch}


@pytest.mark.parametrize(
    ("side", "features", "network"),
    [
        (32, {"kind": "pca", "components": 50, "cell": 7}, "cnn2"),
        (40, {"kind": "hog", "components": 50, "cell": 10}, "resnet18"),
    ],
)
def test_images_above_32_pixels_have_gradients_for_a_baseline_and_no_perceptron(
    tmp_path: Path, side: int, features: dict[str, object], network: str
) -> None:
    init.main(tmp_path / "benchmark", images=_pictures(tmp_path / "pictures", sides=(side,)), npz=None)
    params = load(tmp_path / "benchmark" / "params.yaml")
    perceptron = {"mlp"} if side == 32 else set()
    assert set(params.models) == {run.model for run in params.runs.values()} == {"svm", network} | perceptron
    assert params.models["svm"].features.model_dump() == features
    assert params.models["svm"].options == {"C": 10.0}


def test_what_is_in_the_way_is_said(tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "letter.txt").write_text("dear")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="full exists and is not an empty folder"):
        init.main(tmp_path / "full", images=None, npz=None)
    with pytest.raises(InputError, match="has no readable PNG, JPEG or WEBP in a class's folder"):
        init.main(tmp_path / "new", images=tmp_path / "empty", npz=None)
    Image.new("L", (16, 16)).save(tmp_path / "empty" / "of no class.png")
    with pytest.raises(InputError, match="has no readable PNG, JPEG or WEBP in a class's folder"):
        init.main(tmp_path / "new", images=tmp_path / "empty", npz=None)
    (tmp_path / "parts" / "train").mkdir(parents=True)
    _pictures(tmp_path / "parts" / "test")
    with pytest.raises(InputError, match="has no readable PNG, JPEG or WEBP in a class's folder"):
        init.main(tmp_path / "new", images=tmp_path / "parts", npz=None)
    np.savez(tmp_path / "unlabelled.npz", train_images=np.zeros((9, 16, 16), np.uint8))
    with pytest.raises(InputError, match="has train_images but no train_labels; add them"):
        init.main(tmp_path / "new", images=None, npz=tmp_path / "unlabelled.npz")
    with pytest.raises(InputError, match="must name a folder with one sub-folder per class"):
        init.main(tmp_path / "new", images=tmp_path / "nowhere", npz=None)
    assert (tmp_path / "full" / "letter.txt").read_text() == "dear"


def _fails_and_leaves_nothing(folder: Path, pictures: Path, message: str) -> None:
    (folder / "empty").mkdir(parents=True)
    for project in (folder / "empty", folder / "new"):
        with pytest.raises(InputError, match=message):
            init.main(project, images=pictures, npz=None)
    assert list((folder / "empty").iterdir()) == []
    assert not (folder / "new").exists()


def test_an_init_that_fails_leaves_nothing_so_that_the_same_command_works_once_its_cause_is_mended(
    tmp_path: Path,
) -> None:
    pictures = _pictures(tmp_path / "pictures")
    (pictures / "owl").mkdir()
    Image.new("RGB", (16, 16)).save(pictures / "owl" / "only.png")
    _fails_and_leaves_nothing(tmp_path / "one", pictures, "class 'owl' has 1")
    for number in range(5):  # seen only when the images are decoded
        (pictures / "owl" / f"broken{number}.png").write_bytes(b"no picture")
    (pictures / "owl" / "only.png").unlink()
    _fails_and_leaves_nothing(tmp_path / "broken", pictures, "class 'owl' has no readable image")
    for path in (pictures / "owl").iterdir():
        path.unlink()
    (tmp_path / "empty").mkdir()
    init.main(tmp_path / "empty", images=pictures, npz=None)
    assert (tmp_path / "empty" / "data" / "pictures").is_dir()


@pytest.mark.parametrize("has_test", [False, True])
def test_a_class_of_which_a_fold_would_train_on_one_image_is_refused(tmp_path: Path, has_test: bool) -> None:
    pictures = _pictures(tmp_path / "pictures" / ("train" if has_test else ""))
    count, rule = (2, "3 images in its training part") if has_test else (3, "4 images, test part included")
    for number in range(count, 12):
        (pictures / "dog" / f"{number}.png").unlink()
    if has_test:
        _pictures(tmp_path / "pictures" / "test")
    message = f"must have at least {rule}, so that every fold trains on 2 of them or more; class 'dog' has {count}; add"
    with pytest.raises(InputError, match=message):
        init.main(tmp_path / "benchmark", images=tmp_path / "pictures", npz=None)


def test_a_class_that_lost_images_since_is_refused_before_any_training(tmp_path: Path) -> None:
    pictures, project = _pictures(tmp_path / "pictures"), tmp_path / "benchmark"
    init.main(project, images=pictures, npz=None)
    for number in range(3, 12):
        (pictures / "dog" / f"{number}.png").unlink()
    params = load(project / "params.yaml")
    raw.build(project / "data", params.sources, project / "data.dvc", adopt=True, report=print)
    two_folds = params.model_copy(update={"cv": params.cv.model_copy(update={"folds": 2})})
    with pytest.raises(InputError, match="fold 0 trains on 1 of class 'dog', which has 2 in the training part"):
        prepare.main(two_folds, project)


@pytest.mark.parametrize(("count", "folds"), [(12, 5), (5, 4), (4, 3)])
def test_a_class_with_few_images_lowers_the_folds_so_that_each_can_hold_it_out(
    tmp_path: Path, count: int, folds: int, capsys: pytest.CaptureFixture[str]
) -> None:
    pictures = _pictures(tmp_path / "pictures")
    for number in range(count, 12):
        (pictures / "dog" / f"{number}.png").unlink()
    project = tmp_path / "benchmark"
    init.main(project, images=pictures, npz=None)
    params = load(project / "params.yaml")
    assert params.cv.folds == folds
    assert (f"cv.folds is {folds}, because the smallest class has {folds}" in capsys.readouterr().out) == (folds < 5)
    prepare.main(params, project)
    table = read_folds(project / "build" / "folds" / "pictures.npz")
    assert table.count == folds


def test_damaged_images_and_copies_do_not_count_for_the_folds(tmp_path: Path) -> None:
    pictures, project = _pictures(tmp_path / "pictures"), tmp_path / "benchmark"
    for number in range(6, 12):
        file = pictures / "dog" / f"{number}.png"
        file.write_bytes((pictures / "dog" / "0.png").read_bytes())
    init.main(project, images=pictures, npz=None)
    params = load(project / "params.yaml")
    assert params.cv.folds == 4
    prepare.main(params, project)


@pytest.mark.parametrize("name", ["2024", "null", "true", "1e3"])
def test_a_folder_may_have_a_name_that_yaml_would_not_take_for_text(tmp_path: Path, name: str) -> None:
    init.main(tmp_path / "benchmark", images=_pictures(tmp_path / name), npz=None)
    assert list(load(tmp_path / "benchmark" / "params.yaml").sources.images) == [f"images_{name}"]


def test_a_project_is_not_made_inside_of_its_images(tmp_path: Path) -> None:
    pictures = _pictures(tmp_path / "pictures")
    with pytest.raises(InputError, match="figures of the project would become images of a class"):
        init.main(pictures / "benchmark", images=pictures, npz=None)


def test_images_of_every_format_are_taken_and_groups_are_offered(tmp_path: Path) -> None:
    pictures = _pictures(tmp_path / "pictures")
    for number, suffix in enumerate(("webp", "jpeg", "WEBP", "JPG")):
        Image.new("RGB", (16, 16), (90 + number, 0, 0)).save(pictures / "cat" / f"more.{number}.{suffix}")
    init.main(tmp_path / "benchmark", images=pictures, npz=None)
    assert "40 images of 3 channels" in (tmp_path / "benchmark" / "README.md").read_text()
    assert "# groups: '_patient(\\d+)'" in (tmp_path / "benchmark" / "params.yaml").read_text()


def test_too_few_samples_for_a_tuning_part_stop_a_search_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    project = tmp_path / "benchmark"
    init.main(project, images=_pictures(tmp_path / "pictures"), npz=None)
    params = load(project / "params.yaml")
    little = params.model_copy(update={"tuning": params.tuning.model_copy(update={"share": 0.01})})
    prepare.main(little, project)
    assert "pictures has no tuning part" in capsys.readouterr().out
    assert len(read_part(project / "build" / "tuning_part" / "pictures.npz")) == 0
    tuned = little.model_copy(update={"training": params.training.model_copy(update={"use_tuned": True})})
    with pytest.raises(InputError, match=r"tuning\.share must leave each of 3 classes"):
        prepare.main(tuned, project)
