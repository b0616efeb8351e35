#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "pipeline/page_parts.h"
#include "pipeline/paper_points.h"
#include "pipeline/pareto.h"

enum { most_bars = 60, most_hints = 300, most_rows = 200 };

/* A score of every configuration: what one figure shows. */
typedef struct {
  const char *title, *note, *y_label, *unit;
  const char *column;
  double scale, chance;
  bool lower_is_better;
  const lrp_paper_accuracy *paper;
} score;

/* What is drawn of it; all arrays owned, with room for every configuration. */
typedef struct {
  lrp_page_point *points; /* by reduction */
  double *x, *y;          /* the Pareto front, by reduction */
  int64_t *size;          /* parameters of points */
  bool *on_front;
  int n, n_front;
  double most_x;
} scatter;

static void scatter_free(scatter *s) {
  free(s->points);
  free(s->x);
  free(s->y);
  free(s->size);
  free(s->on_front);
  *s = (scatter){0};
}

static lrp_status scatter_init(const lrp_page *page, scatter *s) {
  const size_t n = json_array_size(page->rows) + 1;
  *s = (scatter){.points = calloc(n, sizeof *s->points),
                 .x = calloc(n, sizeof *s->x),
                 .y = calloc(n, sizeof *s->y),
                 .size = calloc(n, sizeof *s->size),
                 .on_front = calloc(n, sizeof *s->on_front)};
  if (s->points && s->x && s->y && s->size && s->on_front) return LRP_OK;
  scatter_free(s);
  return lrp_fail_memory(n * sizeof *s->points, "the page");
}

static void collect(const lrp_page *page, const score *m, scatter *s) {
  char error_key[192];
  size_t i;
  json_t *row;
  snprintf(error_key, sizeof error_key, "%.180s_stderr", m->column);
  json_array_foreach((json_t *)(uintptr_t)page->rows, i, row) {
    const double x = lrp_page_number(row, "reduction_percent");
    const double y = m->scale * lrp_page_number(row, m->column);
    const double error = m->scale * lrp_page_number(row, error_key);
    if (!isfinite(x) || !isfinite(y)) continue;
    s->points[s->n++] = (lrp_page_point){row, x, y, y - error, y + error};
    if (x > s->most_x) s->most_x = x;
  }
  lrp_page_points_sort(s->points, s->n);
}

static lrp_status find_front(const score *m, scatter *s) {
  for (int i = 0; i < s->n; i++) {
    s->size[i] = json_integer_value(json_object_get(s->points[i].row, "parameters"));
    s->y[i] = m->lower_is_better ? -s->points[i].y : s->points[i].y;
  }
  const lrp_status st = lrp_pareto(s->size, s->y, s->n, s->on_front);
  if (st != LRP_OK) return st;
  for (int i = 0; i < s->n; i++) {
    if (!s->on_front[i]) continue;
    s->x[s->n_front] = s->points[i].x;
    s->y[s->n_front++] = s->points[i].y;
  }
  return LRP_OK;
}

/* Of many configurations only the best have their bars. */
static bool has_bar(const scatter *s, int i) {
  return s->n <= most_bars || s->on_front[i];
}

/* The paper's points go as far as the user's, and a little further. */
static bool is_near(const scatter *s, int i) {
  return lrp_paper_reduction[i] <= fmax(1.15 * s->most_x, 10.0);
}

static void fit_axes(const score *m, const scatter *s, lrp_svg_axis *x, lrp_svg_axis *y) {
  lrp_svg_range over = {0.0, 0.0}, up = LRP_SVG_EMPTY;
  lrp_svg_range_add(&over, s->most_x > 0.0 ? s->most_x : 10.0);
  for (int i = 0; i < s->n; i++) {
    lrp_svg_range_add(&over, s->points[i].x); /* less than 0 where factors are larger */
    lrp_svg_range_add(&up, s->points[i].y);
    if (!has_bar(s, i)) continue;
    lrp_svg_range_add(&up, s->points[i].low);
    lrp_svg_range_add(&up, s->points[i].high);
  }
  lrp_svg_range_add(&up, m->chance);
  for (int i = 0; m->paper && i < LRP_PAPER_SIZES; i++) {
    if (!is_near(s, i)) continue;
    lrp_svg_range_add(&over, lrp_paper_reduction[i]);
    lrp_svg_range_add(&up, m->paper->percent[i]);
  }
  *x = lrp_svg_linear(over, 5);
  *y = lrp_svg_linear(up, 5);
}

