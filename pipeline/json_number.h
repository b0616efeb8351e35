/** @file pipeline/json_number.h
 *  Numbers that JSON does not have. */
#ifndef LRP_PIPELINE_JSON_NUMBER_H
#define LRP_PIPELINE_JSON_NUMBER_H

#include <jansson.h>
#include <stdint.h>

/** x, or null if it is infinite or NaN. Local. A new reference, or NULL when out of memory. */
json_t *lrp_json_number(double x);

/** n, or null if it is not known: less than 0. Local. A new reference, or NULL when out of memory.
 */
json_t *lrp_json_count(int64_t n);

#endif
