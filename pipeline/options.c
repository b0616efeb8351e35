#include "pipeline/options.h"

#include <errno.h>
#include <limits.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/base/file.h"
#include "pipeline/job_keys.h"
#include "pipeline/options_table.h"
#include "pipeline/stop.h"

/* ---- the tables ---- */

const lrp_command_row lrp_command_rows[] = {
    {"run", LRP_CMD_RUN, "[JOB.yaml]", "lrpipe.yaml",
     "start or continue the job; the word run may be left out"},
    {"plan", LRP_CMD_PLAN, "[JOB.yaml]", "lrpipe.yaml",
     "what a job would do: units, sizes, memory, balance; no MPI"},
    {"space", LRP_CMD_SPACE, "MODEL", NULL,
     "size of the design space, and configurations in it; no MPI"},
    {"choose", LRP_CMD_CHOOSE, "OUT", NULL,
     "propose, from what a run measured, what to decompose; evaluate it"},
    {"status", LRP_CMD_STATUS, "OUT", NULL, "how far a run is"},
    {"verify", LRP_CMD_VERIFY, "OUT", NULL, "check stored factors and results"},
    {"inspect", LRP_CMD_INSPECT, "OUT", NULL, "list what is stored"},
    {"report", LRP_CMD_REPORT, "OUT", NULL, "make report.html anew and print the table"},
    {"doctor", LRP_CMD_DOCTOR, "[JOB|OUT]", "",
     "what would go wrong here; start it as the run is started"},
    {"keys", LRP_CMD_KEYS, "", "", "the keys of a job file, as a Markdown table"},
    {"man", LRP_CMD_MAN, "", "", "the manual page; lrpipe man | man -l - shows it"},
    {"completion", LRP_CMD_COMPLETION, "", "", "completion for bash; source <(lrpipe completion)"},
};
enum { n_commands = sizeof lrp_command_rows / sizeof lrp_command_rows[0] };
const int lrp_n_command_rows = n_commands;

enum { max_ranks = 65536, max_samples = 1000000 };

#define ANY      LRP_ANY_COMMAND
#define ONLY(c)  (1u << (c))
#define FIELD(f) offsetof(lrp_options, f)

/* Those that read a job. */
#define JOB_COMMANDS (ONLY(LRP_CMD_RUN) | ONLY(LRP_CMD_PLAN) | ONLY(LRP_CMD_DOCTOR))
/* Those that run one. */
#define RUN_COMMANDS (ONLY(LRP_CMD_RUN) | ONLY(LRP_CMD_CHOOSE))

