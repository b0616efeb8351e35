#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "pipeline/page_parts.h"
#include "pipeline/paper_points.h"

enum { most_bars = 60, most_hints = 300, most_rows = 200 };

/* What was measured of a configuration in one case. */
static const struct {
  const char *quantity, *title;
  const char *phase, *member; /* row.phase.member, or row.member without a phase */
  const char *unit;
  lrp_paper_quantity paper;
} quantities[] = {
    {"prefill_seconds", "Latency of prefill", "prefill", "seconds", "s", LRP_PAPER_LATENCY},
    {"decode_seconds", "Latency of a decoding step", "decode", "seconds", "s", LRP_PAPER_LATENCY},
    {"prefill_joules", "Energy of prefill", "prefill", "joules", "J", LRP_PAPER_ENERGY},
    {"decode_joules", "Energy of a decoding step", "decode", "joules", "J", LRP_PAPER_ENERGY},
    {"resident_weight_bytes", "Weights in memory", NULL, "resident_weight_bytes", "B",
     LRP_PAPER_MEMORY},
    {"peak_memory_bytes", "Peak memory", NULL, "peak_memory_bytes", "B", LRP_PAPER_MEMORY},
};
enum { n_quantities = sizeof quantities / sizeof *quantities };

typedef struct {
  int batch_size, sequence_length;
} bench_case;

static bool is_of(const json_t *object, bench_case c) {
  return lrp_page_integer(object, "batch_size") == c.batch_size &&
         lrp_page_integer(object, "sequence_length") == c.sequence_length;
}

/* Value of the row, or with "_low" and "_high" an end of its interval. */
static double value_of(const json_t *row, int q, const char *end) {
  const char *phase = quantities[q].phase;
  char member[64];
  snprintf(member, sizeof member, "%s%s", quantities[q].member, end);
  return lrp_page_number(phase ? json_object_get(row, phase) : row, member);
}

/* The undecomposed model's value in the case; NaN if it was not measured. */
static double dense_value(const lrp_page *page, bench_case c, int q) {
  size_t i;
  json_t *row;
  json_array_foreach(json_object_get(page->efficiency, "rows"), i, row) {
    if (is_of(row, c) && lrp_page_number(row, "reduction_percent") == 0.0) {
      return value_of(row, q, "");
    }
  }
  return NAN;
}

static double slope_of(const lrp_page *page, bench_case c, int q) {
  size_t i;
  json_t *slope;
  json_array_foreach(json_object_get(page->efficiency, "slopes"), i, slope) {
    if (!is_of(slope, c)) continue;
    if (strcmp(lrp_page_string(slope, "quantity"), quantities[q].quantity) == 0) {
      return lrp_page_number(slope, "percent_per_percent");
    }
  }
  return NAN;
}

/* Savings in percent of the dense value; the values themselves where there is none. Owned by the
 * caller; NULL if memory ran out. */
static lrp_page_point *points_of(const lrp_page *page, bench_case c, int q, double dense, int *n) {
  const json_t *rows = json_object_get(page->efficiency, "rows");
  const size_t room = json_array_size(rows) + 1;
  lrp_page_point *p = calloc(room, sizeof *p);
  size_t i;
  json_t *row;
  *n = 0;
  if (!p) {
    lrp_fail_memory(room * sizeof *p, "the page");
    return NULL;
  }
  json_array_foreach((json_t *)(uintptr_t)rows, i, row) {
    const double x = lrp_page_number(row, "reduction_percent"), y = value_of(row, q, "");
    const double low = value_of(row, q, "_low"), high = value_of(row, q, "_high");
    if (!is_of(row, c) || !isfinite(x) || !isfinite(y)) continue;
    p[(*n)++] = isfinite(dense)
                    ? (lrp_page_point){row, x, 100.0 * (1.0 - y / dense),
                                       100.0 * (1.0 - high / dense), 100.0 * (1.0 - low / dense)}
                    : (lrp_page_point){row, x, y, low, high};
  }
  lrp_page_points_sort(p, *n);
  return p;
}

static bool is_near(double most_x, int i) {
  return lrp_paper_reduction[i] <= fmax(1.15 * most_x, 10.0);
}

