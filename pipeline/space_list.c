/* Many configurations: lrp_space_list of pipeline/space_parts.h. */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/log.h"
#include "pipeline/python_json.h"
#include "pipeline/space_parts.h"
#include "pipeline/words.h"

/* Room for a rank or a name of each tensor of a layer. */
enum { list_text = 512, standard_rows = 100, standard_seed = 1 };

/* What is used again for each configuration. */
typedef struct {
  const lrp_space_view *view;
  int *rank;    /* owned, layers * tensors */
  char *layers; /* owned: text of a list of layers, layers_room bytes */
  size_t layers_room;
  int ranks_width, tensors_width; /* of columns of the table */
  int64_t number;                 /* of the configuration, from 1 on */
} list;

typedef struct {
  int64_t number;
  const lrp_pick *pick;
  lrp_size size, half; /* in float32, in 16 bit */
  char ranks[list_text], tensors[list_text];
} row;

/* ---- text of a row ---- */

/* Appends to text of room bytes, which holds at characters. */
static void append(char *text, size_t room, size_t *at, const char *item) {
  *at += (size_t)snprintf(text + *at, room - *at, "%s%s", *at > 0 ? "," : "", item);
}

/* One rank if it is the same for all, else one for each tensor of the set. */
static void write_ranks(const lrp_rank_row *ranks, unsigned tensors, char text[list_text]) {
  int first = 0;
  bool same = true;
  char item[16];
  size_t at = 0;

  for (int t = 0; t < LRP_MAX_LAYER_TENSORS; t++) {
    if (!(tensors >> t & 1u)) continue;
    if (first == 0) first = ranks->rank[t];
    same = same && ranks->rank[t] == first;
  }
  for (int t = 0; t < LRP_MAX_LAYER_TENSORS; t++) {
    if (!(tensors >> t & 1u) || (same && at > 0)) continue;
    snprintf(item, sizeof item, "%d", ranks->rank[t]);
    append(text, list_text, &at, item);
  }
}

static void write_tensors(const lrp_config *config, unsigned tensors, char text[list_text]) {
  const int n = lrp_config_layer_tensors(config);
  size_t at = 0;

  if (tensors == (1u << n) - 1u) {
    append(text, list_text, &at, "all");
    return;
  }
  for (int t = 0; t < n; t++) {
    if (tensors >> t & 1u) append(text, list_text, &at, lrp_config_tensor_name(config, t));
  }
}

static void write_layers(list *l, const lrp_pick *pick) {
  char item[16];
  size_t at = 0;

  for (int i = 0; i < pick->n_layers; i++) {
    snprintf(item, sizeof item, "%d", pick->layers[i]);
    append(l->layers, l->layers_room, &at, item);
  }
}

/* The widest texts that the columns may get. */
static void measure_columns(list *l) {
  const lrp_space_filter *f = &l->view->filter;
  char text[list_text];

  l->ranks_width = (int)strlen("rank");
  l->tensors_width = (int)strlen("tensors");
  for (unsigned set = 1; set <= f->tensors; set++) {
    if (f->subsets ? (set & ~f->tensors) != 0 : set != f->tensors) continue;
    write_tensors(&l->view->config, set, text);
    if ((int)strlen(text) > l->tensors_width) l->tensors_width = (int)strlen(text);
    for (int i = 0; i < f->n_rows; i++) {
      write_ranks(&f->rows[i], set, text);
      if ((int)strlen(text) > l->ranks_width) l->ranks_width = (int)strlen(text);
    }
  }
}

/* ---- the three formats ---- */

static void begin_table(const list *l) {
  const lrp_space_view *v = l->view;
  const double log2_count = lrp_sampler_log2(v->sampler);

  printf("%-24s %s\n", "model", v->options->operand);
  printf("%-24s %s\n", "method", lrp_method_name(v->method));
  printf("%-24s %s", "configurations", lrp_sampler_count(v->sampler));
  if (isfinite(log2_count)) printf(" (2^%.2f)", log2_count);
  putchar('\n');
}