const lrp_option_row lrp_option_rows[] = {
    {"--set", "KEY=VALUE", LRP_OPTION_SET, 0, JOB_COMMANDS, 0,
     "set a key of the job, VALUE as in YAML; repeatable", NULL},
    {"--tasks", "LIST", LRP_OPTION_NAMES, 0, JOB_COMMANDS, 0,
     "evaluate.tasks: names of tasks, groups and suites, a,b,c", "evaluate.tasks"},
    {"--num_fewshot", "K", LRP_OPTION_INTEGER, 0, JOB_COMMANDS, LRP_MAX_SHOTS,
     "evaluate.num_fewshot: solved examples before each question", "evaluate.num_fewshot"},
    {"--limit", "N", LRP_OPTION_INTEGER, 0, JOB_COMMANDS, INT_MAX,
     "evaluate.limit: only the first N documents of each task", "evaluate.limit"},
    {"--log_samples", "[BOOL]", LRP_OPTION_SWITCH, 0, JOB_COMMANDS, 0,
     "evaluate.log_samples: write single answers (default true)", "evaluate.log_samples"},
    {"--no-prefix-sharing", NULL, LRP_OPTION_FLAG, 0, JOB_COMMANDS, 0,
     "evaluate.prefix_sharing=false: compute every request alone", "evaluate.prefix_sharing"},
    {"--write_out", NULL, LRP_OPTION_FLAG, 0, ONLY(LRP_CMD_RUN), 0,
     "print the first prompt of each task, with its tokens", NULL},
    {"--show_config", NULL, LRP_OPTION_FLAG, 0, ONLY(LRP_CMD_RUN), 0,
     "print the settings of each task", NULL},
    {"--quiet", NULL, LRP_OPTION_FLAG, FIELD(quiet), ANY, 0, "only warnings and errors on stderr",
     NULL},
    {"--max-time", "TIME", LRP_OPTION_DURATION, FIELD(max_time_s), RUN_COMMANDS, 0,
     "stop with exit code 75 before TIME has passed: SECONDS, MM:SS, HH:MM:SS, D-HH:MM:SS", NULL},
    {"--watchdog", "SECONDS", LRP_OPTION_INTEGER, FIELD(watchdog_s), RUN_COMMANDS, INT_MAX,
     "end the run if a process rank gives no sign of life for so long (default 300)", NULL},
    {"--ranks", "N", LRP_OPTION_INTEGER, FIELD(ranks), ONLY(LRP_CMD_PLAN), max_ranks,
     "process ranks to plan for (default 1)", NULL},
    {"--nodes", "M", LRP_OPTION_INTEGER, FIELD(nodes), ONLY(LRP_CMD_PLAN), max_ranks,
     "nodes that they are spread over (default 1)", NULL},
    {"--threads", "T", LRP_OPTION_INTEGER, FIELD(threads), ONLY(LRP_CMD_PLAN), LRP_MAX_THREADS,
     "threads of each (default OMP_NUM_THREADS, or a share of the cores)", NULL},
    {"--calibrate", NULL, LRP_OPTION_FLAG, 0, ONLY(LRP_CMD_DOCTOR), 0,
     "measure the speeds that predictions rest on; start it as the run is started", NULL},
    {"--layers", "LIST", LRP_OPTION_TEXT, FIELD(layers), ONLY(LRP_CMD_SPACE), 0,
     "of one configuration: all, or 2,17,31, or 3:31:2 (its end included)", NULL},
    {"--tensors", "LIST", LRP_OPTION_TEXT, FIELD(tensors), ONLY(LRP_CMD_SPACE), 0,
     "all (default of one configuration), or q_proj,k_proj, or any: every set (default of many)",
     NULL},
    {"--rank", "LIST", LRP_OPTION_RANKS, FIELD(rank), ONLY(LRP_CMD_SPACE), INT_MAX,
     "rank of each tensor; of many configurations also ranks, 1,250,500 (default 1)", NULL},
    {"--ratio", "Q", LRP_OPTION_FRACTION, FIELD(ratio), ONLY(LRP_CMD_SPACE), 0,
     "largest rank with at most Q of the tensor's parameters", NULL},
    {"--method", "NAME", LRP_OPTION_TEXT, FIELD(method), ONLY(LRP_CMD_SPACE), 0,
     "tucker (default) or svd", NULL},
    {"--enumerate", NULL, LRP_OPTION_FLAG, 0, ONLY(LRP_CMD_SPACE), 0,
     "list configurations, in order", NULL},
    {"--sample", "N", LRP_OPTION_INTEGER, FIELD(sample), ONLY(LRP_CMD_SPACE), max_samples,
     "list N different random configurations", NULL},
    {"--seed", "S", LRP_OPTION_COUNT, FIELD(seed), ONLY(LRP_CMD_SPACE), INT_MAX,
     "of --sample (default 1): the same S, the same configurations", NULL},
    {"--rows", "N", LRP_OPTION_COUNT, FIELD(rows), ONLY(LRP_CMD_SPACE), INT_MAX,
     "of --enumerate: configurations to list (default 100; 0: all)", NULL},
    {"--reduction", "A:B or P", LRP_OPTION_TEXT, FIELD(reduction),
     ONLY(LRP_CMD_SPACE) | ONLY(LRP_CMD_CHOOSE), 0,
     "space: only configurations that are A to B percent smaller, both included; choose: how many "
     "percent smaller, 9 or 9%",
     NULL},
    {"--distance", "D", LRP_OPTION_INTEGER, FIELD(distance), ONLY(LRP_CMD_SPACE), INT_MAX,
     "only configurations whose layers are at least D apart (2: no neighbours)", NULL},
    {"--keep-first", "N", LRP_OPTION_COUNT, FIELD(keep_first), ONLY(LRP_CMD_SPACE), INT_MAX,
     "only configurations that leave the first N layers dense", NULL},
    {"--keep-last", "N", LRP_OPTION_COUNT, FIELD(keep_last), ONLY(LRP_CMD_SPACE), INT_MAX,
     "only configurations that leave the last N layers dense", NULL},
    {"--format", "NAME", LRP_OPTION_TEXT, FIELD(format), ONLY(LRP_CMD_SPACE), 0,
     "table (default), csv or json", NULL},
    {"--help", NULL, LRP_OPTION_FLAG, 0, ANY, 0, "print commands, options and exit codes", NULL},
    {"--version", NULL, LRP_OPTION_FLAG, 0, ANY, 0, "print the version", NULL},
};
enum { n_options = sizeof lrp_option_rows / sizeof lrp_option_rows[0] };
const int lrp_n_option_rows = n_options;