static void draw_paper(const lrp_svg *svg, const score *m, const scatter *s) {
  char hint[96];
  int n = 0;
  while (n < LRP_PAPER_SIZES && is_near(s, n)) n++;
  lrp_svg_line(svg, "paper", n, lrp_paper_reduction, m->paper->percent);
  for (int i = 0; i < n; i++) {
    snprintf(hint, sizeof hint, "paper, Llama-2-7B-chat: %.2f %% at %.2f %%", m->paper->percent[i],
             lrp_paper_reduction[i]);
    lrp_svg_mark(svg, LRP_SVG_DIAMOND, "paper", lrp_paper_reduction[i], m->paper->percent[i], hint);
  }
}

static void hint_of(const score *m, const lrp_page_point *p, char *hint, size_t size) {
  char x[LRP_MARKUP_NUMBER], y[LRP_MARKUP_NUMBER], error[LRP_MARKUP_NUMBER + 8] = "";
  if (isfinite(p->high)) {
    char number[LRP_MARKUP_NUMBER];
    snprintf(error, sizeof error, " \xc2\xb1 %s", lrp_markup_digits(number, p->high - p->y, 2));
  }
  snprintf(hint, size, "%.200s: %s%s %s at %s %%", lrp_page_string(p->row, "configuration"),
           lrp_markup_digits(y, p->y, 4), error, m->unit, lrp_markup_fixed(x, p->x, 2));
}

static bool is_chosen(const lrp_page *page, const lrp_page_point *p) {
  return page->choice && lrp_page_is_chosen(page, lrp_page_string(p->row, "configuration"));
}

static void draw_points(const lrp_page *page, const lrp_svg *svg, const score *m, scatter *s) {
  char hint[400];
  lrp_svg_stairs(svg, "front", s->n_front, s->x, s->y);
  for (int i = 0; i < s->n; i++) {
    if (!has_bar(s, i)) continue;
    lrp_svg_error(svg, is_chosen(page, &s->points[i]) ? "pick" : "you", s->points[i].x,
                  s->points[i].low, s->points[i].high);
  }
  if (s->n > most_hints) {
    for (int i = 0; i < s->n; i++) { /* the front is drawn */
      s->x[i] = s->points[i].x;
      s->y[i] = s->points[i].y;
    }
    lrp_svg_dots(svg, "you", s->n, s->x, s->y);
  }
  for (int i = 0; i < s->n; i++) {
    const bool chosen = is_chosen(page, &s->points[i]);
    if (s->n > most_hints && !chosen) continue;
    hint_of(m, &s->points[i], hint, sizeof hint);
    lrp_svg_mark(svg, chosen ? LRP_SVG_SQUARE : LRP_SVG_CIRCLE, chosen ? "pick" : "you",
                 s->points[i].x, s->points[i].y, hint);
  }
}

/* In words: how much is shown, and some of the front. */
static void describe(const score *m, const scatter *s, char *text, size_t size) {
  enum { most = 6 };
  char x[LRP_MARKUP_NUMBER], y[LRP_MARKUP_NUMBER];
  const int n = s->n_front < most ? s->n_front : most;
  size_t at = (size_t)snprintf(text, size,
                               "%.100s against the reduction of the parameters, for %d "
                               "configurations. Pareto front: ",
                               m->title, s->n);
  for (int k = 0; k < n && at < size; k++) {
    const int i = n > 1 ? k * (s->n_front - 1) / (n - 1) : 0;
    at += (size_t)snprintf(text + at, size - at, "%s%s %s at %s %%", k == 0 ? "" : ", ",
                           lrp_markup_digits(y, s->y[i], 3), m->unit,
                           lrp_markup_digits(x, s->x[i], 3));
  }
  if (isfinite(m->chance) && at < size) {
    at += (size_t)snprintf(text + at, size - at, ". Chance is %s",
                           lrp_markup_digits(y, m->chance, 3));
  }
  if (m->paper && at < size) {
    at += (size_t)snprintf(text + at, size - at,
                           ". The paper's points of Llama-2-7B-chat fall from %.1f %% at 6 %% to "
                           "%.1f %% at 33 %%",
                           m->paper->percent[0], m->paper->percent[3]);
  }
  if (at < size) snprintf(text + at, size - at, ".");
}

static lrp_status draw(lrp_page *page, const score *m, bool large) {
  scatter s;
  char description[1024];
  lrp_svg svg;
  lrp_svg_axis x, y;
  lrp_status st = scatter_init(page, &s);
  if (st != LRP_OK) return st;
  collect(page, m, &s);
  st = find_front(m, &s);
  if (st == LRP_OK && s.n > 0) {
    describe(m, &s, description, sizeof description);
    fit_axes(m, &s, &x, &y);
    lrp_page_figure_open(page, large ? "main" : "panel", m->title, m->note);
    lrp_svg_open(&svg, page->f, page->figures, large ? 470.0 : 340.0, large ? 270.0 : 240.0,
                 m->title, description);
    lrp_svg_axes(&svg, x, y, "reduction of the parameters, %", m->y_label);
    if (isfinite(m->chance)) lrp_svg_segment(&svg, "chance", x.low, m->chance, x.high, m->chance);
    if (m->paper) draw_paper(&svg, m, &s);
    draw_points(page, &svg, m, &s);
    lrp_svg_close(&svg);
    lrp_page_figure_close(page);
  }
  scatter_free(&s);
  return st;
}

