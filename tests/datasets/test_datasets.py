"""Tests of sk_mtl.datasets: the bundled tables and the generator."""

from importlib.resources import files

import numpy as np
import pandas as pd
import pytest

from sk_mtl.datasets import load_census, load_tox21, make_multitask_classification

CENSUS_COUNTS = {
    "income_50k": {"<=50K": 27403, ">50K": 2597},
    "never_married": {0: 23546, 1: 6454},
    "education": {
        "high_school": 10004,
        "some_college": 7847,
        "below_hs": 6049,
        "bachelor": 4137,
        "advanced": 1963,
    },
}
TOX21_TASKS = [
    "NR-AR", "NR-AR-LBD", "NR-AhR", "NR-Aromatase", "NR-ER", "NR-ER-LBD", "NR-PPAR-gamma",
    "SR-ARE", "SR-ATAD5", "SR-HSE", "SR-MMP", "SR-p53",
]  # fmt: skip


@pytest.fixture(scope="module")
def census():
    return load_census()


@pytest.fixture(scope="module")
def complete_census():
    return load_census(masked=False)


@pytest.fixture(scope="module")
def tox21():
    return load_tox21()


# ------------------------------------------------------------------------------------- census


def test_census_has_the_shapes_and_names_it_states(census):
    assert census.data.shape == (30000, 38)
    assert census.target.shape == (30000, 3)
    assert list(census.data.columns) == census.feature_names
    assert list(census.target.columns) == census.task_names == list(CENSUS_COUNTS)


def test_census_frame_is_data_and_target_side_by_side(census):
    pd.testing.assert_frame_equal(
        census.frame, pd.concat([census.data, census.target], axis=1), check_exact=True
    )


def test_census_complete_labels_have_the_counts_of_the_source(complete_census):
    counts = {t: complete_census.target[t].value_counts().to_dict() for t in CENSUS_COUNTS}
    assert counts == CENSUS_COUNTS


def test_census_masked_keeps_education_for_twelve_percent(census):
    labelled = census.target.notna().sum()
    assert labelled.to_dict() == {"income_50k": 30000, "never_married": 30000, "education": 3631}


def test_census_masked_and_complete_agree_on_labelled_cells(census, complete_census):
    labelled = census.target.notna()
    pd.testing.assert_frame_equal(census.data, complete_census.data)
    hidden = complete_census.target.where(labelled)
    assert hidden.astype(object).equals(census.target.astype(object))


def test_census_columns_are_integers_or_strings(census):
    integers = [
        "age", "wage_per_hour", "capital_gains", "capital_losses", "stock_dividends", "num_emp",
        "weeks_worked",
    ]  # fmt: skip
    assert list(census.data.select_dtypes("int64").columns) == integers
    others = census.data.drop(columns=integers)
    assert all(isinstance(v, str) for v in others.drop(columns="hisp_origin").to_numpy().ravel())


def test_census_numeric_codes_of_categories_are_strings(census):
    codes = census.data[["det_ind_code", "det_occ_code", "own_or_self", "vet_benefits", "year"]]
    assert codes.iloc[0].tolist() == ["6", "36", "0", "2", "95"]


def test_census_question_mark_is_a_category_and_only_hisp_origin_has_holes(census):
    missing = census.data.isna().sum()
    assert missing[missing > 0].to_dict() == {"hisp_origin": 134}
    assert (census.data["mig_chg_msa"] == "?").any()


def test_census_never_married_stays_an_integer_when_masked(census):
    assert census.target["never_married"].dtype == np.int64


def test_census_first_row_is_the_first_of_the_source(census, complete_census):
    row = census.data.iloc[0]
    assert (row["age"], row["race"], row["hisp_origin"]) == (38, "White", "Mexican (Mexicano)")
    assert row["citizenship"] == "Foreign born- Not a citizen of U S "  # the source's own blank
    assert complete_census.target.iloc[0].tolist() == ["<=50K", 0, "below_hs"]


def test_census_returns_a_tuple_when_asked_for_X_and_y(census):
    X, Y = load_census(return_X_y=True)
    pd.testing.assert_frame_equal(X, census.data)
    pd.testing.assert_frame_equal(Y, census.target)


