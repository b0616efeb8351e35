#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "pipeline/page_parts.h"

enum { most_front = 60, most_rows = 200, most_tensors = 600 };

/* ---- tensors ---- */

static double spectrum_at(const json_t *tensor, bool last) {
  const json_t *spectrum = json_object_get(tensor, "spectrum");
  const size_t n = json_array_size(spectrum);
  const json_t *value = n ? json_array_get(json_array_get(spectrum, last ? n - 1 : 0), 1) : NULL;
  return json_is_number(value) ? json_number_value(value) : NAN;
}

static lrp_status draw_errors(lrp_page *page) {
  const lrp_page_kinds kinds = lrp_page_kinds_of(page->tensors, "short");
  const size_t n = (size_t)kinds.n * (size_t)kinds.layers + 1;
  double *value = calloc(n, sizeof *value);
  lrp_svg_range range = LRP_SVG_EMPTY;
  char description[300], low[LRP_MARKUP_NUMBER], high[LRP_MARKUP_NUMBER];
  size_t i;
  json_t *tensor;

  if (!value) return lrp_fail_memory(n * sizeof *value, "the page");
  for (size_t k = 0; k < n; k++) value[k] = NAN;
  json_array_foreach((json_t *)(uintptr_t)page->tensors, i, tensor) {
    const int kind = lrp_page_kind(&kinds, lrp_page_string(tensor, "short"));
    const int layer = lrp_page_integer(tensor, "layer");
    if (kind < 0 || layer < 0 || layer >= kinds.layers) continue;
    value[kind * kinds.layers + layer] = lrp_page_number(tensor, "relative_error");
    lrp_svg_range_add(&range, lrp_page_number(tensor, "relative_error"));
  }
  if (!lrp_svg_range_is_empty(&range) && kinds.layers > 1) {
    snprintf(description, sizeof description,
             "Layers from left to right, tensors from top to bottom: relative errors of the stored "
             "factors, from %s to %s.",
             lrp_markup_digits(low, range.low, 3), lrp_markup_digits(high, range.high, 3));
    lrp_page_figure_open(page, "wide", "Relative error of the stored factors",
                         "Frobenius, at the largest rank that was asked for");
    const lrp_page_map map = {.title = "Relative errors of the tensors",
                              .description = description,
                              .unit = "of the norm",
                              .kinds = &kinds,
                              .value = value,
                              .even = true};
    lrp_page_map_draw(page, &map);
    lrp_page_figure_close(page);
  }
  free(value);
  return LRP_OK;
}

static void write_tensor(lrp_page *page, const json_t *tensor) {
  char shape[64];
  snprintf(shape, sizeof shape, "%d \xc3\x97 %d", lrp_page_integer(tensor, "m"),
           lrp_page_integer(tensor, "n"));
  lrp_page_row_open(page, lrp_page_string(tensor, "tensor"));
  lrp_page_cell(page, shape);
  lrp_page_cell_digits(page, lrp_page_integer(tensor, "rank"), 6);
  lrp_page_cell_value(page, lrp_page_number(tensor, "relative_error"), NAN, 1.0, 4);
  lrp_page_cell_digits(page, spectrum_at(tensor, false), 4);
  lrp_page_cell_digits(page, spectrum_at(tensor, true), 4);
  lrp_page_cell_digits(page, lrp_page_number(tensor, "orthogonality"), 2);
  lrp_page_cell_unit(page, lrp_page_number(tensor, "seconds"), "s");
  lrp_page_cell(page, lrp_page_string(tensor, "solver"));
  lrp_page_row_close(page);
}