/* ---- parsing ---- */

typedef struct {
  lrp_options *out;
  bool given[n_options];
  const char *operands[2]; /* command and operand, or one of them */
  int n_operands;
} parse_state;

static const lrp_option_row *find_option(const char *name, size_t length) {
  for (int i = 0; i < n_options; i++) {
    const lrp_option_row *o = &lrp_option_rows[i];
    if (strlen(o->name) == length && memcmp(o->name, name, length) == 0) return o;
  }
  return NULL;
}

static bool is_given(const parse_state *s, const char *name) {
  return s->given[find_option(name, strlen(name)) - lrp_option_rows];
}

static const lrp_command_row *find_command(const char *name) {
  for (int i = 0; i < n_commands; i++) {
    if (strcmp(lrp_command_rows[i].name, name) == 0) return &lrp_command_rows[i];
  }
  return NULL;
}

static const char *nearest_command(const char *name) {
  const char *names[n_commands];
  for (int i = 0; i < n_commands; i++) names[i] = lrp_command_rows[i].name;
  return lrp_did_you_mean(name, names, n_commands);
}

/* Without the dashes, which would count as likeness. */
static lrp_status fail_option(const char *text, size_t length) {
  const char *names[n_options], *near;
  char word[64];

  for (int i = 0; i < n_options; i++) names[i] = lrp_option_rows[i].name + strlen("--");
  snprintf(word, sizeof word, "%.*s", (int)(length < sizeof word ? length : sizeof word), text);
  near = lrp_did_you_mean(word + strspn(word, "-"), names, n_options);
  if (near) {
    return lrp_fail(LRP_ERR_USAGE, "unknown option '%s' (did you mean '--%s'?)", word, near);
  }
  return lrp_fail(LRP_ERR_USAGE, "unknown option '%s'; see lrpipe --help", word);
}

static lrp_status read_integer(const lrp_option_row *o, const char *text, int64_t *value) {
  const int64_t least = o->type == LRP_OPTION_COUNT ? 0
                        : o->key                    ? lrp_job_key_find(o->key, false)->min
                                                    : 1;
  char *end;
  errno = 0;
  const long long v = strtoll(text, &end, 10);

  if (*text < '0' || *text > '9' || *end || errno != 0 || v < least || v > o->most) {
    return lrp_fail(LRP_ERR_USAGE, "%s: expected an integer in %lld..%d, got '%.100s'", o->name,
                    (long long)least, o->most, text);
  }
  *value = v;
  return LRP_OK;
}

/* 1,250,500 */
static lrp_status read_ranks(const lrp_option_row *o, const char *text, lrp_rank_list *list) {
  lrp_status st = LRP_OK;
  char item[24];

  *list = (lrp_rank_list){0};
  for (bool more = true; st == LRP_OK && more; text++) {
    const size_t length = strcspn(text, ",");
    int64_t rank = 0;
    if (list->n == LRP_MAX_RANK_LIST) {
      return lrp_fail(LRP_ERR_USAGE, "%s: more than %d ranks", o->name, LRP_MAX_RANK_LIST);
    }
    snprintf(item, sizeof item, "%.*s", (int)(length < sizeof item ? length : sizeof item), text);
    st = read_integer(o, item, &rank);
    if (st == LRP_OK) list->value[list->n++] = (int)rank;
    text += length;
    more = *text == ',';
  }
  return st;
}

