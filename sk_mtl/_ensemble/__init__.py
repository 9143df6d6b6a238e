"""Ensembles of estimators with different parameters, chosen on cells that were held out."""
