#include "pipeline/space.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "io/model/config.h"
#include "pipeline/plan.h"
#include "pipeline/words.h"

static lrp_method method_of(const lrp_options *options) {
  return options->method && strcmp(options->method, "svd") == 0 ? LRP_SVD : LRP_TUCKER;
}

static void print_integer(const char *key, int64_t value) {
  printf("%-24s %" PRId64 "\n", key, value);
}

static void print_model(const lrp_options *options, const lrp_config *config) {
  const int layers = lrp_config_layers(config), tensors = lrp_config_layer_tensors(config);

  printf("%-24s %s\n", "model", options->operand);
  printf("%-24s %s\n", "architecture", config->architecture);
  print_integer("layers", layers);
  print_integer("tensors_per_layer", tensors);
  print_integer("parameters", lrp_config_parameters(config));
  print_integer("flops_per_token", 2 * lrp_config_linear_parameters(config));
  printf("%-24s 2^%d (layers x tensors masks: 2^%d * 2^%d)\n", "design_space", layers + tensors,
         layers, tensors);
}

static void print_tensors(const lrp_config *config, lrp_method method) {
  for (int t = 0; t < lrp_config_layer_tensors(config); t++) {
    int64_t m, n;
    lrp_config_tensor_shape(config, t, &m, &n);
    printf("%-24s %s %" PRId64 "x%" PRId64 " break_even_rank %d\n", "tensor",
           lrp_config_tensor_name(config, t), m, n, lrp_break_even_rank(method, m, n));
  }
}

static void print_configuration(const lrp_config *config, lrp_method method, const lrp_plan *plan) {
  const int *rank = plan->configurations[0].rank;
  const lrp_size size = lrp_plan_size(config, method, rank, 4, 4);
  const lrp_size half = lrp_plan_size(config, method, rank, 2, 2);
  char text[LRP_DOUBLE_TEXT];

  print_integer("units", plan->n_units);
  print_integer("configuration_parameters", size.parameters);
  printf("%-24s %s\n", "reduction_percent", lrp_format_double(size.reduction_percent, text));
  print_integer("bytes_float32", size.bytes);
  print_integer("bytes_16bit", half.bytes);
  print_integer("configuration_flops", size.flops_per_token);
}

/* The options as a job of one configuration. */
static lrp_status plan_of(const lrp_options *options, const lrp_config *config, lrp_plan *plan) {
  int rank = (int)options->rank;
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

lrp_status lrp_space(const lrp_options *options) {
  lrp_config config;
  lrp_plan plan = {0};
  lrp_status st = lrp_config_read(options->operand, &config);

  if (st == LRP_OK && options->layers) st = plan_of(options, &config, &plan);
  if (st != LRP_OK) return st;
  print_model(options, &config);
  printf("%-24s %s\n", "method", lrp_method_name(method_of(options)));
  print_tensors(&config, method_of(options));
  if (options->layers) print_configuration(&config, method_of(options), &plan);
  lrp_plan_free(&plan);
  return LRP_OK;
}
