/** @file pipeline/job.h
 *  The job file (YAML) as a struct: every key checked, defaults filled in, overrides applied. */
#ifndef LRP_PIPELINE_JOB_H
#define LRP_PIPELINE_JOB_H

#include <stdbool.h>
#include <stdint.h>

#include "kernels/linalg/factors.h"
#include "kernels/status.h"

/** first, first + step, .. up to last, which is included if it is hit. */
typedef struct {
  int first, last, step;
} lrp_range;

/** How the rank of a unit is chosen. */
typedef enum {
  LRP_RULE_DENSE,      /* no layers: the undecomposed model */
  LRP_RULE_RANK,       /* rank: r */
  LRP_RULE_PER_TENSOR, /* rank: {q_proj: r, ...} */
  LRP_RULE_PER_LAYER,  /* rank: [r, ...], one per listed layer, in order */
  LRP_RULE_RATIO,      /* ratio: q */
  LRP_RULE_ENERGY,     /* energy: e */
  LRP_RULE_PARTS       /* parts: [...], each with layers and a rule of its own */
} lrp_rank_rule;

/** One entry of configurations:, as written; lrp_plan_create() resolves it against a model. Also
 * one choice of a sweep, which has a name and layers, or a name and tensors; also one of the parts
 * of a configuration, which have no name. */
typedef struct lrp_job_configuration lrp_job_configuration;
struct lrp_job_configuration {
  char *name;
  bool all_layers;
  lrp_range *layers; /* owned, n_layers: in the order given */
  int n_layers;
  bool all_tensors;
  char **tensors; /* owned, n_tensors short names */
  int n_tensors;
  lrp_rank_rule rule;
  int *ranks;          /* owned, n_ranks: one for RANK, else per tensor or per layer */
  char **rank_tensors; /* owned, n_ranks: names of PER_TENSOR */
  int n_ranks;
  double value;                 /* of RATIO or ENERGY */
  lrp_job_configuration *parts; /* owned, n_parts: of PARTS */
  int n_parts;
  char *origin; /* "job.yaml:7", for messages */
};

/** A configuration for each layer, each tensor, or each tensor of each layer. */
typedef enum {
  LRP_EACH_NOTHING,
  LRP_EACH_LAYER,
  LRP_EACH_TENSOR,
  LRP_EACH_UNIT,
} lrp_sweep_each;

/** A number, or a list of them: then the sweep goes over it, and names say which one it is. */
typedef struct {
  double *values; /* owned, n */
  int n;
  bool swept;
} lrp_numbers;

/** Sets of layers or of tensors. A single set has no name; those that a sweep goes over have. */
typedef struct {
  lrp_job_configuration *sets; /* owned, n */
  int n;
  enum { LRP_SETS_ONE, LRP_SETS_NUMBERED, LRP_SETS_NAMED } form; /* a set, a list, a map of them */
} lrp_sets;

/** One entry of sweep:, as written; lrp_expand() makes configurations of it. */
typedef struct {
  char *name;     /* owned: what the names of its configurations begin with */
  char *origin;   /* owned: "job.yaml:7", for messages */
  uint64_t given; /* bit i: the i-th of the table's keys of a sweep is there */
  lrp_sweep_each each;
  lrp_sets layers, tensors;    /* n = 0: all */
  int64_t first;               /* layer that stretches of strides and counts begin with */
  lrp_numbers strides, counts; /* n = 0: none */
  lrp_rank_rule rule;          /* RANK, RATIO or ENERGY: what values holds */
  lrp_numbers values;
  int64_t samples, seed; /* samples = 0: none */
  double reduction[2];   /* percent: least and most */
  int64_t distance, keep_first, keep_last;
  int64_t for_layers, for_hidden_size; /* of the model that it is written for; 0: this one */
} lrp_job_sweep;

/** A few different integers > 0. */
enum { LRP_MAX_COUNTS = 32 };
typedef struct {
  int64_t value[LRP_MAX_COUNTS];
  int n;
} lrp_counts;

