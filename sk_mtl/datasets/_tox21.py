"""The Tox21 table: molecules, and twelve toxicity assays with missing labels.

Owns the reading of ``data/tox21_*``; ``data/README.md`` says how the files are laid out.
"""

from __future__ import annotations

from typing import Literal, overload

import numpy as np
import pandas as pd
from sklearn.utils import Bunch

from sk_mtl._compat.arguments import check_flags
from sk_mtl.datasets._bundled import open_bundled, read_description


@overload
def load_tox21(*, return_X_y: Literal[False] = ...) -> Bunch: ...


@overload
def load_tox21(*, return_X_y: Literal[True]) -> tuple[np.ndarray, pd.DataFrame]: ...


def load_tox21(*, return_X_y: bool = False) -> Bunch | tuple[np.ndarray, pd.DataFrame]:
    """Load the Tox21 table: 7,823 molecules and twelve binary toxicity assays.

    17 % of the labels are missing in the source: not every molecule was measured, or measured
    conclusively, in every assay. The table is bundled: nothing is downloaded.

    =================   ================================================
    Samples             7,823
    Features            2,048 bits, 1.5 % of them set
    Tasks               12, binary
    Labels missing      17.1 % (7 to 26 % per task)
    Active              2.9 % (NR-PPAR-gamma) to 16.1 % (SR-ARE)
    =================   ================================================

    Parameters
    ----------
    return_X_y : bool, default=False
        Whether to return ``(data, target)`` instead of a Bunch.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        Dictionary-like object, with the following attributes.

        data : ndarray of shape (7823, 2048), dtype uint8
            Morgan fingerprint of radius 2, a bit per column, as 0 or 1. As uint8 it takes 16 MB
            instead of 64 MB as float32; estimators convert it.
        target : DataFrame of shape (7823, 12), dtype float64
            1.0 for active, 0.0 for inactive, NaN where the label is missing.
        feature_names : list of str
            ``"morgan_0"`` to ``"morgan_2047"``.
        task_names : list of str
            The names of the columns of ``target``: seven nuclear receptors (NR) and five stress
            responses (SR).
        smiles : ndarray of shape (7823,), dtype object
            The molecules, as SMILES strings.
        scaffold : ndarray of shape (7823,), dtype object
            The Bemis-Murcko scaffold of each molecule, as a SMILES string; ``""`` for molecules
            without a ring. Suitable as ``groups`` of a splitter.
        DESCR : str
            What the table is, where it comes from, and its terms.

    (data, target) : tuple if ``return_X_y`` is True
        The data and the target, as described above.

    Raises
    ------
    TypeError
        If an argument is not True or False.

    References
    ----------
    Huang, R. et al. (2016). Tox21Challenge to build predictive models of nuclear receptor and
    stress response pathways as mediated by exposure to environmental chemicals and drugs.
    Frontiers in Environmental Science, 3:85. https://doi.org/10.3389/fenvs.2015.00085

    Wu, Z. et al. (2018). MoleculeNet: a benchmark for molecular machine learning. Chemical
    Science, 9, 513-530. https://doi.org/10.1039/C7SC02664A

    Examples
    --------
    >>> from sk_mtl.datasets import load_tox21
    >>> tox21 = load_tox21()
    >>> tox21.data.shape, tox21.target.shape
    ((7823, 2048), (7823, 12))
    >>> round(float(tox21.target.isna().to_numpy().mean()), 3)
    0.171
    >>> tox21.smiles[0]
    'CCOc1ccc2nc(S(N)(=O)=O)sc2c1'
    """
    check_flags("load_tox21", return_X_y=return_X_y)
    with open_bundled("tox21_fingerprints.npz") as file, np.load(file) as stored:
        # A row per bit, packed along the molecules: it compresses better than a row per molecule.
        bits = np.unpackbits(stored["bits"], axis=1, count=int(stored["n_molecules"]))
    data = np.ascontiguousarray(bits.T)
    with open_bundled("tox21_labels.csv.gz") as file:
        table = pd.read_csv(file, compression="gzip", keep_default_na=False, na_values=[""])
    molecules = table[["smiles", "murcko_scaffold"]].fillna("").to_numpy(object)
    target = table.drop(columns=["smiles", "murcko_scaffold"]).astype(np.float64)
    if return_X_y:
        return data, target
    return Bunch(
        data=data,
        target=target,
        feature_names=[f"morgan_{j}" for j in range(data.shape[1])],
        task_names=list(target.columns),
        smiles=np.ascontiguousarray(molecules[:, 0]),
        scaffold=np.ascontiguousarray(molecules[:, 1]),
        DESCR=read_description("tox21"),
    )
