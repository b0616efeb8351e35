#include "pipeline/plan.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/log.h"
#include "pipeline/expand.h"
#include "pipeline/tensor_choice.h"
#include "pipeline/words.h"

enum { max_path = 256 };

/* A configuration, or a part of one, being resolved against the model. */
typedef struct {
  const lrp_job_configuration *c;
  const lrp_config *config;
  lrp_method method;
  int n_layers;  /* of the model */
  int n_tensors; /* of a layer of the model */
  int *layers;   /* owned: chosen layers in the order given */
  int n_chosen;
  bool chosen[LRP_MAX_LAYER_TENSORS];
  int tensor_rank[LRP_MAX_LAYER_TENSORS]; /* of PER_TENSOR */
  int capped;                             /* ranks that were larger than min(m, n) */
} resolver;

void lrp_plan_free(lrp_plan *plan) {
  for (int i = 0; i < plan->n_units; i++) free(plan->units[i].name);
  free(plan->units);
  for (int i = 0; i < plan->n_configurations; i++) {
    free(plan->configurations[i].name);
    free(plan->configurations[i].rank);
  }
  free(plan->configurations);
  memset(plan, 0, sizeof *plan);
}

/* ---- layers ---- */

static lrp_status add_layer(resolver *r, bool *seen, int64_t layer) {
  if (layer >= r->n_layers) {
    return lrp_fail(LRP_ERR_JOB,
                    "%s: configuration '%s': layers: %lld is not a layer of this model (0..%d)",
                    r->c->origin, r->c->name, (long long)layer, r->n_layers - 1);
  }
  if (seen[layer]) {
    return lrp_fail(LRP_ERR_JOB, "%s: configuration '%s': layers: %lld is listed twice",
                    r->c->origin, r->c->name, (long long)layer);
  }
  seen[layer] = true;
  r->layers[r->n_chosen++] = (int)layer;
  return LRP_OK;
}

static lrp_status choose_layers(resolver *r) {
  const lrp_job_configuration *c = r->c;
  const lrp_range all = {.first = 0, .last = r->n_layers - 1, .step = 1};
  const lrp_range *ranges = c->all_layers ? &all : c->layers;
  const int n = c->all_layers ? 1 : c->n_layers;
  const size_t count = (size_t)r->n_layers;
  bool *seen = calloc(count, sizeof *seen);
  lrp_status st = LRP_OK;

  r->layers = malloc(count * sizeof *r->layers);
  if (!seen || !r->layers) st = lrp_fail_memory(count * sizeof *r->layers, "layers of a plan");
  for (int i = 0; st == LRP_OK && i < n; i++) {
    for (int64_t l = ranges[i].first; st == LRP_OK && l <= ranges[i].last; l += ranges[i].step) {
      st = add_layer(r, seen, l);
    }
  }
  free(seen);
  return st;
}

/* ---- ranks ---- */

/* A map of ranks names exactly the chosen tensors. */
static lrp_status read_rank_map(resolver *r) {
  const lrp_job_configuration *c = r->c;

  for (int i = 0; i < c->n_ranks; i++) {
    const int t = lrp_tensor_find(r->config, c->rank_tensors[i]);
    if (t < 0) return lrp_tensor_fail(r->config, c, "rank", c->rank_tensors[i]);
    if (!r->chosen[t]) {
      return lrp_fail(LRP_ERR_JOB, "%s: configuration '%s': rank: '%s' is not among its tensors",
                      c->origin, c->name, c->rank_tensors[i]);
    }
    r->tensor_rank[t] = c->ranks[i];
  }
  for (int t = 0; t < r->n_tensors; t++) {
    if (r->chosen[t] && r->tensor_rank[t] == 0) {
      return lrp_fail(LRP_ERR_JOB, "%s: configuration '%s': rank: no rank for tensor '%s'",
                      c->origin, c->name, lrp_config_tensor_name(r->config, t));
    }
  }
  return LRP_OK;
}

static lrp_status check_ranks(resolver *r) {
  const lrp_job_configuration *c = r->c;

  if (c->rule == LRP_RULE_PER_TENSOR) return read_rank_map(r);
  if (c->rule == LRP_RULE_PER_LAYER && c->n_ranks != r->n_chosen) {
    return lrp_fail(LRP_ERR_JOB,
                    "%s: configuration '%s': rank: %d ranks for %d layers; give one per layer",
                    c->origin, c->name, c->n_ranks, r->n_chosen);
  }
  return LRP_OK;
}

