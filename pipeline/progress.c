#include "pipeline/progress.h"

#include <jansson.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "io/base/file.h"
#include "io/base/json_memory.h"

enum { progress_bytes_max = 1 << 16 };
static const double write_every_s = 2.0;

struct lrp_progress {
  const lrp_topology *topo; /* borrowed */
  char *path;               /* owned */
  int attempt;
  MPI_Win window;
  atomic_int_least64_t *count; /* items done in this stage by this node, shared */
  const char *stage;           /* borrowed */
  int64_t total, done_before;
  double last_write;
  time_t started;
  lrp_status status;      /* of the writes so far */
  const char *stopped_by; /* borrowed; NULL: not stopped */
};

static int previous_attempt(const char *path) {
  char *text = NULL;
  size_t size;
  int attempt = 0;
  if (!lrp_file_exists(path)) return 0;
  if (lrp_file_read(path, progress_bytes_max, &text, &size) == LRP_OK) {
    json_t *old = json_loadb(text, size, 0, NULL);
    attempt = (int)json_integer_value(json_object_get(old, "attempt"));
    json_decref(old);
  } else {
    lrp_failure_clear(); /* no more than a counter is lost */
  }
  free(text);
  return attempt < 0 ? 0 : attempt;
}

static void write_state(lrp_progress *p, const char *state) {
  char host[256] = "?";
  if (p->topo->me != 0 || p->status != LRP_OK) return;
  gethostname(host, sizeof host - 1);
  json_t *o = json_pack(
      "{s:s, s:i, s:s, s:I, s:I, s:i, s:s, s:i, s:I, s:I}", "state", state, "attempt", p->attempt,
      "stage", p->stage, "done", (json_int_t)(p->done_before + atomic_load(p->count)), "total",
      (json_int_t)p->total, "process_ranks", p->topo->size, "host", host, "pid", (int)getpid(),
      "started", (json_int_t)p->started, "updated", (json_int_t)time(NULL));
  if (o && p->stopped_by) json_object_set_new(o, "stopped_by", json_string(p->stopped_by));
  char *text = o ? json_dumps(o, JSON_INDENT(2)) : NULL;
  p->status = text ? lrp_file_write(p->path, text, strlen(text))
                   : lrp_fail_memory(progress_bytes_max, "progress.json");
  p->status = lrp_json_checked(p->status);
  p->last_write = MPI_Wtime();
  free(text);
  json_decref(o);
}

lrp_status lrp_progress_open(const char *output, const lrp_topology *topo, lrp_progress **out) {
  lrp_progress *p = calloc(1, sizeof *p);
  int node_rank, unit;
  MPI_Aint bytes;

  *out = NULL;
  lrp_status st = p ? LRP_OK : lrp_fail_memory(sizeof *p, "the progress");
  if (st == LRP_OK && !(p->path = lrp_path_join(output, "progress.json"))) st = LRP_ERR_MEM;
  st = lrp_agree(st, topo->comm);
  if (st != LRP_OK) {
    if (p) free(p->path);
    free(p);
    return st;
  }
  p->topo = topo;
  p->stage = "start";
  p->started = time(NULL);
  MPI_Comm_rank(topo->node, &node_rank);
  MPI_Win_allocate_shared(node_rank == 0 ? sizeof *p->count : 0, 1, MPI_INFO_NULL, topo->node,
                          &p->count, &p->window);
  MPI_Win_shared_query(p->window, 0, &bytes, &unit, &p->count);
  if (node_rank == 0) atomic_init(p->count, 0);
  MPI_Barrier(topo->node);
  if (topo->me == 0) p->attempt = previous_attempt(p->path) + 1;
  MPI_Bcast(&p->attempt, 1, MPI_INT, 0, topo->comm);
  write_state(p, "running");
  *out = p;
  st = lrp_agree(p->status, topo->comm);
  if (st != LRP_OK) lrp_progress_close(out, st, NULL);
  return st;
}

int lrp_progress_attempt(const lrp_progress *p) {
  return p->attempt;
}

void lrp_progress_begin(lrp_progress *p, const char *stage, int64_t total, int64_t done) {
  int node_rank;
  MPI_Comm_rank(p->topo->node, &node_rank);
  MPI_Barrier(p->topo->node); /* nobody still counts for the stage before */
  if (node_rank == 0) atomic_store(p->count, 0);
  MPI_Barrier(p->topo->node);
  p->stage = stage;
  p->total = total;
  p->done_before = done;
  write_state(p, "running");
}

void lrp_progress_advance(lrp_progress *p, int64_t n) {
  atomic_fetch_add(p->count, n);
  if (p->topo->me == 0 && MPI_Wtime() - p->last_write >= write_every_s) write_state(p, "running");
}

lrp_status lrp_progress_close(lrp_progress **out, lrp_status run, const char *stopped_by) {
  lrp_progress *p = *out;
  if (!p) return LRP_OK;
  MPI_Barrier(p->topo->comm);
  if (run == LRP_STOPPED) p->stopped_by = stopped_by;
  write_state(p, run == LRP_OK ? "complete" : run == LRP_STOPPED ? "stopped" : "failed");
  const lrp_status st = lrp_agree(p->status, p->topo->comm);
  MPI_Win_free(&p->window);
  free(p->path);
  free(p);
  *out = NULL;
  return st;
}
