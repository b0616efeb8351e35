#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "pipeline/page_parts.h"

enum { depths = 8 };

static const char *const depth_class[depths] = {"layer d0", "layer d1", "layer d2", "layer d3",
                                                "layer d4", "layer d5", "layer d6", "layer d7"};

static int depth_of(int layer, int layers) {
  return layers > 1 ? layer * (depths - 1) / (layers - 1) : 0;
}

static double at(const json_t *spectrum, size_t i, size_t member) {
  const json_t *value = json_array_get(json_array_get(spectrum, i), member);
  return json_is_number(value) ? json_number_value(value) : NAN;
}

/* A tensor with at least two singular values above 0. */
static bool has_line(const json_t *tensor) {
  const json_t *spectrum = json_object_get(tensor, "spectrum");
  int n = 0;
  for (size_t i = 0; i < json_array_size(spectrum) && n < 2; i++) n += at(spectrum, i, 1) > 0.0;
  return n >= 2;
}

bool lrp_page_has_spectra(const lrp_page *page) {
  size_t i;
  json_t *tensor;
  json_array_foreach((json_t *)(uintptr_t)page->tensors, i, tensor) {
    if (has_line(tensor)) return true;
  }
  return false;
}

/* Axes that hold all kinds, so that panels can be compared. */
static void fit_axes(const lrp_page *page, lrp_svg_axis *x, lrp_svg_axis *y) {
  const double least = 1e-3; /* of the largest: what lies below is of no use to anybody */
  lrp_svg_range over = LRP_SVG_EMPTY, up = LRP_SVG_EMPTY;
  size_t t, i;
  json_t *tensor, *pair;
  json_array_foreach((json_t *)(uintptr_t)page->tensors, t, tensor) {
    json_array_foreach(json_object_get(tensor, "spectrum"), i, pair) {
      const json_t *spectrum = json_object_get(tensor, "spectrum");
      if (!(at(spectrum, i, 1) > 0.0)) continue;
      lrp_svg_range_add(&over, at(spectrum, i, 0));
      lrp_svg_range_add(&up, at(spectrum, i, 1));
    }
  }
  up.low = fmax(up.low, least * up.high);
  *x = lrp_svg_log(over);
  *y = lrp_svg_log(up);
}

typedef struct {
  double *x, *y; /* owned, room for the longest spectrum */
  size_t room;
} line;

static lrp_status draw_line(const lrp_svg *svg, const json_t *tensor, const char *class_, line *l) {
  const json_t *spectrum = json_object_get(tensor, "spectrum");
  const size_t n = json_array_size(spectrum);
  if (n > l->room) {
    double *x = realloc(l->x, n * sizeof *x);
    if (x) l->x = x;
    double *y = realloc(l->y, n * sizeof *y);
    if (y) l->y = y;
    if (!x || !y) return lrp_fail_memory(n * sizeof *x, "the page");
    l->room = n;
  }
  for (size_t i = 0; i < n; i++) {
    l->x[i] = at(spectrum, i, 0);
    l->y[i] = at(spectrum, i, 1);
  }
  lrp_svg_line(svg, class_, (int)n, l->x, l->y);
  return LRP_OK;
}

/* In words: the share that the first value has in the largest and the least of the layers. */
static void describe(const lrp_page *page, const char *kind, char *text, size_t size) {
  lrp_svg_range first = LRP_SVG_EMPTY;
  char low[LRP_MARKUP_NUMBER], high[LRP_MARKUP_NUMBER];
  int n = 0;
  size_t i;
  json_t *tensor;
  json_array_foreach((json_t *)(uintptr_t)page->tensors, i, tensor) {
    if (strcmp(lrp_page_string(tensor, "short"), kind) != 0) continue;
    lrp_svg_range_add(&first, at(json_object_get(tensor, "spectrum"), 0, 1));
    n++;
  }
  snprintf(text, size,
           "Singular values of %.60s in %d layers, a line each, both axes logarithmic. The largest "
           "value lies between %s and %s.",
           kind, n, lrp_markup_digits(low, first.low, 3), lrp_markup_digits(high, first.high, 3));
}

static lrp_status draw_kind(lrp_page *page, const lrp_page_kinds *kinds, int kind,
                            const lrp_svg_axis axes[2], line *l) {
  const char *name = kinds->name[kind];
  char description[300], title[96];
  lrp_svg svg;
  size_t i;
  json_t *tensor;
  lrp_status st = LRP_OK;

  describe(page, name, description, sizeof description);
  snprintf(title, sizeof title, "Spectra of %.60s", name);
  lrp_page_figure_open(page, "panel", name, NULL);
  lrp_svg_open(&svg, page->f, page->figures, 340.0, 230.0, title, description);
  lrp_svg_axes(&svg, axes[0], axes[1], "index", "singular value");
  json_array_foreach((json_t *)(uintptr_t)page->tensors, i, tensor) {
    if (st != LRP_OK || strcmp(lrp_page_string(tensor, "short"), name) != 0) continue;
    const int layer = lrp_page_integer(tensor, "layer");
    const int depth = layer >= 0 && layer < kinds->layers ? depth_of(layer, kinds->layers) : 0;
    st = draw_line(&svg, tensor, depth_class[depth], l);
  }
  lrp_svg_close(&svg);
  lrp_page_figure_close(page);
  return st;
}

static void write_scale(lrp_page *page, int layers) {
  lrp_page_print(page, "<ul class=\"scale\" aria-label=\"Colours of the layers\">\n");
  for (int d = 0, layer = 0; d < depths && layer < layers; d++) {
    const int first = layer;
    while (layer < layers && depth_of(layer, layers) == d) layer++;
    if (layer == first) continue;
    lrp_page_print(page, "<li><span class=\"%s\"></span>", depth_class[d] + strlen("layer "));
    if (layer - first == 1) {
      lrp_page_print(page, "%d</li>\n", first);
    } else {
      lrp_page_print(page, "%d\xe2\x80\x93%d</li>\n", first, layer - 1);
    }
  }
  lrp_page_print(page, "</ul>\n");
}

lrp_status lrp_page_spectra(lrp_page *page) {
  if (!lrp_page_has_spectra(page)) return LRP_OK;
  const lrp_page_kinds kinds = lrp_page_kinds_of(page->tensors, "short");
  lrp_svg_axis axes[2];
  line l = {0};
  lrp_status st = LRP_OK;

  fit_axes(page, &axes[0], &axes[1]);
  lrp_page_section_open(page, "spectra", "Spectra");
  lrp_page_print(
      page,
      "<p>The singular values that were computed, a line per layer. What falls "
      "steeply is well described by a low rank. Values below a thousandth of the largest "
      "are not drawn.</p>\n"
      "<p class=\"note\">Colours: layers</p>\n");
  write_scale(page, kinds.layers);
  lrp_page_panels_open(page);
  for (int k = 0; st == LRP_OK && k < kinds.n; k++) st = draw_kind(page, &kinds, k, axes, &l);
  lrp_page_panels_close(page);
  lrp_page_print(page,
                 "<p class=\"note\">Numbers: the table of tensors below, and "
                 "<code>tradeoff.json</code>.</p>\n");
  lrp_page_section_close(page);
  free(l.x);
  free(l.y);
  return st;
}
