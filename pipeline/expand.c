#include "pipeline/expand.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/log.h"
#include "pipeline/expand_axis.h"
#include "pipeline/job_keys.h"
#include "pipeline/sampler.h"
#include "pipeline/tensor_choice.h"
#include "pipeline/words.h"

void lrp_expansion_free(lrp_expansion *e) {
  for (int i = 0; i < e->n_made; i++) lrp_job_configuration_free(&e->made[i]);
  free(e->made);
  free(e->ends);
  *e = (lrp_expansion){0};
}

/* ---- a configuration ---- */

static int64_t hidden_size(const lrp_config *config) {
  return config->family == LRP_FAMILY_BERT ? config->bert.hidden_size : config->llama.hidden_size;
}

/* The rank that is meant where the sweep says rank. */
static int rank_of(const lrp_job_sweep *sweep, const lrp_config *config, double rank) {
  int64_t r = (int64_t)rank;

  if (sweep->for_hidden_size > 0) r = lrp_scaled(r, hidden_size(config), sweep->for_hidden_size);
  if (r < 1) r = 1;
  return r < INT_MAX ? (int)r : INT_MAX;
}

/* "r0250", "q0.5", "e0.9", or nothing where the sweep has one value. */
static const char *value_name(const lrp_job_sweep *sweep, double value,
                              char text[LRP_DOUBLE_TEXT + 8]) {
  char number[LRP_DOUBLE_TEXT];

  text[0] = '\0';
  if (!sweep->values.swept) return text;
  if (sweep->rule == LRP_RULE_RANK) {
    snprintf(text, LRP_DOUBLE_TEXT + 8, "r%04.0f", value);
  } else {
    snprintf(text, LRP_DOUBLE_TEXT + 8, "%c%s", sweep->rule == LRP_RULE_RATIO ? 'q' : 'e',
             lrp_format_double(value, number));
  }
  return text;
}

/* "sweep-a-b-c" of the parts that say something. */
static lrp_status join_name(const lrp_job_sweep *sweep, const char *const parts[3], char **name) {
  char text[4 * LRP_MAX_NAME + 4];
  size_t at = (size_t)snprintf(text, sizeof text, "%s", sweep->name);

  for (int i = 0; i < 3 && at < sizeof text; i++) {
    if (*parts[i]) at += (size_t)snprintf(text + at, sizeof text - at, "-%s", parts[i]);
  }
  if (at > LRP_MAX_NAME) {
    return lrp_fail(LRP_ERR_JOB,
                    "%s: sweep '%s': the name '%s' is longer than %d characters; shorten the names "
                    "that it is made of",
                    sweep->origin, sweep->name, text, LRP_MAX_NAME);
  }
  *name = strdup(text);
  return *name ? LRP_OK : lrp_fail_memory(at + 1, "a configuration's name");
}

/* A new configuration at the end of the list, with the sweep's rule and value. */
static lrp_status add(lrp_expansion *e, const lrp_job_sweep *sweep, const lrp_config *config,
                      double value, lrp_job_configuration **out) {
  lrp_job_configuration *c = NULL;

  if (e->n_made == LRP_MAX_EXPANDED) {
    return lrp_fail(LRP_ERR_JOB, "%s: sweep '%s': more than %d configurations; take fewer",
                    sweep->origin, sweep->name, LRP_MAX_EXPANDED);
  }
  if (e->n_made == e->room) {
    const int room = 2 * e->room + 16;
    void *grown = realloc(e->made, (size_t)room * sizeof *e->made);
    if (!grown) return lrp_fail_memory((size_t)room * sizeof *e->made, "configurations");
    e->made = grown;
    e->room = room;
  }
  c = *out = &e->made[e->n_made++];
  *c =
      (lrp_job_configuration){.rule = sweep->rule, .value = value, .origin = strdup(sweep->origin)};
  if (sweep->rule == LRP_RULE_RANK) {
    c->ranks = malloc(sizeof *c->ranks);
    if (!c->ranks) return lrp_fail_memory(sizeof *c->ranks, "a configuration's rank");
    c->ranks[0] = rank_of(sweep, config, value);
    c->n_ranks = 1;
  }
  return c->origin ? LRP_OK : lrp_fail_memory(strlen(sweep->origin) + 1, "a configuration");
}

