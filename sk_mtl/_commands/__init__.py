"""Commands for tables in files: ``python -m sk_mtl COMMAND``."""
