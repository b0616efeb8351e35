#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "pipeline/page_parts.h"

/* ---- JSON ---- */

double lrp_page_number(const json_t *object, const char *key) {
  const json_t *value = json_object_get(object, key);
  return json_is_number(value) ? json_number_value(value) : NAN;
}

const char *lrp_page_string(const json_t *object, const char *key) {
  const char *text = json_string_value(json_object_get(object, key));
  return text ? text : "";
}

int lrp_page_integer(const json_t *object, const char *key) {
  const json_t *value = json_object_get(object, key);
  const json_int_t number = json_is_integer(value) ? json_integer_value(value) : -1;
  return number < -1 || number > 1 << 30 ? -1 : (int)number;
}

const json_t *lrp_page_dense(const json_t *rows) {
  size_t i;
  json_t *row;
  json_array_foreach((json_t *)(uintptr_t)rows, i, row) {
    if (lrp_page_number(row, "reduction_percent") == 0.0) return row;
  }
  return NULL;
}

bool lrp_page_is_chosen(const lrp_page *page, const char *configuration) {
  size_t i;
  json_t *row;
  json_array_foreach(json_object_get(page->choice, "rows"), i, row) {
    if (strncmp(lrp_page_string(row, "kind"), "chosen", strlen("chosen")) != 0) continue;
    if (strcmp(lrp_page_string(row, "configuration"), configuration) == 0) return true;
  }
  return false;
}

const char *lrp_page_points(char text[LRP_MARKUP_NUMBER], double points) {
  char number[LRP_MARKUP_NUMBER];
  lrp_markup_fixed(number, points, 1);
  snprintf(text, LRP_MARKUP_NUMBER, "%s%.30s points", points > 0.05 ? "+" : "", number);
  return text;
}

const char *lrp_page_task_title(const char *task) {
  static const char *const titles[][2] = {
      {"arc_easy", "ARC Easy"},
      {"arc_challenge", "ARC Challenge"},
      {"hellaswag", "HellaSwag"},
      {"winogrande", "WinoGrande"},
      {"piqa", "PIQA"},
      {"mmlu", "MMLU"},
      {"truthfulqa", "TruthfulQA"},
      {"truthfulqa_mc1", "TruthfulQA MC1"},
      {"truthfulqa_mc2", "TruthfulQA MC2"},
      {"boolq", "BoolQ"},
      {"openbookqa", "OpenBookQA"},
      {"sciq", "SciQ"},
      {"lambada_openai", "LAMBADA"},
      {"wikitext", "WikiText"},
      {"gsm8k", "GSM8K"},
      {"squad", "SQuAD"},
  };
  for (size_t i = 0; i < sizeof titles / sizeof *titles; i++) {
    if (strcmp(titles[i][0], task) == 0) return titles[i][1];
  }
  return task;
}

/* ---- markup ---- */

void lrp_page_print(lrp_page *page, const char *format, ...) {
  va_list args;
  va_start(args, format);
  vfprintf(page->f, format, args);
  va_end(args);
}

void lrp_page_element(lrp_page *page, const char *tag, const char *class_, const char *text) {
  fprintf(page->f, class_ ? "<%s class=\"%s\">" : "<%s>", tag, class_);
  lrp_markup_text(page->f, text);
  fprintf(page->f, "</%s>\n", tag);
}

void lrp_page_section_open(lrp_page *page, const char *id, const char *title) {
  lrp_page_print(page, "\n<section id=\"%s\" aria-labelledby=\"%s-title\">\n<h2 id=\"%s-title\">",
                 id, id, id);
  lrp_markup_text(page->f, title);
  lrp_page_print(page, "</h2>\n");
}

void lrp_page_section_close(lrp_page *page) {
  lrp_page_print(page, "</section>\n");
}

void lrp_page_panels_open(lrp_page *page) {
  lrp_page_print(page, "<div class=\"panels\">\n");
}

void lrp_page_panels_close(lrp_page *page) {
  lrp_page_print(page, "</div>\n");
}

void lrp_page_figure_open(lrp_page *page, const char *class_, const char *title, const char *note) {
  page->figures++;
  lrp_page_print(page, "<figure class=\"%s\">\n<figcaption><b>", class_);
  lrp_markup_text(page->f, title);
  lrp_page_print(page, "</b>");
  if (note && *note) {
    lrp_page_print(page, " <span>");
    lrp_markup_text(page->f, note);
    lrp_page_print(page, "</span>");
  }
  lrp_page_print(page, "</figcaption>\n");
}

void lrp_page_figure_close(lrp_page *page) {
  lrp_page_print(page, "</figure>\n");
}