/* ---- which ---- */

/* Column of the task: arc_easy/acc */
static void column_of(const json_t *task, char *column, size_t size) {
  snprintf(column, size, "%.80s/%.80s", lrp_page_string(task, "name"),
           lrp_page_string(task, "metric"));
}

static bool any_number(const lrp_page *page, const char *column) {
  size_t i;
  json_t *row;
  json_array_foreach((json_t *)(uintptr_t)page->rows, i, row) {
    if (isfinite(lrp_page_number(row, column))) return true;
  }
  return false;
}

bool lrp_page_has_scores(const lrp_page *page) {
  size_t i;
  json_t *task;
  char column[192];
  json_array_foreach((json_t *)(uintptr_t)page->tasks, i, task) {
    column_of(task, column, sizeof column);
    if (any_number(page, column)) return true;
  }
  return false;
}

/* Percent of the best value where there is one; perplexities are shown as they are. */
static double scale_of(const json_t *task) {
  const double full = lrp_page_number(task, "full");
  return full > 0.0 ? 100.0 / full : 1.0;
}

static bool is_percent(const json_t *task) {
  return lrp_page_number(task, "full") > 0.0;
}

static lrp_status draw_task(lrp_page *page, const json_t *task, bool large) {
  const char *name = lrp_page_string(task, "name"), *metric = lrp_page_string(task, "metric");
  const int documents = lrp_page_integer(task, "documents");
  char column[192], note[256], count[LRP_MARKUP_NUMBER];
  column_of(task, column, sizeof column);
  const bool share = is_percent(task);
  const double chance = scale_of(task) * lrp_page_number(task, "chance");
  const int length = snprintf(note, sizeof note, "%.80s, %s documents", metric,
                              lrp_markup_count(count, documents));
  if (isfinite(chance)) {
    snprintf(note + length, sizeof note - (size_t)length, ", chance %s%s",
             lrp_markup_digits(count, chance, 3), share ? "\xc2\xa0%" : "");
  }
  const score m = {
      .title = lrp_page_task_title(name),
      .note = note,
      .y_label = share ? "score, %" : metric,
      .unit = share ? "%" : "",
      .column = column,
      .scale = scale_of(task),
      .chance = chance,
      .lower_is_better = json_is_false(json_object_get(task, "higher_is_better")),
      .paper = share ? lrp_paper_accuracy_find(name, metric) : NULL,
  };
  return draw(page, &m, large);
}

static const score mean_score = {.title = "Mean over the benchmarks",
                                 .y_label = "score, %",
                                 .unit = "%",
                                 .column = "score",
                                 .scale = 100.0,
                                 .chance = NAN};
static const score choice_loss = {.title = "Loss of the choices",
                                  .note = "negative log-probability of the right answer",
                                  .y_label = "nats",
                                  .unit = "nats",
                                  .column = "choice_loss",
                                  .scale = 1.0,
                                  .chance = NAN,
                                  .lower_is_better = true};

/* Whether the paper has points of a benchmark, and whether it is asked as many questions. */
static bool has_paper(const lrp_page *page, bool *differs) {
  size_t i;
  json_t *task;
  bool any = false;
  *differs = false;
  json_array_foreach((json_t *)(uintptr_t)page->tasks, i, task) {
    const lrp_paper_accuracy *paper =
        lrp_paper_accuracy_find(lrp_page_string(task, "name"), lrp_page_string(task, "metric"));
    if (!paper) continue;
    any = true;
    if (lrp_page_integer(task, "documents") != paper->documents) *differs = true;
  }
  return any;
}

static void write_paper_note(lrp_page *page) {
  bool differs;
  if (!has_paper(page, &differs)) return;
  lrp_page_print(page,
                 "<p class=\"note\">The paper&#39;s points are those that Moar et al. (IISWC 2024) "
                 "have published for Llama-2-7B-chat, rank 1.%s</p>\n",
                 differs ? " Some benchmarks here have another number of documents than theirs: "
                           "compare the course of the points, not their height."
                         : "");
}

