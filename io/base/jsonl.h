/** @file io/base/jsonl.h
 *  Rows of a JSON Lines file. */
#ifndef LRP_IO_BASE_JSONL_H
#define LRP_IO_BASE_JSONL_H

#include <jansson.h>
#include <stdint.h>

#include "kernels/status.h"

typedef struct {
  char *path;     /* owned */
  json_t **rows;  /* owned references; each an object, key order kept */
  int64_t *lines; /* owned; 1-based line number of each row */
  int64_t count;
  uint64_t xxh3; /* of the file's bytes */
} lrp_jsonl;

/** Read path. Local. CRLF line ends and an absent last newline are accepted, blank lines skipped
 *  (but counted).
 *  @return LRP_OK; LRP_ERR_ABSENT; LRP_ERR_PERM; LRP_ERR_MEM; LRP_ERR_DATA with "file:line: ..."
 *          for a row that is not a JSON object in UTF-8, has a duplicate key or a NUL, or a line of
 *          more than 64 MiB; LRP_ERR_DATA for a file without rows */
lrp_status lrp_jsonl_read(const char *path, lrp_jsonl *out);

/** Release everything and zero *j. Local; accepts a zeroed one. */
void lrp_jsonl_free(lrp_jsonl *j);

/** Fields of row i. Local. Each fails with "file:line: field ...: expected <type>, got <what>"
 *  (LRP_ERR_DATA) if the field is absent or of another type. Results are borrowed from the row.
 *  field may be a path through objects, "choices.text".
 *  _text: a string;  _array: an array;  _integer: an integer, or a string of decimal digits. */
lrp_status lrp_jsonl_text(const lrp_jsonl *j, int64_t i, const char *field, const char **text);
lrp_status lrp_jsonl_array(const lrp_jsonl *j, int64_t i, const char *field, json_t **array);
lrp_status lrp_jsonl_integer(const lrp_jsonl *j, int64_t i, const char *field, int64_t *value);

/** LRP_ERR_DATA with "file:line: " in front of the message. Local. */
lrp_status lrp_jsonl_fail(const lrp_jsonl *j, int64_t i, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

#endif
