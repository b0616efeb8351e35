#include "pipeline/ledgers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/base/file.h"
#include "io/base/json_memory.h"

char *lrp_ledgers_path(const char *output, const char *stem, int i) {
  char name[64];
  if (i == 0) {
    snprintf(name, sizeof name, "%s.h5", stem);
  } else {
    snprintf(name, sizeof name, "%s.%d.h5", stem, i + 1);
  }
  return lrp_path_join(output, name);
}

static lrp_status append(lrp_ledgers *all, lrp_ledger *ledger) {
  lrp_ledger **more = realloc(all->ledger, ((size_t)all->n + 1) * sizeof *more);
  if (!more) return lrp_fail_memory(((size_t)all->n + 1) * sizeof *more, "the ledgers");
  all->ledger = more;
  all->ledger[all->n++] = ledger;
  return LRP_OK;
}

/* Open the ledger at path and append it. comm MPI_COMM_NULL: reading, local. */
static lrp_status open_one(const char *path, const char *format, MPI_Comm comm, lrp_ledgers *all) {
  lrp_ledger *ledger = NULL;
  const bool shared = comm != MPI_COMM_NULL;
  lrp_status st = shared ? lrp_ledger_open(path, format, comm, &ledger)
                         : lrp_ledger_open_readonly(path, format, &ledger);
  if (st == LRP_OK) {
    st = append(all, ledger);
    if (shared) st = lrp_agree(st, comm);
    if (st != LRP_OK) {
      if (all->n > 0 && all->ledger[all->n - 1] == ledger) all->n--;
      lrp_ledger_close(&ledger);
    }
  }
  return st;
}

/* Whether path is there, as process rank 0 sees it: a shared file system may lag elsewhere. */
static bool exists(const char *path, MPI_Comm comm) {
  int found = lrp_file_exists(path);
  if (comm != MPI_COMM_NULL) MPI_Bcast(&found, 1, MPI_INT, 0, comm);
  return found;
}

static lrp_status open_all(const char *output, const char *stem, const char *format, MPI_Comm comm,
                           lrp_ledgers *all) {
  const bool shared = comm != MPI_COMM_NULL;
  lrp_status st = LRP_OK;
  bool more = true;

  *all = (lrp_ledgers){0};
  while (st == LRP_OK && more) {
    char *path = lrp_ledgers_path(output, stem, all->n);
    st = path ? LRP_OK : LRP_ERR_MEM;
    if (shared) st = lrp_agree(st, comm);
    if (st == LRP_OK) more = exists(path, comm);
    if (st == LRP_OK && more) st = open_one(path, format, comm, all);
    free(path);
  }
  if (st != LRP_OK) lrp_ledgers_close(all);
  return st;
}

lrp_status lrp_ledgers_open(const char *output, const char *stem, const char *format, MPI_Comm comm,
                            lrp_ledgers *all) {
  return open_all(output, stem, format, comm, all);
}

lrp_status lrp_ledgers_open_readonly(const char *output, const char *stem, const char *format,
                                     lrp_ledgers *all) {
  lrp_status st = open_all(output, stem, format, MPI_COMM_NULL, all);
  if (st == LRP_OK && all->n == 0) {
    st = lrp_fail(LRP_ERR_ABSENT, "%s: no %s.h5 here; is this the output of a run?", output, stem);
  }
  return st;
}

/* Process rank 0's part of lrp_ledgers_add. */
static lrp_status create(const char *path, lrp_ledger_plan *plan, const json_t *covers,
                         const json_t *provenance, const char *job) {
  char *covers_text = json_dumps(covers, JSON_COMPACT | JSON_SORT_KEYS);
  char *provenance_text = json_dumps(provenance, JSON_INDENT(2));
  lrp_status st = lrp_json_checked(LRP_OK); /* before it is written for ever */
  if (!covers_text || !provenance_text) st = lrp_fail_memory(0, "the notes of a ledger");
  if (st == LRP_OK) {
    const lrp_ledger_note notes[] = {
        {"covers", covers_text, strlen(covers_text)},
        {"provenance", provenance_text, strlen(provenance_text)},
        {"job", job, strlen(job)},
    };
    plan->notes = notes;
    plan->n_notes = 3;
    st = lrp_ledger_create(path, plan);
    plan->notes = NULL;
  }
  free(provenance_text);
  free(covers_text);
  return st;
}

lrp_status lrp_ledgers_add(const char *output, const char *stem, lrp_ledger_plan *plan,
                           const json_t *covers, const json_t *provenance, const char *job,
                           MPI_Comm comm, lrp_ledgers *all) {
  int me;
  MPI_Comm_rank(comm, &me);
  char *path = lrp_ledgers_path(output, stem, all->n);
  lrp_status st = path ? LRP_OK : LRP_ERR_MEM;
  if (st == LRP_OK && me == 0) st = create(path, plan, covers, provenance, job);
  st = lrp_agree(st, comm);
  if (st == LRP_OK) st = open_one(path, plan->format, comm, all);
  free(path);
  return st;
}

lrp_status lrp_ledgers_close(lrp_ledgers *all) {
  lrp_status st = LRP_OK;
  for (int i = 0; i < all->n; i++) {
    const lrp_status closed = lrp_ledger_close(&all->ledger[i]);
    if (closed > st) st = closed;
  }
  free(all->ledger);
  *all = (lrp_ledgers){0};
  return st;
}

lrp_status lrp_ledgers_note(lrp_ledger *ledger, const char *name, json_t **value) {
  char *bytes = NULL;
  size_t size;
  json_error_t error;
  *value = NULL;
  lrp_status st = lrp_ledger_note_read(ledger, name, &bytes, &size);
  if (st != LRP_OK) return st;
  *value = json_loadb(bytes, size, JSON_REJECT_DUPLICATES, &error);
  free(bytes);
  if (json_is_object(*value)) return LRP_OK;
  json_decref(*value);
  *value = NULL;
  return lrp_json_checked(lrp_fail(
      LRP_ERR_DATA, "a ledger's note /plan/%s is not a JSON object: %s", name, error.text));
}
