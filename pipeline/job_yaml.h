/** @file pipeline/job_yaml.h
 *  The subset of YAML that jobs are written in, read strictly, with positions for messages.
 *
 *  One document of maps, lists and scalars in UTF-8. Tabs, control characters, anchors, aliases,
 *  tags, further documents, deep nesting and more than 1 MiB are refused. Which scalars are null,
 *  booleans and numbers follows the core schema of YAML 1.2 without its octal and hexadecimal
 *  numbers; so "no" and "3:31:2" are strings. */
#ifndef LRP_PIPELINE_JOB_YAML_H
#define LRP_PIPELINE_JOB_YAML_H

#include <stdbool.h>
#include <stdint.h>
#include <yaml.h>

#include "kernels/status.h"

enum { LRP_YAML_MAX_BYTES = 1 << 20, LRP_YAML_MAX_DEPTH = 16, LRP_YAML_TEXT = 64 };

typedef struct {
  yaml_document_t document; /* owned */
  const char *label;        /* borrowed: the file, or "--set a.b", or "LRPIPE_A_B" */
  bool is_file;             /* messages and origins carry line and column */
  bool loaded;
} lrp_yaml;

/** Parse text. Local. Text without any node is an error in a file and null elsewhere.
 *  @return LRP_OK; LRP_ERR_JOB with label, line and column; LRP_ERR_MEM. Release with free. */
lrp_status lrp_yaml_load(const char *label, bool is_file, const char *text, size_t size,
                         lrp_yaml *out);
void lrp_yaml_free(lrp_yaml *y);

/** The root of what was loaded. Local, never NULL. */
const yaml_node_t *lrp_yaml_root(const lrp_yaml *y);

/** Record LRP_ERR_JOB "label:line:column: ..." for node and return it. Local. */
lrp_status lrp_yaml_fail(const lrp_yaml *y, const yaml_node_t *node, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/** "label:line" (a file) or "label", which the caller frees; NULL if out of memory. Local. */
char *lrp_yaml_origin(const lrp_yaml *y, const yaml_node_t *node);

/** "a map", "a list", "null", or the quoted scalar, shortened: for "..., got %s". Local. */
const char *lrp_yaml_describe(const yaml_node_t *node, char text[LRP_YAML_TEXT]);

/** What a node is. Local. A number in quotes is a string; a plain word may be one. */
bool lrp_yaml_is_list(const yaml_node_t *node);
bool lrp_yaml_is_map(const yaml_node_t *node);
bool lrp_yaml_is_null(const yaml_node_t *node);
bool lrp_yaml_is_word(const yaml_node_t *node, const char *word);
int lrp_yaml_list_size(const yaml_node_t *node);
int lrp_yaml_map_size(const yaml_node_t *node);
const yaml_node_t *lrp_yaml_item(const lrp_yaml *y, const yaml_node_t *list, int i);
const yaml_node_t *lrp_yaml_map_key(const lrp_yaml *y, const yaml_node_t *map, int i);
const yaml_node_t *lrp_yaml_map_value(const lrp_yaml *y, const yaml_node_t *map, int i);

/** Text of a string that is not empty and holds no control characters; a plain null, boolean or
 *  number is refused with the advice to quote it. Local; *text lives as long as y.
 *  @param key  for the message */
lrp_status lrp_yaml_string(const lrp_yaml *y, const yaml_node_t *node, const char *key,
                           const char **text);

/** An integer in [min, max]. Local. @param expected  "an integer >= 1", for the message */
lrp_status lrp_yaml_integer(const lrp_yaml *y, const yaml_node_t *node, const char *key,
                            const char *expected, int64_t min, int64_t max, int64_t *value);

/** true or false, unquoted. Local. */
lrp_status lrp_yaml_boolean(const lrp_yaml *y, const yaml_node_t *node, const char *key,
                            bool *value);

/** A number in [min, max]. Local.
 *  @param expected  "a number from 0 to 100", for the message */
lrp_status lrp_yaml_number(const lrp_yaml *y, const yaml_node_t *node, const char *key,
                           const char *expected, double min, double max, double *value);

/** A number in (0, 1]. Local. */
lrp_status lrp_yaml_fraction(const lrp_yaml *y, const yaml_node_t *node, const char *key,
                             double *value);

/** Text of key i of a map. Local. LRP_ERR_JOB for a key that is no plain text, and for one that an
 *  earlier key of the map equals. */
lrp_status lrp_yaml_key_text(const lrp_yaml *y, const yaml_node_t *map, int i, const char **text);

#endif
