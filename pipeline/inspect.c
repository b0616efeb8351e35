#include "pipeline/inspect.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "io/base/file.h"
#include "io/ledger/lock.h"
#include "kernels/linalg/factors.h"
#include "pipeline/eta.h"
#include "pipeline/ledgers.h"
#include "pipeline/progress_file.h"

/* The two kinds of ledger, and the word for their units. */
static const struct {
  const char *stem, *format, *units;
} kinds[] = {{LRP_FACTORS_STEM, LRP_FACTORS_FORMAT, "units"},
             {LRP_EVALUATION_STEM, LRP_EVALUATION_FORMAT, "blocks"}};

enum { n_kinds = sizeof kinds / sizeof *kinds, factors = 0 };

/* Open the ledgers of a kind; that an output holds no evaluation (yet) is no failure. */
static lrp_status open_kind(const char *output, int kind, lrp_ledgers *all) {
  lrp_status st = lrp_ledgers_open_readonly(output, kinds[kind].stem, kinds[kind].format, all);
  if (kind != factors && st == LRP_ERR_ABSENT) {
    lrp_failure_clear();
    st = LRP_OK;
  }
  return st;
}

static int64_t count_done(const lrp_ledger *ledger) {
  int64_t done = 0;
  for (int64_t u = 0; u < lrp_ledger_units(ledger); u++) done += lrp_ledger_done(ledger, u, NULL);
  return done;
}

static void print_time(const char *before, int64_t seconds) {
  const time_t t = (time_t)seconds;
  char text[32] = "?";
  struct tm utc;
  if (gmtime_r(&t, &utc)) strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &utc);
  printf("%s%s", before, text);
}

/* What progress.json says, if there is one. The time to go is that of a run that goes on.
 * *measuring: the last attempt was in the one stage whose work is in no ledger. */
static lrp_status print_progress(const char *output, bool running, bool *measuring) {
  char text[LRP_ETA_LINE];
  lrp_progress_state p;
  char *path = lrp_progress_path(output);
  *measuring = false;
  if (!path) return LRP_ERR_MEM;
  const bool found = lrp_progress_read(path, &p);
  free(path);
  if (!found) return LRP_OK;
  if (strcmp(p.state, "complete") != 0) {
    const double to_go = running ? p.eta_s : -1.0;
    printf("stage      %s, %s", p.stage, lrp_eta_line(p.done, p.total, p.items, to_go, text));
    printf("%s%s\n", *p.what ? ", " : "", p.what);
    *measuring = strcmp(p.stage, "measure") == 0;
  }
  printf("attempt    %d", p.attempt);
  print_time(", started ", p.started);
  print_time(", last sign of life ", p.updated);
  printf("\n");
  return LRP_OK;
}

lrp_status lrp_inspect_status(const char *output) {
  lrp_status st = LRP_OK;
  char who[256];
  int64_t open = 0;

  for (int kind = 0; st == LRP_OK && kind < n_kinds; kind++) {
    lrp_ledgers all;
    int64_t done = 0, units = 0;
    st = open_kind(output, kind, &all);
    for (int l = 0; st == LRP_OK && l < all.n; l++) {
      done += count_done(all.ledger[l]);
      units += lrp_ledger_units(all.ledger[l]);
    }
    if (st == LRP_OK) {
      printf("%-10s %lld of %lld %s done\n", kinds[kind].stem, (long long)done, (long long)units,
             kinds[kind].units);
      lrp_ledgers_close(&all);
      open += units - done;
    }
  }
  if (st != LRP_OK) return st;
  char *table = lrp_path_join(output, "tradeoff.json");
  const bool reported = table && lrp_file_exists(table);
  free(table);
  const bool running = lrp_lock_holder(output, who, sizeof who);
  bool measuring;
  st = print_progress(output, running, &measuring);
  if (st != LRP_OK) return st;
  if (running) {
    printf("state      running: %s\n", who);
  } else if (open == 0 && reported && !measuring) {
    printf("state      complete\n");
  } else {
    printf("state      incomplete: run the same command again\n");
  }
  return LRP_OK;
}

static void print_bad(const char *name, void *context) {
  printf("bad        %s: %s\n", (const char *)context, name);
}

static lrp_status verify_kind(const char *output, int kind, int64_t *bad) {
  lrp_ledgers all;
  lrp_status st = open_kind(output, kind, &all);
  for (int l = 0; st == LRP_OK && l < all.n; l++) {
    int64_t done = 0, wrong = 0;
    char *path = lrp_ledgers_path(output, kinds[kind].stem, l);
    st = path ? lrp_ledger_verify(all.ledger[l], &done, &wrong, print_bad, path) : LRP_ERR_MEM;
    if (st == LRP_OK) {
      printf("%s: %lld of %lld %s done, %lld bad\n", path, (long long)done,
             (long long)lrp_ledger_units(all.ledger[l]), kinds[kind].units, (long long)wrong);
    }
    *bad += wrong;
    free(path);
  }
  if (st == LRP_OK) lrp_ledgers_close(&all);
  return st;
}

lrp_status lrp_inspect_verify(const char *output) {
  lrp_status st = LRP_OK;
  int64_t bad = 0;
  for (int kind = 0; st == LRP_OK && kind < n_kinds; kind++) st = verify_kind(output, kind, &bad);
  if (st == LRP_OK && bad > 0) {
    st = lrp_fail(LRP_ERR_DATA,
                  "%s: %lld units do not agree with their checksums; run the job again, which "
                  "redoes them",
                  output, (long long)bad);
  }
  return st;
}

static void print_unit(const lrp_ledger *ledger, int64_t u, bool is_factor) {
  lrp_unit_record r;
  const char *name = lrp_ledger_unit_name(ledger, u);
  if (!lrp_ledger_done(ledger, u, &r)) {
    printf("  open  %s\n", name);
  } else if (is_factor) {
    printf("  done  %s rank %d error %.9g orthogonality %.2g residual %.2g %s attempt %d %.3f s\n",
           name, r.rank, r.relative_error, r.orthogonality, r.residual,
           lrp_solver_name((lrp_solver)r.solver), r.attempt, r.seconds);
  } else {
    printf("  done  %s attempt %d %.3f s\n", name, r.attempt, r.seconds);
  }
}

static lrp_status print_note(lrp_ledger *ledger, const char *name) {
  char *bytes = NULL;
  size_t size;
  const lrp_status st = lrp_ledger_note_read(ledger, name, &bytes, &size);
  if (st == LRP_OK) printf("%s:\n%s\n", name, bytes);
  free(bytes);
  return st;
}

static lrp_status inspect_kind(const char *output, int kind) {
  lrp_ledgers all;
  lrp_status st = open_kind(output, kind, &all);
  for (int l = 0; st == LRP_OK && l < all.n; l++) {
    char *path = lrp_ledgers_path(output, kinds[kind].stem, l);
    printf("%s\n", path ? path : "?");
    free(path);
    st = print_note(all.ledger[l], "job");
    if (st == LRP_OK) st = print_note(all.ledger[l], "provenance");
    for (int64_t u = 0; st == LRP_OK && u < lrp_ledger_units(all.ledger[l]); u++) {
      print_unit(all.ledger[l], u, kind == factors);
    }
  }
  if (all.n > 0) lrp_ledgers_close(&all);
  return st;
}

lrp_status lrp_inspect(const char *output) {
  lrp_status st = LRP_OK;
  for (int kind = 0; st == LRP_OK && kind < n_kinds; kind++) st = inspect_kind(output, kind);
  return st;
}
