/** @file pipeline/page_parts.h
 *  The parts that page.c puts together, and what they share. */
#ifndef LRP_PIPELINE_PAGE_PARTS_H
#define LRP_PIPELINE_PAGE_PARTS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

#include "kernels/status.h"
#include "pipeline/markup.h"
#include "pipeline/svg.h"

typedef struct {
  FILE *f;           /* borrowed */
  const json_t *all; /* tradeoff.json, borrowed */
  const json_t *rows /* its configurations */, *tasks, *tensors, *sensitivity, *efficiency, *choice,
      *provenance; /* borrowed; NULL where there is none, or nothing in it */
  int figures;     /* so far: each has a number in the page */
} lrp_page;

/* ---- sections; each writes nothing without its data ---- */

void lrp_page_head(lrp_page *page);
lrp_status lrp_page_accuracy(lrp_page *page);
lrp_status lrp_page_sensitivity(lrp_page *page);
lrp_status lrp_page_spectra(lrp_page *page);
lrp_status lrp_page_efficiency(lrp_page *page);
void lrp_page_choice(lrp_page *page);
lrp_status lrp_page_tensors(lrp_page *page);
lrp_status lrp_page_configurations(lrp_page *page);
void lrp_page_provenance(lrp_page *page);

/** Whether the page has the section, for the table of contents. Local. */
bool lrp_page_has_scores(const lrp_page *page);
bool lrp_page_has_sensitivity(const lrp_page *page);
bool lrp_page_has_spectra(const lrp_page *page);

/** The style sheet, rule by rule; NULL at the end. */
extern const char *const lrp_page_style[];

/* ---- JSON ---- */

/** Number of a member; NaN where there is none. Local. */
double lrp_page_number(const json_t *object, const char *key);
/** Text of a member; "" where there is none. Local. */
const char *lrp_page_string(const json_t *object, const char *key);
/** Integer of a member; -1 where there is none. Local. */
int lrp_page_integer(const json_t *object, const char *key);

/** The dense configuration: the row that saves nothing, or NULL. Local. */
const json_t *lrp_page_dense(const json_t *rows);

/** Whether the configuration was chosen by lrpipe choose. Local. */
bool lrp_page_is_chosen(const lrp_page *page, const char *configuration);

/** 0.021 or 2.1 -> "2.1 points", with a sign. Local. @return text */
const char *lrp_page_points(char text[LRP_MARKUP_NUMBER], double points);

/** Last part of the model's directory. Local. */
const char *lrp_page_model_name(const lrp_page *page);

/** "arc_easy" -> "ARC Easy" where the benchmark has a usual name. Local. */
const char *lrp_page_task_title(const char *task);

/* ---- markup ---- */

/** printf into the page; texts of others go through lrp_markup_text instead. Local. */
void lrp_page_print(lrp_page *page, const char *format, ...) __attribute__((format(printf, 2, 3)));

/** <tag class="..."> text </tag>, escaped; class_ may be NULL. Local. */
void lrp_page_element(lrp_page *page, const char *tag, const char *class_, const char *text);

void lrp_page_section_open(lrp_page *page, const char *id, const char *title);
void lrp_page_section_close(lrp_page *page);

/** A figure of a row of figures: caption, then the drawing. Local. */
void lrp_page_panels_open(lrp_page *page);
void lrp_page_panels_close(lrp_page *page);
void lrp_page_figure_open(lrp_page *page, const char *class_, const char *title, const char *note);
void lrp_page_figure_close(lrp_page *page);

/** <ul> of what marks mean: pairs of a class of the style sheet's keys and a text, NULL at the end.
 * Local. */
void lrp_page_legend(lrp_page *page, const char *const *pairs);

/** A table in a box that scrolls by itself; the first column names its row. Local.
 *  @param columns  heads, NULL at the end */
void lrp_page_table_open(lrp_page *page, const char *caption, const char *const *columns);
void lrp_page_table_close(lrp_page *page);
void lrp_page_row_open(lrp_page *page, const char *name);
void lrp_page_row_close(lrp_page *page);
void lrp_page_cell(lrp_page *page, const char *text);
/** scale * value with so many decimals, and +- scale * error where it is finite. Local. */
void lrp_page_cell_value(lrp_page *page, double value, double error, double scale, int decimals);
/** So many significant digits. Local. */
void lrp_page_cell_digits(lrp_page *page, double value, int digits);
/** With a unit and its prefix. Local. */
void lrp_page_cell_unit(lrp_page *page, double value, const char *unit);

/** Where the configurations that a table leaves out are, if there are any. Local. */
void lrp_page_rest(lrp_page *page, int shown);

/** The table behind a figure. Local. */
void lrp_page_details_open(lrp_page *page, const char *summary);
void lrp_page_details_close(lrp_page *page);

/** What is drawn of a row: a value over the reduction, with its interval. */
typedef struct {
  const json_t *row;
  double x, y, low, high;
} lrp_page_point;

/** Sort by x, then y. Local. */
void lrp_page_points_sort(lrp_page_point *points, int n);

/** Kinds of tensors, in the order in which the rows first name them; at most LRP_PAGE_KINDS. */
enum { LRP_PAGE_KINDS = 16 };
typedef struct {
  int n, layers; /* layers: one more than the last */
  const char *name[LRP_PAGE_KINDS];
} lrp_page_kinds;

/** @param key  of the name in each of units. Local. */
lrp_page_kinds lrp_page_kinds_of(const json_t *units, const char *key);
int lrp_page_kind(const lrp_page_kinds *kinds, const char *name);

/** A map of layer x kind: value and error are arrays of kinds * layers, [kind * layers + layer].
 *  Positive values have classes p1..p6, negative ones n1..n6, by the square root of their share of
 *  the largest, and what is more than two errors above 0 a dot. Local.
 *  @param unit  of the hints, "nats"; @param error  may be NULL */
typedef struct {
  const char *title, *description, *unit;
  const lrp_page_kinds *kinds;
  const double *value, *error;
  bool even; /* colours p1..p6 in even steps from the least to the largest value */
} lrp_page_map;
void lrp_page_map_draw(lrp_page *page, const lrp_page_map *map);

#endif