static lrp_status rank_for_ratio(const resolver *r, int tensor, int64_t m, int64_t n, int *rank) {
  const double elements = (double)m * (double)n, budget = r->c->value * elements;
  const double least = (double)lrp_factor_parameters(r->method, m, n, 1);
  char text[LRP_DOUBLE_TEXT];

  if (least > budget) {
    return lrp_fail(LRP_ERR_JOB,
                    "%s: configuration '%s': ratio: too small for %s (%lld x %lld): rank 1 needs "
                    "at least %s",
                    r->c->origin, r->c->name, lrp_config_tensor_name(r->config, tensor),
                    (long long)m, (long long)n,
                    lrp_format_double(ceil(least / elements * 1e9) / 1e9, text));
  }
  *rank = lrp_rank_for_budget(r->method, m, n, budget);
  return LRP_OK;
}

/* Rank of a tensor of the i-th chosen layer. */
static lrp_status choose_rank(resolver *r, int i, int tensor, int *rank) {
  const lrp_job_configuration *c = r->c;
  int64_t m, n;

  lrp_config_tensor_shape(r->config, tensor, &m, &n);
  *rank = 0;
  if (c->rule == LRP_RULE_RATIO) return rank_for_ratio(r, tensor, m, n, rank);
  if (c->rule == LRP_RULE_ENERGY) *rank = lrp_break_even_rank(r->method, m, n);
  if (c->rule == LRP_RULE_RANK) *rank = c->ranks[0];
  if (c->rule == LRP_RULE_PER_LAYER) *rank = c->ranks[i];
  if (c->rule == LRP_RULE_PER_TENSOR) *rank = r->tensor_rank[tensor];
  if (*rank > (m < n ? m : n)) {
    *rank = (int)(m < n ? m : n);
    r->capped++;
  }
  return LRP_OK;
}

static lrp_status fail_twice(const resolver *r, int layer, int tensor) {
  return lrp_fail(LRP_ERR_JOB,
                  "%s: configuration '%s': parts: tensor '%s' of layer %d is in two of them; leave "
                  "it in one",
                  r->c->origin, r->c->name, lrp_config_tensor_name(r->config, tensor), layer);
}

static lrp_status choose_ranks(resolver *r, int *rank) {
  lrp_status st = LRP_OK;

  for (int i = 0; st == LRP_OK && i < r->n_chosen; i++) {
    for (int t = 0; st == LRP_OK && t < r->n_tensors; t++) {
      const size_t at = (size_t)r->layers[i] * (size_t)r->n_tensors + (size_t)t;
      if (!r->chosen[t]) continue;
      if (rank[at] != 0) return fail_twice(r, r->layers[i], t);
      st = choose_rank(r, i, t, &rank[at]);
    }
  }
  return st;
}

/* ---- configurations and units ---- */

/* ---- duplicates ---- */

/* A configuration among others. */
typedef struct {
  const lrp_configuration *c;
  size_t bytes; /* of c->rank */
  int index;
} member;

static int compare_ranks(const member *x, const member *y) {
  if (x->c->energy != y->c->energy) return x->c->energy < y->c->energy ? -1 : 1;
  return memcmp(x->c->rank, y->c->rank, x->bytes);
}

/* By what is decomposed and how far, then by position. */
static int compare_members(const void *a, const void *b) {
  const member *x = a, *y = b;
  const int order = compare_ranks(x, y);
  return order != 0 ? order : x->index - y->index;
}

/* twin[i]: the first configuration that is the same as the i-th, maybe itself. */
static lrp_status find_twins(const lrp_plan *plan, int *twin) {
  const size_t bytes = (size_t)plan->layers * (size_t)plan->tensors * sizeof(int);
  const int n = plan->n_configurations;
  member *members = malloc(((size_t)n + 1) * sizeof *members);

  if (!members) return lrp_fail_memory((size_t)n * sizeof *members, "configurations");
  for (int i = 0; i < n; i++) members[i] = (member){&plan->configurations[i], bytes, i};
  qsort(members, (size_t)n, sizeof *members, compare_members);
  for (int i = 0; i < n; i++) {
    const bool same = i > 0 && compare_ranks(&members[i - 1], &members[i]) == 0;
    twin[members[i].index] = same ? twin[members[i - 1].index] : members[i].index;
  }
  free(members);
  return LRP_OK;
}

/* Of the configurations from listed on, keep those that are the first of their kind. */
static lrp_status drop_duplicates(lrp_plan *plan, int listed) {
  const int n = plan->n_configurations;
  lrp_configuration *all = plan->configurations;
  int *twin, kept = listed;
  lrp_status st;

  if (n == listed) return LRP_OK;
  twin = malloc((size_t)n * sizeof *twin);
  if (!twin) return lrp_fail_memory((size_t)n * sizeof *twin, "configurations");
  st = find_twins(plan, twin);
  for (int i = listed; st == LRP_OK && i < n; i++) {
    if (twin[i] == i) continue;
    lrp_log("configuration '%s' has the ranks of '%s' and is left out", all[i].name,
            all[twin[i]].name);
  }
  for (int i = listed; st == LRP_OK && i < n; i++) {
    if (twin[i] == i) {
      all[kept++] = all[i];
    } else {
      free(all[i].name);
      free(all[i].rank);
    }
  }
  if (st == LRP_OK) plan->n_configurations = kept;
  free(twin);
  return st;
}

