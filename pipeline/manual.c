#include "pipeline/manual.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "kernels/linalg/factors.h"
#include "kernels/status.h"
#include "pipeline/job_keys.h"
#include "pipeline/options_table.h"
#include "pipeline/suites.h"

/* A term and what it means: an entry of a section that no other table holds. */
typedef struct {
  const char *term, *text;
} entry;

static const entry environment[] = {
    {"LRPIPE_SECTION_KEY",
     "a key of the job, as LRPIPE_DECOMPOSE_METHOD=svd for decompose.method. Precedence: --set, "
     "environment, job file, default. Variables of that form that are no key are warned about."},
    {"LRPIPE_CALIBRATION",
     "file of the speeds that lrpipe doctor --calibrate measures and predictions rest on; default "
     "lrpipe/calibration.json in XDG_CACHE_HOME or ~/.cache."},
    {"OMP_NUM_THREADS",
     "threads of each process rank; without it, its share of the cores that it may use"},
    {"SLURM_JOB_END_TIME",
     "seconds since 1970 at which the run must have ended, where --max-time is not given"},
    {"OMPI_MCA_io", "MPI-IO of Open MPI; lrpipe sets romio321 where it is not set"},
};

static const entry files[] = {
    {"job.yaml", "the job with every key written out"},
    {"run.log", "what the run did, an attempt after the other"},
    {"progress.json", "how far the run is, for scripts"},
    {"model.json", "which weights it was made from: times and checksums"},
    {"factors.h5", "the factors, with a journal; factors.2.h5 and so on where a job grew"},
    {"evaluation.h5", "the log-likelihood of every request, with a journal; likewise"},
    {"tensors.csv", "a row per decomposed matrix"},
    {"tradeoff.csv", "a row per configuration: size and scores"},
    {"tradeoff.json", "the same, and where it comes from"},
    {"measurements.json", "samples of latency, energy and memory, and how they were taken"},
    {"efficiency.csv", "a row per configuration, case and phase that was measured"},
    {"choice.json", "what lrpipe choose proposed, and the loss that it predicted"},
    {"choice.yaml", "the job with it; it is itself a job"},
    {"CONFIGURATION/results.json", "scores, with the keys of lm-evaluation-harness"},
    {"CONFIGURATION/samples_TASK.jsonl", "single answers, likewise"},
    {"lock", "there while a run works on the directory"},
    {"STOP", "made by you: the run ends at the next opportunity, with exit code 75"},
};

static const entry examples[] = {
    {"lrpipe space models/Llama-2-7b-hf --layers 2,17,31 --rank 1",
     "the size of a configuration, from config.json alone"},
    {"lrpipe space models/Llama-2-7b-hf --sample 100 --tensors all --reduction 5:20 --distance 2",
     "random configurations that are 5 to 20 percent smaller and have no neighbouring layers"},
    {"lrpipe plan --ranks 16 job.yaml", "what a run with 16 process ranks would do and need"},
    {"mpirun -np 16 lrpipe job.yaml", "run it; the same command goes on after an interruption"},
    {"mpirun -np 16 lrpipe --max-time 3:55:00 job.yaml", "end in time, with exit code 75"},
    {"mpirun -np 16 lrpipe choose runs/first --reduction 9%",
     "propose what to decompose for a size 9 percent smaller, and evaluate it"},
    {"lrpipe status runs/first", "how far it is"},
};

enum {
  n_environment = sizeof environment / sizeof *environment,
  n_files = sizeof files / sizeof *files,
  n_examples = sizeof examples / sizeof *examples
};

void lrp_manual_keys(void) {
  lrp_job_print_reference();
}

/* ---- roff ---- */

/* Text in which no character is roff's own. */
static void put_text(const char *text) {
  static const char *const special[][2] = {{"\\", "\\e"},  {"-", "\\-"},    {"'", "\\(aq"},
                                           {"`", "\\(ga"}, {"\"", "\\(dq"}, {"^", "\\(ha"},
                                           {"~", "\\(ti"}};
  for (; *text; text++) {
    const char *shown = NULL;
    for (size_t i = 0; i < sizeof special / sizeof *special; i++) {
      if (*text == special[i][0][0]) shown = special[i][1];
    }
    if (shown) {
      fputs(shown, stdout);
    } else {
      putchar(*text);
    }
  }
}

/* A line of text, which roff never takes for a request. */
static void put_line(const char *text) {
  fputs("\\&", stdout);
  put_text(text);
  putchar('\n');
}

static void put_section(const char *name) {
  printf(".SH %s\n", name);
}

static void put_term(const char *term) {
  fputs(".TP\n.B ", stdout);
  put_text(term);
  putchar('\n');
}

static void put_entries(const char *section, const entry *entries, int n) {
  put_section(section);
  for (int i = 0; i < n; i++) {
    put_term(entries[i].term);
    put_line(entries[i].text);
  }
}

