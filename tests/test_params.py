"""``params.yaml`` is read strictly: every fault at once, each with its line."""

from pathlib import Path

import pytest
import yaml

from shearbench import yaml12
from shearbench.errors import InputError
from shearbench.params import load

REPOSITORY = Path(__file__).parents[1]
TEXT = (REPOSITORY / "params.yaml").read_text()


def _load(tmp_path, text):
    path = tmp_path / "params.yaml"
    path.write_text(text)
    return load(path)


def _changed(old, new):
    assert TEXT.count(old) >= 1, old
    return TEXT.replace(old, new, 1)


def _last_line(old, new):
    return TEXT[: TEXT.index(old)].count("\n") + 1 + new.count("\n")


def test_augmentation_without_any_images_is_refused(tmp_path):
    augmented = TEXT.replace("augment: none", "augment: affine", 1)  # of mlp, on images and fields
    assert _load(tmp_path, augmented).models["mlp"].recipe.augment == "affine"
    with pytest.raises(InputError, match=r"models\.mlp\.recipe\.augment must be none, as displacement fields are not"):
        _load(tmp_path, augmented.replace("  mnist-mlp:           {dataset: mnist, model: mlp}\n", ""))


def test_the_default_compares_four_networks_and_a_baseline_on_two_datasets():
    params = load(REPOSITORY / "params.yaml")
    assert set(params.datasets) == {"mnist", "mechanical"}
    assert set(params.models) == {"mlp", "cnn2", "cnn3", "resnet18", "svm"}
    assert len(params.runs) == 10
    assert params.cv.folds == 5


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("sklearn.svm.SVC     #", "mlp  #", "models.svm must have a recipe, as mlp is a network"),
        (
            "features: pca  ",
            "recipe: {epochs: 1, batch: 2, learning_rate: 0.1, weight_decay: 0.0}  ",
            "models.svm.recipe must not be given: classifiers of scikit-learn have no",
        ),
        ("features: pca  ", "width: 2.0  ", "models.svm.width must not be given for a classifier of scikit-learn"),
        (
            "features: pca  ",
            "features: {kind: pca, components: null}  ",
            "components must be a number for the kind 'pca'",
        ),
        ("features: pca  ", "features: sift  ", "models.svm.features input should be 'pixels', 'pca' or 'hog'"),
        ("options: {C: 10.0}", "options: {C: {low: 1}}", "models.svm.options.C"),
        ("options: {dropout: 0.2}\n", "features: pca\n", "models.mlp.features must not be given for a network"),
    ],
)
def test_what_a_classifier_may_not_have_is_named(old, new, message, tmp_path):
    (tmp_path / "params.yaml").write_text(_changed(old, new))
    with pytest.raises(InputError) as caught:
        load(tmp_path / "params.yaml")
    assert message in str(caught.value)


def test_a_classifier_needs_neither_recipe_nor_search_and_gets_all_values():
    svm = load(REPOSITORY / "params.yaml").models["svm"]
    assert (svm.recipe, svm.search, svm.width) == (None, None, 1.0)
    assert svm.settled_features.kind == "pca"
    assert svm.model_copy(update={"features": None}).settled_features.kind == "pixels"