/* A set of layers and tensors with its rank rule: a configuration, or one of its parts. */
static lrp_status resolve_set(resolver *r, int *rank) {
  lrp_status st;

  r->n_chosen = 0;
  memset(r->tensor_rank, 0, sizeof r->tensor_rank);
  st = choose_layers(r);
  if (st == LRP_OK) st = lrp_tensor_choose(r->config, r->c, r->chosen);
  if (st == LRP_OK) st = check_ranks(r);
  if (st == LRP_OK) st = choose_ranks(r, rank);
  free(r->layers);
  r->layers = NULL;
  return st;
}

/* *capped: tensors whose rank was larger than min(m, n). */
static lrp_status resolve(const lrp_job *job, const lrp_job_configuration *c,
                          const lrp_config *config, lrp_configuration *out, int *capped) {
  resolver r = {.c = c,
                .config = config,
                .method = job->decompose.method,
                .n_layers = lrp_config_layers(config),
                .n_tensors = lrp_config_layer_tensors(config)};
  const size_t count = (size_t)r.n_layers * (size_t)r.n_tensors;
  lrp_status st = LRP_OK;

  out->name = strdup(c->name);
  out->rank = calloc(count, sizeof *out->rank);
  out->energy = c->rule == LRP_RULE_ENERGY ? c->value : 0.0;
  *capped = 0;
  if (!out->name || !out->rank) {
    return lrp_fail_memory(count * sizeof *out->rank, "ranks of a configuration");
  }
  if (c->rule == LRP_RULE_DENSE) return LRP_OK;
  if (c->rule != LRP_RULE_PARTS) st = resolve_set(&r, out->rank);
  for (int i = 0; st == LRP_OK && i < c->n_parts; i++) {
    lrp_job_configuration part = c->parts[i];
    part.name = c->name; /* for messages */
    r.c = &part;
    st = resolve_set(&r, out->rank);
  }
  *capped = r.capped;
  return st;
}

static lrp_status resolve_listed(const lrp_job *job, const lrp_config *config, lrp_plan *out) {
  lrp_status st = LRP_OK;

  for (int i = 0; st == LRP_OK && i < job->n_configurations; i++) {
    const lrp_job_configuration *c = &job->configurations[i];
    int capped;
    st = resolve(job, c, config, &out->configurations[i], &capped);
    if (st == LRP_OK && capped > 0) {
      lrp_warn(
          "%s: configuration '%s': rank is larger than min(m, n) of %d tensors and capped there",
          c->origin, c->name, capped);
    }
  }
  return st;
}

/* What the sweeps made, behind what is listed; one warning per sweep. */
static lrp_status resolve_made(const lrp_job *job, const lrp_expansion *e, const lrp_config *config,
                               lrp_plan *out) {
  lrp_configuration *to = out->configurations + job->n_configurations;
  lrp_status st = LRP_OK;

  for (int s = 0, i = 0; st == LRP_OK && s < job->n_sweeps; s++) {
    int n_capped = 0, capped;
    for (; st == LRP_OK && i < e->ends[s]; i++) {
      st = resolve(job, &e->made[i], config, &to[i], &capped);
      if (st == LRP_OK && capped > 0) n_capped++;
    }
    if (st == LRP_OK && n_capped > 0) {
      lrp_warn(
          "%s: sweep '%s': rank is larger than min(m, n) of some tensors of %d configurations "
          "and capped there",
          job->sweeps[s].origin, job->sweeps[s].name, n_capped);
    }
  }
  return st;
}

static lrp_status resolve_all(const lrp_job *job, const lrp_config *config, lrp_plan *out) {
  lrp_expansion e;
  lrp_status st = lrp_expand(job, config, &e);
  const size_t n = (size_t)job->n_configurations + (size_t)e.n_made;

  if (st == LRP_OK) {
    out->configurations = calloc(n + 1, sizeof *out->configurations);
    if (out->configurations) {
      out->n_configurations = (int)n;
    } else {
      st = lrp_fail_memory(n * sizeof *out->configurations, "configurations of a plan");
    }
  }
  if (st == LRP_OK) st = resolve_listed(job, config, out);
  if (st == LRP_OK) st = resolve_made(job, &e, config, out);
  if (st == LRP_OK) st = drop_duplicates(out, job->n_configurations);
  lrp_expansion_free(&e);
  return st;
}

