#include "pipeline/svg.h"

#include <math.h>
#include <string.h>

#include "pipeline/markup.h"

/* ---- axes ---- */

void lrp_svg_range_add(lrp_svg_range *range, double x) {
  const double most = 1e100; /* differences and steps stay finite */
  if (!(fabs(x) <= most)) return;
  if (lrp_svg_range_is_empty(range)) *range = (lrp_svg_range){x, x};
  if (x < range->low) range->low = x;
  if (x > range->high) range->high = x;
}

bool lrp_svg_range_is_empty(const lrp_svg_range *range) {
  return !(range->low <= range->high);
}

/* The smallest of 1, 2, 5, 10 times a power of ten that is not below x > 0. */
static double round_up(double x) {
  const double power = pow(10.0, floor(log10(x)));
  const double factors[] = {1.0, 2.0, 5.0};
  for (int i = 0; i < 3; i++) {
    if (x <= factors[i] * power * (1.0 + 1e-9)) return factors[i] * power;
  }
  return 10.0 * power;
}

lrp_svg_axis lrp_svg_linear(lrp_svg_range range, int wanted) {
  const double room = 0.3; /* of a step: what is left of one that is hardly used */
  lrp_svg_axis a = {0};
  if (lrp_svg_range_is_empty(&range)) range = (lrp_svg_range){0.0, 1.0};
  if (range.high - range.low <= 1e-12 * fabs(range.high)) {
    const double half = range.high == 0.0 ? 1.0 : 0.1 * fabs(range.high);
    range = (lrp_svg_range){range.low - half, range.high + half};
  }
  const double step = round_up((range.high - range.low) / wanted);
  double first = floor(range.low / step + 1e-9), last = ceil(range.high / step - 1e-9);
  a.low = first * step;
  a.high = last * step;
  if (range.low - a.low > (1.0 - room) * step) a.low = ++first * step - room * step;
  if (a.high - range.high > (1.0 - room) * step) a.high = --last * step + room * step;
  for (double k = first; k <= last && a.n_ticks < LRP_SVG_TICKS; k += 1.0) {
    a.tick[a.n_ticks++] = k * step;
  }
  a.decimals = step < 1.0 ? (int)ceil(-log10(step) - 1e-9) : 0;
  return a;
}

/* 1, 2, 5 times powers of ten, number k: ..., -1: 0.5, 0: 1, 1: 2, 2: 5, 3: 10 */
static double one_two_five(int k) {
  const double factors[] = {1.0, 2.0, 5.0};
  const int power = (int)floor(k / 3.0);
  return factors[k - 3 * power] * pow(10.0, power);
}

lrp_svg_axis lrp_svg_log(lrp_svg_range range) {
  lrp_svg_axis a = {.log = true};
  if (lrp_svg_range_is_empty(&range) || range.low <= 0.0) range = (lrp_svg_range){1.0, 10.0};
  int first = 3 * (int)floor(log10(range.low)), last = 3 * (int)ceil(log10(range.high));
  while (one_two_five(first + 1) <= range.low * (1.0 + 1e-9)) first++;
  while (last > first + 1 && one_two_five(last - 1) >= range.high * (1.0 - 1e-9)) last--;
  if (last == first) last++;
  a.low = one_two_five(first);
  a.high = one_two_five(last);
  int step = last - first <= 6 ? 1 : 3;
  while ((last - first) / step >= 8) step += 3;
  for (int k = first; k <= last; k++) {
    if (k % step == 0 && a.n_ticks < LRP_SVG_TICKS) a.tick[a.n_ticks++] = one_two_five(k);
  }
  return a;
}

const char *lrp_svg_tick(const lrp_svg_axis *axis, double value, char text[32]) {
  char number[LRP_MARKUP_NUMBER];
  const double size = fabs(axis->high) > fabs(axis->low) ? fabs(axis->high) : fabs(axis->low);
  if (axis->log || size >= 1e6 || axis->decimals > 6) {
    lrp_markup_digits(number, value, 2);
  } else {
    lrp_markup_fixed(number, value, axis->decimals);
  }
  snprintf(text, 32, "%.31s", number);
  return text;
}

