# Computes entries of reference_r.json again from its own `data`, and says how far they lie apart.
#
#   Rscript tests/reference_values/reference.R
#
# Needs metafor, lme4, numDeriv, clubSandwich and jsonlite (Debian: r-cran-metafor, r-cran-lme4,
# r-cran-clubsandwich). Writes reference_r.tsv beside itself: entry, values compared, largest
# relative difference, allowed difference. Ends with an error if one lies further apart than allowed.

suppressMessages(library(metafor))
library(jsonlite)

here <- dirname(sub("--file=", "", grep("--file=", commandArgs(), value = TRUE)))
stored <- fromJSON(file.path(here, "reference_r.json"), simplifyDataFrame = FALSE)
versions <- c(R = paste(R.version$major, R.version$minor, sep = "."),
  sapply(c("metafor", "lme4", "clubSandwich"), function(p) as.character(packageVersion(p))))
cat("Here:  ", paste(names(versions), versions), "\n")
cat("Stored:", paste(names(versions), unlist(stored$versions[names(versions)])), "\n")

d <- as.data.frame(stored$data[lengths(stored$data) == 52], stringsAsFactors = FALSE)
d$FU <- as.numeric(d$FU)
d$row <- seq_len(nrow(d))

# -- comparing -----------------------------------------------------------------------------------

rows <- list()
FLOOR <- 1e-4 # smaller values are compared absolutely, as in __init__.py

at <- function(path) Reduce(function(x, name) x[[name]], strsplit(path, "/")[[1]], stored)

compare <- function(path, found, allowed) {
  expected <- at(path)
  if (is.null(expected)) stop("no entry ", path)
  shared <- intersect(names(found), names(expected))
  worst <- 0
  count <- 0
  for (name in shared) {
    a <- suppressWarnings(as.numeric(unlist(found[[name]])))
    b <- suppressWarnings(as.numeric(unlist(expected[[name]])))
    if (!length(b) || all(is.na(b))) next
    if (length(a) != length(b)) stop(path, "/", name, ": ", length(a), " against ", length(b))
    gap <- abs(a - b) / pmax(abs(b), FLOOR)
    if (name == "pval" || name == "QE.p" || name == "QM.p") gap <- abs(log(a / b)) / 100 # tails
    gap[a == b] <- 0
    gap[is.na(a) & is.na(b)] <- 0
    if (anyNA(gap)) stop(path, "/", name, ": not a number")
    if (max(gap) > allowed) cat("  ", path, name, a, "against", b, "\n")
    worst <- max(worst, gap)
    count <- count + length(b)
  }
  if (!count) stop(path, ": nothing to compare")
  rows[[length(rows) + 1]] <<- data.frame(entry = path, values = count,
    difference = signif(worst, 2), allowed = allowed)
}

# What R calls the parts of a fit, under the names of the file.
parts <- function(f) {
  mods <- f$p > 1 # with moderators metafor's I2 and R2 are others
  c(list(k = f$k, coef = as.vector(f$beta), se = f$se, stat = f$zval, pval = f$pval,
    ci.lb = f$ci.lb, ci.ub = f$ci.ub, tau2 = f$tau2, se.tau2 = f$se.tau2,
    QE = f$QE, QE.p = f$QEp, QM = if (mods) f$QM, QM.p = if (mods) f$QMp,
    vcov = as.vector(f$vb)),
    if (!mods) list(I2 = f$I2, H2 = f$H2))
}

TIGHT <- list(threshold = 1e-13, maxiter = 10000)
TESTS <- c(z = "z", knha = "knha", adhoc = "adhoc", t = "t")

# -- pooling: inverse variance -------------------------------------------------------------------

for (measure in c("PLO", "PAS", "PFT", "PLN", "PR")) {
  found <- escalc(measure, xi = deaths, ni = Patient_number, data = d)
  compare(paste0("effect_sizes/", measure), list(yi = found$yi, vi = found$vi), 1e-12)
}

plo <- escalc("PLO", xi = deaths, ni = Patient_number, data = d)
for (method in c("EE", "DL", "PM", "REML", "ML", "HE", "HS", "HSk", "SJ", "EB")) {
  for (test in if (method == "EE") "z" else names(TESTS)) {
    f <- rma(yi, vi, data = plo, method = method, test = TESTS[[test]],
      control = c(TIGHT, if (method == "PM") list(tol = 1e-13)))
    compare(paste("PLO_fits", method, test, sep = "/"), parts(f), 1e-7)
  }
}
for (measure in c("PAS", "PR", "PLN", "PFT")) {
  effects <- escalc(measure, xi = deaths, ni = Patient_number, data = d)
  for (method in c("DL", "REML", "ML", "PM")) {
    for (test in c("", "_knha")) {
      f <- rma(yi, vi, data = effects, method = method, test = if (test == "") "z" else "knha",
        control = c(TIGHT, if (method == "PM") list(tol = 1e-13)))
      compare(sprintf("%s_fits/%s%s", measure, method, test), parts(f), 1e-7)
    }
  }
}

# -- pooling: binomial GLMM of lme4, with its default optimiser and a later stop -----------------