/** Type in which factors are stored / the forward pass is computed. */
typedef enum { LRP_STORE_F32, LRP_STORE_F16, LRP_STORE_BF16, LRP_STORE_MODEL } lrp_store_dtype;
typedef enum { LRP_EVAL_AUTO, LRP_EVAL_F32, LRP_EVAL_BF16 } lrp_eval_dtype;

typedef struct {
  char *model, *output;
  struct {
    lrp_method method;
    lrp_store_dtype dtype;
    int64_t grid_elements; /* a unit of more elements than this per process rank goes to a grid */
  } decompose;
  lrp_job_configuration *configurations; /* owned */
  int n_configurations;
  lrp_job_sweep *sweeps; /* owned */
  int n_sweeps;
  struct {
    char *data;
    char **tasks;        /* owned, n_tasks */
    int64_t *task_shots; /* owned, n_tasks: num_fewshot of the entry; -1: it has none */
    int n_tasks;         /* 0: nothing is evaluated */
    int64_t num_fewshot; /* -1: each task's own */
    int64_t limit;       /* -1: all */
    int64_t max_length;  /* -1: the model's */
    lrp_eval_dtype dtype;
    bool log_samples;
    bool prefix_sharing; /* whether requests share what their first tokens cost */
    int64_t memory;      /* bytes that the weights may take on a node; 0: decided by the program */
  } evaluate;
  struct {
    bool given;                             /* the section or a key of it, by whatever source */
    lrp_counts batch_size, sequence_length; /* every one with every other is a case */
    int64_t new_tokens;                     /* decoding steps; 0: none */
    int64_t repeats;                        /* samples of each phase */
  } measure;
} lrp_job;

/** Where values come from, besides the file; later entries win within each list. */
typedef struct {
  char **set; /* "a.b=v" of the command line */
  int n_set;
  char **environment; /* "LRPIPE_A_B=v" lines of the environment of process rank 0 */
  int n_environment;
} lrp_overrides;

/** Parse text (the content of path, size bytes), apply the overrides, check everything that can be
 *  checked without the model. Local, deterministic: the same on all process ranks.
 *  Precedence: --set > environment > file > default. An unknown key, a duplicate key, a wrong type,
 *  a value out of range, an alias, more than one document: LRP_ERR_JOB with "path:line:column: key:
 *  ... (did you mean ...?)". Unknown LRPIPE_* variables warn.
 *  @return LRP_OK, LRP_ERR_JOB, LRP_ERR_MEM; *job is owned by the caller, zeroed on error */
lrp_status lrp_job_parse(const char *path, const char *text, size_t size,
                         const lrp_overrides *overrides, lrp_job *job);

/** Release everything and zero *job. Local. */
void lrp_job_free(lrp_job *job);

/** The resolved job as YAML: every key written out, measure only where it is given; parsing it
 * gives the same job but for the origins (a job close to 1 MiB may be written larger than what is
 *  parsed). Local; the caller frees *text. @return LRP_OK, LRP_ERR_MEM */
lrp_status lrp_job_write(const lrp_job *job, char **text);

/** Print the reference of all keys (key, value, default, meaning) from the parser's own table, as a
 *  Markdown table. */
void lrp_job_print_reference(void);

/** Whether name matches [A-Za-z0-9][A-Za-z0-9._-]*. Local. */
bool lrp_is_name(const char *name);

/** Most characters of a configuration's name; most samples of a sweep. */
enum { LRP_MAX_NAME = 100, LRP_MAX_SAMPLES = 99999 };

/** Parse "2,17,31", "3:31:2", "all"; "q_proj,k_proj" (command line) like the keys layers and
 *  tensors, into an entry that is zeroed there. Local. @return LRP_OK, LRP_ERR_USAGE, LRP_ERR_MEM;
 *  release the entry with lrp_job_configuration_free in any case */
lrp_status lrp_job_parse_layers(const char *text, lrp_job_configuration *c);
lrp_status lrp_job_parse_tensors(const char *text, lrp_job_configuration *c);
void lrp_job_configuration_free(lrp_job_configuration *c);

#endif