def test_census_returns_object_arrays_when_not_as_frame(census):
    arrays = load_census(as_frame=False)
    assert arrays.frame is None
    assert arrays.data.dtype == arrays.target.dtype == object
    assert arrays.data.shape == (30000, 38)
    assert pd.DataFrame(arrays.target[:, 2]).notna().to_numpy().sum() == 3631


def test_census_calls_do_not_share_memory(census):
    X, _ = load_census(return_X_y=True)
    X.iloc[0, 0] = -1
    assert load_census().data.iloc[0, 0] == census.data.iloc[0, 0] == 38


# -------------------------------------------------------------------------------------- tox21


def test_tox21_has_the_shapes_and_names_it_states(tox21):
    assert tox21.data.shape == (7823, 2048)
    assert list(tox21.target.columns) == tox21.task_names == TOX21_TASKS
    assert tox21.target.shape == (7823, 12)
    assert len(tox21.feature_names) == 2048
    assert tox21.smiles.shape == tox21.scaffold.shape == (7823,)


def test_tox21_fingerprints_are_bits_in_rows(tox21):
    assert tox21.data.dtype == np.uint8
    assert tox21.data.flags.c_contiguous
    assert int(tox21.data.max()) == 1
    assert int(tox21.data.sum(dtype=np.int64)) == 233406


def test_tox21_fingerprints_lie_with_their_molecules(tox21):
    # A molecule's fingerprint has a bit at least for each of the environments that it has: the
    # heavy atoms of a larger molecule set more bits.
    lengths = np.array([len(s) for s in tox21.smiles])
    assert np.corrcoef(lengths, tox21.data.sum(axis=1))[0, 1] > 0.75


def test_tox21_labels_are_zero_one_or_missing(tox21):
    assert (tox21.target.dtypes == np.float64).all()
    assert tox21.target.isin([0.0, 1.0]).equals(tox21.target.notna())


def test_tox21_misses_seventeen_percent_of_the_labels(tox21):
    missing = tox21.target.isna().mean()
    assert missing.mean() == pytest.approx(0.1712, abs=5e-5)
    assert missing.idxmin() == "NR-AR"
    assert missing.idxmax() == "SR-MMP"
    assert missing.between(0.07, 0.26).all()


def test_tox21_rarest_class_is_three_percent(tox21):
    active = tox21.target.mean()
    assert active.idxmin() == "NR-PPAR-gamma"
    assert active.min() == pytest.approx(0.0289, abs=5e-5)
    assert active.max() == pytest.approx(0.1607, abs=5e-5)


def test_tox21_molecules_are_distinct_and_scaffolds_are_text(tox21):
    assert len(set(tox21.smiles)) == 7823
    assert all(type(s) is str for s in tox21.scaffold)
    assert int((tox21.scaffold == "").sum()) == 1775
    assert tox21.smiles[0] == "CCOc1ccc2nc(S(N)(=O)=O)sc2c1"
    assert tox21.scaffold[0] == "c1ccc2scnc2c1"


def test_tox21_returns_a_tuple_when_asked_for_X_and_y(tox21):
    X, Y = load_tox21(return_X_y=True)
    np.testing.assert_array_equal(X, tox21.data)
    pd.testing.assert_frame_equal(Y, tox21.target)


# ------------------------------------------------------------------------------- what is bundled


def test_bundled_files_stay_within_the_budget():
    sizes = {f.name: len(f.read_bytes()) for f in (files("sk_mtl.datasets") / "data").iterdir()}
    assert sizes["census.npz"] < 400_000
    assert sum(sizes.values()) < 1_200_000


@pytest.mark.parametrize(
    ("load", "terms"),
    [(load_census, ["CC BY 4.0", "10.24432/C5N30T"]), (load_tox21, ["MIT", "NIH", "RDKit"])],
    ids=["census", "tox21"],
)
def test_description_states_origin_and_terms(load, terms):
    description = load().DESCR
    assert [t for t in terms if t not in description] == []


def test_readme_beside_the_files_names_each_of_them():
    folder = files("sk_mtl.datasets") / "data"
    readme = (folder / "README.md").read_text(encoding="utf-8")
    assert [
        f.name for f in folder.iterdir() if f.name not in readme and f.name != "README.md"
    ] == []