static lrp_status read_duration(const lrp_option_row *o, const char *text, double *value) {
  if (lrp_parse_duration(text, value) && *value > 0.0) return LRP_OK;
  return lrp_fail(LRP_ERR_USAGE,
                  "%s: expected SECONDS, MM:SS, HH:MM:SS or D-HH:MM:SS, got '%.100s'", o->name,
                  text);
}

static lrp_status read_fraction(const lrp_option_row *o, const char *text, double *value) {
  char *end;
  const double v = strtod(text, &end);

  if (end == text || *end || !(v > 0.0 && v <= 1.0)) {
    return lrp_fail(LRP_ERR_USAGE, "%s: expected a number in (0, 1], got '%.100s'", o->name, text);
  }
  *value = v;
  return LRP_OK;
}

/* Takes text; NULL if memory ran out. */
static lrp_status add_set(lrp_options *out, char *text) {
  char **grown = text ? realloc(out->set, ((size_t)out->n_set + 1) * sizeof *grown) : NULL;

  if (!grown) {
    free(text);
    return lrp_fail_memory(((size_t)out->n_set + 1) * sizeof *grown, "--set");
  }
  out->set = grown;
  out->set[out->n_set++] = text;
  return LRP_OK;
}

static lrp_status read_set(const char *text, lrp_options *out) {
  if (*text != '=' && strchr(text, '=')) return add_set(out, strdup(text));
  return lrp_fail(LRP_ERR_USAGE, "--set: expected KEY=VALUE, got '%.100s'", text);
}

/* a,b -> evaluate.tasks=[a,b]: names hold nothing that YAML would read otherwise. */
static lrp_status read_names(const lrp_option_row *o, const char *text, lrp_options *out) {
  static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
  char *set = NULL;

  for (const char *p = text;; p++) {
    const size_t length = strspn(p, letters);
    if (length == 0 || (p[length] != ',' && p[length] != '\0')) {
      return lrp_fail(LRP_ERR_USAGE, "%s: expected names like a,b,c, got '%.100s'", o->name, text);
    }
    p += length;
    if (*p == '\0') break;
  }
  if (asprintf(&set, "%s=[%s]", o->key, text) < 0) set = NULL;
  return add_set(out, set);
}

static lrp_status set_key(const lrp_option_row *o, const char *value, lrp_options *out) {
  char *set = NULL;
  if (asprintf(&set, "%s=%s", o->key, value) < 0) set = NULL;
  return add_set(out, set);
}

static bool is_boolean(const char *text) {
  return strcmp(text, "true") == 0 || strcmp(text, "false") == 0;
}

/* The value of an option that sets a key of the job. */
static lrp_status read_key(const lrp_option_row *o, const char *text, lrp_options *out) {
  int64_t number;
  if (o->type == LRP_OPTION_NAMES) return read_names(o, text, out);
  if (o->type == LRP_OPTION_INTEGER) {
    const lrp_status st = read_integer(o, text, &number);
    return st == LRP_OK ? set_key(o, text, out) : st;
  }
  if (is_boolean(text)) return set_key(o, text, out);
  return lrp_fail(LRP_ERR_USAGE, "%s: expected true or false, got '%.100s'", o->name, text);
}

