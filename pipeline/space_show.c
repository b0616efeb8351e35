/* A model and its design space: lrp_space_show of pipeline/space_parts.h. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pipeline/python_json.h"
#include "pipeline/space_parts.h"
#include "pipeline/words.h"

enum { most_digits = 80 }; /* of a number in the table */

double lrp_space_intensity(const lrp_size *size) {
  return (double)size->flops_per_token / (double)size->bytes;
}

/* ---- table ---- */

static void print_integer(const char *key, int64_t value) {
  printf("%-24s %" PRId64 "\n", key, value);
}

static void print_number(const char *key, double value) {
  char text[LRP_DOUBLE_TEXT];
  printf("%-24s %s\n", key, lrp_format_double(value, text));
}

static void print_model(const lrp_space_view *v) {
  const int layers = lrp_config_layers(&v->config);
  const int tensors = lrp_config_layer_tensors(&v->config);

  printf("%-24s %s\n", "model", v->options->operand);
  printf("%-24s %s\n", "architecture", v->config.architecture);
  print_integer("layers", layers);
  print_integer("tensors_per_layer", tensors);
  print_integer("parameters", lrp_config_parameters(&v->config));
  print_integer("flops_per_token", 2 * lrp_config_linear_parameters(&v->config));
  printf("%-24s 2^%d (layers x tensors masks: 2^%d * 2^%d)\n", "design_space", layers + tensors,
         layers, tensors);
}

/* 2^38.99 = 545460846466: a long number by its ends. */
static void print_sizes(const lrp_space_view *v) {
  const int end = 12;

  for (int i = 0; v->is_counted && i < LRP_SPACE_N_AXES; i++) {
    const lrp_space_axis axis = (lrp_space_axis)i;
    const lrp_space_size *s = &v->sizes[i];
    const int length = (int)strlen(s->digits);
    printf("  %-22s 2^%s = ", lrp_space_axis_name(axis), s->log2);
    if (length <= most_digits) {
      printf("%s", s->digits);
    } else {
      printf("%.*s...%s (%d digits)", end, s->digits, s->digits + length - end, length);
    }
    printf(": %s\n", lrp_space_axis_meaning(axis));
  }
}

static void print_tensors(const lrp_space_view *v) {
  for (int t = 0; t < lrp_config_layer_tensors(&v->config); t++) {
    int64_t m, n;
    lrp_config_tensor_shape(&v->config, t, &m, &n);
    printf("%-24s %s %" PRId64 "x%" PRId64 " break_even_rank %d\n", "tensor",
           lrp_config_tensor_name(&v->config, t), m, n, lrp_break_even_rank(v->method, m, n));
  }
}

/* Tensors of the same shape in one line. */
static void print_break_even(const lrp_space_view *v) {
  const int tensors = lrp_config_layer_tensors(&v->config);
  bool shown[LRP_MAX_LAYER_TENSORS] = {false};

  for (int t = 0; t < tensors; t++) {
    int64_t m, n, p, q;
    if (shown[t]) continue;
    lrp_config_tensor_shape(&v->config, t, &m, &n);
    printf("%-24s %" PRId64 "x%" PRId64 " tucker %.1f svd %.1f:", "break_even", m, n,
           lrp_break_even(LRP_TUCKER, m, n), lrp_break_even(LRP_SVD, m, n));
    for (int u = t; u < tensors; u++) {
      lrp_config_tensor_shape(&v->config, u, &p, &q);
      if (p != m || q != n) continue;
      shown[u] = true;
      printf(" %s", lrp_config_tensor_name(&v->config, u));
    }
    putchar('\n');
  }
}

static void print_configuration(const lrp_space_view *v) {
  const lrp_size size = lrp_plan_size(&v->config, v->method, v->rank, 4, 4);
  const lrp_size half = lrp_plan_size(&v->config, v->method, v->rank, 2, 2);

  print_integer("units", v->n_units);
  print_integer("configuration_parameters", size.parameters);
  print_number("reduction_percent", size.reduction_percent);
  print_integer("bytes_float32", size.bytes);
  print_integer("bytes_16bit", half.bytes);
  print_integer("configuration_flops", size.flops_per_token);
  print_number("flops_per_byte_float32", lrp_space_intensity(&size));
  print_number("flops_per_byte_16bit", lrp_space_intensity(&half));
}

static void print_table(const lrp_space_view *v) {
  print_model(v);
  print_sizes(v);
  printf("%-24s %s\n", "method", lrp_method_name(v->method));
  print_tensors(v);
  print_break_even(v);
  if (v->rank) print_configuration(v);
}

