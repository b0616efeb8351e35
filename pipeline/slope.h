/** @file pipeline/slope.h
 *  What is saved per unit of what is given up: the slope of a line through the origin. */
#ifndef LRP_PIPELINE_SLOPE_H
#define LRP_PIPELINE_SLOPE_H

#include <stdint.h>

typedef struct {
  double slope; /* of y per x, by least squares: sum x y / sum x^2; NaN: no points */
  double error; /* standard error, by the residuals: sqrt(sum (y - slope x)^2 / (n - 1) / sum x^2);
                   NaN for n < 2 */
  int64_t n;    /* points that count */
} lrp_slope;

/** The line y = slope x through n points, such as percent saved (y) by percent of parameters
 *  removed (x). Local. Points that are not finite do not count, nor those with x = 0: what they say
 *  is in the origin already. */
lrp_slope lrp_slope_of(const double *x, const double *y, int64_t n);

/** 100 (1 - value / base): percent saved; NaN if one of them is not finite or base is not > 0.
 *  Local. */
double lrp_saving_percent(double base, double value);

#endif
