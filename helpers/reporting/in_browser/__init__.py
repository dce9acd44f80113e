"""One call for the page in which the engine runs in the reader's browser: text in, text out.

Nothing here needs more than numpy. The page hands over the content of a table and a few
choices, and gets the fit, its words and its drawing back; the numbers are those of
`helpers.pool`, which is what is called.
"""

from .analysis import analyse, analyse_json, look

__all__ = ["analyse", "analyse_json", "look"]
