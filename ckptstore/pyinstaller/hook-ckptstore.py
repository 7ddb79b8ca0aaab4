"""What a bundle has to contain beyond the modules that PyInstaller finds by following imports."""

from PyInstaller.utils.hooks import collect_data_files, collect_submodules

# Alembic loads the migrations as files. In a checkout, an editable install, they lie outside the package.
datas = collect_data_files("ckptstore") + collect_data_files("ckptstore", subdir="migrations", include_py_files=True)
# What the migrations import, what Alembic imports by name, and the driver of SQLite, which SQLAlchemy imports by name.
hiddenimports = ["aiosqlite", "alembic.context", "alembic.op", "alembic.util", "logging.config", "ckptstore.tags.encoding"]
hiddenimports += collect_submodules("alembic.autogenerate")
