"""The page about skrub runs, and what it promises holds."""

import pytest
from sklearn.base import clone

PAGE = "skrub"
pytestmark = pytest.mark.neighbours


def test_network_gets_the_shop_as_a_category(page):
    columns = page.model[0].transform(page.raw)

    assert columns.dtypes["shop"] == "category"
    assert columns.drop(columns="shop").dtypes.map(lambda dtype: dtype.kind).eq("f").all()


def test_missing_cells_reach_the_network(page):
    columns = page.model[0].transform(page.raw)

    assert columns.loc[page.raw["price"].isna(), "price"].isna().all()
    assert columns.loc[page.raw["shop"].isna(), "shop"].isna().all()


def test_encoders_do_not_read_y(page):
    shuffled = page.Y.sample(frac=1, random_state=0).set_axis(page.Y.index)

    first, second = (clone(page.vectorizer).fit_transform(page.raw, y) for y in (page.Y, shuffled))

    assert first.equals(second)


def test_text_differs_between_two_fits_without_a_random_state(page):
    first, second = (page.TableVectorizer().fit_transform(page.raw) for _ in range(2))

    assert list(first) == list(second)
    assert not first.equals(second)


def test_search_predicts_raw_rows(page):
    assert page.search.predict(page.raw).shape == page.Y.shape
    assert list(page.search.predict(page.raw)) == list(page.Y)
