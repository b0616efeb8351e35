#include "pipeline/space.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "pipeline/options_table.h"
#include "pipeline/space_parts.h"
#include "pipeline/tensor_choice.h"
#include "pipeline/words.h"

static lrp_method method_of(const lrp_options *options) {
  return options->method && strcmp(options->method, "svd") == 0 ? LRP_SVD : LRP_TUCKER;
}

static lrp_space_format format_of(const lrp_options *options) {
  if (!options->format || strcmp(options->format, "table") == 0) return LRP_SPACE_TABLE;
  return strcmp(options->format, "csv") == 0 ? LRP_SPACE_CSV : LRP_SPACE_JSON;
}

/* ---- one configuration ---- */

/* The options as a job of one configuration. */
static lrp_status plan_of(const lrp_options *options, const lrp_config *config, lrp_plan *plan) {
  int rank = options->rank.value[0];
  lrp_job_configuration c = {.all_tensors = !options->tensors};
  lrp_job job = {.configurations = &c, .n_configurations = 1};
  lrp_status st = lrp_job_parse_layers(options->layers, &c);

  if (st == LRP_OK && options->tensors) st = lrp_job_parse_tensors(options->tensors, &c);
  c.name = "space";
  c.origin = "command line";
  c.rule = rank > 0 ? LRP_RULE_RANK : LRP_RULE_RATIO;
  c.value = options->ratio;
  c.ranks = &rank;
  c.n_ranks = 1;
  job.decompose.method = method_of(options);
  if (st == LRP_OK) st = lrp_plan_create(&job, config, plan);
  c.name = c.origin = NULL; /* not on the heap */
  c.ranks = NULL;
  c.n_ranks = 0;
  lrp_job_configuration_free(&c);
  return st;
}

static lrp_status show_one(lrp_space_view *view) {
  const lrp_options *options = view->options;
  lrp_plan plan = {0};
  lrp_status st = LRP_OK;

  if (options->layers) st = plan_of(options, &view->config, &plan);
  if (st == LRP_OK && options->layers) {
    view->rank = plan.configurations[0].rank;
    view->n_units = plan.n_units;
  }
  view->is_counted = lrp_config_layers(&view->config) <= LRP_SPACE_MAX_LAYERS;
  if (st == LRP_OK && view->is_counted) {
    st = lrp_space_count(&view->config, view->method, view->sizes);
  }
  if (st == LRP_OK) st = lrp_space_show(view);
  lrp_space_count_free(view->sizes);
  lrp_plan_free(&plan);
  return st;
}

/* ---- many ---- */

/* A:B */
static lrp_status read_reduction(const char *text, lrp_space_filter *filter) {
  char *end = NULL;

  if (!text) return LRP_OK;
  filter->least = strtod(text, &end);
  if (end != text && *end == ':') {
    const char *second = end + 1;
    filter->most = strtod(second, &end);
    if (end != second && *end == '\0' && filter->least <= filter->most) return LRP_OK;
  }
  return lrp_fail(LRP_ERR_USAGE,
                  "--reduction: expected A:B with A <= B, in percent, as 5:10, got '%.100s'", text);
}

/* all, or names: these together; any, or nothing: every set of tensors. */
static lrp_status read_tensors(const lrp_space_view *view, lrp_space_filter *filter) {
  const char *text = view->options->tensors;
  bool chosen[LRP_MAX_LAYER_TENSORS] = {false};
  lrp_job_configuration c = {0};

  if (!text || strcmp(text, "any") == 0) return LRP_OK;
  lrp_status st = lrp_job_parse_tensors(text, &c);
  c.name = "space";
  c.origin = "command line";
  if (st == LRP_OK) st = lrp_tensor_choose(&view->config, &c, chosen);
  c.name = c.origin = NULL; /* not on the heap */
  lrp_job_configuration_free(&c);
  filter->subsets = false;
  filter->tensors = 0;
  for (unsigned t = 0; t < LRP_MAX_LAYER_TENSORS; t++) filter->tensors |= (unsigned)chosen[t] << t;
  return st;
}

/* The ranks of --ratio. */
static lrp_status read_ratio(const lrp_space_view *view, unsigned tensors, lrp_rank_row *row) {
  const double ratio = view->options->ratio;
  char text[LRP_DOUBLE_TEXT];

  for (int t = 0; t < lrp_config_layer_tensors(&view->config); t++) {
    int64_t m, n;
    lrp_config_tensor_shape(&view->config, t, &m, &n);
    const double elements = (double)m * (double)n;
    row->rank[t] = lrp_rank_for_budget(view->method, m, n, ratio * elements);
    const int64_t least = lrp_factor_parameters(view->method, m, n, 1);
    if (!(tensors >> t & 1u) || (double)least <= ratio * elements) continue;
    return lrp_fail(LRP_ERR_JOB,
                    "--ratio: too small for %s (%lld x %lld): rank 1 needs at least %s",
                    lrp_config_tensor_name(&view->config, t), (long long)m, (long long)n,
                    lrp_format_double(ceil((double)least / elements * 1e9) / 1e9, text));
  }
  return LRP_OK;
}

static lrp_status list_many(lrp_space_view *view) {
  const lrp_options *o = view->options;
  lrp_space_filter *filter = &view->filter;
  lrp_rank_row rows[LRP_MAX_RANK_LIST];
  lrp_status st;

  *filter = lrp_space_everything(&view->config, 1, &rows[0]);
  filter->method = view->method;
  filter->keep_first = (int)o->keep_first;
  filter->keep_last = (int)o->keep_last;
  if (o->distance > 0) filter->distance = (int)o->distance;
  for (int i = 0; i < o->rank.n; i++) rows[i] = lrp_rank_row_of(&view->config, o->rank.value[i]);
  if (o->rank.n > 0) filter->n_rows = o->rank.n;
  st = read_reduction(o->reduction, filter);
  if (st == LRP_OK) st = read_tensors(view, filter);
  if (st == LRP_OK && o->ratio > 0.0) st = read_ratio(view, filter->tensors, &rows[0]);
  if (st == LRP_OK) st = lrp_sampler_create(&view->sampler, &view->config, filter);
  if (st == LRP_OK) st = lrp_space_list(view);
  lrp_sampler_destroy(&view->sampler);
  return st;
}

lrp_status lrp_space(const lrp_options *options) {
  lrp_space_view view = {
      .options = options, .format = format_of(options), .method = method_of(options)};
  const lrp_status st = lrp_config_read(options->operand, &view.config);

  if (st != LRP_OK) return st;
  return lrp_options_about_many(options) ? list_many(&view) : show_one(&view);
}