static int largest_rank(const lrp_plan *plan, size_t at) {
  int rank = 0;

  for (int c = 0; c < plan->n_configurations; c++) {
    if (plan->configurations[c].rank[at] > rank) rank = plan->configurations[c].rank[at];
  }
  return rank;
}

static lrp_status add_unit(lrp_plan *plan, const lrp_config *config, int layer, int tensor,
                           int rank) {
  lrp_unit *u = &plan->units[plan->n_units];
  char path[max_path];

  lrp_config_tensor_path(config, layer, tensor, path, sizeof path);
  *u = (lrp_unit){.name = strdup(path), .layer = layer, .tensor = tensor, .rank = rank};
  if (!u->name) return lrp_fail_memory(strlen(path) + 1, "the name of a unit");
  lrp_config_tensor_shape(config, tensor, &u->m, &u->n);
  plan->n_units++;
  return LRP_OK;
}

static lrp_status collect_units(lrp_plan *plan, const lrp_config *config) {
  const size_t count = (size_t)plan->layers * (size_t)plan->tensors;
  lrp_status st = LRP_OK;

  plan->units = calloc(count, sizeof *plan->units);
  if (!plan->units) return lrp_fail_memory(count * sizeof *plan->units, "units of a plan");
  for (int l = 0; st == LRP_OK && l < plan->layers; l++) {
    for (int t = 0; st == LRP_OK && t < plan->tensors; t++) {
      const int rank = largest_rank(plan, (size_t)l * (size_t)plan->tensors + (size_t)t);
      if (rank > 0) st = add_unit(plan, config, l, t, rank);
    }
  }
  return st;
}

lrp_cost_task lrp_unit_task(const lrp_unit *unit, lrp_method method, lrp_dtype weights,
                            lrp_dtype factors) {
  return (lrp_cost_task){.m = unit->m,
                         .n = unit->n,
                         .rank = unit->rank,
                         .method = method,
                         .weights = weights,
                         .factors = factors};
}

void lrp_plan_predict(lrp_plan *plan, const lrp_cost *cost, lrp_method method, lrp_dtype weights,
                      lrp_dtype factors) {
  for (int i = 0; i < plan->n_units; i++) {
    lrp_unit *u = &plan->units[i];
    const lrp_cost_task task = lrp_unit_task(u, method, weights, factors);
    u->seconds = lrp_cost_seconds(cost, &task);
    u->bytes = lrp_cost_bytes(&task);
  }
}

lrp_status lrp_plan_create(const lrp_job *job, const lrp_config *config, lrp_plan *out) {
  const lrp_cost guess = lrp_cost_guess(1);
  lrp_status st;

  memset(out, 0, sizeof *out);
  out->layers = lrp_config_layers(config);
  out->tensors = lrp_config_layer_tensors(config);
  st = resolve_all(job, config, out);
  if (st == LRP_OK) st = collect_units(out, config);
  lrp_plan_predict(out, &guess, job->decompose.method, LRP_BF16, LRP_F32);
  if (st != LRP_OK) lrp_plan_free(out);
  return st;
}

int lrp_plan_unit(const lrp_plan *plan, int layer, int tensor) {
  int low = 0, high = plan->n_units;

  while (low < high) {
    const int middle = low + (high - low) / 2;
    const lrp_unit *u = &plan->units[middle];
    if (u->layer == layer && u->tensor == tensor) return middle;
    if (u->layer < layer || (u->layer == layer && u->tensor < tensor)) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return -1;
}

/* ---- sizes ---- */

lrp_size lrp_plan_size(const lrp_config *config, lrp_method method, const int *rank,
                       size_t weight_bytes, size_t factor_bytes) {
  const int tensors = lrp_config_layer_tensors(config);
  const size_t count = rank ? (size_t)lrp_config_layers(config) * (size_t)tensors : 0;
  int64_t factors = 0, cores = 0, replaced = 0; /* parameters; cores are part of factors */
  lrp_size size = {.parameters_dense = lrp_config_parameters(config)};

  for (size_t i = 0; i < count; i++) {
    const int64_t r = rank[i];
    int64_t m, n;
    if (r == 0) continue;
    lrp_config_tensor_shape(config, (int)(i % (size_t)tensors), &m, &n);
    factors += lrp_factor_parameters(method, m, n, r);
    if (method == LRP_TUCKER) cores += r * r;
    replaced += m * n;
  }
  size.parameters = size.parameters_dense - replaced + factors;
  size.reduction_percent = 100.0 * (1.0 - (double)size.parameters / (double)size.parameters_dense);
  size.bytes = (size.parameters_dense - replaced) * (int64_t)weight_bytes +
               (factors - cores) * (int64_t)factor_bytes + cores * (int64_t)sizeof(float);
  size.flops_per_token = 2 * (lrp_config_linear_parameters(config) - replaced + factors);
  return size;
}