static double position(const lrp_svg_axis *a, double value) {
  const double p =
      a->log ? log(value / a->low) / log(a->high / a->low) : (value - a->low) / (a->high - a->low);
  return isfinite(p) && p > -0.001 && p < 1.001 ? p : NAN;
}

double lrp_svg_x(const lrp_svg *svg, double x) {
  return svg->left + (svg->right - svg->left) * position(&svg->x, x);
}

double lrp_svg_y(const lrp_svg *svg, double y) {
  return svg->bottom - (svg->bottom - svg->top) * position(&svg->y, y);
}

/* ---- the frame ---- */

void lrp_svg_open(lrp_svg *svg, FILE *f, int id, double width, double height, const char *title,
                  const char *description) {
  *svg = (lrp_svg){.f = f, .width = width, .height = height};
  fprintf(f,
          "<svg viewBox=\"0 0 %.0f %.0f\" role=\"img\" aria-labelledby=\"f%dt\" "
          "aria-describedby=\"f%dd\">\n<title id=\"f%dt\">",
          width, height, id, id, id);
  lrp_markup_text(f, title);
  fprintf(f, "</title>\n<desc id=\"f%dd\">", id);
  lrp_markup_text(f, description);
  fputs("</desc>\n", f);
}

void lrp_svg_close(lrp_svg *svg) {
  fputs("</svg>\n", svg->f);
}

/* Characters of a text, which is UTF-8. */
static int letters(const char *text) {
  int n = 0;
  for (; *text; text++) n += ((unsigned char)*text & 0xc0) != 0x80;
  return n;
}

static void place(lrp_svg *svg) {
  const double letter = 6.4, line = 16.0; /* of the ticks' text, which is 11 units high */
  char text[32];
  int widest = 1;
  for (int i = 0; i < svg->y.n_ticks; i++) {
    const int n = letters(lrp_svg_tick(&svg->y, svg->y.tick[i], text));
    if (n > widest) widest = n;
  }
  svg->left = 10.0 + letter * widest;
  svg->right = svg->width - 14.0;
  svg->top = line + 10.0;
  svg->bottom = svg->height - 2.0 * line - 6.0;
}

static void draw_ticks(const lrp_svg *svg) {
  char text[32];
  for (int i = 0; i < svg->y.n_ticks; i++) {
    const double y = lrp_svg_y(svg, svg->y.tick[i]);
    fprintf(svg->f, "<path class=\"grid\" d=\"M%.1f %.1fH%.1f\"/>\n", svg->left, y, svg->right);
    lrp_svg_text(svg, "tick", svg->left - 6.0, y + 4.0, "end",
                 lrp_svg_tick(&svg->y, svg->y.tick[i], text));
  }
  for (int i = 0; i < svg->x.n_ticks; i++) {
    const double x = lrp_svg_x(svg, svg->x.tick[i]);
    fprintf(svg->f, "<path class=\"axis\" d=\"M%.1f %.1fv4\"/>\n", x, svg->bottom);
    lrp_svg_text(svg, "tick", x, svg->bottom + 16.0, "middle",
                 lrp_svg_tick(&svg->x, svg->x.tick[i], text));
  }
  fprintf(svg->f, "<path class=\"axis\" d=\"M%.1f %.1fH%.1f\"/>\n", svg->left, svg->bottom,
          svg->right);
}

void lrp_svg_axes(lrp_svg *svg, lrp_svg_axis x, lrp_svg_axis y, const char *x_label,
                  const char *y_label) {
  svg->x = x;
  svg->y = y;
  place(svg);
  draw_ticks(svg);
  /* The label of y lies above its ticks: turned text is hard to read. */
  lrp_svg_text(svg, "label", 2.0, 12.0, "start", y_label);
  lrp_svg_text(svg, "label", svg->right, svg->bottom + 33.0, "end", x_label);
}

/* ---- what is drawn ---- */

static void line_or_stairs(const lrp_svg *svg, const char *class_, int n, const double *x,
                           const double *y, bool stairs) {
  bool drawing = false, open = false;
  for (int i = 0; i < n; i++) {
    const double px = lrp_svg_x(svg, x[i]), py = lrp_svg_y(svg, y[i]);
    if (!isfinite(px) || !isfinite(py)) {
      drawing = false;
      continue;
    }
    if (!open) fprintf(svg->f, "<path class=\"line %s\" d=\"", class_);
    open = true;
    if (drawing && stairs) {
      fprintf(svg->f, "V%.1fH%.1f", py, px);
    } else {
      fprintf(svg->f, "%c%.1f %.1f", drawing ? 'L' : 'M', px, py);
    }
    drawing = true;
  }
  if (open) fputs("\"/>\n", svg->f);
}

