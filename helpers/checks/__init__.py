"""Is a result robust? Small-study effects, all defensible analyses, simulation."""
