# Time metafor on the same data and in the same session as benchmarks/run.py, which calls this
# script with a file of studies (yi, vi, events, n, entity, setting) and reads what it prints:
#   name, seconds for the whole job, share of it that was run, a value to compare (tabs between)
# Jobs that take minutes are run in part and scaled; the share says how much was run.

suppressMessages(library(metafor))
args <- commandArgs(trailingOnly = TRUE)
d <- read.csv(args[1])
fast <- length(args) > 1 && args[2] == "quick"

seconds <- function(run, times) {
  best <- Inf
  for (i in seq_len(times)) {
    start <- proc.time()[["elapsed"]]
    run()
    best <- min(best, proc.time()[["elapsed"]] - start)
  }
  best
}
say <- function(name, time, share, value) {
  cat(sprintf("%s\t%.9g\t%.9g\t%.17g\n", name, time / share, share, value))
}

# the clock has milliseconds: a single fit is timed over many
many <- 50
say("one REML fit", seconds(function() for (i in 1:many) rma(yi, vi, data = d), 3) / many, 1,
    rma(yi, vi, data = d)$beta[1])

glmm <- function(rows) rma.glmm(measure = "PLO", xi = d$events[rows], ni = d$n[rows])
everyone <- seq_len(nrow(d))
say("one GLMM fit", seconds(function() glmm(everyone), 3), 1, glmm(everyone)$beta[1])

# metafor has no leave-one-out for rma.glmm: a loop, as its users write it
some <- if (fast) 3 else 13
left <- numeric(0)
time <- seconds(function() left <<- sapply(seq_len(some), function(i) glmm(-i)$beta[1]), 1)
say("leave-one-out of the GLMM", time, some / nrow(d), left[1])

model <- rma(yi, vi, mods = ~ entity + setting, data = d)
draws <- if (fast) 20 else 200
set.seed(1)
time <- seconds(function() permutest(model, iter = draws, progbar = FALSE), 1)
say("1,000 permutations of a regression", time, draws / 1000, model$beta[2])

few <- rma(yi, vi, data = d[1:14, ])
subsets <- if (fast) 100 else 1000
set.seed(1)
time <- seconds(function() gosh(few, subsets = subsets, progbar = FALSE), 1)
say("GOSH, 16,383 REML subsets of 14 studies", time, subsets / 16383, few$beta[1])

fit <- rma(yi, vi, data = d)
draws <- if (fast) 50 else 500
set.seed(1)
boot <- function() {
  for (i in seq_len(draws)) {
    y <- rnorm(nrow(d), fit$beta[1], sqrt(d$vi + fit$tau2))
    rma(y, d$vi)
  }
}
say("2,000 bootstrap REML fits", seconds(boot, 1), draws / 2000, fit$tau2)

# the peer of a posterior of effects
if (requireNamespace("bayesmeta", quietly = TRUE)) {
  bayes <- function() bayesmeta::bayesmeta(
    d$yi, sqrt(d$vi), tau.prior = function(t) bayesmeta::dhalfnormal(t, scale = 0.5))
  say("posterior of the cohorts, normal", seconds(bayes, 3), 1, bayes()$summary["median", "mu"])
}

cat(sprintf("# R %s, metafor %s, lme4 %s\n", getRversion(), packageVersion("metafor"),
            packageVersion("lme4")))