static void fit_axes(const lrp_page_point *p, int n, const lrp_paper_savings *paper,
                     lrp_svg_axis *x, lrp_svg_axis *y) {
  lrp_svg_range over = {0.0, 0.0}, up = {0.0, 0.0};
  for (int i = 0; i < n; i++) {
    lrp_svg_range_add(&over, p[i].x);
    lrp_svg_range_add(&up, p[i].y);
    if (n > most_bars) continue;
    lrp_svg_range_add(&up, p[i].low);
    lrp_svg_range_add(&up, p[i].high);
  }
  const double most_x = over.high;
  for (int i = 0; paper && i < LRP_PAPER_SIZES; i++) {
    if (!is_near(most_x, i)) continue;
    lrp_svg_range_add(&over, lrp_paper_reduction[i]);
    lrp_svg_range_add(&up, paper->high[i]);
  }
  if (over.high <= 0.0) over.high = 10.0;
  *x = lrp_svg_linear(over, 5);
  *y = lrp_svg_linear(up, 5);
}

static void draw_paper(const lrp_svg *svg, const lrp_paper_savings *paper, double most_x) {
  char hint[128];
  for (int i = 0; i < LRP_PAPER_SIZES && is_near(most_x, i); i++) {
    lrp_svg_error(svg, "paper", lrp_paper_reduction[i], paper->low[i], paper->high[i]);
  }
  for (int i = 0; i < LRP_PAPER_SIZES && is_near(most_x, i); i++) {
    snprintf(hint, sizeof hint, "paper, Llama-2-7B-chat: %.2f %% saved at %.2f %%, %.2f to %.2f",
             paper->mean[i], lrp_paper_reduction[i], paper->low[i], paper->high[i]);
    lrp_svg_mark(svg, LRP_SVG_DIAMOND, "paper", lrp_paper_reduction[i], paper->mean[i], hint);
  }
}

static void hint_of(const lrp_page_point *p, int q, bool saving, char *hint, size_t size) {
  char value[LRP_MARKUP_NUMBER], y[LRP_MARKUP_NUMBER], x[LRP_MARKUP_NUMBER];
  const size_t at =
      (size_t)snprintf(hint, size, "%.160s, %s %% smaller: %s",
                       lrp_page_string(p->row, "configuration"), lrp_markup_fixed(x, p->x, 2),
                       lrp_markup_unit(value, value_of(p->row, q, ""), quantities[q].unit));
  if (saving && at < size) {
    snprintf(hint + at, size - at, ", saves %s %%", lrp_markup_fixed(y, p->y, 1));
  }
}

static void draw_points(const lrp_page *page, const lrp_svg *svg, const lrp_page_point *p, int n,
                        int q, bool saving) {
  char hint[300];
  for (int i = 0; i < n && n <= most_bars; i++) {
    lrp_svg_error(svg, "you", p[i].x, p[i].low, p[i].high);
  }
  for (int i = 0; i < n; i++) {
    const bool chosen = lrp_page_is_chosen(page, lrp_page_string(p[i].row, "configuration"));
    hint_of(&p[i], q, saving, hint, sizeof hint);
    lrp_svg_mark(svg, chosen ? LRP_SVG_SQUARE : LRP_SVG_CIRCLE, chosen ? "pick" : "you", p[i].x,
                 p[i].y, n <= most_hints ? hint : NULL);
  }
}

/* In words. */
static void describe(const lrp_page_point *p, int n, int q, double slope, bool saving, char *text,
                     size_t size) {
  char y[LRP_MARKUP_NUMBER], x[LRP_MARKUP_NUMBER], s[LRP_MARKUP_NUMBER];
  size_t at = (size_t)snprintf(text, size, "%s against the reduction of the parameters, %d points",
                               quantities[q].title, n);
  if (saving && at < size) {
    at +=
        (size_t)snprintf(text + at, size - at, ": at %s %% it saves %s %% of the dense model's",
                         lrp_markup_digits(x, p[n - 1].x, 3), lrp_markup_digits(y, p[n - 1].y, 3));
  }
  if (isfinite(slope) && at < size) {
    at += (size_t)snprintf(
        text + at, size - at, "; %s %% per 1 %% of the parameters, in the paper %.2f %%",
        lrp_markup_digits(s, slope, 2), lrp_paper_savings_of(quantities[q].paper).slope);
  }
  if (at < size) snprintf(text + at, size - at, ".");
}