void lrp_svg_line(const lrp_svg *svg, const char *class_, int n, const double *x, const double *y) {
  line_or_stairs(svg, class_, n, x, y, false);
}

void lrp_svg_stairs(const lrp_svg *svg, const char *class_, int n, const double *x,
                    const double *y) {
  line_or_stairs(svg, class_, n, x, y, true);
}

void lrp_svg_segment(const lrp_svg *svg, const char *class_, double x0, double y0, double x1,
                     double y1) {
  const double x[] = {x0, x1}, y[] = {y0, y1};
  lrp_svg_line(svg, class_, 2, x, y);
}

void lrp_svg_error(const lrp_svg *svg, const char *class_, double x, double low, double high) {
  const double px = lrp_svg_x(svg, x), top = lrp_svg_y(svg, high), bottom = lrp_svg_y(svg, low);
  if (!isfinite(px) || !isfinite(top) || !isfinite(bottom)) return;
  fprintf(svg->f, "<path class=\"error %s\" d=\"M%.1f %.1fV%.1f\"/>\n", class_, px, bottom, top);
}

static void end_shape(const lrp_svg *svg, const char *name, const char *hint) {
  if (!hint) {
    fputs("/>\n", svg->f);
    return;
  }
  fputs("><title>", svg->f);
  lrp_markup_text(svg->f, hint);
  fprintf(svg->f, "</title></%s>\n", name);
}

void lrp_svg_mark(const lrp_svg *svg, lrp_svg_shape shape, const char *class_, double x, double y,
                  const char *hint) {
  const double px = lrp_svg_x(svg, x), py = lrp_svg_y(svg, y);
  if (!isfinite(px) || !isfinite(py)) return;
  if (shape == LRP_SVG_CIRCLE) {
    fprintf(svg->f, "<circle class=\"mark %s\" cx=\"%.1f\" cy=\"%.1f\" r=\"3.6\"", class_, px, py);
    end_shape(svg, "circle", hint);
  } else {
    const char *d = shape == LRP_SVG_DIAMOND ? "m0 -5l5 5l-5 5l-5 -5z" : "m-4.5 -4.5h9v9h-9z";
    fprintf(svg->f, "<path class=\"mark %s\" d=\"M%.1f %.1f%s\"", class_, px, py, d);
    end_shape(svg, "path", hint);
  }
}

void lrp_svg_dots(const lrp_svg *svg, const char *class_, int n, const double *x, const double *y) {
  enum { most_x = 1024, most_y = 512 };
  uint8_t seen[most_y][most_x / 8] = {{0}};
  bool open = false;

  for (int i = 0; i < n; i++) {
    const double px = lrp_svg_x(svg, x[i]), py = lrp_svg_y(svg, y[i]);
    if (!isfinite(px) || !isfinite(py) || px >= most_x || py >= most_y) continue;
    const int column = (int)px, row = (int)py;
    const uint8_t bit = (uint8_t)(1 << column % 8);
    if (seen[row][column / 8] & bit) continue;
    seen[row][column / 8] |= bit;
    if (!open) fprintf(svg->f, "<path class=\"dots %s\" d=\"", class_);
    open = true;
    fprintf(svg->f, "M%d %dh0", column, row);
  }
  if (open) fputs("\"/>\n", svg->f);
}

void lrp_svg_text(const lrp_svg *svg, const char *class_, double x, double y, const char *anchor,
                  const char *text) {
  fprintf(svg->f, "<text class=\"%s\" x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\">", class_, x, y,
          anchor);
  lrp_markup_text(svg->f, text);
  fputs("</text>\n", svg->f);
}

void lrp_svg_cell(const lrp_svg *svg, const char *class_, double x, double y, double width,
                  double height, const char *hint) {
  fprintf(svg->f, "<rect class=\"%s\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\"", class_,
          x, y, width, height);
  end_shape(svg, "rect", hint);
}