def test_it_is_frozen():
    params = load(REPOSITORY / "params.yaml")
    with pytest.raises(ValueError, match="frozen"):
        params.seed = 1


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("seed: 42", "seed: forty", "seed input should be a valid integer"),
        ("seed: 42", "seed: 42\nsead: 1", "sead is not a parameter"),
        ("seed: 42", "seed: 42\nseed: 43", "seed is given twice"),
        ("folds: 5", "folds: 1", "cv.folds input should be greater than or equal to 2; got 1"),
        ("folds: 5, ", "", "cv.folds is missing"),
        ("repeats: 1", "repeats: 0", "cv.repeats input should be greater than or equal to 1; got 0"),
        ("batch: 50", "batch: 1", "batch input should be greater than or equal to 2; got 1"),
        ("learning_rate: 1.0e-3", "learning_rate: 0.0", "learning_rate input should be greater than 0"),
        ("learning_rate: 1.0e-3", "learning_rate: .nan", "learning_rate input should be a finite number"),
        ("learning_rate: 1.0e-3", "learning_rate: 1.0e+400", "learning_rate input should be a finite number"),
        ("epochs: 10", "epochs: 0", "epochs input should be greater than or equal to 1"),
        ("epochs: 10", "epochs: 2.5", "epochs input should be a valid integer"),
        ("step: 5", "step: 11", "datasets.mechanical.step must be 1 to 10 for shear; got 11"),
        ("normalise: pixel", "normalise: unit", "datasets.mechanical.normalise must be another one than unit"),
        (
            "channels: 1, normalise: unit",
            "channels: 1, normalise: detrend",
            "datasets.mnist.normalise must be another one than detrend",
        ),
        ("source: mnist, channels: 1", "source: nmist, channels: 1", "datasets.mnist.source must be one of mnist"),
        (
            "source: simulated, load",
            "source: simulated, of: letters, load",
            "datasets.mechanical.of must be one of mnist",
        ),
        ("  mnist: {kind", "  Mnist: {kind", "sources.Mnist must be named with a-z"),
        ("load: shear", "load: twist", "load input should be 'uniaxial', 'shear', 'equibiaxial' or 'confined'"),
        ("architecture: cnn2", "architecture: cnn9", "models.cnn2.architecture must be one of"),
        ("kind: bundled", "kind: bundle", "sources.mnist"),
        ("{dataset: mnist, model: mlp}", "{dataset: mnist, model: mlq}", "runs.mnist-mlp.model must be one of models"),
        ("mnist-mlp: ", "mnist-mlq: ", "runs.mnist-mlq must be called mnist-mlp"),
        ("rope: {mnist: 0.03, ", "rope: {", "compare.rope must say for mnist"),
        ("  dataset: mechanical", "  dataset: mechanic", "tuning.dataset must be one of datasets"),
        ("storage: default", "storage: studies.db", "tuning.storage must be default or the URL of a database"),
        ("use_tuned: false", "use_tuned: [cnn2, cnn9]", "there is no model 'cnn9'"),
        ("use_tuned: false", "use_tuned: [cnn2, svm]", "models.svm has no search"),
        ("batch: [32, 64,", "batch: [32, 32,", "search.batch must hold each choice once"),
        ("batch: [32, 64,", "batch: [1, 64,", "search.batch input should be greater than or equal to 2; got 1"),
        ("width: [0.25, 0.5, 1.0, 2.0]", "width: [0, 0.5]", "search.width must be greater than 0; got 0"),
        ("learning_rate: [1.0e-4, 1.0e-2]", "learning_rate: [1.0e-2, 1.0e-4]", "must be two numbers 0 < low <= high"),
        ("  mnist:      {", "  ../mnist:      {", "datasets.../mnist"),
        (
            "      resnet18_decay: {base: resnet18, recipe: {schedule: cosine}}",
            "      resnet18_decay: {base: resnet18, recipe: {schedule: cosine, augment: crop}}",
            "ablations.cures.models.resnet18_decay.recipe.augment must be none, as displacement fields are not",
        ),
        ("    folds: 3 ", "    folds: 6 ", "ablations.normalisation.folds must be at most cv.folds, 5; got 6"),
        (
            "step: 5, normalise: divide255",
            "step: 4, normalise: divide255",
            "ablations.normalisation.datasets.mechanical_divide255 must be simulated for an entry of datasets",
        ),
        (
            "{architecture: cnn3, width: 0.25",
            "{architecture: cnn9, width: 0.25",
            "ablations.normalisation.models.cnn3.architecture must be one of",
        ),
    ],
)
def test_a_fault_names_its_parameter_its_rule_and_its_line(tmp_path, old, new, message):
    text = _changed(old, new)
    with pytest.raises(InputError) as caught:
        _load(tmp_path, text)
    fault = next(line for line in str(caught.value).splitlines() if message in line)
    assert fault.startswith(f"- line {_last_line(old, new)}:"), fault