static void draw_quantity(lrp_page *page, bench_case c, int q, const lrp_page_point *p, int n,
                          double dense) {
  const bool saving = isfinite(dense);
  const lrp_paper_savings paper = lrp_paper_savings_of(quantities[q].paper);
  const double slope = slope_of(page, c, q);
  char description[400], note[160] = "", number[LRP_MARKUP_NUMBER], label[32];
  lrp_svg_axis x, y;
  lrp_svg svg;

  describe(p, n, q, slope, saving, description, sizeof description);
  if (saving) {
    snprintf(note, sizeof note, "dense: %s", lrp_markup_unit(number, dense, quantities[q].unit));
  }
  snprintf(label, sizeof label, saving ? "saved, %%" : "%s", quantities[q].unit);
  fit_axes(p, n, saving ? &paper : NULL, &x, &y);
  lrp_page_figure_open(page, "panel", quantities[q].title, note);
  lrp_svg_open(&svg, page->f, page->figures, 340.0, 240.0, quantities[q].title, description);
  lrp_svg_axes(&svg, x, y, "reduction of the parameters, %", label);
  if (y.low < 0.0) lrp_svg_segment(&svg, "zero", x.low, 0.0, x.high, 0.0);
  if (saving) draw_paper(&svg, &paper, p[n - 1].x);
  if (saving && isfinite(slope)) {
    const double end = slope > 0.0 ? fmin(p[n - 1].x, y.high / slope) : p[n - 1].x;
    lrp_svg_segment(&svg, "you", 0.0, 0.0, end, slope * end);
  }
  draw_points(page, &svg, p, n, q, saving);
  lrp_svg_close(&svg);
  lrp_page_figure_close(page);
}

static lrp_status draw_case(lrp_page *page, bench_case c) {
  lrp_page_panels_open(page);
  for (int q = 0; q < n_quantities; q++) {
    const double dense = dense_value(page, c, q);
    int n;
    lrp_page_point *p = points_of(page, c, q, dense, &n);
    if (!p) return LRP_ERR_MEM;
    if (n > 0) draw_quantity(page, c, q, p, n, dense);
    free(p);
  }
  lrp_page_panels_close(page);
  return LRP_OK;
}

/* ---- words and tables ---- */

static void write_device(lrp_page *page) {
  const json_t *device = json_object_get(page->efficiency, "device");
  const char *cpu = lrp_page_string(device, "cpu"), *host = lrp_page_string(device, "host");
  const char *interval = lrp_page_string(page->efficiency, "interval");
  const char *reason = lrp_page_string(device, "energy_reason");
  lrp_page_print(page, "<p>One process on ");
  lrp_markup_text(page->f, *cpu ? cpu : "one host");
  lrp_page_print(page, " (");
  lrp_markup_text(page->f, host);
  const int threads = lrp_page_integer(device, "threads");
  lrp_page_print(page, "), %d thread%s, ", threads, threads == 1 ? "" : "s");
  lrp_markup_text(page->f, lrp_page_string(device, "dtype"));
  lrp_page_print(page, "; the middle of %d samples", lrp_page_integer(page->efficiency, "repeats"));
  if (*interval) {
    lrp_page_print(page, ", bars: ");
    lrp_markup_text(page->f, interval);
  }
  lrp_page_print(page, ".</p>\n");
  if (!json_is_string(json_object_get(device, "energy"))) {
    lrp_page_print(page, "<p>Energy: not available");
    if (*reason) lrp_page_print(page, " (");
    lrp_markup_text(page->f, reason);
    lrp_page_print(page, "%s.</p>\n", *reason ? ")" : "");
  } else {
    lrp_page_print(page, "<p class=\"note\">Energy is that of ");
    lrp_markup_text(page->f, lrp_page_string(device, "energy"));
    lrp_page_print(page, ", by the counters of the whole node.</p>\n");
  }
}

static void write_slopes(lrp_page *page) {
  const char *columns[] = {"saving per 1 % of the parameters",
                           "batch",
                           "length",
                           "measured, %",
                           "paper, %",
                           "configurations",
                           NULL};
  const json_t *slopes = json_object_get(page->efficiency, "slopes");
  size_t i;
  json_t *slope;
  if (json_array_size(slopes) == 0) return;
  lrp_page_print(page, "<h3>Savings per 1 %% of the parameters</h3>\n");
  lrp_page_table_open(page, "Least squares through the origin, beside the paper's", columns);
  json_array_foreach((json_t *)(uintptr_t)slopes, i, slope) {
    const char *name = lrp_page_string(slope, "quantity");
    int q = 0;
    while (q < n_quantities && strcmp(quantities[q].quantity, name) != 0) q++;
    if (q == n_quantities) continue;
    lrp_page_row_open(page, quantities[q].title);
    lrp_page_cell_digits(page, lrp_page_integer(slope, "batch_size"), 7);
    lrp_page_cell_digits(page, lrp_page_integer(slope, "sequence_length"), 7);
    lrp_page_cell_value(page, lrp_page_number(slope, "percent_per_percent"),
                        lrp_page_number(slope, "stderr"), 1.0, 2);
    lrp_page_cell_value(page, lrp_paper_savings_of(quantities[q].paper).slope, NAN, 1.0, 2);
    lrp_page_cell_digits(page, lrp_page_integer(slope, "n"), 7);
    lrp_page_row_close(page);
  }
  lrp_page_table_close(page);
}

