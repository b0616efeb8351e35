#include "pipeline/job.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/log.h"
#include "pipeline/job_keys.h"
#include "pipeline/words.h"

void lrp_job_free(lrp_job *job) {
  free(job->model);
  free(job->output);
  for (int i = 0; i < job->n_configurations; i++) {
    lrp_job_configuration_free(&job->configurations[i]);
  }
  free(job->configurations);
  for (int i = 0; i < job->n_sweeps; i++) lrp_sweep_entry_free(&job->sweeps[i]);
  free(job->sweeps);
  free(job->evaluate.data);
  lrp_free_strings(job->evaluate.tasks, job->evaluate.n_tasks);
  free(job->evaluate.task_shots);
  memset(job, 0, sizeof *job);
}

/* ---- one source of values: the file, a variable, a --set ---- */

/* Where the last value of evaluate.tasks came from, for the one check that joins two keys. */
typedef struct {
  lrp_job *job;
  char *tasks_origin; /* owned */
} parse_state;

static lrp_status apply_map(parse_state *s, const lrp_yaml *y, const char *section,
                            const yaml_node_t *map);

static lrp_status note_origin(parse_state *s, const lrp_yaml *y, const lrp_job_key *key,
                              const yaml_node_t *node) {
  if (strcmp(key->path, "evaluate.tasks") == 0) {
    free(s->tasks_origin);
    s->tasks_origin = lrp_yaml_origin(y, node);
    if (!s->tasks_origin) return LRP_ERR_MEM;
  }
  if (strncmp(key->path, "measure", strlen("measure")) == 0) s->job->measure.given = true;
  return LRP_OK;
}

/* Set the key or section path to value; at is where the key stands. */
static lrp_status apply(parse_state *s, const lrp_yaml *y, const char *path, const yaml_node_t *at,
                        const yaml_node_t *value) {
  const lrp_job_key *key = lrp_job_key_find(path, false);
  char suggestion[LRP_SUGGESTION];
  lrp_status st;

  if (!key) {
    return lrp_yaml_fail(y, at, "unknown key '%.100s'%s", path,
                         lrp_job_key_suggest(path, false, suggestion));
  }
  st = note_origin(s, y, key, at);
  if (st != LRP_OK) return st;
  if (lrp_job_key_is_section(key)) return apply_map(s, y, path, value);
  return key->read(y, value, key, s->job);
}

static lrp_status apply_map(parse_state *s, const lrp_yaml *y, const char *section,
                            const yaml_node_t *map) {
  const bool is_root = *section == '\0';
  char path[256], got[LRP_YAML_TEXT];
  lrp_status st = LRP_OK;

  if (!lrp_yaml_is_map(map)) {
    return lrp_yaml_fail(y, map, "%s: expected a map of keys, got %s", is_root ? "job" : section,
                         lrp_yaml_describe(map, got));
  }
  for (int i = 0; st == LRP_OK && i < lrp_yaml_map_size(map); i++) {
    const char *name;
    st = lrp_yaml_key_text(y, map, i, &name);
    if (st != LRP_OK) break;
    snprintf(path, sizeof path, "%s%s%s", section, is_root ? "" : ".", name);
    st = apply(s, y, path, lrp_yaml_map_key(y, map, i), lrp_yaml_map_value(y, map, i));
  }
  return st;
}

static lrp_status apply_file(parse_state *s, const char *path, const char *text, size_t size) {
  lrp_yaml y;
  lrp_status st = lrp_yaml_load(path, true, text, size, &y);

  if (st == LRP_OK) st = apply_map(s, &y, "", lrp_yaml_root(&y));
  lrp_yaml_free(&y);
  return st;
}

/* value of the key path, called label in messages. */
static lrp_status apply_value(parse_state *s, const char *label, const char *path,
                              const char *value) {
  lrp_yaml y;
  lrp_status st = lrp_yaml_load(label, false, value, strlen(value), &y);

  if (st == LRP_OK) st = apply(s, &y, path, lrp_yaml_root(&y), lrp_yaml_root(&y));
  lrp_yaml_free(&y);
  return st;
}

static lrp_status apply_defaults(parse_state *s) {
  lrp_status st = LRP_OK;

  for (int i = 0; st == LRP_OK && i < lrp_job_n_keys; i++) {
    const lrp_job_key *key = &lrp_job_keys[i];
    if (!key->value || lrp_job_key_is_section(key) || lrp_job_key_is_entry(key)) continue;
    st = apply_value(s, "default", key->path, key->value);
  }
  s->job->measure.given = false;
  return st;
}

/* "a.b=v" of the command line. */
static lrp_status apply_set(parse_state *s, const char *text) {
  const char *equals = strchr(text, '=');
  char *label = NULL;
  lrp_status st;

  if (!equals) return lrp_fail(LRP_ERR_JOB, "--set %s: expected --set key=value", text);
  if (asprintf(&label, "--set %.*s", (int)(equals - text), text) < 0) {
    return lrp_fail_memory(strlen(text), "--set");
  }
  st = apply_value(s, label, label + strlen("--set "), equals + 1);
  free(label);
  return st;
}

/* ---- environment ---- */

static const char variable_prefix[] = "LRPIPE_";
enum { max_variable = 64 };

/* evaluate.num_fewshot -> LRPIPE_EVALUATE_NUM_FEWSHOT */
static const char *variable_name(const lrp_job_key *key, char name[max_variable]) {
  snprintf(name, max_variable, "%s%s", variable_prefix, key->path);
  for (char *p = name; *p; p++) {
    if (*p == '.') *p = '_';
    if (*p >= 'a' && *p <= 'z') *p = (char)(*p - 'a' + 'A');
  }
  return name;
}

