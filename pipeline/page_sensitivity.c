#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "pipeline/page_parts.h"

enum { most_maps = 4, most_rows = 300 };

/* What of a model with so many layers one map shows. */
typedef struct {
  lrp_page_kinds kinds;
  double *value, *error; /* owned; NaN where nothing was measured */
  int *seen;             /* owned: how often a cell had a unit so far */
} cells;

static void cells_free(cells *c) {
  free(c->value);
  free(c->error);
  free(c->seen);
}

static lrp_status cells_init(cells *c, const lrp_page_kinds *kinds) {
  const size_t n = (size_t)kinds->n * (size_t)kinds->layers + 1;
  *c = (cells){.kinds = *kinds,
               .value = calloc(n, sizeof *c->value),
               .error = calloc(n, sizeof *c->error),
               .seen = calloc(n, sizeof *c->seen)};
  if (c->value && c->error && c->seen) return LRP_OK;
  cells_free(c);
  return lrp_fail_memory(n * sizeof *c->value, "the page");
}

static const json_t *list(const lrp_page *page, const char *key) {
  return json_object_get(page->sensitivity, key);
}

bool lrp_page_has_sensitivity(const lrp_page *page) {
  return json_array_size(list(page, "units")) > 0 || json_array_size(list(page, "layers")) > 0 ||
         json_array_size(list(page, "tensors")) > 0;
}

static const char *unit_of(const lrp_page *page) {
  const bool loss = strcmp(lrp_page_string(page->sensitivity, "measure"), "choice_loss") == 0;
  return loss ? "nats" : "of the score";
}

/* The units that are the number-th of their cell, with their ranks; how many there are. */
static int fill(cells *c, const json_t *units, int number, int *low, int *high) {
  const int n_cells = c->kinds.n * c->kinds.layers;
  size_t i;
  json_t *unit;
  int n = 0;
  *low = *high = 0;
  for (int k = 0; k < n_cells; k++) {
    c->value[k] = c->error[k] = NAN;
    c->seen[k] = 0;
  }
  json_array_foreach((json_t *)(uintptr_t)units, i, unit) {
    const int kind = lrp_page_kind(&c->kinds, lrp_page_string(unit, "tensor"));
    const int layer = lrp_page_integer(unit, "layer"), rank = lrp_page_integer(unit, "rank");
    if (kind < 0 || layer < 0 || layer >= c->kinds.layers) continue;
    const int cell = kind * c->kinds.layers + layer;
    if (c->seen[cell]++ != number) continue;
    c->value[cell] = lrp_page_number(unit, "loss");
    c->error[cell] = lrp_page_number(unit, "loss_stderr");
    *low = n == 0 || rank < *low ? rank : *low;
    *high = rank > *high ? rank : *high;
    n++;
  }
  return n;
}

/* In words: what is worst, and what is least. */
static void describe(const cells *c, const char *unit, char *text, size_t size) {
  int worst = -1, least = -1, n = 0;
  char high[LRP_MARKUP_NUMBER], low[LRP_MARKUP_NUMBER];
  for (int i = 0; i < c->kinds.n * c->kinds.layers; i++) {
    if (!isfinite(c->value[i])) continue;
    n++;
    if (worst < 0 || c->value[i] > c->value[worst]) worst = i;
    if (least < 0 || c->value[i] < c->value[least]) least = i;
  }
  if (worst < 0) {
    snprintf(text, size, "No unit has a number.");
    return;
  }
  const int layers = c->kinds.layers;
  snprintf(text, size,
           "Layers from left to right, tensors from top to bottom, %d units. Decomposing %.60s of "
           "layer %d alone costs most, %s %s; %.60s of layer %d least, %s %s.",
           n, c->kinds.name[worst / layers], worst % layers,
           lrp_markup_digits(high, c->value[worst], 3), unit, c->kinds.name[least / layers],
           least % layers, lrp_markup_digits(low, c->value[least], 3), unit);
}

static lrp_status draw_maps(lrp_page *page) {
  static const char *const legend[] = {"point", "more than two standard errors above zero", NULL};
  const json_t *units = list(page, "units");
  const lrp_page_kinds kinds = lrp_page_kinds_of(units, "tensor");
  cells c;
  char description[400], note[96];
  int low, high;
  const lrp_status st = cells_init(&c, &kinds);

  if (st != LRP_OK) return st;
  for (int k = 0; k < most_maps && fill(&c, units, k, &low, &high) > 0; k++) {
    describe(&c, unit_of(page), description, sizeof description);
    if (low == high) {
      snprintf(note, sizeof note, "rank %d", low);
    } else {
      snprintf(note, sizeof note, "ranks %d to %d", low, high);
    }
    lrp_page_figure_open(page, "wide", "One tensor of one layer at a time", note);
    const lrp_page_map map = {.title = "Sensitivity of single tensors",
                              .description = description,
                              .unit = unit_of(page),
                              .kinds = &c.kinds,
                              .value = c.value,
                              .error = c.error};
    lrp_page_map_draw(page, &map);
    lrp_page_figure_close(page);
  }
  lrp_page_legend(page, legend);
  cells_free(&c);
  return LRP_OK;
}

