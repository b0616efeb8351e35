/** @file pipeline/options_table.h
 *  The one table of commands and options: what drives parsing, help, manual page and completion. */
#ifndef LRP_PIPELINE_OPTIONS_TABLE_H
#define LRP_PIPELINE_OPTIONS_TABLE_H

#include <stdbool.h>
#include <stddef.h>

#include "pipeline/options.h"

typedef struct {
  const char *name;
  lrp_command command;
  const char *operand;  /* for people; "": it takes none */
  const char *standard; /* operand where none is given; NULL: it must be given */
  const char *help;
} lrp_command_row;

extern const lrp_command_row lrp_command_rows[];
extern const int lrp_n_command_rows;

typedef enum {
  LRP_OPTION_FLAG,
  LRP_OPTION_SET,
  LRP_OPTION_INTEGER, /* from 1 on, or what the key says */
  LRP_OPTION_COUNT,   /* an integer from 0 on */
  LRP_OPTION_RANKS,   /* integers from 1 on: 1,250,500 */
  LRP_OPTION_FRACTION,
  LRP_OPTION_DURATION,
  LRP_OPTION_TEXT,
  LRP_OPTION_NAMES, /* a,b,c */
  LRP_OPTION_SWITCH /* alone, or with true or false */
} lrp_option_type;

/** Set of commands (bits 1 << command) that holds them all. */
#define LRP_ANY_COMMAND (~0u)

typedef struct {
  const char *name;
  const char *value; /* for people; NULL: a flag */
  lrp_option_type type;
  size_t offset;     /* of its field in lrp_options */
  unsigned commands; /* set of those that know it */
  int most;          /* of an integer */
  const char *help;
  const char *key; /* of the job: the option sets it as --set does; NULL: none */
} lrp_option_row;

extern const lrp_option_row lrp_option_rows[];
extern const int lrp_n_option_rows;

/** Whether the command knows the option. Local. */
bool lrp_option_is_known(const lrp_option_row *option, lrp_command command);

/** "run, plan": the commands that know the option, or "" if all do. Local. @return text */
enum { LRP_COMMANDS_TEXT = 128 };
const char *lrp_option_commands(const lrp_option_row *option, char text[LRP_COMMANDS_TEXT]);

/** Whether options of lrpipe space speak of many configurations: a list of them, or a filter.
 * Local.
 */
bool lrp_options_about_many(const lrp_options *options);

/** Whether the options of lrpipe space go together. Local. @return LRP_OK, LRP_ERR_USAGE */
lrp_status lrp_options_check_space(const lrp_options *options);

/** target_percent of lrpipe choose, from --reduction "9", "9.5" or "9%". Local. @return LRP_OK,
 *  LRP_ERR_USAGE if it is missing, or not between 0 and 100 */
lrp_status lrp_options_check_choose(lrp_options *options);

#endif
