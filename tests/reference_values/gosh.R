# Regressions of all subsets of eight cohorts on a factor and a number, by metafor.
#
#   Rscript tests/reference_values/gosh.R
#
# Needs metafor and jsonlite (Debian: r-cran-metafor). Takes cohorts 27 to 34 of
# reference_r.json, and writes gosh_r.json beside itself: for each estimator the members of each
# subset and what gosh() gives for it.

suppressMessages(library(metafor))
library(jsonlite)

here <- dirname(sub("--file=", "", grep("--file=", commandArgs(), value = TRUE)))
stored <- fromJSON(file.path(here, "reference_r.json"), simplifyDataFrame = FALSE)
d <- as.data.frame(stored$data[lengths(stored$data) == 52], stringsAsFactors = FALSE)[27:34, ]
plo <- escalc("PLO", xi = deaths, ni = Patient_number, data = d)

found <- list(versions = list(R = paste(R.version$major, R.version$minor, sep = "."),
  metafor = as.character(packageVersion("metafor"))))
for (method in c("REML", "DL", "EE")) {
  f <- rma(yi, vi, mods = ~ Setting + I(year - 2020), data = plo, method = method,
    control = if (method == "REML") list(threshold = 1e-13, maxiter = 10000))
  g <- suppressWarnings(gosh(f, progbar = FALSE))
  member <- apply(g$incl, 1, function(row) paste(as.integer(row), collapse = ""))
  more <- rowSums(g$incl) > f$p # with as many studies as coefficients R fits nothing
  found[[method]] <- c(list(member = member[more]), lapply(as.list(g$res), function(x) x[more]))
}
write(toJSON(found, digits = I(17), auto_unbox = TRUE, na = "null"), file.path(here, "gosh_r.json"))