static void print_table_head(const list *l) {
  printf("%8s %11s %15s %15s %15s %15s %14s %*s %-*s %s\n", "number", "reduction_%", "parameters",
         "bytes_float32", "bytes_16bit", "flops_per_token", "flops_per_byte", l->ranks_width,
         "rank", l->tensors_width, "tensors", "layers");
}

static void print_table_row(const list *l, const row *r) {
  printf("%8" PRId64 " %11.4f %15" PRId64 " %15" PRId64 " %15" PRId64 " %15" PRId64
         " %14.4f %*s %-*s %s\n",
         r->number, r->size.reduction_percent, r->size.parameters, r->size.bytes, r->half.bytes,
         r->size.flops_per_token, lrp_space_intensity(&r->half), l->ranks_width, r->ranks,
         l->tensors_width, r->tensors, l->layers);
}

static void print_csv_count(const list *l) {
  const lrp_sampler *sampler = l->view->sampler;
  char text[LRP_DOUBLE_TEXT];
  const double log2_count = lrp_sampler_log2(sampler);

  printf("configurations,log2\n%s,%s\n", lrp_sampler_count(sampler),
         isfinite(log2_count) ? lrp_format_double(log2_count, text) : "");
}

static void print_csv_head(void) {
  puts(
      "number,reduction_percent,parameters,bytes_float32,bytes_16bit,flops_per_token,"
      "flops_per_byte_float32,flops_per_byte_16bit,rank,tensors,layers");
}

static void print_csv_row(const list *l, const row *r) {
  char percent[LRP_DOUBLE_TEXT], intensity[LRP_DOUBLE_TEXT], half[LRP_DOUBLE_TEXT];

  printf("%" PRId64 ",%s,%" PRId64 ",%" PRId64 ",%" PRId64 ",%" PRId64 ",%s,%s,", r->number,
         lrp_format_double(r->size.reduction_percent, percent), r->size.parameters, r->size.bytes,
         r->half.bytes, r->size.flops_per_token,
         lrp_format_double(lrp_space_intensity(&r->size), intensity),
         lrp_format_double(lrp_space_intensity(&r->half), half));
  lrp_space_csv_text(r->ranks);
  putchar(',');
  lrp_space_csv_text(r->tensors);
  putchar(',');
  lrp_space_csv_text(l->layers);
  putchar('\n');
}

static void begin_json(const list *l) {
  const lrp_space_view *v = l->view;
  const double log2_count = lrp_sampler_log2(v->sampler);
  const char *model = v->options->operand;
  char text[LRP_DOUBLE_TEXT];

  fputs("{\n  \"model\": ", stdout);
  lrp_python_json_string(stdout, model, strlen(model));
  printf(",\n  \"architecture\": \"%s\",\n  \"method\": \"%s\",\n", v->config.architecture,
         lrp_method_name(v->method));
  printf("  \"count\": \"%s\",\n  \"log2\": %s,\n  \"configurations\": [",
         lrp_sampler_count(v->sampler),
         isfinite(log2_count) ? lrp_format_double(log2_count, text) : "null");
}

static void print_json_row(const list *l, const row *r) {
  char percent[LRP_DOUBLE_TEXT], intensity[LRP_DOUBLE_TEXT], half[LRP_DOUBLE_TEXT];
  const lrp_config *config = &l->view->config;
  const lrp_rank_row *ranks = &l->view->filter.rows[r->pick->row];
  const char *comma = "";

  printf("%s\n    {\"number\": %" PRId64 ", \"reduction_percent\": %s, \"parameters\": %" PRId64
         ", \"bytes_float32\": %" PRId64 ", \"bytes_16bit\": %" PRId64
         ", \"flops_per_token\": %" PRId64
         ", \"flops_per_byte_float32\": %s, \"flops_per_byte_16bit\": %s, \"layers\": [%s], "
         "\"ranks\": {",
         r->number > 1 ? "," : "", r->number, lrp_format_double(r->size.reduction_percent, percent),
         r->size.parameters, r->size.bytes, r->half.bytes, r->size.flops_per_token,
         lrp_format_double(lrp_space_intensity(&r->size), intensity),
         lrp_format_double(lrp_space_intensity(&r->half), half), l->layers);
  for (int t = 0; t < lrp_config_layer_tensors(config); t++) {
    if (!(r->pick->tensors >> t & 1u)) continue;
    printf("%s\"%s\": %d", comma, lrp_config_tensor_name(config, t), ranks->rank[t]);
    comma = ", ";
  }
  fputs("}}", stdout);
}