LATER <- list(glmerCtrl = list(optimizer = "bobyqa", tolPwrss = 1e-11,
  optCtrl = list(rhobeg = 0.02, rhoend = 1e-11, maxfun = 1e5)))
main <- function(f) list(k = f$k, coef = as.vector(f$beta), se = f$se, ci.lb = f$ci.lb,
  ci.ub = f$ci.ub, tau2 = f$tau2)
for (points in c(1, 7, 20)) {
  glmm <- function(control) main(rma.glmm(measure = "PLO", xi = deaths, ni = Patient_number,
    data = d, nAGQ = points, control = control))
  compare(paste0("GLMM/glmer_nAGQ", points), glmm(list()), 1e-4)
  compare(paste0("GLMM/exact_nAGQ", points), glmm(LATER), 1e-5)
}

# -- regression ----------------------------------------------------------------------------------

MODS <- list(entity = ~Entity, product = ~Product, setting = ~Setting, line = ~Line,
  inclusion = ~Inclusion_end_until_20, follow_up_months = ~FU, year = ~year,
  setting_plus_entity = ~ Setting + Entity, entity_fu_setting_line = ~ Entity + FU + Setting + Line,
  log_n = ~ log(Patient_number))
for (name in names(MODS)) {
  for (method in c("REML", "ML", "DL", "EB")) {
    for (test in c("z", "knha", "t")) {
      f <- suppressWarnings(rma(yi, vi, mods = MODS[[name]], data = plo, method = method,
        test = test, control = c(TIGHT, list(stepadj = 0.5))))
      compare(sprintf("meta_regression/%s/%s_%s", name, method, test), parts(f), 1e-6)
    }
  }
}

# -- three levels --------------------------------------------------------------------------------

three <- function(method, test = "z", mods = ~1) {
  rma.mv(yi, vi, mods = mods, random = ~ 1 | study / row, data = plo, method = method, test = test)
}
levels_of <- function(f) {
  found <- parts(f)
  found$tau2 <- NULL # rma.mv has a component a level instead
  found
}
for (method in c("REML", "ML")) compare(paste0("multilevel/", method), levels_of(three(method)), 1e-6)
compare("multilevel/REML_test_t", levels_of(three("REML", "t")), 1e-6)
compare("multilevel/REML_mods_setting", levels_of(three("REML", mods = ~Setting)), 1e-6)
alone <- rma.mv(yi, vi, random = ~ 1 | study, data = plo)
compare("multilevel/REML_study_only", levels_of(alone), 1e-6)
robustly <- function(f, ...) {
  r <- robust(f, cluster = plo$study, ...)
  list(coef = as.vector(r$beta), se = r$se, stat = r$zval, ddf = r$ddf, pval = r$pval,
    ci.lb = r$ci.lb, ci.ub = r$ci.ub, vcov = as.vector(r$vb), n.clusters = r$n)
}
compare("multilevel/robust_CR1", robustly(three("REML")), 1e-6)
compare("multilevel/robust_CR0", robustly(three("REML"), adjust = FALSE), 1e-6)
compare("multilevel/robust_mods_setting_CR1", robustly(three("REML", mods = ~Setting)), 1e-6)
compare("multilevel/robust_CR2_clubSandwich", robustly(three("REML"), clubSandwich = TRUE), 1e-5)

# -- permutations --------------------------------------------------------------------------------

permuted <- function(f, exact = TRUE, iterations = 1000) {
  p <- permutest(f, exact = exact, iter = iterations, progbar = FALSE)
  list(pval = p$pval, QM = f$QM, QMp = p$QMp, obs.stat = f$zval)
}
mm <- subset(plo, Entity == "MM" & Product %in% c("Ide-cel", "Cilta-cel"))
exact <- function(name, f) compare(paste0("permutation_tests/", name), permuted(f), 1e-5)
exact("MM_product_exact_REML_z", rma(yi, vi, mods = ~Product, data = mm, control = TIGHT))
exact("MM_product_exact_ML_knha",
  rma(yi, vi, mods = ~Product, data = mm, method = "ML", test = "knha", control = TIGHT))
exact("MM_setting_exact_REML_knha",
  rma(yi, vi, mods = ~Setting, data = mm, test = "knha", control = TIGHT))
few <- plo[stored$permutation_tests$IL_MCL_exact_REML$rows, ]
exact("IL_MCL_exact_REML", rma(yi, vi, mods = ~Entity, data = few, control = TIGHT))

# -- what came out -------------------------------------------------------------------------------

table <- do.call(rbind, rows)
head <- paste("# made by reference.R:", paste(names(versions), versions, collapse = ", "))
writeLines(c(head, paste(names(table), collapse = "\t"),
  apply(format(table, trim = TRUE, scientific = NA), 1, paste, collapse = "\t")),
  file.path(here, "reference_r.tsv"))
far <- table$entry[table$difference > table$allowed]
cat(nrow(table), "entries,", sum(table$values), "values; further apart than allowed:", length(far), "\n")
print(aggregate(cbind(values, difference) ~ group,
  transform(table, group = sub("/.*", "", entry)), function(x) max(x)))
if (length(far)) stop(paste(far, collapse = ", "))