/* ---- sections ---- */

static void put_head(void) {
  puts(".\\\" Printed by lrpipe man from the tables of the program; do not edit.");
  puts(".TH LRPIPE 1 \"\" \"lrpipe " LRP_VERSION "\" \"User commands\"");
  puts(".nh\n.ad l"); /* names of keys and files stay whole */
  puts(".SH NAME\nlrpipe \\- low\\-rank decomposition of language models");
  puts(".SH SYNOPSIS\n.B lrpipe\n[\\fIoptions\\fR] [\\fIjob.yaml\\fR]");
  puts(".br\n.B mpirun \\-np\n.I n\n.B lrpipe\n[\\fIoptions\\fR] \\fIjob.yaml\\fR");
  puts(".br\n.B lrpipe\n.I command\n[\\fIoptions\\fR] [\\fIoperand\\fR]");
}

static void put_description(void) {
  put_section("DESCRIPTION");
  put_line(
      "lrpipe replaces weight matrices of a language model by low-rank products and measures what "
      "that costs and saves. A job file names a model in the form of Hugging Face, a list of "
      "configurations (which layers, which matrices, which rank) and benchmark tasks. lrpipe "
      "decomposes each matrix once, at the largest rank that a configuration asks for, evaluates "
      "every configuration on the tasks, and writes a table of size against accuracy.");
  puts(".PP");
  put_line(
      "It runs under MPI with any number of process ranks. A run that was stopped or killed goes "
      "on when the same command is given again, also with another number of process ranks.");
}

static void put_commands(void) {
  char term[64];

  put_section("COMMANDS");
  for (int i = 0; i < lrp_n_command_rows; i++) {
    const lrp_command_row *row = &lrp_command_rows[i];
    snprintf(term, sizeof term, "%s%s%s", row->name, *row->operand ? " " : "", row->operand);
    put_term(term);
    put_line(row->help);
  }
}

static void put_options(void) {
  char term[64], commands[LRP_COMMANDS_TEXT], known[LRP_COMMANDS_TEXT + 16];

  put_section("OPTIONS");
  for (int i = 0; i < lrp_n_option_rows; i++) {
    const lrp_option_row *o = &lrp_option_rows[i];
    snprintf(term, sizeof term, "%s%s%s", o->name, o->value ? " " : "", o->value ? o->value : "");
    put_term(term);
    put_line(o->help);
    if (*lrp_option_commands(o, commands) == '\0') continue;
    snprintf(known, sizeof known, "(%s)", commands);
    put_line(known);
  }
}

static void put_keys(void) {
  char type[LRP_KEY_TYPE], value[LRP_KEY_TYPE + 64];

  put_section("JOB FILE");
  put_line("A YAML map. Relative paths are relative to the working directory. Keys:");
  for (int i = 0; i < lrp_job_n_keys; i++) {
    const lrp_job_key *key = &lrp_job_keys[i];
    snprintf(value, sizeof value, "%s; %s%s", lrp_job_key_type(key, type),
             key->value ? "default " : "", lrp_job_key_default(key));
    put_term(key->path);
    put_line(value);
    puts(".br");
    put_line(key->help);
  }
}

static void put_task(const lrp_task_kind *kind) {
  char text[256];

  snprintf(text, sizeof text, "%s%s%s", kind->files[0], kind->files[1] ? ", else " : "",
           kind->files[1] ? kind->files[1] : "");
  put_term(kind->name);
  put_line(text);
}

static void put_groups(const lrp_task_kind *kinds, int n_kinds) {
  int n_groups;
  const lrp_task_group *groups = lrp_task_groups(&n_groups);

  for (int g = 0; g < n_groups; g++) {
    put_term(groups[g].name);
    for (int k = 0; k < n_kinds; k++) {
      if (kinds[k].group == &groups[g]) put_line(kinds[k].name);
    }
    for (int h = 0; h < n_groups; h++) {
      if (groups[h].parent == &groups[g]) put_line(groups[h].name);
    }
  }
}

static void put_suites(void) {
  char text[128];
  int n;
  const lrp_task_suite *suites = lrp_suites(&n);

  for (int s = 0; s < n; s++) {
    put_term(suites[s].name);
    snprintf(text, sizeof text, "%s:", suites[s].help);
    put_line(text);
    for (int i = 0; i < lrp_suite_size(&suites[s]); i++) {
      const lrp_suite_member *m = &suites[s].members[i];
      snprintf(text, sizeof text, "%s (%lld, %s)", m->name, (long long)m->num_fewshot, m->metric);
      put_line(text);
    }
  }
}

