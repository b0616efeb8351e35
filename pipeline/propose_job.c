/* Ranks of a proposal as an entry of a job: a part of pipeline/propose.h. */
#include <stdlib.h>
#include <string.h>

#include "pipeline/expand_axis.h"
#include "pipeline/propose.h"

/* One rank for all of the tensors, or a map. */
static lrp_status set_ranks(lrp_job_configuration *c, const lrp_config *config, const int *row) {
  const int tensors = lrp_config_layer_tensors(config);
  int n = 0, first = 0;
  bool same = true;

  for (int t = tensors - 1; t >= 0; t--) {
    if (row[t] == 0) continue;
    same = same && (n == 0 || row[t] == first);
    first = row[t];
    n++;
  }
  c->rule = same ? LRP_RULE_RANK : LRP_RULE_PER_TENSOR;
  c->ranks = calloc((size_t)tensors, sizeof *c->ranks);
  c->rank_tensors = same ? NULL : calloc((size_t)tensors, sizeof *c->rank_tensors);
  if (!c->ranks || (!same && !c->rank_tensors)) {
    return lrp_fail_memory((size_t)tensors * sizeof *c->ranks, "ranks of a choice");
  }
  for (int t = 0; t < tensors && (!same || c->n_ranks == 0); t++) {
    if (row[t] == 0) continue;
    c->ranks[c->n_ranks] = row[t];
    if (!same) {
      c->rank_tensors[c->n_ranks] = strdup(lrp_config_tensor_name(config, t));
      if (!c->rank_tensors[c->n_ranks]) return lrp_fail_memory(32, "ranks of a choice");
    }
    c->n_ranks++;
  }
  return LRP_OK;
}

/* These layers, with the ranks of one of them. */
static lrp_status fill(lrp_job_configuration *c, const lrp_config *config, const int *layers, int n,
                       const int *row) {
  bool chosen[LRP_MAX_LAYER_TENSORS] = {false};
  lrp_status st = lrp_set_layers(c, layers, n);

  c->all_tensors = true;
  for (int t = 0; t < lrp_config_layer_tensors(config); t++) {
    chosen[t] = row[t] > 0;
    c->all_tensors = c->all_tensors && chosen[t];
  }
  if (st == LRP_OK && !c->all_tensors) st = lrp_set_tensors(c, config, chosen);
  if (st == LRP_OK) st = set_ranks(c, config, row);
  return st;
}

/* A part for all layers from first on that have the ranks of first; they become done. */
static lrp_status add_part(lrp_job_configuration *c, const lrp_config *config, const int *rank,
                           int first, bool *done, int *layers) {
  const size_t tensors = (size_t)lrp_config_layer_tensors(config);
  const int *row = rank + (size_t)first * tensors;
  lrp_job_configuration *part = &c->parts[c->n_parts++];
  int n = 0;

  for (int l = first; l < lrp_config_layers(config); l++) {
    if (memcmp(rank + (size_t)l * tensors, row, tensors * sizeof *row) != 0) continue;
    done[l] = true;
    layers[n++] = l;
  }
  return fill(part, config, layers, n, row);
}

static bool is_dense(const int *row, int tensors) {
  for (int t = 0; t < tensors; t++) {
    if (row[t] > 0) return false;
  }
  return true;
}

/* A single part is the configuration itself. */
static void unwrap(lrp_job_configuration *c) {
  lrp_job_configuration *part = c->parts;

  if (c->n_parts != 1) return;
  part->name = c->name;
  part->origin = c->origin;
  *c = *part;
  free(part);
}

static lrp_status add_parts(lrp_job_configuration *c, const lrp_config *config, const int *rank) {
  const int tensors = lrp_config_layer_tensors(config);
  const size_t n = (size_t)lrp_config_layers(config);
  bool *done = calloc(n, sizeof *done);
  int *layers = calloc(n, sizeof *layers);
  lrp_status st = LRP_OK;

  c->rule = LRP_RULE_PARTS;
  c->parts = calloc(n, sizeof *c->parts);
  if (!done || !layers || !c->parts) st = lrp_fail_memory(n * sizeof *c->parts, "a choice");
  for (size_t l = 0; st == LRP_OK && l < n; l++) {
    if (done[l] || is_dense(rank + l * (size_t)tensors, tensors)) continue;
    st = add_part(c, config, rank, (int)l, done, layers);
  }
  free(layers);
  free(done);
  if (st == LRP_OK) unwrap(c);
  return st;
}

lrp_status lrp_job_add_ranks(lrp_job *job, const lrp_config *config, const char *name,
                             const int *rank) {
  const size_t n = (size_t)job->n_configurations + 1;
  lrp_job_configuration *grown = realloc(job->configurations, n * sizeof *grown);

  if (!grown) return lrp_fail_memory(n * sizeof *grown, "configurations");
  job->configurations = grown;
  lrp_job_configuration *c = &grown[job->n_configurations++];
  *c = (lrp_job_configuration){.name = strdup(name), .origin = strdup("choice")};
  if (!c->name || !c->origin) return lrp_fail_memory(strlen(name) + 1, "a choice's name");
  return add_parts(c, config, rank);
}