/* ---- whole layers, and tensors of several layers ---- */

/* "rank 1", "2 layers": what a configuration of several units is. */
static int first_rank(const json_t *row) {
  const json_t *rank = json_array_get(json_object_get(row, "ranks"), 0);
  return json_is_integer(rank) ? (int)json_integer_value(rank) : 0;
}

static lrp_page_point *points_of(const json_t *rows, int *n) {
  lrp_page_point *points = calloc(json_array_size(rows) + 1, sizeof *points);
  size_t i;
  json_t *row;
  *n = 0;
  if (!points) {
    lrp_fail_memory((json_array_size(rows) + 1) * sizeof *points, "the page");
    return NULL;
  }
  json_array_foreach((json_t *)(uintptr_t)rows, i, row) {
    const double y = lrp_page_number(row, "loss"), error = lrp_page_number(row, "loss_stderr");
    if (!isfinite(y)) continue;
    points[(*n)++] =
        (lrp_page_point){row, (double)lrp_page_integer(row, "layer"), y, y - error, y + error};
  }
  lrp_page_points_sort(points, *n);
  return points;
}

static void fit_layers(const lrp_page_point *p, int n, lrp_svg_axis *x, lrp_svg_axis *y) {
  lrp_svg_range over = LRP_SVG_EMPTY, up = {0.0, 0.0};
  for (int i = 0; i < n; i++) {
    lrp_svg_range_add(&over, p[i].x);
    lrp_svg_range_add(&up, p[i].y);
    lrp_svg_range_add(&up, p[i].low);
    lrp_svg_range_add(&up, p[i].high);
  }
  *x = lrp_svg_linear(over, 8);
  *y = lrp_svg_linear(up, 5);
}

static void draw_layer_points(const lrp_svg *svg, const lrp_page_point *p, int n,
                              const char *unit) {
  char hint[300], y[LRP_MARKUP_NUMBER];
  const int rank = first_rank(p[0].row);
  for (int i = 0; i < n; i++) lrp_svg_error(svg, "you", p[i].x, p[i].low, p[i].high);
  for (int i = 0; i < n; i++) {
    snprintf(hint, sizeof hint, "%.160s, layer %.0f: %s %s",
             lrp_page_string(p[i].row, "configuration"), p[i].x, lrp_markup_digits(y, p[i].y, 3),
             unit);
    const bool other = first_rank(p[i].row) != rank;
    lrp_svg_mark(svg, other ? LRP_SVG_SQUARE : LRP_SVG_CIRCLE, other ? "second" : "you", p[i].x,
                 p[i].y, hint);
  }
}

static lrp_status draw_layers(lrp_page *page) {
  const char *unit = unit_of(page);
  char description[400], high[LRP_MARKUP_NUMBER], low[LRP_MARKUP_NUMBER];
  lrp_svg_axis x, y;
  lrp_svg svg;
  int n, worst = 0, least = 0;
  lrp_page_point *p = points_of(list(page, "layers"), &n);

  if (!p) return LRP_ERR_MEM;
  for (int i = 0; i < n; i++) {
    if (p[i].y > p[worst].y) worst = i;
    if (p[i].y < p[least].y) least = i;
  }
  if (n > 0) {
    snprintf(description, sizeof description,
             "Increase of the loss when a layer is decomposed by itself, for %d configurations: "
             "most %s %s in layer %.0f, least %s %s in layer %.0f.",
             n, lrp_markup_digits(high, p[worst].y, 3), unit, p[worst].x,
             lrp_markup_digits(low, p[least].y, 3), unit, p[least].x);
    fit_layers(p, n, &x, &y);
    lrp_page_figure_open(page, "main", "One layer at a time",
                         "several tensors of it together, \xc2\xb1 one standard error");
    lrp_svg_open(&svg, page->f, page->figures, 470.0, 230.0, "Sensitivity of layers", description);
    lrp_svg_axes(&svg, x, y, "layer", unit);
    lrp_svg_segment(&svg, "zero", x.low, 0.0, x.high, 0.0);
    draw_layer_points(&svg, p, n, unit);
    lrp_svg_close(&svg);
    lrp_page_figure_close(page);
  }
  free(p);
  return LRP_OK;
}

