"""Does a result hold? Small-study effects, all defensible analyses, simulation."""