static void write_missing(lrp_page *page, const char *column) {
  size_t i;
  json_t *row;
  int missing = 0;
  json_array_foreach((json_t *)(uintptr_t)page->rows, i, row) {
    missing += !isfinite(lrp_page_number(row, column));
  }
  if (missing == 0) return;
  lrp_page_print(
      page, "<p class=\"note\">%d configuration%s no number for the mean and %s left out.</p>\n",
      missing, missing == 1 ? " has" : "s have", missing == 1 ? "is" : "are");
}

static bool has_chance(const lrp_page *page) {
  size_t i;
  json_t *task;
  json_array_foreach((json_t *)(uintptr_t)page->tasks, i, task) {
    if (isfinite(lrp_page_number(task, "chance"))) return true;
  }
  return false;
}

static void write_legend(lrp_page *page) {
  const bool bars = json_array_size(page->rows) <= most_bars;
  const char *pairs[2 * 5 + 1] = {NULL};
  bool differs;
  int n = 0;
  pairs[n++] = "dot";
  pairs[n++] = bars ? "a configuration, \xc2\xb1 one standard error"
                    : "a configuration; bars: standard errors on the front";
  pairs[n++] = "stroke";
  pairs[n++] = "Pareto front: none is smaller and as good";
  if (page->choice) {
    pairs[n++] = "square";
    pairs[n++] = "proposed by lrpipe choose";
  }
  if (has_paper(page, &differs)) {
    pairs[n++] = "diamond";
    pairs[n++] = "the paper, Llama-2-7B-chat";
  }
  if (has_chance(page)) {
    pairs[n++] = "dashes";
    pairs[n++] = "chance";
  }
  lrp_page_legend(page, pairs);
}

static void write_table(lrp_page *page) {
  enum { most_columns = 16 };
  const char *columns[most_columns + 4] = {"configuration", "reduction, %", "mean, %"};
  char column[192], error[208];
  size_t i, t, n = json_array_size(page->tasks);
  json_t *row;
  if (n > most_columns) n = most_columns;
  for (t = 0; t < n; t++) {
    columns[3 + t] = lrp_page_task_title(lrp_page_string(json_array_get(page->tasks, t), "name"));
  }
  lrp_page_details_open(page, "The scores as a table");
  lrp_page_table_open(page, "Scores and their standard errors", columns);
  json_array_foreach((json_t *)(uintptr_t)page->rows, i, row) {
    if (i >= most_rows) break;
    lrp_page_row_open(page, lrp_page_string(row, "configuration"));
    lrp_page_cell_value(page, lrp_page_number(row, "reduction_percent"), NAN, 1.0, 2);
    lrp_page_cell_value(page, lrp_page_number(row, "score"), lrp_page_number(row, "score_stderr"),
                        100.0, 1);
    for (t = 0; t < n; t++) {
      const json_t *task = json_array_get(page->tasks, t);
      column_of(task, column, sizeof column);
      snprintf(error, sizeof error, "%s_stderr", column);
      lrp_page_cell_value(page, lrp_page_number(row, column), lrp_page_number(row, error),
                          scale_of(task), is_percent(task) ? 1 : 3);
    }
    lrp_page_row_close(page);
  }
  lrp_page_table_close(page);
  lrp_page_rest(page, most_rows);
  lrp_page_details_close(page);
}

/* What sums up all benchmarks: their mean, beside it the loss of the choices. */
static lrp_status draw_summary(lrp_page *page, bool mean, bool loss) {
  lrp_status st = LRP_OK;
  lrp_page_print(page, "<div class=\"pair\">\n");
  st = mean ? draw(page, &mean_score, true) : draw_task(page, json_array_get(page->tasks, 0), true);
  if (st == LRP_OK && loss) st = draw(page, &choice_loss, false);
  lrp_page_print(page, "</div>\n");
  if (mean) write_missing(page, mean_score.column);
  return st;
}

lrp_status lrp_page_accuracy(lrp_page *page) {
  if (!lrp_page_has_scores(page)) return LRP_OK;
  const bool several = json_array_size(page->tasks) > 1;
  const bool mean = several && any_number(page, mean_score.column);
  size_t t;
  json_t *task;

  lrp_page_section_open(page, "accuracy", "Accuracy against size");
  write_legend(page);
  lrp_status st = draw_summary(page, mean, any_number(page, choice_loss.column));
  if (several) lrp_page_panels_open(page);
  json_array_foreach((json_t *)(uintptr_t)page->tasks, t, task) {
    if (st == LRP_OK && (mean || t > 0)) st = draw_task(page, task, false);
  }
  if (several) lrp_page_panels_close(page);
  write_paper_note(page);
  write_table(page);
  lrp_page_section_close(page);
  return st;
}