static void put_tasks(void) {
  int n;
  const lrp_task_kind *kinds = lrp_task_kinds(&n);
  bool subjects = false;

  put_section("TASKS");
  put_line("Names for evaluate.tasks, and the file of each below evaluate.data:");
  for (int k = 0; k < n; k++) {
    if (kinds[k].by_subject && subjects) continue; /* all alike */
    subjects = subjects || kinds[k].by_subject;
    put_task(&kinds[k]);
  }
  puts(".PP");
  put_line("and likewise the other tasks of these groups, which are names, too:");
  put_groups(kinds, n);
  puts(".PP");
  put_line("Suites are names, too; their tasks have the shots that are given here:");
  put_suites();
}

static void put_exit_codes(void) {
  char code[16];

  put_section("EXIT STATUS");
#define PUT_EXIT_CODE(name, exit_code, text)    \
  snprintf(code, sizeof code, "%d", exit_code); \
  put_term(code);                               \
  put_line(text);
  LRP_STATUS_LIST(PUT_EXIT_CODE)
#undef PUT_EXIT_CODE
}

void lrp_manual_page(void) {
  put_head();
  put_description();
  put_commands();
  put_options();
  put_keys();
  put_tasks();
  put_entries("ENVIRONMENT", environment, n_environment);
  put_section("FILES");
  put_line("Below the output directory:");
  for (int i = 0; i < n_files; i++) {
    put_term(files[i].term);
    put_line(files[i].text);
  }
  put_exit_codes();
  put_entries("EXAMPLES", examples, n_examples);
  puts(".SH SEE ALSO\n.BR mpirun (1),\n.BR sbatch (1),\n.BR h5dump (1)");
}

/* ---- completion ---- */

static void put_options_of(lrp_command command) {
  for (int i = 0; i < lrp_n_option_rows; i++) {
    const lrp_option_row *o = &lrp_option_rows[i];
    if (lrp_option_is_known(o, command)) printf(" %s", o->name);
  }
}

/* What the shell offers for the value of an option. */
static void put_values(const lrp_option_row *o) {
  if (!o->value) return;
  printf("    %s)", o->name);
  if (o->type == LRP_OPTION_SET) {
    fputs(" compopt -o nospace; words='", stdout);
    for (int i = 0; i < lrp_job_n_keys; i++) {
      const lrp_job_key *key = &lrp_job_keys[i];
      if (lrp_job_key_is_section(key) || lrp_job_key_is_entry(key)) continue;
      printf(" %s=", key->path);
    }
    putchar('\'');
  } else if (o->type == LRP_OPTION_NAMES) {
    int n;
    const char *const *names = lrp_task_names(&n);
    fputs(" words='", stdout);
    for (int i = 0; i < n; i++) printf(" %s", names[i]);
    putchar('\'');
  } else if (o->type == LRP_OPTION_SWITCH) {
    fputs(" words='true false'", stdout);
  } else if (strcmp(o->name, "--method") == 0) {
    printf(" words='%s %s'", lrp_method_name(LRP_TUCKER), lrp_method_name(LRP_SVD));
  } else if (strcmp(o->name, "--format") == 0) {
    fputs(" words='table csv json'", stdout);
  }
  puts(" ;;");
}

/* -f files, -d directories, or no operand. */
static const char *operand_kind(const lrp_command_row *row) {
  if (*row->operand == '\0') return "''";
  return strstr(row->operand, "JOB") ? "-f" : "-d";
}

static void put_command_case(const lrp_command_row *row) {
  printf("      %s) operand=%s options='", row->name, operand_kind(row));
  put_options_of(row->command);
  puts("' ;;");
}

void lrp_manual_completion(void) {
  puts("# Completion of lrpipe for bash; printed by lrpipe completion.");
  puts("_lrpipe() {");
  puts("  local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}");
  puts("  local command= operand=-f options= words= i");
  puts("  COMPREPLY=()");
  puts("  for ((i = 1; i < COMP_CWORD; i++)); do");
  puts("    case ${COMP_WORDS[i]} in");
  for (int c = 0; c < lrp_n_command_rows; c++) put_command_case(&lrp_command_rows[c]);
  puts("      *) continue ;;\n    esac\n    command=${COMP_WORDS[i]}\n    break\n  done");
  fputs("  [[ $command ]] || options='", stdout);
  put_options_of(LRP_CMD_RUN);
  puts("'\n  case $prev in");
  for (int i = 0; i < lrp_n_option_rows; i++) put_values(&lrp_option_rows[i]);
  puts("    *) prev= ;;\n  esac");
  puts("  [[ $prev || $cur != -* ]] || words=$options");
  fputs("  [[ $prev || $cur == -* || $command ]] || words='", stdout);
  for (int c = 0; c < lrp_n_command_rows; c++) printf(" %s", lrp_command_rows[c].name);
  puts("'");
  puts("  mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$cur\")");
  puts("  if [[ ! $prev && $cur != -* && $operand ]]; then");
  puts("    compopt -o filenames 2>/dev/null");
  puts("    mapfile -t -O ${#COMPREPLY[@]} COMPREPLY < <(compgen $operand -- \"$cur\")");
  puts("  fi\n}\ncomplete -F _lrpipe lrpipe");
}