@pytest.mark.parametrize("name", ["masked", "return_X_y", "as_frame"])
def test_census_refuses_what_is_not_a_flag(name):
    with pytest.raises(TypeError, match=f"The '{name}' parameter of load_census must be True or"):
        load_census(**{name: "no"})


def test_tox21_refuses_what_is_not_a_flag():
    with pytest.raises(TypeError, match="The 'return_X_y' parameter of load_tox21"):
        load_tox21(return_X_y=1)


# ---------------------------------------------------------------------------------- generator


def test_generator_gives_arrays_of_the_shapes_asked_for():
    X, Y = make_multitask_classification(50, 7, n_tasks=4, random_state=0)
    assert X.shape == (50, 7)
    assert X.dtype == np.float64
    assert Y.shape == (50, 4)
    assert Y.dtype == np.int64


@pytest.mark.parametrize(
    ("arguments", "counts"),
    [
        ({}, [2, 2, 2]),
        ({"n_tasks": 5}, [2] * 5),
        ({"n_tasks": 2, "n_classes": 4}, [4, 4]),
        ({"n_classes": (2, 2, 5)}, [2, 2, 5]),
        ({"n_classes": np.array([3, 2]), "n_tasks": 2}, [3, 2]),
        ({"n_classes": [7]}, [7]),
    ],
)
def test_generator_gives_each_task_its_classes(arguments, counts):
    _, Y = make_multitask_classification(60, 5, random_state=0, **arguments)
    assert [np.unique(column).tolist() for column in Y.T] == [list(range(c)) for c in counts]


def test_generator_repeats_itself_under_the_same_seed():
    first = make_multitask_classification(80, 6, missing_rate=0.4, random_state=3)
    second = make_multitask_classification(80, 6, missing_rate=0.4, random_state=3)
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a, b)


def test_generator_differs_under_another_seed():
    X, _ = make_multitask_classification(20, 6, random_state=3)
    other, _ = make_multitask_classification(20, 6, random_state=4)
    assert not np.isin(X, other).any()


@pytest.mark.parametrize("source", [np.random.RandomState, np.random.default_rng])
def test_generator_advances_a_source_that_is_handed_over(source):
    rng = source(0)
    first, _ = make_multitask_classification(20, 6, random_state=rng)
    second, _ = make_multitask_classification(20, 6, random_state=rng)
    again, _ = make_multitask_classification(20, 6, random_state=source(0))
    assert (first != second).all()
    np.testing.assert_array_equal(first, again)


