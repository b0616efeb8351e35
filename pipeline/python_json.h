/** @file pipeline/python_json.h
 *  JSON and numbers as Python prints them (json.dumps with ensure_ascii=False, repr), because the
 *  harness's hashes and strings in the samples file are over that text. jansson differs in numbers,
 *  in control characters and in separators.
 *  All functions are local; errors of out are left to whoever closes it (ferror). */
#ifndef LRP_PIPELINE_PYTHON_JSON_H
#define LRP_PIPELINE_PYTHON_JSON_H

#include <jansson.h>
#include <stdio.h>

enum { lrp_repr_max = 32 };

/** repr(x): the shortest decimal digits that give x back; "inf", "-inf" and "nan". */
void lrp_python_repr(double x, char text[lrp_repr_max]);

/** json.dumps(value, indent=indent); indent < 0: one line. Keys in their order of insertion. */
void lrp_python_json(FILE *out, const json_t *value, int indent);

/** A string with its quotes; bytes that are not UTF-8 pass through. */
void lrp_python_json_string(FILE *out, const char *text, size_t length);

#endif