static const lrp_job_key *key_of_variable(const char *name) {
  char known[max_variable];

  for (int i = 0; i < lrp_job_n_keys; i++) {
    const lrp_job_key *key = &lrp_job_keys[i];
    if (!lrp_job_key_is_entry(key) && strcmp(variable_name(key, known), name) == 0) return key;
  }
  return NULL;
}

static void warn_variable(const char *name) {
  char names[max_variable][max_variable];
  const char *known[max_variable], *near;
  int n = 0;

  for (int i = 0; i < lrp_job_n_keys && n < max_variable; i++) {
    if (lrp_job_key_is_entry(&lrp_job_keys[i])) continue;
    known[n] = variable_name(&lrp_job_keys[i], names[n]) + strlen(variable_prefix);
    n++;
  }
  near = lrp_did_you_mean(name + strlen(variable_prefix), known, n);
  if (near) {
    lrp_warn("environment variable %.100s is unknown and ignored (did you mean %s%s?)", name,
             variable_prefix, near);
  } else {
    lrp_warn("environment variable %.100s is unknown and ignored", name);
  }
}

/* Variables that are no key of a job. */
static bool is_other_variable(const char *name) {
  return strcmp(name, "LRPIPE_CALIBRATION") == 0;
}

/* "LRPIPE_A_B=v" */
static lrp_status apply_variable(parse_state *s, const char *text) {
  const char *equals = strchr(text, '=');
  const lrp_job_key *key;
  lrp_status st = LRP_OK;
  char *name;

  if (!equals || strncmp(text, variable_prefix, strlen(variable_prefix)) != 0) return LRP_OK;
  name = strndup(text, (size_t)(equals - text));
  if (!name) return lrp_fail_memory(strlen(text), "environment variable");
  key = key_of_variable(name);
  if (key) {
    st = apply_value(s, name, key->path, equals + 1);
  } else if (!is_other_variable(name)) {
    warn_variable(name);
  }
  free(name);
  return st;
}

/* ---- the job ---- */

static lrp_status check_job(const parse_state *s, const char *path) {
  const lrp_job *job = s->job;
  const char *missing = NULL;

  if (job->n_configurations == 0 && job->n_sweeps == 0) missing = "configurations";
  if (!job->output) missing = "output";
  if (!job->model) missing = "model";
  if (missing) {
    return lrp_fail(LRP_ERR_JOB, "%s: missing key '%s': %s", path, missing,
                    lrp_job_key_find(missing, false)->help);
  }
  if (job->evaluate.n_tasks > 0 && !job->evaluate.data) {
    return lrp_fail(LRP_ERR_JOB,
                    "%s: evaluate.tasks without evaluate.data; add the directory of the data sets",
                    s->tasks_origin);
  }
  return LRP_OK;
}

lrp_status lrp_job_parse(const char *path, const char *text, size_t size,
                         const lrp_overrides *overrides, lrp_job *job) {
  parse_state s = {.job = job};
  lrp_status st;

  memset(job, 0, sizeof *job);
  st = apply_defaults(&s);
  if (st == LRP_OK) st = apply_file(&s, path, text, size);
  for (int i = 0; st == LRP_OK && overrides && i < overrides->n_environment; i++) {
    st = apply_variable(&s, overrides->environment[i]);
  }
  for (int i = 0; st == LRP_OK && overrides && i < overrides->n_set; i++) {
    st = apply_set(&s, overrides->set[i]);
  }
  if (st == LRP_OK) st = check_job(&s, path);
  free(s.tasks_origin);
  if (st != LRP_OK) lrp_job_free(job);
  return st;
}

/* ---- writing ---- */

static void write_job(FILE *out, const lrp_job *job) {
  for (int i = 0; i < lrp_job_n_keys; i++) {
    const lrp_job_key *key = &lrp_job_keys[i];
    const char *leaf = lrp_job_key_leaf(key);
    if (lrp_job_key_is_entry(key)) continue;
    if (!job->measure.given && strncmp(key->path, "measure", strlen("measure")) == 0) continue;
    if (lrp_job_key_is_section(key)) {
      fprintf(out, "%s:\n", leaf);
      continue;
    }
    fprintf(out, "%s%s: ", leaf == key->path ? "" : "  ", leaf);
    key->write(out, key, job);
    fputc('\n', out);
  }
}

lrp_status lrp_job_write(const lrp_job *job, char **text) {
  char *buffer = NULL;
  size_t size = 0;
  FILE *out = open_memstream(&buffer, &size);
  int failed;

  *text = NULL;
  if (!out) return lrp_fail_memory(BUFSIZ, "the resolved job");
  write_job(out, job);
  failed = ferror(out);
  if (fclose(out) != 0 || failed || !buffer) { /* fclose may lose the text and return 0 */
    free(buffer);
    return lrp_fail_memory(size, "the resolved job");
  }
  *text = buffer;
  return LRP_OK;
}

/* A cell of a Markdown table. */
static void print_cell(const char *mark, const char *text) {
  printf("| %s", mark);
  for (; *text; text++) {
    if (*text == '|') putchar('\\');
    putchar(*text);
  }
  printf("%s ", mark);
}

void lrp_job_print_reference(void) {
  char type[LRP_KEY_TYPE];

  puts("| key | value | default | meaning |\n|---|---|---|---|");
  for (int i = 0; i < lrp_job_n_keys; i++) {
    const lrp_job_key *key = &lrp_job_keys[i];
    print_cell("`", key->path);
    print_cell("", lrp_job_key_type(key, type));
    print_cell(key->value ? "`" : "", lrp_job_key_default(key));
    print_cell("", key->help);
    puts("|");
  }
}