@pytest.mark.parametrize("random_state", [None, 0])
def test_generator_leaves_the_global_random_state_alone(random_state):
    before = np.random.get_state()[1:]  # noqa: NPY002
    make_multitask_classification(30, 5, missing_rate=0.5, random_state=random_state)
    after = np.random.get_state()[1:]  # noqa: NPY002
    for a, b in zip(before, after, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("missing", ["mcar", "mar", "mnar"])
@pytest.mark.parametrize("missing_rate", [0.71, (0, 0.3, 0.88), 1.0])
def test_generator_meets_the_missing_rates_exactly(missing, missing_rate):
    _, Y = make_multitask_classification(
        300, 8, n_classes=(2, 3, 5), missing_rate=missing_rate, missing=missing, random_state=0
    )
    asked = np.broadcast_to(missing_rate, 3)
    assert np.isnan(Y).sum(axis=0).tolist() == [round(r * 300) for r in asked]


def test_generator_keeps_a_labelled_row_of_each_class_where_counts_allow():
    for seed in range(20):
        _, Y = make_multitask_classification(
            200, 5, n_classes=(5, 9), missing_rate=(0.97, 0.95), random_state=seed
        )
        assert [len(np.unique(c[~np.isnan(c)])) for c in Y.T] == [5, 9]


def test_generator_gives_a_row_to_a_class_whose_share_rounds_to_none():
    _, Y = make_multitask_classification(
        50, 5, n_tasks=1, n_classes=3, weights=[(0.998, 0.001, 0.001)], random_state=0
    )
    assert np.bincount(Y[:, 0]).tolist() == [48, 1, 1]


def test_generator_works_with_fewer_rows_than_classes():
    X, Y = make_multitask_classification(2, 1, n_classes=(5, 2), missing_rate=0.5, random_state=0)
    assert X.shape == (2, 1)
    assert np.isnan(Y).sum(axis=0).tolist() == [1, 1]


def test_generator_meets_the_class_weights_exactly():
    _, Y = make_multitask_classification(
        400, 5, n_classes=(2, 3), weights=[(0.97, 0.03), None], flip_y=0.2, random_state=0
    )
    assert np.bincount(Y[:, 0]).tolist() == [388, 12]
    assert sorted(np.bincount(Y[:, 1]).tolist()) == [133, 133, 134]


def test_generator_returns_labels_that_agree_with_the_complete_ones():
    _, Y, complete = make_multitask_classification(
        200, 5, n_classes=(2, 4), missing_rate=0.6, return_complete=True, random_state=0
    )
    labelled = ~np.isnan(Y)
    assert complete.dtype == np.int64
    np.testing.assert_array_equal(Y[labelled], complete[labelled])


@pytest.mark.parametrize("missing", ["mcar", "mar", "mnar"])
def test_generator_gives_the_same_table_whatever_is_missing(missing):
    X, Y = make_multitask_classification(100, 5, random_state=0)
    X_holed, _, complete = make_multitask_classification(
        100, 5, missing_rate=0.7, missing=missing, return_complete=True, random_state=0
    )
    np.testing.assert_array_equal(X, X_holed)
    np.testing.assert_array_equal(Y, complete)


def test_generator_gives_the_same_first_tasks_however_many_follow():
    X, Y = make_multitask_classification(100, 5, n_classes=(2, 3), missing_rate=0.5, random_state=0)
    X_more, Y_more = make_multitask_classification(
        100, 5, n_classes=(2, 3, 6, 2), missing_rate=0.5, random_state=0
    )
    np.testing.assert_array_equal(X, X_more)
    np.testing.assert_array_equal(Y, Y_more[:, :2])


def test_generator_gives_frames_whose_complete_columns_are_integers():
    arguments = {"n_classes": (2, 5), "missing_rate": (0, 0.5), "random_state": 0}
    X, Y, complete = make_multitask_classification(
        40, 3, as_frame=True, return_complete=True, **arguments
    )
    assert list(X.columns) == ["x0", "x1", "x2"]
    assert Y.dtypes.to_dict() == {"y0": np.int64, "y1": np.float64}
    assert (complete.dtypes == np.int64).all()
    X_array, Y_array = make_multitask_classification(40, 3, **arguments)
    np.testing.assert_array_equal(X.to_numpy(), X_array)
    np.testing.assert_array_equal(Y.to_numpy(), Y_array)


@pytest.mark.parametrize("correlation", [0.0, 0.5, 1.0])
def test_generator_correlates_tasks_as_asked(correlation):
    found = []
    for seed in range(10):
        _, Y = make_multitask_classification(
            1000, n_tasks=10, task_correlation=correlation, class_sep=100, flip_y=0,
            random_state=seed,
        )  # fmt: skip
        phi = np.corrcoef(Y.T)[np.triu_indices(10, 1)]
        found.append(np.sin(np.pi / 2 * phi).mean())  # of scores cut in halves at their medians
    assert np.mean(found) == pytest.approx(correlation, abs=0.08)


def test_generator_labels_depend_on_the_informative_features_only():
    def draw(**arguments):
        X, Y = make_multitask_classification(
            3000, 6, n_tasks=1, n_informative=2, flip_y=0, random_state=1, **arguments
        )
        # labels of nearest rows agree where the features that are compared matter
        rows = X[:300]
        agreement = []
        for columns in (slice(0, 2), slice(2, 6)):
            distance = ((rows[:, None, columns] - X[None, :, columns]) ** 2).sum(axis=2)
            distance[np.arange(300), np.arange(300)] = np.inf
            agreement.append((Y[distance.argmin(axis=1), 0] == Y[:300, 0]).mean())
        return agreement

    informative, noise = draw(class_sep=20)
    assert informative > 0.9
    assert noise < 0.6
    assert draw(class_sep=0)[0] < 0.6


def test_generator_shuffles_labels_as_asked():
    _, clean = make_multitask_classification(1000, 5, n_tasks=1, flip_y=0, random_state=0)
    _, shuffled = make_multitask_classification(1000, 5, n_tasks=1, flip_y=0.4, random_state=0)
    assert np.bincount(shuffled[:, 0]).tolist() == np.bincount(clean[:, 0]).tolist()
    assert (clean != shuffled).mean() == pytest.approx(0.2, abs=0.04)


def test_generator_hides_higher_classes_more_often_when_mnar():
    _, Y, complete = make_multitask_classification(
        2000, 5, n_tasks=1, n_classes=3, missing_rate=0.5, missing="mnar", return_complete=True,
        random_state=0,
    )  # fmt: skip
    hidden = np.isnan(Y[:, 0])
    rates = [hidden[complete[:, 0] == c].mean() for c in range(3)]
    assert rates[0] < rates[1] - 0.1 < rates[2] - 0.2


def test_generator_hides_by_the_features_when_mar():
    def strongest_gap(missing):
        X, Y = make_multitask_classification(
            2000, 5, n_tasks=1, missing_rate=0.5, missing=missing, random_state=0
        )
        hidden = np.isnan(Y[:, 0])
        return np.linalg.norm(X[hidden].mean(axis=0) - X[~hidden].mean(axis=0))

    assert strongest_gap("mar") > 0.8
    assert strongest_gap("mcar") < 0.2


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"n_samples": 0}, ValueError, "'n_samples' .* must be an integer >= 1. Got 0"),
        ({"n_samples": 10.0}, TypeError, "'n_samples' .* must be an integer >= 1"),
        ({"n_features": True}, TypeError, "'n_features'"),
        ({"n_informative": 21}, ValueError, r"'n_informative' .* in the range \[1, 20\]"),
        ({"n_latent": 0}, ValueError, "'n_latent'"),
        ({"n_tasks": 0}, ValueError, "'n_tasks'"),
        ({"n_classes": 1}, ValueError, "'n_classes' .* must be an integer >= 2. Got 1"),
        ({"n_classes": (2, 2.5)}, TypeError, "'n_classes'"),
        ({"n_classes": "22"}, TypeError, "'n_classes'"),
        ({"n_classes": ()}, ValueError, "'n_tasks'"),
        ({"n_classes": (2, 2), "n_tasks": 3}, ValueError, "'n_classes' .* per task, 3 of them"),
        ({"missing_rate": 1.5}, ValueError, r"'missing_rate' .* range \[0, 1\]. Got 1.5"),
        ({"missing_rate": (0, np.nan, 0)}, ValueError, "'missing_rate'"),
        ({"missing_rate": (0, 0.5)}, ValueError, "'missing_rate' .* per task, 3 .* Got 2"),
        ({"missing_rate": "half"}, TypeError, "'missing_rate'"),
        ({"missing": "random"}, ValueError, "'missing' .* one of 'mcar', 'mar', 'mnar'"),
        ({"task_correlation": -0.1}, ValueError, "'task_correlation'"),
        ({"class_sep": np.inf}, ValueError, "'class_sep' .* finite number >= 0"),
        ({"flip_y": None}, TypeError, "'flip_y'"),
        ({"weights": 0.5}, TypeError, "'weights'"),
        ({"weights": [0.5, 0.5, 0.5]}, ValueError, "'weights' .* task 0, None or 2"),
        ({"weights": [None, None, (0.5, 0.6)]}, ValueError, "'weights' .* task 2"),
        ({"weights": [None, (1.0, 0.0), None]}, ValueError, "'weights' .* task 1"),
        ({"as_frame": "auto"}, TypeError, "'as_frame' .* must be True or False"),
        ({"random_state": -1}, ValueError, "'random_state'"),
        ({"random_state": "0"}, TypeError, "'random_state'"),
    ],
    ids=lambda value: repr(value) if isinstance(value, dict) else "",
)
def test_generator_refuses_bad_arguments(arguments, error, message):
    with pytest.raises(error, match=message):
        make_multitask_classification(**{"n_samples": 20, **arguments})