/* ---- the cross product ---- */

static lrp_status copy_part(lrp_job_configuration *c, const lrp_job_configuration *layers,
                            const lrp_job_configuration *tensors) {
  const size_t n_layers = (size_t)layers->n_layers, n = (size_t)tensors->n_tensors;

  c->all_layers = layers->all_layers;
  c->layers = malloc((n_layers + 1) * sizeof *c->layers);
  c->tensors = calloc(n + 1, sizeof *c->tensors);
  if (!c->layers || !c->tensors) return lrp_fail_memory(n_layers * sizeof *c->layers, "layers");
  if (n_layers > 0) memcpy(c->layers, layers->layers, n_layers * sizeof *c->layers);
  c->n_layers = layers->n_layers;
  for (; c->n_tensors < tensors->n_tensors; c->n_tensors++) {
    c->tensors[c->n_tensors] = strdup(tensors->tensors[c->n_tensors]);
    if (!c->tensors[c->n_tensors]) return lrp_fail_memory(n, "tensors of a configuration");
  }
  return LRP_OK;
}

static lrp_status combine(lrp_expansion *e, const lrp_job_sweep *sweep, const lrp_config *config,
                          const lrp_job_configuration *layers,
                          const lrp_job_configuration *tensors) {
  lrp_status st = LRP_OK;
  char text[LRP_DOUBLE_TEXT + 8];

  for (int i = 0; st == LRP_OK && i < sweep->values.n; i++) {
    const double value = sweep->values.values[i];
    const char *const parts[3] = {layers->name, tensors->name, value_name(sweep, value, text)};
    lrp_job_configuration *c = NULL;
    st = add(e, sweep, config, value, &c);
    if (st == LRP_OK) st = join_name(sweep, parts, &c->name);
    if (st == LRP_OK) st = copy_part(c, layers, tensors);
  }
  return st;
}

static lrp_status make_product(lrp_expansion *e, const lrp_job_sweep *sweep,
                               const lrp_config *config) {
  lrp_axis layers = {0}, tensors = {0};
  lrp_status st = lrp_axis_of_layers(sweep, config, &layers);

  if (st == LRP_OK) st = lrp_axis_of_tensors(sweep, config, &tensors);
  for (int l = 0; l < layers.n; l++) {
    for (int t = 0; st == LRP_OK && t < tensors.n; t++) {
      st = combine(e, sweep, config, &layers.part[l], &tensors.part[t]);
    }
  }
  lrp_axis_free(&tensors);
  lrp_axis_free(&layers);
  return st;
}

/* ---- samples ---- */

static lrp_status begin_sampler(const lrp_job_sweep *sweep, lrp_method method,
                                const lrp_config *config, lrp_sampler **sampler) {
  lrp_rank_row *rows = calloc((size_t)sweep->values.n, sizeof *rows);
  lrp_status st = rows ? LRP_OK : lrp_fail_memory(sizeof *rows, "ranks of samples");
  lrp_space_filter filter;

  if (st == LRP_OK) {
    filter = lrp_space_everything(config, 1, rows);
    filter.method = method;
    filter.keep_first = (int)sweep->keep_first;
    filter.keep_last = (int)sweep->keep_last;
    filter.distance = (int)sweep->distance;
    filter.least = sweep->reduction[0];
    filter.most = sweep->reduction[1];
    filter.n_rows = sweep->values.n;
    for (int i = 0; i < filter.n_rows; i++) {
      rows[i] = lrp_rank_row_of(config, rank_of(sweep, config, sweep->values.values[i]));
    }
  }
  if (st == LRP_OK && sweep->tensors.n > 0) {
    lrp_job_configuration set = sweep->tensors.sets[0];
    bool chosen[LRP_MAX_LAYER_TENSORS];
    set.origin = sweep->origin;
    set.name = sweep->name;
    st = lrp_tensor_choose(config, &set, chosen);
    filter.subsets = false;
    filter.tensors = 0;
    for (int t = 0; st == LRP_OK && t < LRP_MAX_LAYER_TENSORS; t++) {
      if (chosen[t]) filter.tensors |= 1u << t;
    }
  }
  if (st == LRP_OK) st = lrp_sampler_create(sampler, config, &filter);
  free(rows);
  return st;
}