static void write_tensors(lrp_page *page) {
  const char *columns[] = {
      "tensor", "layers", "rank", "reduction, %", "increase of the loss", "score drop, points",
      NULL};
  size_t i;
  json_t *row;
  lrp_page_print(page, "<h3>One tensor in several layers</h3>\n");
  lrp_page_table_open(page, "Configurations of one tensor in several layers", columns);
  json_array_foreach(list(page, "tensors"), i, row) {
    if (i >= most_rows) break;
    lrp_page_row_open(page, lrp_page_string(row, "tensor"));
    lrp_page_cell_digits(page, (double)json_array_size(json_object_get(row, "layers")), 4);
    lrp_page_cell_digits(page, first_rank(row), 5);
    lrp_page_cell_value(page, lrp_page_number(row, "reduction_percent"), NAN, 1.0, 2);
    lrp_page_cell_value(page, lrp_page_number(row, "loss"), lrp_page_number(row, "loss_stderr"),
                        1.0, 4);
    lrp_page_cell_value(page, lrp_page_number(row, "score_drop"),
                        lrp_page_number(row, "score_drop_stderr"), 1.0, 1);
    lrp_page_row_close(page);
  }
  lrp_page_table_close(page);
}

/* One row of the table behind the figures. */
static void write_row(lrp_page *page, const json_t *row, const char *tensor, int rank) {
  lrp_page_row_open(page, lrp_page_string(row, "configuration"));
  lrp_page_cell_digits(page, lrp_page_integer(row, "layer"), 4);
  lrp_page_cell(page, tensor);
  lrp_page_cell_digits(page, rank, 5);
  lrp_page_cell_value(page, lrp_page_number(row, "reduction_percent"), NAN, 1.0, 3);
  lrp_page_cell_value(page, lrp_page_number(row, "loss"), lrp_page_number(row, "loss_stderr"), 1.0,
                      4);
  lrp_page_cell_value(page, lrp_page_number(row, "score_drop"),
                      lrp_page_number(row, "score_drop_stderr"), 1.0, 1);
  lrp_page_row_close(page);
}

static void write_table(lrp_page *page) {
  const char *columns[] = {
      "configuration",      "layer", "tensor", "rank", "reduction, %", "increase of the loss",
      "score drop, points", NULL};
  const size_t n_units = json_array_size(list(page, "units"));
  const size_t n_layers = json_array_size(list(page, "layers"));
  size_t i;
  json_t *row;
  lrp_page_details_open(page, "The figures as a table");
  lrp_page_table_open(page, "Layers and single tensors", columns);
  json_array_foreach(list(page, "layers"), i, row) {
    char tensors[32];
    if (i >= most_rows) break;
    snprintf(tensors, sizeof tensors, "%zu tensors",
             json_array_size(json_object_get(row, "tensors")));
    write_row(page, row, tensors, first_rank(row));
  }
  json_array_foreach(list(page, "units"), i, row) {
    if (i >= most_rows) break;
    write_row(page, row, lrp_page_string(row, "tensor"), lrp_page_integer(row, "rank"));
  }
  lrp_page_table_close(page);
  if (n_units > most_rows || n_layers > most_rows) {
    lrp_page_print(page,
                   "<p class=\"note\">The first %d of each kind; all are in "
                   "<code>tradeoff.json</code>.</p>\n",
                   most_rows);
  }
  lrp_page_details_close(page);
}

lrp_status lrp_page_sensitivity(lrp_page *page) {
  lrp_status st = LRP_OK;
  if (!lrp_page_has_sensitivity(page)) return LRP_OK;
  const bool loss = strcmp(lrp_page_string(page->sensitivity, "measure"), "choice_loss") == 0;

  lrp_page_section_open(page, "sensitivity", "Sensitivity");
  lrp_page_print(page,
                 "<p>How much decomposing a part of the model by itself raises %s over that "
                 "of the dense model, document by document",
                 loss ? "the loss of the choices (negative log-probability of the right answer, "
                        "in nats)"
                      : "1 \xe2\x88\x92 the score");
  lrp_page_print(page,
                 ". It is measured on half of the documents; the other half is held out, for "
                 "comparing what was chosen by it.</p>\n");
  if (json_array_size(list(page, "units")) > 0) st = draw_maps(page);
  if (st == LRP_OK && json_array_size(list(page, "layers")) > 0) st = draw_layers(page);
  if (json_array_size(list(page, "tensors")) > 0) write_tensors(page);
  write_table(page);
  lrp_page_section_close(page);
  return st;
}
