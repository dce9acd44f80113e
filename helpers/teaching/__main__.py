"""Write the table with planted errors: ``python -m helpers.teaching``."""

from .planted import planted_file, planted_table

if __name__ == "__main__":
    planted_file().write_text(planted_table(), encoding="utf-8")
    print(f"{planted_file().name}: written")