static lrp_status add_sample(lrp_expansion *e, const lrp_job_sweep *sweep, const lrp_config *config,
                             int number, const lrp_pick *pick) {
  bool chosen[LRP_MAX_LAYER_TENSORS];
  char text[16];
  const char *const parts[3] = {text, "", ""};
  lrp_job_configuration *c = NULL;
  lrp_status st = add(e, sweep, config, sweep->values.values[pick->row], &c);

  snprintf(text, sizeof text, "%05d", number);
  for (int t = 0; t < LRP_MAX_LAYER_TENSORS; t++) chosen[t] = (pick->tensors >> t & 1u) != 0;
  if (st == LRP_OK) st = join_name(sweep, parts, &c->name);
  if (st == LRP_OK) st = lrp_set_layers(c, pick->layers, pick->n_layers);
  if (st == LRP_OK) st = lrp_set_tensors(c, config, chosen);
  return st;
}

static lrp_status make_samples(lrp_expansion *e, const lrp_job_sweep *sweep, lrp_method method,
                               const lrp_config *config) {
  lrp_sampler *sampler = NULL;
  lrp_status st = begin_sampler(sweep, method, config, &sampler);
  bool found = true;
  int64_t n = 0;

  if (st == LRP_OK) lrp_sampler_seed(sampler, (uint64_t)sweep->seed);
  while (st == LRP_OK && found && n < sweep->samples) {
    lrp_pick pick;
    st = lrp_sampler_draw(sampler, &pick, &found);
    if (st == LRP_OK && found) st = add_sample(e, sweep, config, (int)++n, &pick);
  }
  if (st == LRP_OK && n == 0) {
    st = lrp_fail(LRP_ERR_JOB, "%s: sweep '%s': no configuration of this model passes its filters",
                  sweep->origin, sweep->name);
  } else if (st == LRP_OK && !found) {
    lrp_log("sweep '%s': there are only %lld configurations to sample", sweep->name, (long long)n);
  }
  lrp_sampler_destroy(&sampler);
  return st;
}

/* ---- names ---- */

static int compare_names(const void *a, const void *b) {
  const lrp_job_configuration *const *x = a, *const *y = b;
  return strcmp((*x)->name, (*y)->name);
}

static lrp_status check_names(const lrp_job *job, const lrp_expansion *e) {
  const size_t listed = (size_t)job->n_configurations, n = listed + (size_t)e->n_made;
  const lrp_job_configuration **all = malloc((n + 1) * sizeof *all);
  lrp_status st = LRP_OK;

  if (!all) return lrp_fail_memory(n * sizeof *all, "names of configurations");
  for (size_t i = 0; i < n; i++) {
    all[i] = i < listed ? &job->configurations[i] : &e->made[i - listed];
  }
  qsort(all, n, sizeof *all, compare_names);
  for (size_t i = 1; st == LRP_OK && i < n; i++) {
    if (strcmp(all[i - 1]->name, all[i]->name) != 0) continue;
    st = lrp_fail(LRP_ERR_JOB,
                  "%s: the name '%s' is used twice (%s and %s); configurations need different "
                  "names",
                  all[i]->origin, all[i]->name, all[i - 1]->origin, all[i]->origin);
  }
  free(all);
  return st;
}

lrp_status lrp_expand(const lrp_job *job, const lrp_config *config, lrp_expansion *out) {
  lrp_status st = LRP_OK;

  *out = (lrp_expansion){.ends = calloc((size_t)job->n_sweeps + 1, sizeof *out->ends)};
  if (!out->ends) return lrp_fail_memory((size_t)job->n_sweeps * sizeof *out->ends, "sweeps");
  for (int i = 0; st == LRP_OK && i < job->n_sweeps; i++) {
    const lrp_job_sweep *sweep = &job->sweeps[i];
    st = sweep->samples > 0 ? make_samples(out, sweep, job->decompose.method, config)
                            : make_product(out, sweep, config);
    out->ends[i] = out->n_made;
  }
  return st == LRP_OK && out->n_made > 0 ? check_names(job, out) : st;
}
