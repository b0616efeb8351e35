#include <math.h>
#include <string.h>

#include "pipeline/page_parts.h"

enum { steps = 6 }; /* of colour on each side of 0 */

typedef struct {
  double least, most; /* of the values */
  bool even;          /* steps of one width from least to most; else by the square root from 0 */
} scale;

static scale scale_of(const lrp_page_map *map) {
  lrp_svg_range range = LRP_SVG_EMPTY;
  for (int i = 0; i < map->kinds->n * map->kinds->layers; i++) {
    lrp_svg_range_add(&range, map->value[i]);
  }
  if (lrp_svg_range_is_empty(&range)) return (scale){0};
  return map->even ? (scale){range.low, range.high, true}
                   : (scale){0.0, fmax(fabs(range.low), fabs(range.high)), false};
}

/* -6..6; by the square root, one large value does not hide all others. */
static int step_of(const scale *s, double value) {
  if (s->most == s->least) return s->even ? 1 : 0;
  if (s->even) {
    const double share = (value - s->least) / (s->most - s->least);
    return 1 + (int)fmin(fmax(steps * share, 0.0), steps - 1);
  }
  const int step = (int)(steps * sqrt(fmin(fabs(value) / s->most, 1.0)) + 0.5);
  return value < 0.0 ? -step : step;
}

/* Value in the middle of a step's colour. */
static double value_of(const scale *s, int step) {
  const double share = (double)step / steps;
  if (s->even) return s->least + (share - 0.5 / steps) * (s->most - s->least);
  return (step < 0 ? -1.0 : 1.0) * s->most * share * share;
}

static const char *class_of(int step) {
  static const char *const classes[] = {"n6", "n5", "n4", "n3", "n2", "n1", "z",
                                        "p1", "p2", "p3", "p4", "p5", "p6"};
  return classes[step + steps];
}

static void write_scale(lrp_page *page, const lrp_page_map *map, const scale *s) {
  const int n = map->kinds->n * map->kinds->layers;
  int low = s->even ? 1 : 0, high = low;
  char number[LRP_MARKUP_NUMBER];
  for (int i = 0; i < n; i++) {
    if (!isfinite(map->value[i])) continue;
    const int step = step_of(s, map->value[i]);
    if (step < low) low = step;
    if (step > high) high = step;
  }
  lrp_page_print(page, "<ul class=\"scale\" aria-label=\"Colours of the map, %s\">\n", map->unit);
  for (int k = low; k <= high; k++) {
    lrp_page_print(page, "<li><span class=\"%s\"></span>%s</li>\n", class_of(k),
                   lrp_markup_digits(number, value_of(s, k), s->even ? 4 : 2));
  }
  lrp_page_print(page, "</ul>\n");
}

typedef struct {
  double left, top, width, height; /* of all cells; of one */
} lattice;

static void draw_cell(const lrp_svg *svg, const lrp_page_map *map, const lattice *l, int kind,
                      int layer, const scale *s) {
  const int i = kind * map->kinds->layers + layer;
  const double x = l->left + layer * l->width, y = l->top + kind * l->height;
  const double value = map->value[i], error = map->error ? map->error[i] : NAN;
  char hint[160], number[LRP_MARKUP_NUMBER], margin[LRP_MARKUP_NUMBER + 8] = "";
  if (!isfinite(value)) {
    lrp_svg_cell(svg, "none", x + 1.0, y + 1.0, l->width - 2.0, l->height - 2.0, NULL);
    return;
  }
  if (isfinite(error)) {
    snprintf(margin, sizeof margin, " \xc2\xb1 %s", lrp_markup_digits(number, error, 2));
  }
  snprintf(hint, sizeof hint, "layer %d, %.60s: %s%s %.16s", layer, map->kinds->name[kind],
           lrp_markup_digits(number, value, 3), margin, map->unit);
  const int step = step_of(s, value);
  lrp_svg_cell(svg, class_of(step), x + 0.5, y + 0.5, l->width - 1.0, l->height - 1.0, hint);
  if (isfinite(error) && value > 2.0 * error) {
    lrp_svg_cell(svg, step >= 5 ? "sure on" : "sure", x + l->width / 2.0 - 1.5,
                 y + l->height / 2.0 - 1.5, 3.0, 3.0, NULL);
  }
}

static void draw_labels(const lrp_svg *svg, const lrp_page_map *map, const lattice *l) {
  const int every = l->width >= 18.0 ? 1 : l->width >= 9.0 ? 2 : 5;
  char text[16];
  for (int k = 0; k < map->kinds->n; k++) {
    lrp_svg_text(svg, "label", l->left - 8.0, l->top + (k + 0.5) * l->height + 4.0, "end",
                 map->kinds->name[k]);
  }
  for (int layer = 0; layer < map->kinds->layers; layer += every) {
    snprintf(text, sizeof text, "%d", layer);
    lrp_svg_text(svg, "tick", l->left + (layer + 0.5) * l->width,
                 l->top + map->kinds->n * l->height + 14.0, "middle", text);
  }
  lrp_svg_text(svg, "label", l->left - 8.0, l->top + map->kinds->n * l->height + 14.0, "end",
               "layer");
}

static lattice lattice_of(const lrp_page_kinds *kinds) {
  const double letter = 6.6, most_width = 1000.0;
  lattice l = {.left = 60.0, .top = 4.0, .width = 27.0, .height = 25.0};
  for (int k = 0; k < kinds->n; k++) {
    l.left = fmax(l.left, letter * (double)strlen(kinds->name[k]) + 16.0);
  }
  if (l.width * kinds->layers > most_width) l.width = most_width / kinds->layers;
  return l;
}

void lrp_page_map_draw(lrp_page *page, const lrp_page_map *map) {
  const lattice l = lattice_of(map->kinds);
  const scale s = scale_of(map);
  lrp_svg svg;

  lrp_page_print(page, "<div class=\"scroll map\" tabindex=\"0\" role=\"region\" aria-label=\"");
  lrp_markup_text(page->f, map->title);
  lrp_page_print(page, "\">\n");
  const double width = l.left + map->kinds->layers * l.width + 4.0;
  /* as large as it is drawn, or smaller down to where its text can be read */
  lrp_page_print(page, "<div style=\"max-width:%.0fpx;min-width:%.0fpx\">\n", 1.15 * width,
                 fmin(width, fmax(300.0, 0.72 * width)));
  lrp_svg_open(&svg, page->f, page->figures, width, l.top + map->kinds->n * l.height + 20.0,
               map->title, map->description);
  for (int kind = 0; kind < map->kinds->n; kind++) {
    for (int layer = 0; layer < map->kinds->layers; layer++) {
      draw_cell(&svg, map, &l, kind, layer, &s);
    }
  }
  draw_labels(&svg, map, &l);
  lrp_svg_close(&svg);
  lrp_page_print(page, "</div>\n</div>\n");
  write_scale(page, map, &s);
}