/* ---- rows ---- */

static void print_row(list *l, const lrp_pick *pick) {
  const lrp_space_view *v = l->view;
  row r = {.number = ++l->number, .pick = pick};

  lrp_sampler_ranks(v->sampler, pick, l->rank);
  r.size = lrp_plan_size(&v->config, v->method, l->rank, 4, 4);
  r.half = lrp_plan_size(&v->config, v->method, l->rank, 2, 2);
  write_ranks(&v->filter.rows[pick->row], pick->tensors, r.ranks);
  write_tensors(&v->config, pick->tensors, r.tensors);
  write_layers(l, pick);
  if (v->format == LRP_SPACE_TABLE) {
    print_table_row(l, &r);
  } else if (v->format == LRP_SPACE_CSV) {
    print_csv_row(l, &r);
  } else {
    print_json_row(l, &r);
  }
}

/* A reader that wants no more (lrpipe space ... | head) is no error. */
static lrp_status check_stdout(bool *open) {
  *open = !ferror(stdout);
  if (*open || errno == EPIPE) return LRP_OK;
  return lrp_fail_errno("standard output", "write", LRP_ERR_IO, LRP_ERR_IO);
}

static lrp_status print_rows(list *l) {
  const lrp_options *o = l->view->options;
  const int64_t rows = o->rows < 0 ? standard_rows : o->rows == 0 ? INT64_MAX : o->rows;
  const int64_t most = o->sample > 0 ? o->sample : rows;
  lrp_sampler *sampler = l->view->sampler;
  lrp_status st = LRP_OK;
  bool more = true, open = true;
  lrp_pick pick;

  lrp_sampler_seed(sampler, (uint64_t)(o->seed < 0 ? standard_seed : o->seed));
  while (l->number < most) {
    st = o->sample > 0 ? lrp_sampler_draw(sampler, &pick, &more)
                       : lrp_sampler_next(sampler, &pick, &more);
    if (st != LRP_OK || !more) break;
    print_row(l, &pick);
    st = check_stdout(&open);
    if (st != LRP_OK || !open) return st;
  }
  if (st == LRP_OK && !more && o->sample > 0) {
    lrp_warn("--sample: %" PRId64 " configurations asked for, %s are there", most,
             lrp_sampler_count(sampler));
  }
  return st;
}

static lrp_status create_list(list *l, const lrp_space_view *view) {
  const size_t layers = (size_t)lrp_config_layers(&view->config);
  const size_t count = layers * (size_t)lrp_config_layer_tensors(&view->config);

  *l = (list){.view = view, .layers_room = 8 * layers + 1}; /* digits and comma of a layer */
  l->rank = calloc(count, sizeof *l->rank);
  l->layers = calloc(l->layers_room, 1);
  if (!l->rank || !l->layers) return lrp_fail_memory(count * sizeof *l->rank, "a configuration");
  measure_columns(l);
  return LRP_OK;
}

lrp_status lrp_space_list(const lrp_space_view *view) {
  const bool rows = view->options->enumerate || view->options->sample > 0;
  list l;
  lrp_status st = create_list(&l, view);

  if (st == LRP_OK && view->format == LRP_SPACE_TABLE) begin_table(&l);
  if (st == LRP_OK && view->format == LRP_SPACE_TABLE && rows) print_table_head(&l);
  if (st == LRP_OK && view->format == LRP_SPACE_CSV && rows) print_csv_head();
  if (st == LRP_OK && view->format == LRP_SPACE_CSV && !rows) print_csv_count(&l);
  if (st == LRP_OK && view->format == LRP_SPACE_JSON) begin_json(&l);
  if (st == LRP_OK && rows) st = print_rows(&l);
  if (st == LRP_OK && view->format == LRP_SPACE_JSON) puts(l.number > 0 ? "\n  ]\n}" : "]\n}");
  free(l.rank);
  free(l.layers);
  return st;
}