def test_disjoint_sets_stand_in_for_folds_and_repeats(tmp_path):
    disjoint = "cv: {design: disjoint, sets: 15, inner_fraction: 0.15}"
    old = next(line for line in TEXT.splitlines() if line.startswith("cv:"))
    cv = _load(tmp_path, TEXT.replace(old, disjoint)).cv
    assert (cv.folds, cv.repeats, cv.networks, cv.train_on) == (15, 1, 15, "fold")
    assert load(REPOSITORY / "params.yaml").cv.train_on == "rest"
    for wrong in (
        disjoint.replace("design: disjoint, ", "folds: 5, repeats: 1, "),
        old.replace("{", "{design: disjoint, "),
    ):
        with pytest.raises(InputError, match=r"cv\.sets and `design: disjoint` need each other"):
            _load(tmp_path, TEXT.replace(old, wrong))


def test_all_faults_come_at_once(tmp_path):
    text = _changed("folds: 5", "folds: 1").replace("seed: 42", "seed: x").replace("epochs: 10", "epochs: 0", 1)
    with pytest.raises(InputError, match=r"3 fault\(s\)") as caught:
        _load(tmp_path, text)
    assert len(str(caught.value).splitlines()) == 4


@pytest.mark.parametrize(
    ("where", "value", "fault"),
    [
        ("models.mlp.recipe.augment", ["flip", "crp"], r"augment\.1 input should be 'none'.* or 'pens'; got 'crp'"),
        ("models.mlp.options.dropout", {"a": 1}, r"dropout input should be a valid integer or a .* valid list; got"),
        ("models.mlp.options.dropout", [1, {"a": 1}], r"options\.dropout\.1 input should be .*; got \{'a': 1\}"),
        ("training.use_tuned", 3, r"training\.use_tuned input should be true or false or a valid list; got 3"),
        ("datasets.mechanical.step", "five", r"datasets\.mechanical\.step input should be a valid integer; got 'five'"),
        ("datasets.mnist.chanels", 1, r"datasets\.mnist\.chanels is not a parameter"),
        ("sources.mine", {"kind": "folder"}, r"sources\.mine\.path is missing"),
        ("sources.mine", {"kind": "path", "path": 1}, r"sources\.mine\.path input should be a valid string; got 1"),
        ("sources.mine", {"kind": "foldr"}, r"sources\.mine must have as 'kind' one of 'bundled', .*; got"),
        ("sources.mine", {"path": "x"}, r"sources\.mine must have the key 'kind'; got"),
        ("execution.workers", "x", r"execution\.workers input should be a valid integer or 'auto'; got 'x'"),
    ],
)
def test_a_value_of_several_forms_has_one_fault_and_the_key_of_the_file(tmp_path, where, value, fault):
    document = yaml.safe_load(TEXT)
    *parents, last = where.split(".")
    part = document
    for name in parents:
        part = part[name]
    part[last] = value
    with pytest.raises(InputError, match=rf"has 1 fault\(s\) to mend:\n- line \d+: .*{fault}"):
        _load(tmp_path, yaml.safe_dump(document))


def test_a_file_of_the_version_before_learns_what_each_key_is_called_now(tmp_path):
    text = TEXT.replace("\nruns:", "\ncells:").replace("\nablations:", "\nexperiments:")
    text = text.replace("\n  samples:", "\n  digits:")
    with pytest.raises(InputError) as caught:
        _load(tmp_path, text)
    _, *faults = str(caught.value).splitlines()
    renamed = {
        "cells": "runs",
        "experiments": "ablations",
        "evaluate.digits": "evaluate.samples",
    }
    assert sorted(fault.partition(": ")[2] for fault in faults) == sorted(
        f"{old} is called {new} now; rename the key" for old, new in renamed.items()
    )


def test_a_parameter_that_was_removed_is_named_with_what_is_in_its_place(tmp_path):
    with pytest.raises(InputError, match=r"1 fault") as caught:
        _load(tmp_path, TEXT + "\naa:\n  dataset: mnist\n  draws: 400\n")
    line = len(TEXT.splitlines()) + 2
    assert f"line {line}: aa is not a parameter any more: benchmarks/calibration.py" in str(caught.value)
    assert str(caught.value).endswith("remove the key")


def test_missing_broken_and_hostile_files(tmp_path):
    with pytest.raises(InputError, match="missing"):
        load(tmp_path / "nowhere.yaml")
    for text in ("seed: [", "- a list", "", "seed: !!python/object/apply:os.system ['touch canary']"):
        with pytest.raises(InputError):
            _load(tmp_path, text)
    assert not (tmp_path / "canary").exists()


