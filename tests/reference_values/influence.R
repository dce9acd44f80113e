# Deletion diagnostics of a meta-regression with a factor and a number, by metafor.
#
#   Rscript tests/reference_values/influence.R
#
# Needs metafor and jsonlite (Debian: r-cran-metafor). Takes cohorts 25 to 40 of
# reference_r.json, and writes influence_r.json beside itself: what influence() and baujat() give,
# for each estimator and test.

suppressMessages(library(metafor))
library(jsonlite)

here <- dirname(sub("--file=", "", grep("--file=", commandArgs(), value = TRUE)))
stored <- fromJSON(file.path(here, "reference_r.json"), simplifyDataFrame = FALSE)
d <- as.data.frame(stored$data[lengths(stored$data) == 52], stringsAsFactors = FALSE)[25:40, ]
plo <- escalc("PLO", xi = deaths, ni = Patient_number, data = d)

diagnostics <- function(method, test) {
  f <- rma(yi, vi, mods = ~ Setting + I(year - 2020), data = plo, method = method, test = test,
    control = list(threshold = 1e-13, maxiter = 10000))
  i <- influence(f)
  b <- baujat(f)
  shown <- c("rstudent", "dffits", "cook.d", "cov.r", "tau2.del", "QE.del", "hat", "weight")
  c(lapply(unclass(i$inf)[shown], as.vector),
    list(dfbs = lapply(unclass(i$dfbs)[seq_len(f$p)], as.vector), flagged = unname(i$is.infl),
      contribution = b$x, influence = b$y, coef = as.vector(f$beta), tau2 = f$tau2))
}

pdf(NULL) # baujat() draws
found <- list(versions = list(R = paste(R.version$major, R.version$minor, sep = "."),
  metafor = as.character(packageVersion("metafor"))))
for (method in c("REML", "DL", "EE")) {
  for (test in if (method == "EE") "z" else c("z", "knha", "adhoc")) {
    found[[paste(method, test, sep = "_")]] <- diagnostics(method, test)
  }
}
write(toJSON(found, digits = I(17), auto_unbox = TRUE, na = "null"),
  file.path(here, "influence_r.json"))
