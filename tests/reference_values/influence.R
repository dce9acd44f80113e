# Deletion diagnostics of a meta-regression with a factor and a number, and of subgroups, by metafor.
#
#   Rscript tests/reference_values/influence.R
#
# Needs metafor and jsonlite (Debian: r-cran-metafor). Takes cohorts 25 to 40 of
# reference_r.json, and writes influence_r.json beside itself: what influence() and baujat() give,
# for each estimator and test. Subgroups with a variance each are one model with a diagonal
# covariance of the random effects (rma.mv), of which metafor has fewer diagnostics; so are cohorts
# in clusters, grouped in two ways.

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
joint <- rma(yi, vi, mods = ~ Setting - 1, data = plo, control = list(threshold = 1e-13))
i <- influence(joint)
b <- baujat(joint)
found$subgroups <- list(common = list(rstudent = i$inf$rstudent, dffits = i$inf$dffits,
  cook.d = i$inf$cook.d, cov.r = i$inf$cov.r, tau2.del = i$inf$tau2.del, QE.del = i$inf$QE.del,
  hat = i$inf$hat, weight = i$inf$weight, dfbs = lapply(unclass(i$dfbs)[seq_len(joint$p)], as.vector),
  contribution = b$x, influence = b$y))
plo$id <- seq_len(nrow(plo))
own <- rma.mv(yi, vi, mods = ~ Setting - 1, random = ~ Setting | id, struct = "DIAG", data = plo,
  control = list(optimizer = "optim", optmethod = "BFGS", reltol = 1e-16))
found$subgroups$separate <- list(rstudent = rstudent(own)$z, cook.d = cooks.distance(own),
  dfbs = lapply(dfbetas(own), as.vector), hat = hatvalues(own), tau2 = own$tau2)
# rma.mv() has the marginal variance of a residual, and no covariance with the rest of the cluster:
# its residuals are those of influence() where the variance between clusters is 0, as in "flat".
levels <- list(flat = rep(1:6, c(3, 2, 4, 1, 3, 3)),
  clustered = c(1, 1, 2, 3, 4, 5, 1, 2, 2, 4, 5, 4, 3, 3, 1, 5))
control <- list(optimizer = "optim", optmethod = "BFGS", reltol = 1e-15, maxit = 10000)
for (name in names(levels)) {
  f <- rma.mv(yi, vi, mods = ~ Setting + I(year - 2020), random = ~ 1 | cluster / cohort,
    data = transform(plo, cluster = levels[[name]], cohort = seq_along(yi)), control = control)
  again <- function(call, ...) call(f, reestimate = TRUE, progbar = FALSE, ...)
  found[[paste("levels", name, sep = "_")]] <- list(cluster = levels[[name]],
    sigma2 = f$sigma2, coef = as.vector(f$beta), hat = as.vector(hatvalues(f)),
    cook.d = as.vector(again(cooks.distance)), rstudent = again(rstudent)$z,
    dfbs = lapply(unclass(again(dfbetas)), as.vector))
}
write(toJSON(found, digits = I(17), auto_unbox = TRUE, na = "null"),
  file.path(here, "influence_r.json"))