def test_every_profile_is_whole():
    profiles = sorted((REPOSITORY / "profiles").glob("*.yaml"))
    assert {"full", "hypotheses"} <= {path.stem for path in profiles}
    every = load(REPOSITORY / "params.yaml").runs.keys()
    for path in profiles:
        assert load(path).runs.keys() <= every
    assert load(REPOSITORY / "profiles" / "full.yaml").runs.keys() == every


@pytest.mark.parametrize("written", ["off", "'off'", "false"])
def test_tracking_is_switched_off_by_the_word_off(tmp_path, written):
    assert _load(tmp_path, _changed("uri: default", f"uri: {written}")).tracking.uri == "off"


def test_tracking_is_not_switched_on_by_the_word_on(tmp_path):
    with pytest.raises(InputError, match=r"tracking\.uri must be default, off or the URI"):
        _load(tmp_path, _changed("uri: default", "uri: on"))


@pytest.mark.parametrize("written", ["5e-05", "1e-3", "1E-3", "0.001", ".001", "1.e-3", "+1e-3", "1"])
def test_a_number_is_what_dvc_writes_and_reads(tmp_path, written):
    params = _load(tmp_path, _changed("learning_rate: 1.0e-3", f"learning_rate: {written}"))
    assert params.models["mlp"].recipe.learning_rate == float(written)


def test_our_numbers_are_those_of_the_parser_of_dvc():
    from dvc.utils.serialize import parse_yaml_for_update

    texts = [
        "5e-05",
        "1e3",
        "1.5E+3",
        "-2",
        "+7",
        "010",
        "0o17",
        "0x1F",
        ".5",
        "5.",
        ".inf",
        "off",
        "on",
        "yes",
        "true",
        "null",
        "~",
        "1_000",
        "1:30",
        "2026-11-29",
    ]
    for text in texts:
        ours, theirs = yaml12.parse(f"key: {text}")["key"], parse_yaml_for_update(f"key: {text}", "params.yaml")["key"]
        if text not in ("1_000", "2026-11-29"):  # text to the standard; a number and a date to DVC's parser
            assert ours == theirs, text


@pytest.mark.parametrize("path", [REPOSITORY / "params.yaml", *(REPOSITORY / "profiles").glob("*.yaml")], ids=str)
def test_no_shipped_file_has_anchors_that_dvc_would_write_out(path):
    assert not [
        event
        for event in yaml.parse(path.read_text())
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None)
    ]
    assert "<<" not in path.read_text()


def test_a_model_on_a_base_is_that_one_but_for_what_is_given(tmp_path):
    models = _load(tmp_path, TEXT).ablations["cures"].models
    base, decay, momentum = (models[name] for name in ("resnet18", "resnet18_decay", "resnet18_momentum"))
    assert decay == base.model_copy(update={"recipe": base.recipe.model_copy(update={"schedule": "cosine"})})
    assert momentum == base.model_copy(update={"options": {"momentum": 0.5}})
    edited = _load(
        tmp_path, TEXT.replace("cures:", "cures: # edited").replace("epochs: 2, batch: 50", "epochs: 4, batch: 50")
    )
    assert edited.ablations["cures"].models["resnet18_decay"].recipe.epochs == 4


@pytest.mark.parametrize("base", ["resnet50", "resnet18_momentum", "mlp_plain", "[1]", "null"])
def test_a_base_that_is_none_is_named_with_those_there_are(tmp_path, base):
    text = _changed("resnet18_momentum: {base: resnet18,", f"resnet18_momentum: {{base: {base},")
    key = r"ablations\.cures\.models\.resnet18_momentum\.base"
    message = rf"{key} must be another model of this ablation.*resnet18_decay"
    with pytest.raises(InputError, match=message):
        _load(tmp_path, text)


def test_a_file_that_is_no_list_of_parameters_any_more_is_refused_by_its_size(tmp_path):
    (tmp_path / "params.yaml").write_text("#" * 1_000_001)
    with pytest.raises(InputError, match="has 1,000,001 bytes, and may have 1,000,000"):
        load(tmp_path / "params.yaml")