static lrp_status read_value(const lrp_option_row *o, const char *text, lrp_options *out) {
  char *field = (char *)out + o->offset;

  if (o->key) return read_key(o, text, out);
  if (o->type == LRP_OPTION_SET) return read_set(text, out);
  if (o->type == LRP_OPTION_INTEGER || o->type == LRP_OPTION_COUNT) {
    return read_integer(o, text, (int64_t *)field);
  }
  if (o->type == LRP_OPTION_RANKS) return read_ranks(o, text, (lrp_rank_list *)field);
  if (o->type == LRP_OPTION_FRACTION) return read_fraction(o, text, (double *)field);
  if (o->type == LRP_OPTION_DURATION) return read_duration(o, text, (double *)field);
  if (*text == '\0') return lrp_fail(LRP_ERR_USAGE, "%s: an empty value", o->name);
  memcpy(field, &text, sizeof text);
  return LRP_OK;
}

/* argv[*i] is an option; its value may be argv[*i + 1], which is then consumed. */
static lrp_status read_option(parse_state *s, int argc, char **argv, int *i) {
  const char *text = argv[*i], *equals = strchr(text, '=');
  const size_t length = equals ? (size_t)(equals - text) : strlen(text);
  const lrp_option_row *o = find_option(text, length);

  if (!o) return fail_option(text, length);
  s->given[o - lrp_option_rows] = true;
  if (o->type == LRP_OPTION_FLAG) {
    if (equals) return lrp_fail(LRP_ERR_USAGE, "%s takes no value", o->name);
    return o->key ? set_key(o, "false", s->out) : LRP_OK; /* the flags that are keys switch off */
  }
  if (o->type == LRP_OPTION_SWITCH && !equals && !(*i + 1 < argc && is_boolean(argv[*i + 1]))) {
    return set_key(o, "true", s->out);
  }
  if (equals) return read_value(o, equals + 1, s->out);
  if (*i + 1 >= argc) {
    return lrp_fail(LRP_ERR_USAGE, "%s needs a value: %s %s", o->name, o->name, o->value);
  }
  (*i)++;
  return read_value(o, argv[*i], s->out);
}

static lrp_status read_arguments(parse_state *s, int argc, char **argv) {
  bool only_operands = false;
  lrp_status st = LRP_OK;

  for (int i = 1; st == LRP_OK && i < argc; i++) {
    if (!only_operands && strcmp(argv[i], "--") == 0) {
      only_operands = true;
    } else if (!only_operands && argv[i][0] == '-' && argv[i][1] != '\0') {
      st = read_option(s, argc, argv, &i);
    } else {
      if (s->n_operands < 2) s->operands[s->n_operands] = argv[i];
      s->n_operands++;
    }
  }
  return st;
}

/* Which command, and its operand. A first operand that is no command is a job to run. */
static lrp_status choose_command(parse_state *s) {
  const char *first = s->n_operands > 0 ? s->operands[0] : NULL;
  const lrp_command_row *named = first ? find_command(first) : NULL;
  const lrp_command_row *row = named ? named : &lrp_command_rows[0];
  const int n = s->n_operands - (named ? 1 : 0);

  if (first && !named && (n > 1 || !lrp_file_exists(first))) {
    const char *near = nearest_command(first);
    if (near) {
      return lrp_fail(LRP_ERR_USAGE, "unknown command '%.100s' (did you mean '%s'?)", first, near);
    }
    if (n > 1) {
      return lrp_fail(LRP_ERR_USAGE, "unknown command '%.100s'; see lrpipe --help", first);
    }
  }
  if (n > 0 && *row->operand == '\0') {
    return lrp_fail(LRP_ERR_USAGE, "%s takes no operand", row->name);
  }
  if (n > 1) {
    return lrp_fail(LRP_ERR_USAGE, "%s takes one operand: lrpipe %s %s", row->name, row->name,
                    row->operand);
  }
  s->out->command = row->command;
  s->out->operand = n == 1 ? s->operands[named ? 1 : 0] : row->standard;
  if (s->out->operand) return LRP_OK;
  return lrp_fail(LRP_ERR_USAGE, "%s needs an operand: lrpipe %s %s", row->name, row->name,
                  row->operand);
}

