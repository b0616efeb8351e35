/** @file io/tokenizer/json_scan.h
 *  JSON text walked through in place: for files whose tree would take many times their size.
 *
 *  A value is a stretch of the text; what it holds is looked at when it is asked for. Names and
 *  strings are decoded where they stand, once, so no text is copied. */
#ifndef LRP_IO_TOKENIZER_JSON_SCAN_H
#define LRP_IO_TOKENIZER_JSON_SCAN_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernels/status.h"

/** The file, for messages. */
typedef struct {
  const char *name;
  const char *data; /* borrowed: its first byte */
} lrp_json_file;

/** A stretch of the file: one value, or the characters of a string. */
typedef struct {
  char *text; /* borrowed; NULL: absent */
  size_t length;
} lrp_json_slice;

/** A walk through the members of an object or the elements of an array. */
typedef struct {
  const lrp_json_file *file; /* borrowed */
  char *at, *end;
  char close; /* '}' or ']' */
  bool started;
} lrp_json_walk;

/** LRP_ERR_DATA "file: byte N: what; ...". Local. */
lrp_status lrp_json_fail(const lrp_json_file *file, const char *at, const char *what);

/** The one value that the file is, white space around it removed. Local.
 *  @return LRP_OK; LRP_ERR_DATA (none, more than one, brackets that do not match or are nested more
 *          than 64 deep, a text that is not UTF-8) */
lrp_status lrp_json_whole(const lrp_json_file *file, char *data, size_t size,
                          lrp_json_slice *value);

/** Walk through an object (open '{') or an array ('['); what: its name, for messages. Local.
 *  @return LRP_OK; LRP_ERR_DATA if value is none */
lrp_status lrp_json_walk_start(const lrp_json_file *file, lrp_json_slice value, char open,
                               const char *what, lrp_json_walk *walk);

/** Next member, its name decoded, or next element (name NULL); *more is false at the end. Local.
 *  @return LRP_OK, LRP_ERR_DATA */
lrp_status lrp_json_next(lrp_json_walk *walk, lrp_json_slice *name, lrp_json_slice *value,
                         bool *more);

/** Decode a string where it stands; what: its name, for messages. Local. Call it once for a value.
 *  @return LRP_OK; LRP_ERR_DATA (no string; a bad escape; half a surrogate pair) */
lrp_status lrp_json_string(const lrp_json_file *file, lrp_json_slice value, const char *what,
                           lrp_json_slice *characters);

/** Read an integer. Local. @return LRP_OK; LRP_ERR_DATA if it is none, or has more than 15 digits
 */
lrp_status lrp_json_integer(const lrp_json_file *file, lrp_json_slice value, const char *what,
                            int64_t *integer);

/** Tree of a small value (at most 1 MiB); NULL if it is absent. Local.
 *  @return LRP_OK; LRP_ERR_DATA (broken, too large, a name twice); LRP_ERR_MEM */
lrp_status lrp_json_tree(const lrp_json_file *file, lrp_json_slice value, const char *what,
                         json_t **tree);

/** Whether the characters are those of text. Local. */
bool lrp_json_is(lrp_json_slice characters, const char *text);

#endif