/* ---- JSON ---- */

static json_t *sizes_json(const lrp_space_view *v) {
  json_t *all = json_object();

  for (int i = 0; v->is_counted && i < LRP_SPACE_N_AXES; i++) {
    const lrp_space_size *s = &v->sizes[i];
    json_t *one = json_pack("{s:s, s:f, s:s}", "count", s->digits, "log2", strtod(s->log2, NULL),
                            "meaning", lrp_space_axis_meaning((lrp_space_axis)i));
    if (json_object_set_new(all, lrp_space_axis_name((lrp_space_axis)i), one) != 0) {
      json_decref(all);
      return NULL;
    }
  }
  return all;
}

static json_t *tensors_json(const lrp_space_view *v) {
  json_t *all = json_object();

  for (int t = 0; t < lrp_config_layer_tensors(&v->config); t++) {
    int64_t m, n;
    lrp_config_tensor_shape(&v->config, t, &m, &n);
    json_t *one = json_pack("{s:I, s:I, s:i, s:f, s:f}", "m", (json_int_t)m, "n", (json_int_t)n,
                            "break_even_rank", lrp_break_even_rank(v->method, m, n),
                            "break_even_tucker", lrp_break_even(LRP_TUCKER, m, n), "break_even_svd",
                            lrp_break_even(LRP_SVD, m, n));
    if (json_object_set_new(all, lrp_config_tensor_name(&v->config, t), one) != 0) {
      json_decref(all);
      return NULL;
    }
  }
  return all;
}

static json_t *configuration_json(const lrp_space_view *v) {
  if (!v->rank) return json_null();
  const lrp_size size = lrp_plan_size(&v->config, v->method, v->rank, 4, 4);
  const lrp_size half = lrp_plan_size(&v->config, v->method, v->rank, 2, 2);
  return json_pack("{s:i, s:I, s:f, s:I, s:I, s:I, s:f, s:f}", "units", v->n_units, "parameters",
                   (json_int_t)size.parameters, "reduction_percent", size.reduction_percent,
                   "bytes_float32", (json_int_t)size.bytes, "bytes_16bit", (json_int_t)half.bytes,
                   "flops_per_token", (json_int_t)size.flops_per_token, "flops_per_byte_float32",
                   lrp_space_intensity(&size), "flops_per_byte_16bit", lrp_space_intensity(&half));
}

static json_t *view_json(const lrp_space_view *v) {
  return json_pack("{s:o, s:s, s:i, s:i, s:I, s:I, s:s, s:o, s:o, s:o}", "model",
                   json_string_nocheck(v->options->operand), "architecture", v->config.architecture,
                   "layers", lrp_config_layers(&v->config), "tensors_per_layer",
                   lrp_config_layer_tensors(&v->config), "parameters",
                   (json_int_t)lrp_config_parameters(&v->config), "flops_per_token",
                   (json_int_t)(2 * lrp_config_linear_parameters(&v->config)), "method",
                   lrp_method_name(v->method), "design_space", sizes_json(v), "tensors",
                   tensors_json(v), "configuration", configuration_json(v));
}

/* ---- CSV ---- */

void lrp_space_csv_text(const char *text) {
  if (!strpbrk(text, ",\"\r\n")) {
    fputs(text, stdout);
    return;
  }
  putchar('"');
  for (; *text; text++) {
    if (*text == '"') putchar('"');
    putchar(*text);
  }
  putchar('"');
}

/* A line for each value: its keys with dots between them. */
static void print_values(const char *path, json_t *value) {
  const char *key;
  json_t *member;
  char below[256];

  if (json_is_null(value)) return;
  if (!json_is_object(value)) {
    printf("%s,", path);
    if (json_is_string(value)) {
      lrp_space_csv_text(json_string_value(value));
    } else {
      lrp_python_json(stdout, value, -1);
    }
    putchar('\n');
    return;
  }
  json_object_foreach(value, key, member) {
    snprintf(below, sizeof below, "%s%s%s", path, *path ? "." : "", key);
    print_values(below, member);
  }
}

lrp_status lrp_space_show(const lrp_space_view *v) {
  if (v->format == LRP_SPACE_TABLE) {
    print_table(v);
    return LRP_OK;
  }
  json_t *json = view_json(v);
  if (!json) return lrp_fail_memory(0, "the description of a design space");
  if (v->format == LRP_SPACE_JSON) {
    lrp_python_json(stdout, json, 2);
    putchar('\n');
  } else {
    puts("key,value");
    print_values("", json);
  }
  json_decref(json);
  return LRP_OK;
}