static lrp_status check_allowed(const parse_state *s) {
  for (int i = 0; i < n_options; i++) {
    const lrp_option_row *o = &lrp_option_rows[i];
    if (!s->given[i] || lrp_option_is_known(o, s->out->command)) continue;
    for (int c = 0; c < n_commands; c++) {
      if (!lrp_option_is_known(o, lrp_command_rows[c].command)) continue;
      return lrp_fail(LRP_ERR_USAGE, "%s is an option of lrpipe %s", o->name,
                      lrp_command_rows[c].name);
    }
  }
  return LRP_OK;
}

lrp_status lrp_options_parse(int argc, char **argv, lrp_options *out) {
  parse_state s = {.out = out};
  lrp_status st;

  *out = (lrp_options){.ranks = 1, .nodes = 1, .watchdog_s = 300, .seed = -1, .rows = -1};
  st = read_arguments(&s, argc, argv);
  out->quiet = is_given(&s, "--quiet");
  out->calibrate = is_given(&s, "--calibrate");
  out->enumerate = is_given(&s, "--enumerate");
  out->write_out = is_given(&s, "--write_out");
  out->show_config = is_given(&s, "--show_config");
  if (st == LRP_OK && (is_given(&s, "--help") || is_given(&s, "--version"))) {
    out->command = is_given(&s, "--help") ? LRP_CMD_HELP : LRP_CMD_VERSION;
    return LRP_OK;
  }
  if (st == LRP_OK) st = choose_command(&s);
  if (st == LRP_OK) st = check_allowed(&s);
  if (st == LRP_OK) st = lrp_options_check_space(out);
  if (st == LRP_OK) st = lrp_options_check_choose(out);
  if (st != LRP_OK) lrp_options_free(out);
  return st;
}

void lrp_options_free(lrp_options *options) {
  for (int i = 0; i < options->n_set; i++) free(options->set[i]);
  free(options->set);
  memset(options, 0, sizeof *options);
}

/* ---- help ---- */

bool lrp_option_is_known(const lrp_option_row *option, lrp_command command) {
  return option->commands & ONLY(command);
}

const char *lrp_option_commands(const lrp_option_row *option, char text[LRP_COMMANDS_TEXT]) {
  size_t at = 0;

  text[0] = '\0';
  if (option->commands == ANY) return text;
  for (int c = 0; c < n_commands && at < LRP_COMMANDS_TEXT; c++) {
    if (!lrp_option_is_known(option, lrp_command_rows[c].command)) continue;
    at += (size_t)snprintf(text + at, LRP_COMMANDS_TEXT - at, "%s%s", at > 0 ? ", " : "",
                           lrp_command_rows[c].name);
  }
  return text;
}

static void print_option(const lrp_option_row *o) {
  char left[32], commands[LRP_COMMANDS_TEXT];

  snprintf(left, sizeof left, "%s %s", o->name, o->value ? o->value : "");
  lrp_option_commands(o, commands);
  printf(*commands ? "  %-20s  %s (%s)\n" : "  %-20s  %s\n", left, o->help, commands);
}

void lrp_options_help(void) {
  puts("lrpipe: low-rank decomposition of language models\n\nUsage:");
  puts("  lrpipe [OPTIONS] [JOB.yaml]            the same as lrpipe run");
  puts("  mpirun -np N lrpipe [OPTIONS] JOB.yaml");
  puts("  lrpipe COMMAND [OPTIONS] [OPERAND]\n\nCommands:");
  for (int c = 0; c < n_commands; c++) {
    const lrp_command_row *row = &lrp_command_rows[c];
    printf("  %-11s%-12s  %s\n", row->name, row->operand, row->help);
  }
  puts("\nWithout JOB.yaml, ./lrpipe.yaml is read.\n\nOptions (and the commands that know them):");
  for (int i = 0; i < n_options; i++) print_option(&lrp_option_rows[i]);
  puts(
      "\nKeys of a job are also read from the environment: decompose.method from\n"
      "LRPIPE_DECOMPOSE_METHOD. Precedence: --set, environment, job file, default.");
  puts("\nExit codes:");
#define PRINT_EXIT_CODE(code, exit_code, text) printf("  %3d  %s\n", exit_code, text);
  LRP_STATUS_LIST(PRINT_EXIT_CODE)
#undef PRINT_EXIT_CODE
}