void lrp_page_legend(lrp_page *page, const char *const *pairs) {
  lrp_page_print(page, "<ul class=\"legend\">\n");
  for (; pairs[0]; pairs += 2) {
    lrp_page_print(page, "<li><span class=\"key %s\"></span>", pairs[0]);
    lrp_markup_text(page->f, pairs[1]);
    lrp_page_print(page, "</li>\n");
  }
  lrp_page_print(page, "</ul>\n");
}

void lrp_page_table_open(lrp_page *page, const char *caption, const char *const *columns) {
  lrp_page_print(page, "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"");
  lrp_markup_text(page->f, caption);
  lrp_page_print(page, "\">\n<table>\n<caption>");
  lrp_markup_text(page->f, caption);
  lrp_page_print(page, "</caption>\n<thead><tr>");
  for (int i = 0; columns[i]; i++) {
    lrp_page_print(page, "<th scope=\"col\">");
    lrp_markup_text(page->f, columns[i]);
    lrp_page_print(page, "</th>");
  }
  lrp_page_print(page, "</tr></thead>\n<tbody>\n");
}

void lrp_page_table_close(lrp_page *page) {
  lrp_page_print(page, "</tbody>\n</table>\n</div>\n");
}

void lrp_page_row_open(lrp_page *page, const char *name) {
  lrp_page_print(page, "<tr><th scope=\"row\">");
  lrp_markup_text(page->f, name);
  lrp_page_print(page, "</th>");
}

void lrp_page_row_close(lrp_page *page) {
  lrp_page_print(page, "</tr>\n");
}

void lrp_page_cell(lrp_page *page, const char *text) {
  lrp_page_print(page, "<td>");
  lrp_markup_text(page->f, text);
  lrp_page_print(page, "</td>");
}

void lrp_page_cell_value(lrp_page *page, double value, double error, double scale, int decimals) {
  char number[LRP_MARKUP_NUMBER];
  lrp_page_print(page, "<td>%s", lrp_markup_fixed(number, scale * value, decimals));
  if (isfinite(value) && isfinite(error)) {
    lrp_page_print(page, " <small>\xc2\xb1 %s</small>",
                   lrp_markup_fixed(number, scale * error, decimals));
  }
  lrp_page_print(page, "</td>");
}

void lrp_page_cell_digits(lrp_page *page, double value, int digits) {
  char number[LRP_MARKUP_NUMBER];
  lrp_page_cell(page, lrp_markup_digits(number, value, digits));
}

void lrp_page_cell_unit(lrp_page *page, double value, const char *unit) {
  char number[LRP_MARKUP_NUMBER];
  lrp_page_cell(page, lrp_markup_unit(number, value, unit));
}

void lrp_page_details_open(lrp_page *page, const char *summary) {
  lrp_page_print(page, "<details>\n<summary>");
  lrp_markup_text(page->f, summary);
  lrp_page_print(page, "</summary>\n");
}

void lrp_page_details_close(lrp_page *page) {
  lrp_page_print(page, "</details>\n");
}

/* ---- what figures share ---- */

static int by_place(const void *a, const void *b) {
  const lrp_page_point *p = a, *q = b;
  if (p->x != q->x) return p->x < q->x ? -1 : 1;
  if (p->y != q->y) return p->y < q->y ? -1 : 1;
  return 0;
}

void lrp_page_points_sort(lrp_page_point *points, int n) {
  qsort(points, (size_t)n, sizeof *points, by_place);
}

int lrp_page_kind(const lrp_page_kinds *kinds, const char *name) {
  for (int k = 0; k < kinds->n; k++) {
    if (strcmp(kinds->name[k], name) == 0) return k;
  }
  return -1;
}

lrp_page_kinds lrp_page_kinds_of(const json_t *units, const char *key) {
  enum { most_layers = 4096 };
  lrp_page_kinds kinds = {0};
  size_t i;
  json_t *unit;
  json_array_foreach((json_t *)(uintptr_t)units, i, unit) {
    const char *name = lrp_page_string(unit, key);
    const int layer = lrp_page_integer(unit, "layer");
    if (layer >= kinds.layers && layer < most_layers) kinds.layers = layer + 1;
    if (kinds.n < LRP_PAGE_KINDS && lrp_page_kind(&kinds, name) < 0) kinds.name[kinds.n++] = name;
  }
  return kinds;
}

void lrp_page_rest(lrp_page *page, int shown) {
  char count[LRP_MARKUP_NUMBER];
  const int n = (int)json_array_size(page->rows);
  if (n <= shown) return;
  lrp_page_print(page,
                 "<p class=\"note\">The first %d of %s configurations; all are in "
                 "<code>tradeoff.csv</code>.</p>\n",
                 shown, lrp_markup_count(count, n));
}