lrp_status lrp_page_tensors(lrp_page *page) {
  const char *columns[] = {"tensor",
                           "shape",
                           "rank",
                           "relative error",
                           "largest singular value",
                           "last one computed",
                           "orthogonality",
                           "time",
                           "solver",
                           NULL};
  const size_t n = json_array_size(page->tensors);
  size_t i;
  json_t *tensor;
  if (n == 0) return LRP_OK;
  lrp_page_section_open(page, "tensors", "Tensors");
  const lrp_status st = draw_errors(page);
  lrp_page_details_open(page, "The tensors as a table");
  lrp_page_table_open(page, "Decomposed tensors", columns);
  json_array_foreach((json_t *)(uintptr_t)page->tensors, i, tensor) {
    if (i < most_tensors) write_tensor(page, tensor);
  }
  lrp_page_table_close(page);
  if (n > most_tensors) {
    lrp_page_print(page,
                   "<p class=\"note\">The first %d of %zu tensors; all are in "
                   "<code>tensors.csv</code>.</p>\n",
                   most_tensors, n);
  }
  lrp_page_details_close(page);
  lrp_page_section_close(page);
  return st;
}

/* ---- configurations ---- */

static const char *const size_columns[] = {"configuration", "parameters", "reduction, %",
                                           "weights",       "FLOP/token", "mean score, %",
                                           "choice loss",   NULL};

static void write_configuration(lrp_page *page, const json_t *row) {
  char count[LRP_MARKUP_NUMBER];
  const json_t *parameters = json_object_get(row, "parameters");
  lrp_page_row_open(page, lrp_page_string(row, "configuration"));
  lrp_page_cell(page, json_is_integer(parameters)
                          ? lrp_markup_count(count, (int64_t)json_integer_value(parameters))
                          : "");
  lrp_page_cell_value(page, lrp_page_number(row, "reduction_percent"), NAN, 1.0, 2);
  lrp_page_cell_unit(page, lrp_page_number(row, "bytes"), "B");
  lrp_page_cell_unit(page, lrp_page_number(row, "flops_per_token"), "");
  lrp_page_cell_value(page, lrp_page_number(row, "score"), lrp_page_number(row, "score_stderr"),
                      100.0, 1);
  lrp_page_cell_value(page, lrp_page_number(row, "choice_loss"),
                      lrp_page_number(row, "choice_loss_stderr"), 1.0, 3);
  lrp_page_row_close(page);
}

static lrp_status write_front(lrp_page *page) {
  const size_t room = json_array_size(page->rows) + 1;
  lrp_page_point *p = calloc(room, sizeof *p);
  size_t i;
  json_t *row;
  int n = 0;
  if (!p) return lrp_fail_memory(room * sizeof *p, "the page");
  json_array_foreach((json_t *)(uintptr_t)page->rows, i, row) {
    if (lrp_page_number(row, "pareto") != 1.0) continue;
    p[n++] = (lrp_page_point){.row = row, .x = lrp_page_number(row, "reduction_percent")};
  }
  lrp_page_points_sort(p, n);
  if (n > 0) {
    lrp_page_print(page, "<h3>Pareto front</h3>\n");
    lrp_page_table_open(page, "No other configuration is as small and scores higher", size_columns);
    for (int k = 0; k < n && k < most_front; k++) write_configuration(page, p[k].row);
    lrp_page_table_close(page);
  }
  if (n > most_front) {
    lrp_page_print(page, "<p class=\"note\">The first %d of %d.</p>\n", most_front, n);
  }
  free(p);
  return LRP_OK;
}

lrp_status lrp_page_configurations(lrp_page *page) {
  size_t i;
  json_t *row;
  if (!page->rows) return LRP_OK;
  lrp_page_section_open(page, "configurations", "Configurations");
  const lrp_status st = write_front(page);
  lrp_page_print(page, "<h3>All</h3>\n");
  lrp_page_details_open(page, "The configurations as a table");
  lrp_page_table_open(page, "Sizes and scores", size_columns);
  json_array_foreach((json_t *)(uintptr_t)page->rows, i, row) {
    if (i < most_rows) write_configuration(page, row);
  }
  lrp_page_table_close(page);
  lrp_page_rest(page, most_rows);
  lrp_page_details_close(page);
  lrp_page_section_close(page);
  return st;
}

