/* What the report says of decomposed matrices. */
#include <math.h>
#include <stdlib.h>

#include "io/base/file.h"
#include "io/base/json_memory.h"
#include "pipeline/json_number.h"
#include "pipeline/partition.h"
#include "pipeline/report_parts.h"

/* By the speeds that are known now, at the rank that was computed. */
static double predicted_seconds(const lrp_study *study, const lrp_unit *u,
                                const lrp_unit_record *r) {
  lrp_cost_task task = lrp_unit_task(u, study->job.decompose.method, lrp_model_dtype(&study->model),
                                     study->store_dtype);
  task.rank = r->rank;
  return lrp_cost_seconds(&study->calibration.cost, &task) /
         lrp_partition_speedup(r->process_ranks);
}

lrp_status lrp_report_tensors_csv(const lrp_study *study, const lrp_store *store,
                                  const char *path) {
  lrp_file_writer w;
  lrp_status st = lrp_file_writer_open(&w, path);
  if (st != LRP_OK) return st;
  FILE *f = w.stream;
  fputs(
      "tensor,m,n,rank,method,relative_error,orthogonality,seconds,predicted_seconds,process_ranks,"
      "solver\n",
      f);
  for (int i = 0; i < study->plan.n_units; i++) {
    const lrp_unit *u = &study->plan.units[i];
    lrp_unit_record r;
    if (!lrp_store_done(store, i, &r)) continue;
    fprintf(f, "%s,%lld,%lld,%d,%s,", u->name, (long long)u->m, (long long)u->n, r.rank,
            lrp_method_name(study->job.decompose.method));
    lrp_report_number(f, r.relative_error);
    fputc(',', f);
    lrp_report_number(f, r.orthogonality);
    fprintf(f, ",%.6f,%.6f,%d,%s\n", r.seconds, predicted_seconds(study, u, &r), r.process_ranks,
            lrp_solver_name((lrp_solver)r.solver));
  }
  return lrp_file_writer_commit(&w);
}

/* Singular values that a curve is drawn of. */
enum { curve_points = 64 };

/* Index of point j of about curve_points in 1 .. k, evenly in log i. */
static int64_t point_of(int j, int64_t k) {
  return llround(pow((double)k, (double)j / (curve_points - 1)));
}

/* [[i, s_i], ...] of the k values in s. A new reference, or NULL. */
static json_t *curve(const double *s, int64_t k) {
  json_t *points = json_array();
  const int n = k <= curve_points ? (int)k : curve_points;
  int64_t before = 0;
  for (int j = 0; points && j < n; j++) {
    const int64_t i = k <= curve_points ? j + 1 : point_of(j, k);
    if (i == before) continue;
    before = i;
    json_array_append_new(points, json_pack("[I, f]", (json_int_t)i, s[i - 1]));
  }
  return points;
}

/* Those that were computed: the others are NaN. */
static lrp_status spectrum_json(lrp_store *store, int i, json_t **out) {
  const lrp_unit *u = &store->study->plan.units[i];
  const int64_t most = u->m < u->n ? u->m : u->n;
  int64_t k = 0;
  double *s = NULL;
  *out = NULL;
  const lrp_status st = lrp_store_spectrum(store, i, &s);
  if (st != LRP_OK) return st;
  while (k < most && isfinite(s[k])) k++;
  *out = curve(s, k);
  free(s);
  return LRP_OK;
}

static lrp_status add_tensor(const lrp_study *study, lrp_store *store, int i, json_t *tensors) {
  const lrp_unit *u = &study->plan.units[i];
  lrp_unit_record r;
  json_t *spectrum;
  if (!lrp_store_done(store, i, &r)) return LRP_OK;
  const lrp_status st = spectrum_json(store, i, &spectrum);
  if (st != LRP_OK) return st;
  json_array_append_new(
      tensors,
      json_pack("{s:s, s:i, s:s, s:I, s:I, s:i, s:s, s:o, s:o, s:f, s:s, s:o}", "tensor", u->name,
                "layer", u->layer, "short", lrp_config_tensor_name(&study->model.config, u->tensor),
                "m", (json_int_t)u->m, "n", (json_int_t)u->n, "rank", r.rank, "method",
                lrp_method_name(study->job.decompose.method), "relative_error",
                lrp_json_number(r.relative_error), "orthogonality",
                lrp_json_number(r.orthogonality), "seconds", r.seconds, "solver",
                lrp_solver_name((lrp_solver)r.solver), "spectrum", spectrum));
  return LRP_OK;
}

lrp_status lrp_report_tensors(const lrp_study *study, lrp_store *store, json_t **out) {
  json_t *tensors = json_array();
  lrp_status st = tensors ? LRP_OK : lrp_fail_memory(0, "the report");
  for (int i = 0; st == LRP_OK && i < study->plan.n_units; i++) {
    st = add_tensor(study, store, i, tensors);
  }
  *out = tensors;
  return lrp_json_checked(st); /* what is missing has no other sign */
}
