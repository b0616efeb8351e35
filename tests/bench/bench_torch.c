#include "tests/bench/bench_torch.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

lrp_status lrp_bench_torch_start(const char *python, int threads, const char *folder,
                                 lrp_bench_torch *out) {
  *out = (lrp_bench_torch){0};
  if (asprintf(&out->path, "%s/peer-%d.factors", folder, (int)getpid()) < 0) {
    out->path = NULL;
    return lrp_fail_memory(strlen(folder), "the name of a file");
  }
  const lrp_status st = lrp_bench_python_start(python, LRP_BENCH_PEERS, threads, &out->python);
  if (st != LRP_OK || out->python.pid == 0) lrp_bench_torch_stop(out);
  return st;
}

void lrp_bench_torch_stop(lrp_bench_torch *t) {
  lrp_bench_python_stop(&t->python);
  if (t->path) unlink(t->path);
  free(t->path);
  *t = (lrp_bench_torch){0};
}

lrp_status lrp_bench_torch_load(lrp_bench_torch *t, const lrp_bench_matrix *m) {
  return lrp_bench_python_demand(
      &t->python, json_pack("{s:s, s:s, s:I, s:I}", "do", "load", "path", m->path, "rows",
                            (json_int_t)m->w.rows, "cols", (json_int_t)m->w.cols));
}

lrp_status lrp_bench_torch_run(lrp_bench_torch *t, int q, double *seconds) {
  return lrp_bench_python_time(
      &t->python,
      q == 0 ? json_pack("{s:s}", "do", "svd")
             : json_pack("{s:s, s:i, s:i}", "do", "svd_lowrank", "q", q, "niter", LRP_BENCH_NITER),
      seconds);
}

/* count floats of the file that the peer wrote. */
static lrp_status read_floats(const char *path, float *values, size_t count) {
  FILE *file = fopen(path, "rb");
  if (!file) return lrp_fail_errno(path, "open", LRP_ERR_DATA, LRP_ERR_IO);
  const size_t got = fread(values, sizeof *values, count, file);
  fclose(file);
  return got == count ? LRP_OK : lrp_fail(LRP_ERR_DATA, "%s: too short", path);
}

lrp_status lrp_bench_torch_check(lrp_bench_torch *t, const lrp_bench_matrix *m, int rank,
                                 lrp_bench_quality *q) {
  const size_t r = (size_t)rank;
  const size_t rows = (size_t)m->w.rows;
  const size_t count = (rows + 1 + (size_t)m->w.cols) * r;
  float *values = malloc(count * sizeof *values);
  if (!values) return lrp_fail_memory(count * sizeof *values, "factors of a peer");

  lrp_status st = lrp_bench_python_demand(
      &t->python, json_pack("{s:s, s:i, s:s}", "do", "save", "rank", rank, "path", t->path));
  if (st == LRP_OK) st = read_floats(t->path, values, count);
  if (st == LRP_OK) {
    const float *vt = values + (rows + 1) * r;
    const lrp_bench_factors f = {
        .rank = rank,
        .u = {.data = values, .dtype = LRP_F32, .rows = m->w.rows, .cols = rank, .ld = rank},
        .s = values + rows * r,
        .vt = {.data = vt, .dtype = LRP_F32, .rows = rank, .cols = m->w.cols, .ld = m->w.cols}};
    st = lrp_bench_check(m, &f, q);
  }
  free(values);
  return st;
}
