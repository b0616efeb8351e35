/** @file pipeline/job_keys.h
 *  The one table of job keys: what drives parsing, overrides, defaults, writing and the reference.
 */
#ifndef LRP_PIPELINE_JOB_KEYS_H
#define LRP_PIPELINE_JOB_KEYS_H

#include <stdio.h>

#include "pipeline/job.h"
#include "pipeline/job_yaml.h"

typedef struct lrp_job_key lrp_job_key;

/** A row. A section (decompose) has no reader; its keys follow it. */
struct lrp_job_key {
  const char *path;  /* "decompose.method"; "configurations[].rank" for a key of a list's entry */
  const char *type;  /* for people; NULL: it follows from choices, or from min and nullable */
  const char *value; /* default, as YAML; NULL: the key is required (of an entry: no default) */
  const char *help;
  const char *const *choices; /* NULL-terminated, in the order of the enum */
  int64_t min, max;
  bool nullable; /* null is stored as -1 or NULL */
  unsigned
      rules;     /* of a configuration: set of lrp_rank_rule (1 << rule) with which it is written */
  size_t offset; /* of the field in lrp_job, or lrp_job_sweep for an entry of sweep; the rows of
                    configurations get the whole lrp_job_configuration */
  /** Set the field from node, releasing what it held. target is the lrp_job (or the entry). */
  lrp_status (*read)(const lrp_yaml *y, const yaml_node_t *node, const lrp_job_key *key,
                     void *target);
  /** Print the field as YAML that may follow "key: ". */
  void (*write)(FILE *out, const lrp_job_key *key, const void *target);
};

extern const lrp_job_key lrp_job_keys[];
extern const int lrp_job_n_keys;

/** Key or section called path, or NULL; rows of entries only with entries. Local. */
const lrp_job_key *lrp_job_key_find(const char *path, bool entries);

/** The part of key->path after its last '.': "method". Local. */
const char *lrp_job_key_leaf(const lrp_job_key *key);

bool lrp_job_key_is_section(const lrp_job_key *key);
bool lrp_job_key_is_entry(const lrp_job_key *key);
/** Whether key is one of the entries of a list, "configurations[]" or "sweep[]". Local. */
bool lrp_is_key_of(const lrp_job_key *key, const char *list);

/** " (did you mean 'decompose.method'?)" for an unknown path, or "". Local. @return text */
enum { LRP_SUGGESTION = 160 };
const char *lrp_job_key_suggest(const char *path, bool entries, char text[LRP_SUGGESTION]);

/** "an integer >= 1 or null", "tucker or svd": for messages and the reference. Local. */
enum { LRP_KEY_TYPE = 128 };
const char *lrp_job_key_type(const lrp_job_key *key, char text[LRP_KEY_TYPE]);

/** The default; "required"; "no default" of an entry's key that may be left out. Local. */
const char *lrp_job_key_default(const lrp_job_key *key);

/** Set what key i of map, an entry of the list `list`, names: "configurations[]" or "sweep[]".
 * Local.
 *  @param what  "a configuration", for the message about an unknown key
 *  @param key   the row; NULL is accepted */
lrp_status lrp_entry_read_key(const lrp_yaml *y, const yaml_node_t *map, int i, const char *list,
                              const char *what, void *entry, const lrp_job_key **key);

/* ---- fields of an entry of configurations (job_configuration.c) ---- */

lrp_status lrp_configurations_read(const lrp_yaml *y, const yaml_node_t *node,
                                   const lrp_job_key *key, void *job);
void lrp_configurations_write(FILE *out, const lrp_job_key *key, const void *job);

#define LRP_ENTRY_FIELD(name)                                                  \
  lrp_status lrp_entry_read_##name(const lrp_yaml *y, const yaml_node_t *node, \
                                   const lrp_job_key *key, void *entry);       \
  void lrp_entry_write_##name(FILE *out, const lrp_job_key *key, const void *entry)
LRP_ENTRY_FIELD(name);
LRP_ENTRY_FIELD(layers);
LRP_ENTRY_FIELD(tensors);
LRP_ENTRY_FIELD(rank);
LRP_ENTRY_FIELD(fraction); /* ratio and energy */
LRP_ENTRY_FIELD(parts);    /* job_parts.c */

/** A string that can be the name of a configuration, as a copy. Local. */
lrp_status lrp_read_name(const lrp_yaml *y, const yaml_node_t *node, const char *key, char **name);

/** Whether name could be a file of the output directory. Local. */
bool lrp_is_reserved_name(const char *name);

/* ---- fields of an entry of sweep (job_sweep.c) ---- */

lrp_status lrp_sweeps_read(const lrp_yaml *y, const yaml_node_t *node, const lrp_job_key *key,
                           void *job);
void lrp_sweeps_write(FILE *out, const lrp_job_key *key, const void *job);
void lrp_sweep_entry_free(lrp_job_sweep *sweep);

LRP_ENTRY_FIELD(sweep_name);
LRP_ENTRY_FIELD(sets);      /* layers and tensors */
LRP_ENTRY_FIELD(numbers);   /* strides, counts */
LRP_ENTRY_FIELD(values);    /* ranks, ratios, energies */
LRP_ENTRY_FIELD(reduction); /* [least, most] */
LRP_ENTRY_FIELD(for);       /* {layers, hidden_size} */
#undef LRP_ENTRY_FIELD

/* ---- fields of evaluate (job_evaluate.c) ---- */

/** Most solved examples in front of a question. */
enum { LRP_MAX_SHOTS = 1000000 };

lrp_status lrp_job_read_tasks(const lrp_yaml *y, const yaml_node_t *node, const lrp_job_key *key,
                              void *job);
void lrp_job_write_tasks(FILE *out, const lrp_job_key *key, const void *job);

/** Bytes as "24GiB", 0 as "auto". */
lrp_status lrp_job_read_bytes(const lrp_yaml *y, const yaml_node_t *node, const lrp_job_key *key,
                              void *target);
void lrp_job_write_bytes(FILE *out, const lrp_job_key *key, const void *target);

/* ---- fields of measure (job_measure.c) ---- */

/** An integer >= 1, or a list of them that differ: an lrp_counts. */
lrp_status lrp_job_read_counts(const lrp_yaml *y, const yaml_node_t *node, const lrp_job_key *key,
                               void *target);
void lrp_job_write_counts(FILE *out, const lrp_job_key *key, const void *target);

/* ---- strings (job_strings.c) ---- */

/** A list of strings, or one string, that all differ. Local; *list and *n are replaced on success.
 *  @param max  most of them */
lrp_status lrp_read_strings(const lrp_yaml *y, const yaml_node_t *node, const char *key, int max,
                            char ***list, int *n);
void lrp_free_strings(char **list, int n);

/** Print text in double quotes, escaped. Local. */
void lrp_write_quoted(FILE *out, const char *text);
/** Print ["a", "b"]. Local. */
void lrp_write_strings(FILE *out, char *const *list, int n);

#endif
