"""Forest plots: rows, columns, marks, layouts and notes."""
