/* What options of lrpipe space and lrpipe choose go together: a part of pipeline/options.h. */
#include <stdlib.h>
#include <string.h>

#include "pipeline/options_table.h"

bool lrp_options_about_many(const lrp_options *o) {
  return o->enumerate || o->sample > 0 || o->reduction || o->distance > 0 || o->keep_first > 0 ||
         o->keep_last > 0;
}

static lrp_status check_many(const lrp_options *o) {
  if (o->sample > 0 && o->enumerate) {
    return lrp_fail(LRP_ERR_USAGE, "--enumerate and --sample exclude each other");
  }
  if (o->seed >= 0 && o->sample == 0) return lrp_fail(LRP_ERR_USAGE, "--seed needs --sample");
  if (o->rows >= 0 && !o->enumerate) return lrp_fail(LRP_ERR_USAGE, "--rows needs --enumerate");
  if (lrp_options_about_many(o) && o->layers) {
    return lrp_fail(LRP_ERR_USAGE,
                    "--layers, of one configuration, excludes --enumerate, --sample and filters");
  }
  return LRP_OK;
}

static lrp_status check_rule(const lrp_options *o) {
  const bool rank = o->rank.n > 0, ratio = o->ratio > 0.0;

  if (rank && ratio) return lrp_fail(LRP_ERR_USAGE, "--rank and --ratio exclude each other");
  if (o->layers && !rank && !ratio) {
    return lrp_fail(LRP_ERR_USAGE, "--layers needs --rank or --ratio");
  }
  if (o->layers && o->rank.n > 1) {
    return lrp_fail(LRP_ERR_USAGE, "--rank: one rank with --layers, got %d", o->rank.n);
  }
  if ((rank || ratio || o->tensors) && !o->layers && !lrp_options_about_many(o)) {
    return lrp_fail(LRP_ERR_USAGE,
                    "--rank, --ratio and --tensors need --layers, --enumerate, --sample or a "
                    "filter");
  }
  return LRP_OK;
}

static bool is_one_of(const char *given, const char *a, const char *b, const char *c) {
  return !given || strcmp(given, a) == 0 || strcmp(given, b) == 0 || strcmp(given, c) == 0;
}

lrp_status lrp_options_check_space(const lrp_options *o) {
  lrp_status st = check_many(o);

  if (st == LRP_OK) st = check_rule(o);
  if (st != LRP_OK) return st;
  if (!is_one_of(o->method, "tucker", "svd", "svd")) {
    return lrp_fail(LRP_ERR_USAGE, "--method: expected tucker or svd, got '%.100s'", o->method);
  }
  if (!is_one_of(o->format, "table", "csv", "json")) {
    return lrp_fail(LRP_ERR_USAGE, "--format: expected table, csv or json, got '%.100s'",
                    o->format);
  }
  return LRP_OK;
}

lrp_status lrp_options_check_choose(lrp_options *o) {
  char *end = NULL;
  size_t digits;

  if (o->command != LRP_CMD_CHOOSE) return LRP_OK;
  if (!o->reduction) {
    return lrp_fail(LRP_ERR_USAGE,
                    "choose needs --reduction P: how many percent smaller, 9 or 9%%");
  }
  digits = strspn(o->reduction, "0123456789.");
  o->target_percent = strtod(o->reduction, &end);
  if (end == o->reduction + digits && o->target_percent > 0.0 && o->target_percent < 100.0 &&
      (*end == '\0' || strcmp(end, "%") == 0)) {
    return LRP_OK;
  }
  return lrp_fail(LRP_ERR_USAGE,
                  "--reduction: choose expects percent between 0 and 100, as 9, 9.5 or 9%%, got "
                  "'%.100s'",
                  o->reduction);
}
