/** @file pipeline/markup.h
 *  Text and numbers for people in HTML and SVG. */
#ifndef LRP_PIPELINE_MARKUP_H
#define LRP_PIPELINE_MARKUP_H

#include <stdint.h>
#include <stdio.h>

/** text with what means something in markup as entities, attributes in double quotes included, and
 *  control characters as U+FFFD. Local; NULL writes nothing. */
void lrp_markup_text(FILE *f, const char *text);

/** Room for each of the numbers below. */
enum { LRP_MARKUP_NUMBER = 48 };

/** x with so many significant digits, without an exponent from 1e-4 to 1e7, no zeros at the end;
 *  a minus sign, no hyphen; "" for NaN. Local. @return text */
const char *lrp_markup_digits(char text[LRP_MARKUP_NUMBER], double x, int digits);

/** x with so many decimals, and a minus sign; never "-0.0". "" for NaN. Local. @return text */
const char *lrp_markup_fixed(char text[LRP_MARKUP_NUMBER], double x, int decimals);

/** 6738415616 -> "6,738,415,616". Local. @return text */
const char *lrp_markup_count(char text[LRP_MARKUP_NUMBER], int64_t n);

/** x of a unit with the prefix that leaves 1 to 999, three digits: 0.0123, "s" -> "12.3 ms". Local.
 *  @return text */
const char *lrp_markup_unit(char text[LRP_MARKUP_NUMBER], double x, const char *unit);

#endif