/* ---- provenance ---- */

static void fact(lrp_page *page, const char *term, const char *text) {
  if (!*text) return;
  lrp_page_element(page, "dt", NULL, term);
  lrp_page_element(page, "dd", NULL, text);
}

/* "8 on 2 nodes, 4 threads each" */
static void write_ranks(lrp_page *page) {
  const int ranks = lrp_page_integer(page->provenance, "process_ranks");
  const int nodes = lrp_page_integer(page->provenance, "nodes");
  const int threads = lrp_page_integer(page->provenance, "threads");
  char text[128];
  if (ranks < 0) return;
  snprintf(text, sizeof text, "%d on %d node%s, %d thread%s each", ranks, nodes,
           nodes == 1 ? "" : "s", threads, threads == 1 ? "" : "s");
  fact(page, "Process ranks", text);
}

static void write_command(lrp_page *page) {
  const json_t *words = json_object_get(page->provenance, "command_line");
  size_t i;
  json_t *word;
  if (json_array_size(words) == 0) return;
  lrp_page_print(page, "<dt>Command</dt>\n<dd><code>");
  json_array_foreach((json_t *)(uintptr_t)words, i, word) {
    if (i > 0) lrp_page_print(page, " ");
    lrp_markup_text(page->f, json_string_value(word));
  }
  lrp_page_print(page, "</code></dd>\n");
}

static void write_libraries(lrp_page *page) {
  static const char *const names[][2] = {
      {"mpi", "MPI"}, {"blas", "BLAS"}, {"hdf5", "HDF5"}, {"onednn", "oneDNN"}};
  const json_t *libraries = json_object_get(page->provenance, "libraries");
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    fact(page, names[i][1], lrp_page_string(libraries, names[i][0]));
  }
}

static void write_files(lrp_page *page) {
  const json_t *model = json_object_get(page->provenance, "model");
  const json_t *files = json_object_get(model, "files");
  const char *columns[] = {"file", "bytes", "XXH3 of the file or its header", NULL};
  char count[LRP_MARKUP_NUMBER];
  size_t i;
  json_t *file;
  if (json_array_size(files) == 0) return;
  lrp_page_table_open(page, "Files of the model", columns);
  json_array_foreach((json_t *)(uintptr_t)files, i, file) {
    const json_t *bytes = json_object_get(file, "bytes");
    const char *hash = lrp_page_string(file, "header_xxh3");
    lrp_page_row_open(page, lrp_page_string(file, "file"));
    lrp_page_cell(page, json_is_integer(bytes)
                            ? lrp_markup_count(count, (int64_t)json_integer_value(bytes))
                            : "");
    lrp_page_cell(page, *hash ? hash : lrp_page_string(file, "xxh3"));
    lrp_page_row_close(page);
  }
  lrp_page_table_close(page);
}

void lrp_page_provenance(lrp_page *page) {
  const json_t *p = page->provenance;
  if (!p) return;
  lrp_page_section_open(page, "provenance", "Provenance");
  lrp_page_print(page, "<dl class=\"facts\">\n");
  fact(page, "Model", lrp_page_string(json_object_get(p, "model"), "directory"));
  fact(page, "Started", lrp_page_string(p, "started"));
  fact(page, "lrpipe", lrp_page_string(p, "lrpipe"));
  write_command(page);
  fact(page, "Host", lrp_page_string(p, "host"));
  fact(page, "Slurm job", lrp_page_string(p, "slurm_job_id"));
  write_ranks(page);
  write_libraries(page);
  lrp_page_print(page, "</dl>\n");
  write_files(page);
  lrp_page_print(page, "<h3>Job</h3>\n<pre tabindex=\"0\">");
  lrp_markup_text(page->f, lrp_page_string(p, "job"));
  lrp_page_print(page, "</pre>\n");
  lrp_page_section_close(page);
}
