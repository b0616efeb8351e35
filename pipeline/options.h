/** @file pipeline/options.h
 *  The command line, from one table of commands and options. */
#ifndef LRP_PIPELINE_OPTIONS_H
#define LRP_PIPELINE_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "kernels/status.h"
#include "pipeline/words.h"

typedef enum {
  LRP_CMD_RUN,
  LRP_CMD_PLAN,
  LRP_CMD_SPACE,
  LRP_CMD_CHOOSE,
  LRP_CMD_STATUS,
  LRP_CMD_VERIFY,
  LRP_CMD_INSPECT,
  LRP_CMD_REPORT,
  LRP_CMD_DOCTOR,
  LRP_CMD_KEYS,
  LRP_CMD_MAN,
  LRP_CMD_COMPLETION,
  LRP_CMD_HELP,
  LRP_CMD_VERSION
} lrp_command;

enum { LRP_MAX_THREADS = 4096 }; /* of a process rank */

/** Ranks of matrices, as many as are listed. */
enum { LRP_MAX_RANK_LIST = 32 };
typedef struct {
  int n; /* 0: not given */
  int value[LRP_MAX_RANK_LIST];
} lrp_rank_list;

typedef struct {
  lrp_command command;
  const char *operand; /* job file, model directory or output directory; borrowed from argv */
  char **set;          /* owned array of owned "a.b=v": --set and the options that name a key */
  int n_set;
  bool quiet;
  bool write_out;                /* run: print a prompt of each task */
  bool show_config;              /* run: print the settings of each task */
  double max_time_s;             /* run: time limit; 0: none */
  int64_t watchdog_s;            /* run: seconds without a sign of life of a process rank */
  int64_t ranks;                 /* plan: process ranks to plan for */
  int64_t nodes;                 /* plan: nodes that they are spread over */
  int64_t threads;               /* plan: of each; 0: not given */
  bool calibrate;                /* doctor */
  const char *layers;            /* space: as in a job, "2,17,31"; NULL: not given */
  const char *tensors;           /* space */
  lrp_rank_list rank;            /* space */
  double ratio;                  /* space; 0: not given */
  const char *method;            /* space: tucker | svd; NULL: not given */
  bool enumerate;                /* space: list configurations */
  int64_t sample;                /* space: random configurations; 0: not given */
  int64_t seed;                  /* space: of them; -1: not given */
  int64_t rows;                  /* space: of enumerate; 0: all; -1: not given */
  const char *reduction;         /* space: "5:10", choose: "9%"; NULL: not given */
  double target_percent;         /* choose: what --reduction says */
  int64_t distance;              /* space: of chosen layers; 0: not given */
  int64_t keep_first, keep_last; /* space: layers that stay dense */
  const char *format;            /* space: table | csv | json; NULL: not given */
} lrp_options;

/** Parse argv. Local. "lrpipe JOB" is "lrpipe run JOB"; "lrpipe" alone runs ./lrpipe.yaml.
 *  Unknown commands and options, and options that the command does not know: LRP_ERR_USAGE with
 *  "did you mean". --help wins over --version, and both over every other command; "--" ends
 * options.
 *  @return LRP_OK, LRP_ERR_USAGE, LRP_ERR_MEM; *out is zeroed on error */
lrp_status lrp_options_parse(int argc, char **argv, lrp_options *out);
void lrp_options_free(lrp_options *options);

/** --help, from the table, to stdout. Local. */
void lrp_options_help(void);

#endif
