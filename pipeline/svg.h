/** @file pipeline/svg.h
 *  Charts as inline SVG: axes with round ticks, lines, points, error bars, cells.
 *
 *  What is drawn has classes, no colours: the style sheet of the page decides. Lengths are in user
 *  units; a chart as wide as its viewBox shows one unit as one pixel. Points that are not finite
 *  are left out, and break a line. */
#ifndef LRP_PIPELINE_SVG_H
#define LRP_PIPELINE_SVG_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/** Least and largest of what was added; starts as LRP_SVG_EMPTY. */
typedef struct {
  double low, high;
} lrp_svg_range;
#define LRP_SVG_EMPTY ((lrp_svg_range){1.0, -1.0})

/** Widen the range to hold x; what is not finite, or beyond 1e100, changes nothing. Local. */
void lrp_svg_range_add(lrp_svg_range *range, double x);
bool lrp_svg_range_is_empty(const lrp_svg_range *range);

enum { LRP_SVG_TICKS = 16 };

typedef struct {
  bool log;         /* by powers of ten; all values are above 0 */
  double low, high; /* low < high */
  int n_ticks, decimals;
  double tick[LRP_SVG_TICKS];
} lrp_svg_axis;

/** An axis that holds range, from tick to tick or a little beyond the last: steps of 1, 2 or 5
 *  times a power of ten, about `wanted` of them. Local. An empty range is 0 to 1, a single value
 * gets room on both sides. */
lrp_svg_axis lrp_svg_linear(lrp_svg_range range, int wanted);

/** A logarithmic one: whole powers of ten over more than two of them, else 1, 2, 5 times. Local.
 *  An empty range, or one that reaches 0, is 1 to 10. */
lrp_svg_axis lrp_svg_log(lrp_svg_range range);

/** Text of a tick. Local. @return text */
const char *lrp_svg_tick(const lrp_svg_axis *axis, double value, char text[32]);

typedef struct {
  FILE *f;                         /* borrowed */
  double width, height;            /* of the drawing */
  double left, right, top, bottom; /* of the plot in it */
  lrp_svg_axis x, y;
} lrp_svg;

/** Begin a drawing that is to be read as one image with a title and a description in words.
 *  @param id  number of the figure: ids f<id>t and f<id>d must be new in the page. Local. */
void lrp_svg_open(lrp_svg *svg, FILE *f, int id, double width, double height, const char *title,
                  const char *description);
void lrp_svg_close(lrp_svg *svg);

/** Place the plot so that the ticks of y have room, then draw grid, ticks and labels. Local. */
void lrp_svg_axes(lrp_svg *svg, lrp_svg_axis x, lrp_svg_axis y, const char *x_label,
                  const char *y_label);

/** Where a value is in the drawing; NaN where it has no place. Local. */
double lrp_svg_x(const lrp_svg *svg, double x);
double lrp_svg_y(const lrp_svg *svg, double y);

/** A line through n points, or as stairs: down at each point, then on to the next. Local. */
void lrp_svg_line(const lrp_svg *svg, const char *class_, int n, const double *x, const double *y);
void lrp_svg_stairs(const lrp_svg *svg, const char *class_, int n, const double *x,
                    const double *y);

/** A straight line from (x0, y0) to (x1, y1). Local. */
void lrp_svg_segment(const lrp_svg *svg, const char *class_, double x0, double y0, double x1,
                     double y1);

/** The vertical from low to high at x. Local. */
void lrp_svg_error(const lrp_svg *svg, const char *class_, double x, double low, double high);

typedef enum { LRP_SVG_CIRCLE, LRP_SVG_DIAMOND, LRP_SVG_SQUARE } lrp_svg_shape;

/** A mark; hint is what a pointer over it shows, NULL for none. Local. */
void lrp_svg_mark(const lrp_svg *svg, lrp_svg_shape shape, const char *class_, double x, double y,
                  const char *hint);

/** Many round marks as one path, each place (of one user unit) at most once. Local. */
void lrp_svg_dots(const lrp_svg *svg, const char *class_, int n, const double *x, const double *y);

/** Text at a place in the drawing; anchor: start, middle, end. Local. */
void lrp_svg_text(const lrp_svg *svg, const char *class_, double x, double y, const char *anchor,
                  const char *text);

/** A filled rectangle in the drawing, with what a pointer over it shows. Local. */
void lrp_svg_cell(const lrp_svg *svg, const char *class_, double x, double y, double width,
                  double height, const char *hint);

#endif