static void write_phase(lrp_page *page, const json_t *phase) {
  lrp_page_cell_unit(page, lrp_page_number(phase, "seconds"), "s");
  lrp_page_cell_digits(page, lrp_page_number(phase, "tokens_per_second"), 4);
  lrp_page_cell_unit(page, lrp_page_number(phase, "joules"), "J");
  lrp_page_cell_unit(page, lrp_page_number(phase, "flops"), "FLOP");
  lrp_page_cell_unit(page, lrp_page_number(phase, "bytes"), "B");
}

static void write_table(lrp_page *page) {
  const char *columns[] = {"configuration", "batch",  "length",     "reduction, %", "prefill",
                           "tokens/s",      "energy", "operations", "bytes moved",  "decoding step",
                           "tokens/s",      "energy", "operations", "bytes moved",  "weights",
                           "peak memory",   NULL};
  const json_t *rows = json_object_get(page->efficiency, "rows");
  size_t i;
  json_t *row;
  lrp_page_details_open(page, "The measurements as a table");
  lrp_page_table_open(page, "Measured, with operations and bytes that were counted", columns);
  json_array_foreach((json_t *)(uintptr_t)rows, i, row) {
    if (i >= most_rows) break;
    lrp_page_row_open(page, lrp_page_string(row, "configuration"));
    lrp_page_cell_digits(page, lrp_page_integer(row, "batch_size"), 7);
    lrp_page_cell_digits(page, lrp_page_integer(row, "sequence_length"), 7);
    lrp_page_cell_value(page, lrp_page_number(row, "reduction_percent"), NAN, 1.0, 2);
    write_phase(page, json_object_get(row, "prefill"));
    write_phase(page, json_object_get(row, "decode"));
    lrp_page_cell_unit(page, lrp_page_number(row, "resident_weight_bytes"), "B");
    lrp_page_cell_unit(page, lrp_page_number(row, "peak_memory_bytes"), "B");
    lrp_page_row_close(page);
  }
  lrp_page_table_close(page);
  if (json_array_size(rows) > most_rows) {
    lrp_page_print(page,
                   "<p class=\"note\">The first %d of %zu rows; all are in "
                   "<code>efficiency.csv</code>.</p>\n",
                   most_rows, json_array_size(rows));
  }
  lrp_page_details_close(page);
}

static lrp_status write_cases(lrp_page *page) {
  const json_t *cases = json_object_get(page->efficiency, "cases");
  char title[96];
  size_t i;
  json_t *item;
  lrp_status st = LRP_OK;
  json_array_foreach((json_t *)(uintptr_t)cases, i, item) {
    const bench_case c = {lrp_page_integer(item, "batch_size"),
                          lrp_page_integer(item, "sequence_length")};
    if (st != LRP_OK) break;
    snprintf(title, sizeof title, "%d sequence%s of %d tokens", c.batch_size,
             c.batch_size == 1 ? "" : "s", c.sequence_length);
    if (i == 0) {
      lrp_page_element(page, "h3", NULL, title);
    } else {
      lrp_page_details_open(page, title);
    }
    st = draw_case(page, c);
    if (i > 0) lrp_page_details_close(page);
  }
  return st;
}

/* Savings, and the paper's beside them, need the dense model in some case. */
static bool has_dense(const lrp_page *page) {
  size_t i;
  json_t *row;
  json_array_foreach(json_object_get(page->efficiency, "rows"), i, row) {
    if (lrp_page_number(row, "reduction_percent") == 0.0) return true;
  }
  return false;
}

lrp_status lrp_page_efficiency(lrp_page *page) {
  static const char *const legend[] = {"dot",
                                       "measured here",
                                       "stroke",
                                       "its slope",
                                       "diamond",
                                       "the paper, Llama-2-7B-chat on four A100: mean and range of "
                                       "six benchmarks",
                                       NULL};
  if (!page->efficiency) return LRP_OK;
  lrp_page_section_open(page, "efficiency", "Latency, energy and memory");
  write_device(page);
  if (has_dense(page)) {
    lrp_page_legend(page, legend);
  } else {
    lrp_page_print(page,
                   "<p class=\"note\">The dense model was not measured: values, not "
                   "savings.</p>\n");
  }
  const lrp_status st = write_cases(page);
  write_slopes(page);
  write_table(page);
  lrp_page_section_close(page);
  return st;
}
