"""The profile folder: lock, database, migrations, atomic files."""
